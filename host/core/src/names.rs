//! Names and identifiers, parsed once at the edge and never checked again.

use std::fmt;

/// Why a text is not a valid name; reads on from "`x` is not a valid scheduler name: ".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameError {
    /// The text is empty.
    Empty,
    /// The text is longer than `limit` bytes.
    TooLong {
        /// The greatest allowed length in bytes.
        limit: usize,
    },
    /// A character that is not a lower-case letter, digit or dash.
    Character(char),
    /// The first or last character is a dash.
    Edge,
    /// Not of the form that the message describes.
    Form(&'static str),
}

impl std::error::Error for NameError {}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "it is empty"),
            Self::TooLong { limit } => write!(f, "it is longer than {limit} characters"),
            Self::Character(c) => {
                write!(
                    f,
                    "it has {c:?}; only lower-case letters, digits and dashes are allowed"
                )
            }
            Self::Edge => write!(f, "it must begin and end with a letter or digit"),
            Self::Form(expected) => write!(f, "expected {expected}"),
        }
    }
}

/// Checks `text` as a DNS-1123 label of at most `limit` bytes.
pub fn check_label(text: &str, limit: usize) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > limit {
        return Err(NameError::TooLong { limit });
    }
    if let Some(c) = text.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-')) {
        return Err(NameError::Character(c));
    }
    if text.starts_with('-') || text.ends_with('-') {
        return Err(NameError::Edge);
    }
    Ok(())
}

macro_rules! label {
    ($(#[$doc:meta])* $name:ident, $limit:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The greatest allowed length in bytes.
            pub const MAX: usize = $limit;

            /// Parses a DNS-1123 label of at most [`Self::MAX`] bytes.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                check_label(text, Self::MAX)?;
                Ok(Self(text.to_owned()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::parse(text)
            }
        }
    };
}

label!(
    /// A scheduler's name: a DNS-1123 label. 54 leaves room for a room's suffix of nine in a label of 63.
    SchedulerName,
    54
);
label!(
    /// A policy's name: a DNS-1123 label.
    PolicyName,
    63
);

/// A room's name: its scheduler's, a dash, and eight hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomId(String);

impl RoomId {
    /// The room of `scheduler` with this random suffix.
    pub fn new(scheduler: &SchedulerName, suffix: u32) -> Self {
        Self(format!("{scheduler}-{suffix:08x}"))
    }

    /// Parses `<scheduler>-<8 hex>`.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        const FORM: NameError = NameError::Form("<scheduler>-<8 hexadecimal digits>");
        let (scheduler, suffix) = text.rsplit_once('-').ok_or(FORM)?;
        SchedulerName::parse(scheduler)?;
        if suffix.len() != 8 || !suffix.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(FORM);
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this room's name says that it belongs to `scheduler`.
    pub fn belongs_to(&self, scheduler: &SchedulerName) -> bool {
        self.0
            .rsplit_once('-')
            .is_some_and(|(name, _)| name == scheduler.as_str())
    }
}

impl fmt::Display for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A scheduler's version, written `vMAJOR.MINOR`. Rooms of another major version are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Counts changes of what runs in a room.
    pub major: u32,
    /// Counts all other changes since.
    pub minor: u32,
}

impl Version {
    /// `v1.0`.
    pub const FIRST: Version = Version { major: 1, minor: 0 };

    /// Parses `vMAJOR.MINOR`.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        const FORM: NameError = NameError::Form("vMAJOR.MINOR, as in v1.0");
        let (major, minor) = text
            .strip_prefix('v')
            .and_then(|t| t.split_once('.'))
            .ok_or(FORM)?;
        let number = |t: &str| match t.bytes().all(|b| b.is_ascii_digit()) {
            true => t.parse().map_err(|_| FORM),
            false => Err(FORM),
        };
        Ok(Self {
            major: number(major)?,
            minor: number(minor)?,
        })
    }

    /// The version after a change that replaces rooms.
    pub fn next_major(self) -> Self {
        Self {
            major: self.major.saturating_add(1),
            minor: 0,
        }
    }

    /// The version after a change that leaves rooms alone.
    pub fn next_minor(self) -> Self {
        Self {
            major: self.major,
            minor: self.minor.saturating_add(1),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}.{}", self.major, self.minor)
    }
}

/// The sha256 of a policy's component.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Parses 64 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        const FORM: NameError = NameError::Form("64 hexadecimal digits");
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return Err(FORM);
        }
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| FORM)?;
        }
        Ok(Self(bytes))
    }

    /// The first twelve digits, enough for people.
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
