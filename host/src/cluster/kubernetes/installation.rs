//! The name of an installation: whose a namespace is, where several share a cluster.
//!
//! Rights do not tell them apart where each has those of an administrator, nor do schedulers' names. So the name stands on
//! each namespace that Maestro makes, and one that has another's is not used, whatever else its labels say.

use std::fmt;
use std::str::FromStr;

/// Most letters of a label's value.
const LONGEST: usize = 63;

/// What an installation is called; fit to be the value of a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation(String);

impl Installation {
    /// The name as it stands in labels.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Installation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_edge = |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_alphanumeric());
        let is_inner = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
        let is_label = text.len() <= LONGEST
            && is_edge(text.chars().next())
            && is_edge(text.chars().next_back())
            && text.chars().all(is_inner);
        match is_label {
            true => Ok(Self(text.to_owned())),
            false => Err(format!(
                "expected a label's value, as in games-eu: at most {LONGEST} letters, digits, `-`, `_` and `.`, a letter or \
                 digit at both ends"
            )),
        }
    }
}

impl fmt::Display for Installation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installation_is_called_what_a_label_can_say() {
        let check = |text: &str, is_name: bool| {
            let read: Result<Installation, String> = text.parse();
            assert_eq!(read.is_ok(), is_name, "{text:?}: {read:?}");
        };
        for name in ["maestro", "m", "Games_EU.2-b", &"a".repeat(LONGEST)] {
            check(name, true);
        }
        for text in [
            "",
            "-a",
            "a-",
            ".",
            "a b",
            "a/b",
            "spiel-größe",
            &"a".repeat(LONGEST + 1),
        ] {
            check(text, false);
        }
    }
}
