//! Figures in sentences, written with whole numbers: the formatting of floats would add tens of kilobytes to a
//! component.

/// A number with at most one decimal: `70`, `0.5`, `-3`. Not a number, or one beyond 9e15, is `?`.
pub fn figure(value: f64) -> String {
    // Beyond this a float has no tenths, and ten times it would not fit.
    const LARGEST: f64 = 9.0e15;
    if !(-LARGEST..=LARGEST).contains(&value) {
        return "?".to_owned();
    }
    let tenths = (value * 10.0).round() as i64;
    let sign = if tenths < 0 { "-" } else { "" };
    let (whole, tenth) = (tenths.unsigned_abs() / 10, tenths.unsigned_abs() % 10);
    if tenth == 0 {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{tenth}")
    }
}

/// A share of one in per cent: `72.5 %`.
pub fn percent(share: f64) -> String {
    format!("{} %", figure(share * 100.0))
}

/// Milliseconds in whole seconds, in tenths below ten seconds; cut, not rounded, so that what is not reached yet
/// does not look reached.
pub(crate) fn seconds(ms: u64) -> String {
    let tenths = ms / 100;
    if ms >= 10_000 || tenths.is_multiple_of(10) {
        format!("{}", ms / 1_000)
    } else {
        format!("{}.{}", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_at_most_one_decimal() {
        let cases = [
            (70.0, "70"),
            (0.5, "0.5"),
            (-0.04, "0"),
            (-3.25, "-3.3"),
            (99.96, "100"),
            (f64::NAN, "?"),
        ];
        for (value, expected) in cases {
            assert_eq!(figure(value), expected);
        }
        assert_eq!(figure(f64::INFINITY), "?");
        assert_eq!(percent(0.725), "72.5 %");
    }

    #[test]
    fn seconds_are_cut() {
        let cases = [
            (0, "0"),
            (999, "0.9"),
            (2_450, "2.4"),
            (3_000, "3"),
            (59_999, "59"),
            (480_000, "480"),
        ];
        for (ms, expected) in cases {
            assert_eq!(seconds(ms), expected);
        }
    }
}
