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
    plot(&every_ten_seconds(rooms), size).join("\n")
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

#[test]
fn equal_holds_in_a_row_are_a_span_and_promised_rooms_are_occupied() {
    let mut decision = DecisionView {
        since: "2026-01-01T00:00:00.000Z".to_owned(),
        at: "2026-01-01T00:00:10.500Z".to_owned(),
        wanted: 4,
        ..DecisionView::default()
    };
    decision.counts.ready = 1;
    decision.counts.occupied = 2;
    decision.counts.allocated = 1;
    let next = DecisionView {
        since: decision.at.clone(),
        ..decision.clone()
    };
    let found = points(&[decision, next]);
    let spans: Vec<u64> = found
        .windows(2)
        .map(|pair| pair[1].at_ms - pair[0].at_ms)
        .collect();
    assert_eq!(spans, [10_500]);
    assert_eq!((found[0].occupied, found[0].ready, found[0].wanted), (3, 1, 4));
    assert_eq!(
        points(&[DecisionView::default()]),
        [],
        "a time that is none is no point"
    );
}

#[test]
fn colours_go_around_what_they_mean() {
    let lines = ["  │██░ ▁".to_owned()];
    assert_eq!(coloured(&lines, Paint::off()), "  │██░ ▁\n");
    assert_eq!(
        coloured(&lines, Paint::on()),
        "  │\x1b[36m██\x1b[0m\x1b[32m░\x1b[0m \x1b[33m▁\x1b[0m\n"
    );
}
