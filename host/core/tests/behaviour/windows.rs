//! Sampling, cuts, shares, staleness.

use maestro_core::decision::Counts;
use maestro_core::time::{Span, Timestamp};
use maestro_core::window::{
    MAX_POINTS, MAX_SERIES, Sample, Sampling, Stretch, Window, period, share_above, share_below,
};
use proptest::prelude::*;

const BEGINNING: Timestamp = Timestamp::from_ms(1_790_000_000_000);

fn at(ms: u64) -> Timestamp {
    BEGINNING + Span::from_ms(ms)
}

fn sample(ms: u64, ready: u32) -> Sample {
    Sample {
        at: at(ms),
        counts: Counts {
            ready,
            ..Counts::default()
        },
    }
}

fn minute() -> Sampling {
    Sampling::of(Span::from_secs(60))
}

#[test]
fn period_is_ten_seconds_or_a_thousandth_of_the_longest_look_back() {
    assert_eq!(period(Span::from_secs(60)), Span::from_secs(10));
    assert_eq!(period(Span::from_secs(10_000)), Span::from_secs(10));
    assert_eq!(period(Span::from_secs(36_000)), Span::from_secs(36));
    assert_eq!(period(Span::from_ms(10_000_001)), Span::from_ms(10_001));
}

#[test]
fn sample_is_taken_each_period_and_on_change() {
    let mut window = Window::default();
    assert!(window.push(sample(0, 1), minute()));
    assert!(!window.push(sample(5_000, 1), minute()), "nothing changed");
    assert!(window.push(sample(6_000, 2), minute()), "a change");
    assert!(
        !window.push(sample(6_200, 3), minute()),
        "too soon after the last one"
    );
    assert!(window.push(sample(6_250, 3), minute()), "four a second");
    assert!(window.push(sample(10_000, 3), minute()), "the next period");
    assert!(!window.push(sample(9_000, 4), minute()), "older than the newest");
    assert_eq!(window.samples.len(), 4);
}

#[test]
fn after_a_minute_one_sample_a_period_is_left() {
    let sampling = Sampling::of(Span::from_secs(600));
    let mut window = Window::default();
    for second in 0..300_u32 {
        window.push(sample(u64::from(second) * 1_000, second), sampling);
    }
    let old = window
        .samples
        .iter()
        .filter(|sample| sample.at < at(239_000))
        .count();
    assert_eq!(old, 24);
    assert_eq!(window.samples.len(), 24 + 60);
}

#[test]
fn cut_carries_the_sample_before_its_edge_in() {
    let mut window = Window::default();
    for tens in 0..6_u32 {
        window.push(sample(u64::from(tens) * 10_000, tens), minute());
    }
    let ready = |span, now| -> Vec<u32> {
        let cut = window.cut(Span::from_secs(span), at(now));
        cut.samples.iter().map(|sample| sample.counts.ready).collect()
    };
    assert_eq!(ready(25, 50_000), [2, 3, 4, 5], "25 s lies between two samples");
    assert_eq!(ready(20, 50_000), [3, 4, 5], "20 s is a sample itself");
    assert_eq!(ready(25, 45_000), [2, 3, 4], "what came later is not in it");
    assert_eq!(ready(600, 50_000), [0, 1, 2, 3, 4, 5]);
    assert_eq!(ready(5, 90_000), [5], "the newest may be old");
    assert!(
        Window::default()
            .cut(Span::from_secs(5), at(0))
            .samples
            .is_empty()
    );
}

#[test]
fn only_finite_numbers_enter() {
    let mut window = Window::default();
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(!window.push_value("cpu.used", at(0), value, minute()));
    }
    assert!(window.series.is_empty());
    assert!(window.push_value("cpu.used", at(0), 0.0, minute()));
    assert!(!window.push_value("cpu.used", at(0), 1.0, minute()), "not newer");
}

#[test]
fn series_are_bounded_in_number_and_dropped_when_they_end() {
    let mut window = Window::default();
    for number in 0..100 {
        window.push_value(&format!("metric-{number}"), at(0), 1.0, minute());
    }
    assert_eq!(window.series.len(), MAX_SERIES);
    window.push_value("metric-0", at(50_000), 1.0, minute());
    window.forget_before(at(70_000), minute());
    assert_eq!(window.series.keys().collect::<Vec<_>>(), ["metric-0"]);
}

#[test]
fn age_of_a_series_is_that_of_its_newest_point() {
    let mut window = Window::default();
    assert_eq!(window.age("cpu.used", at(0)), None);
    window.push_value("cpu.used", at(0), 1.0, minute());
    assert_eq!(window.age("cpu.used", at(29_000)), Some(Span::from_secs(29)));
    assert!(window.age("cpu.used", at(31_000)) > Some(minute().stale()));
}

fn stretch(seconds: u64, now_ms: u64) -> Stretch {
    Stretch {
        span: Span::from_secs(seconds),
        hold: minute().hold(),
        now: at(now_ms),
    }
}

#[test]
fn newest_point_weighs_nothing_and_a_gap_counts_for_no_side() {
    let points = [(at(0), 0.9), (at(10_000), 0.1), (at(60_000), 0.9)];
    // The second point holds for two periods of its fifty seconds.
    assert_eq!(share_above(&points, 0.5, stretch(100, 60_000)), 0.1);
    assert_eq!(share_below(&points, 0.5, stretch(100, 60_000)), 0.2);
    assert_eq!(share_above(&points[2..], 0.5, stretch(100, 60_000)), 0.0);
    assert_eq!(
        share_above(&points, 0.9, stretch(100, 60_000)),
        0.0,
        "strictly above"
    );
}

#[test]
fn point_before_the_edge_counts_from_the_edge_on() {
    let points = [(at(0), 0.9), (at(10_000), 0.1), (at(20_000), 0.1)];
    assert_eq!(share_above(&points, 0.5, stretch(15, 20_000)), 5.0 / 15.0);
}

proptest! {
    #[test]
    fn share_equals_counting_on_regular_samples(
        values in proptest::collection::vec(0..=100_u32, 2..60),
        usage in 0..=100_u32,
    ) {
        let points: Vec<(Timestamp, f64)> = (0_u64..)
            .zip(&values)
            .map(|(number, value)| (at(number * 10_000), f64::from(*value)))
            .collect();
        let counted = &values[..values.len() - 1];
        let seconds = counted.len() as u64 * 10;
        let stretch = stretch(seconds, seconds * 1_000);
        let share = |count: usize| count as f64 / counted.len() as f64;
        let above = counted.iter().filter(|value| **value > usage).count();
        let below = counted.iter().filter(|value| **value < usage).count();
        prop_assert!((share_above(&points, f64::from(usage), stretch) - share(above)).abs() < 1e-12);
        prop_assert!((share_below(&points, f64::from(usage), stretch) - share(below)).abs() < 1e-12);
    }

    #[test]
    fn window_never_has_more_than_1240_points(
        longest in 10_u64..2_000_000,
        steps in proptest::collection::vec((1_u64..400, 50_u64..20_000), 1..40),
    ) {
        let sampling = Sampling::of(Span::from_secs(longest));
        let mut window = Window::default();
        let (mut now, mut count) = (0_u64, 0_u32);
        for (times, gap) in steps {
            for _ in 0..times {
                now += gap;
                count += 1;
                window.push(sample(now, count), sampling);
                window.push_value("cpu.used", at(now), f64::from(count), sampling);
                prop_assert!(window.samples.len() <= MAX_POINTS);
                prop_assert!(window.series["cpu.used"].len() <= MAX_POINTS);
            }
        }
        let times: Vec<Timestamp> = window.samples.iter().map(|sample| sample.at).collect();
        prop_assert!(times.is_sorted());
        // What is old is on the grid: one point a period.
        let minute = at(now) - Span::from_secs(60);
        let slots: Vec<i64> = times
            .iter()
            .filter(|time| **time <= minute)
            .map(|time| time.ms() / i64::try_from(sampling.period.ms()).unwrap())
            .collect();
        prop_assert!(slots.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn cut_answers_shares_as_the_whole_window_does(
        gaps in proptest::collection::vec((250_u64..30_000, 0..4_u32), 2..80),
        span in 10_u64..600,
        later in 0_u64..30_000,
    ) {
        let sampling = Sampling::of(Span::from_secs(3_600));
        let mut window = Window::default();
        let mut now = 0;
        for (gap, value) in gaps {
            now += gap;
            window.push_value("queue.waiting", at(now), f64::from(value), sampling);
        }
        let all: Vec<_> = window.series["queue.waiting"].iter().copied().collect();
        let stretch = Stretch {
            span: Span::from_secs(span),
            hold: sampling.hold(),
            now: at(now + later),
        };
        let cut = window.cut(stretch.span, stretch.now);
        let part = cut.series.get("queue.waiting").cloned().unwrap_or_default();
        prop_assert_eq!(share_above(&part, 1.5, stretch), share_above(&all, 1.5, stretch));
    }
}

#[test]
fn busiest_window_of_the_longest_grid_is_full_and_no_more() {
    // A thousand periods of ten seconds, and four changes a second.
    let sampling = Sampling::of(Span::from_secs(10_000));
    let mut window = Window::default();
    for number in 0..(11_000 * 4_u32) {
        window.push(sample(u64::from(number) * 250, number), sampling);
    }
    assert!(
        (1_230..=MAX_POINTS).contains(&window.samples.len()),
        "{}",
        window.samples.len()
    );
}
