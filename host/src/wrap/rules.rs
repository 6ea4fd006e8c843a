//! What lines of a program mean for its room. Pure: options in, words out, and the state that a word leads to.

use std::str::FromStr;
use std::time::Duration;

use regex::bytes::Regex;

/// When the program is ready for a match.
#[derive(Clone, Debug)]
pub(super) enum Ready {
    /// Every port of the room is open.
    Port,
    /// A line says so.
    Log(Pattern),
    /// So long after its start.
    After(Duration),
}

/// A pattern that lines of the program's output are held against. Bytes, since nobody promises that they are text.
#[derive(Clone, Debug)]
pub(super) struct Pattern(Regex);

/// What a program says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// It is ready for the first time.
    Ready,
    /// A match is over.
    Idle,
    /// A match begins.
    Occupied,
}

/// What the room does, as far as the program's words tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Not ready yet.
    Starting,
    /// Available for a match.
    Idle,
    /// In a match.
    Occupied,
}

/// The patterns that were given.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    pub(super) ready: Option<Pattern>,
    pub(super) idle: Option<Pattern>,
    pub(super) occupied: Option<Pattern>,
}

impl Rules {
    /// What a line says, without its line break. Where it says two things the later one holds: a match that may
    /// have begun protects the room.
    pub(super) fn words(&self, line: &[u8]) -> impl Iterator<Item = Word> {
        let says = |pattern: &Option<Pattern>, word| {
            let is_match = pattern.as_ref().is_some_and(|pattern| pattern.0.is_match(line));
            is_match.then_some(word)
        };
        [
            says(&self.ready, Word::Ready),
            says(&self.idle, Word::Idle),
            says(&self.occupied, Word::Occupied),
        ]
        .into_iter()
        .flatten()
    }
}

impl State {
    /// The state after a word. Players can come before the program is said to be ready, and nothing but such players'
    /// leaving makes it ready before that.
    pub(super) fn after(self, word: Word) -> Self {
        match (self, word) {
            (_, Word::Occupied) => Self::Occupied,
            (Self::Starting, Word::Ready) | (Self::Occupied, Word::Idle) => Self::Idle,
            (Self::Starting | Self::Idle, Word::Idle) | (Self::Idle | Self::Occupied, Word::Ready) => self,
        }
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let pattern = text.strip_prefix("log:").ok_or_else(|| {
            "expected `log:` and a regular expression, as in 'log:^Player .* joined'".to_owned()
        })?;
        if pattern.is_empty() {
            return Err("an empty expression is in every line".to_owned());
        }
        // Its message shows the place with a caret.
        Regex::new(pattern).map(Self).map_err(|error| error.to_string())
    }
}

impl FromStr for Ready {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "port" => Ok(Self::Port),
            Some(("log", _)) => text.parse().map(Self::Log),
            Some(("after", time)) => crate::room::duration(time).map(Self::After),
            None | Some(_) => Err(
                "expected `port`, `log:` and a regular expression, or `after:` and a time, as in after:5s"
                    .to_owned(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_is_read_in_its_three_forms() {
        assert!(matches!("port".parse(), Ok(Ready::Port)));
        assert!(matches!("log:^a:b".parse(), Ok(Ready::Log(_))));
        assert!(matches!("after:2.5s".parse(), Ok(Ready::After(time)) if time.as_millis() == 2_500));
        for (text, expected) in [
            ("", "`port`"),
            ("ports", "`port`"),
            ("port:game", "`port`"),
            ("log:", "every line"),
            ("after:", "no time"),
            ("after:5 parsecs", "unit of time"),
        ] {
            let error = text.parse::<Ready>().unwrap_err();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_bad_expression_is_shown_with_its_place() {
        let error = "log:joined (".parse::<Pattern>().unwrap_err();
        assert!(error.contains("joined (\n           ^"), "{error}");
        assert!("joined".parse::<Pattern>().unwrap_err().contains("`log:`"));
    }

    #[test]
    fn lines_need_not_be_text() {
        let rules = Rules {
            occupied: Some("log:joined$".parse().unwrap()),
            ..Rules::default()
        };
        let words = |line: &[u8]| rules.words(line).collect::<Vec<_>>();
        assert_eq!(words(b"\xff\xfe joined"), [Word::Occupied]);
        assert_eq!(words(b"joined the queue"), []);
    }

    #[test]
    fn a_line_that_says_two_things_protects_the_room() {
        let any: Option<Pattern> = "log:match".parse().ok();
        let rules = Rules {
            ready: any.clone(),
            idle: any.clone(),
            occupied: any,
        };
        let state = rules.words(b"a match").fold(State::Starting, State::after);
        assert_eq!(state, State::Occupied);
    }

    #[test]
    fn words_lead_from_state_to_state() {
        use State::{Idle, Occupied, Starting};
        let after = |words: &[Word]| words.iter().fold(Starting, |state, word| state.after(*word));
        let cases: [(&[Word], State); 7] = [
            (&[], Starting),
            (&[Word::Ready], Idle),
            (&[Word::Ready, Word::Occupied], Occupied),
            (&[Word::Ready, Word::Occupied, Word::Idle], Idle),
            // Readiness comes once: the same line in a match ends nothing.
            (&[Word::Ready, Word::Occupied, Word::Ready], Occupied),
            (&[Word::Idle], Starting),
            (&[Word::Occupied, Word::Idle], Idle),
        ];
        for (words, expected) in cases {
            assert_eq!(after(words), expected, "{words:?}");
        }
    }
}
