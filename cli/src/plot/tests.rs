//! Pictures, as text.

use super::*;

const SMALL: Size = Size { columns: 47, rows: 6 };

/// Ten seconds apart: occupied, ready, wanted.
fn every_ten_seconds(rooms: &[(u32, u32, u32)]) -> Vec<Point> {
    let point = |(i, &(occupied, ready, wanted)): (usize, &(u32, u32, u32))| Point {
        at_ms: 1_700_000_000_000 + 10_000 * i as u64,
        occupied,
        ready,
        wanted,
    };
    rooms.iter().enumerate().map(point).collect()
}

fn picture(rooms: &[(u32, u32, u32)], size: Size) -> String {
    plot(&fleet(rooms), size).join("\n")
}

/// The points, and a decision wherever what is wanted changes.
fn fleet(rooms: &[(u32, u32, u32)]) -> Picture {
    let points = every_ten_seconds(rooms);
    let changes = points.windows(2).filter(|pair| pair[0].wanted != pair[1].wanted);
    let decisions = changes.map(|pair| Mark {
        at_ms: pair[1].at_ms,
        from: pair[0].wanted,
        to: pair[1].wanted,
        summary: String::new(),
    });
    Picture {
        decisions: decisions.collect(),
        points,
    }
}

#[test]
fn a_fleet_that_grows_with_its_players_and_shrinks_again() {
    let rooms = [
        (0, 0, 4),
        (0, 4, 4),
        (2, 2, 4),
        (3, 1, 8),
        (4, 4, 8),
        (7, 1, 12),
        (8, 4, 12),
        (5, 7, 12),
        (2, 10, 6),
        (2, 4, 6),
        (1, 3, 4),
    ];
    insta::assert_snapshot!(picture(&rooms, SMALL));
}

#[test]
fn few_rooms_fill_the_picture_and_many_leave_none_out() {
    insta::assert_snapshot!("few", picture(&[(0, 1, 1), (1, 0, 1)], SMALL));
    insta::assert_snapshot!("many", picture(&[(1, 4_000, 4_001), (1, 4_000, 2_000)], SMALL));
}

#[test]
fn one_moment_and_no_moment_are_pictures_too() {
    insta::assert_snapshot!("moment", picture(&[(1, 1, 3)], SMALL));
    assert_eq!(picture(&[], SMALL), "");
    assert_eq!(
        picture(&[(0, 0, 0)], Size { columns: 0, rows: 0 })
            .lines()
            .count(),
        6
    );
    picture(&[(u32::MAX, u32::MAX, u32::MAX), (0, 0, 0)], SMALL);
}

fn decision(since: &str, at: &str, before: u32, wanted: u32) -> DecisionView {
    DecisionView {
        since: format!("2026-01-01T00:00:{since}Z"),
        at: format!("2026-01-01T00:00:{at}Z"),
        before,
        wanted,
        summary: format!("{before} -> {wanted}"),
        ..DecisionView::default()
    }
}

/// Seconds, occupied, ready, wanted of each point.
fn rows(picture: &Picture) -> Vec<(f64, u32, u32, u32)> {
    let begin = ms("2026-01-01T00:00:00Z").unwrap();
    let row = |point: &Point| {
        let seconds = (point.at_ms - begin) as f64 / 1_000.0;
        (seconds, point.occupied, point.ready, point.wanted)
    };
    picture.points.iter().map(row).collect()
}

#[test]
fn equal_holds_in_a_row_are_a_span_and_promised_rooms_are_occupied() {
    let mut hold = decision("00.000", "10.500", 4, 4);
    hold.counts.ready = 1;
    hold.counts.occupied = 2;
    hold.counts.allocated = 1;
    let next = DecisionView {
        since: hold.at.clone(),
        ..hold.clone()
    };
    let picture = Picture::of(&[], &[hold, next], 0);
    assert_eq!(rows(&picture), [(0.0, 3, 1, 4), (10.5, 3, 1, 4)]);
    assert_eq!(picture.decisions, []);
    let timeless = Picture::of(&[], &[DecisionView::default()], 0);
    assert_eq!(timeless, Picture::default(), "a time that is none is no point");
}

#[test]
fn rooms_are_what_was_sampled_and_wanted_is_what_was_decided() {
    let sample = |at: &str, occupied, ready| SampleBody {
        at: format!("2026-01-01T00:00:{at}Z"),
        counts: CountsView {
            occupied,
            ready,
            ..CountsView::default()
        },
    };
    let samples = [sample("10", 1, 1), sample("20", 2, 3), sample("30", 2, 4)];
    let mut before = decision("05", "05", 1, 2);
    before.counts.ready = 1;
    let mut within = decision("15", "15", 2, 6);
    // What it saw was sampled too, and better.
    within.counts.ready = 9;
    let picture = Picture::of(&samples, &[before.clone(), within.clone()], 0);
    let expected = [
        (5.0, 0, 1, 2),
        (10.0, 1, 1, 2),
        (15.0, 1, 1, 6),
        (20.0, 2, 3, 6),
        (30.0, 2, 4, 6),
    ];
    assert_eq!(rows(&picture), expected);
    let marks: Vec<&str> = picture
        .decisions
        .iter()
        .map(|mark| mark.summary.as_str())
        .collect();
    assert_eq!(marks, ["1 -> 2", "2 -> 6"]);
    let reaching_back = Picture::of(&samples, std::slice::from_ref(&within), 0);
    assert_eq!(
        rows(&reaching_back)[0],
        (10.0, 1, 1, 2),
        "what it was before the first decision"
    );
    let of_window = Picture::of(&samples, &[before, within], picture.points[1].at_ms);
    assert_eq!(rows(&of_window), expected[1..]);
    assert_eq!(of_window.decisions.len(), 1);
}

#[test]
fn the_legend_fits_a_narrow_terminal() {
    for columns in [40, 60] {
        let lines = plot(&fleet(&[(0, 1, 1), (1, 1, 2)]), Size { columns, rows: 4 });
        let widest = lines.iter().map(|line| line.chars().count()).max();
        assert!(widest <= Some(columns), "{widest:?}: {lines:#?}");
    }
}

#[test]
fn colours_go_around_what_they_mean() {
    let lines = ["  │██░ ▁".to_owned()];
    assert_eq!(coloured(&lines, Paint::off()), ["  │██░ ▁"]);
    assert_eq!(
        coloured(&lines, Paint::on()),
        ["  │\x1b[36m██\x1b[0m\x1b[32m░\x1b[0m \x1b[33m▁\x1b[0m"]
    );
}
