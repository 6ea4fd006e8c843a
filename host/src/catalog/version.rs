//! Versions of policies, as their authors write them: numbers between dots, mostly.

use std::cmp::Ordering;

/// Orders versions by their numbers; parts that are no numbers by their text, and before numbers.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        let ordering = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => match (a.parse::<u64>(), b.parse::<u64>()) {
                (Ok(a), Ok(b)) => a.cmp(&b),
                (Ok(_), Err(_)) => Ordering::Greater,
                (Err(_), Ok(_)) => Ordering::Less,
                (Err(_), Err(_)) => a.cmp(b),
            },
        };
        if ordering != Ordering::Equal {
            return ordering;
        }
    }
}

/// Whether `version` is `wanted`, or begins with its parts: 1.2.3 is of 1.2, and 1.20 is not.
pub(super) fn is_of(version: &str, wanted: &str) -> bool {
    version
        .strip_prefix(wanted)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_their_numbers() {
        let mut versions = ["1.10.0", "1.2.0", "1.2", "2", "1.2.0-beta", "1.9.9"];
        versions.sort_by(|a, b| compare(a, b));
        assert_eq!(versions, ["1.2", "1.2.0-beta", "1.2.0", "1.9.9", "1.10.0", "2"]);
    }

    #[test]
    fn a_version_is_of_its_beginning_by_whole_parts() {
        assert!(is_of("1.2.3", "1.2") && is_of("1.2", "1.2") && is_of("1.2.3", "1"));
        assert!(!is_of("1.20", "1.2") && !is_of("1.2", "1.2.3"));
    }
}
