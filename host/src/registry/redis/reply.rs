//! What scripts answer: a word, the registry's time, and what belongs to the word.

use maestro_core::time::Timestamp;
use maestro_wire::record::RecordError;
use redis::Value;

use crate::registry::Error;

/// A script's answer, read from front to back.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) word: String,
    pub(super) now: Timestamp,
    rest: std::vec::IntoIter<Value>,
}

impl Reply {
    pub(super) fn read(value: Value) -> Result<Self, Error> {
        let Value::Array(parts) = value else {
            return Err(odd());
        };
        let mut rest = parts.into_iter();
        let (Some(Value::BulkString(word)), Some(Value::Int(now))) = (rest.next(), rest.next()) else {
            return Err(odd());
        };
        Ok(Self {
            word: String::from_utf8_lossy(&word).into_owned(),
            now: Timestamp::from_ms(now),
            rest,
        })
    }

    /// Whether anything follows.
    pub(super) fn is_over(&self) -> bool {
        self.rest.len() == 0
    }

    /// The next part, bytes or nothing.
    pub(super) fn bytes(&mut self) -> Result<Option<Vec<u8>>, Error> {
        match self.rest.next() {
            Some(Value::BulkString(bytes)) => Ok(Some(bytes)),
            Some(Value::Nil) | None => Ok(None),
            Some(_) => Err(odd()),
        }
    }

    /// The next part, a text or nothing.
    pub(super) fn text(&mut self) -> Result<Option<String>, Error> {
        let bytes = self.bytes()?;
        let text = bytes.map(String::from_utf8).transpose();
        text.map_err(|_| odd())
    }

    /// The next part, a number in digits or nothing.
    pub(super) fn number<T: std::str::FromStr>(&mut self) -> Result<Option<T>, Error> {
        let text = self.text()?;
        text.map(|text| text.parse().map_err(|_| odd())).transpose()
    }

    /// The next part, a time in milliseconds or nothing.
    pub(super) fn time(&mut self) -> Result<Option<Timestamp>, Error> {
        Ok(self.number()?.map(Timestamp::from_ms))
    }

    /// The next part, a count.
    pub(super) fn count(&mut self) -> Result<usize, Error> {
        match self.rest.next() {
            Some(Value::Int(count)) => usize::try_from(count).map_err(|_| odd()),
            _ => Err(odd()),
        }
    }

    /// The next part, a list of bytes.
    pub(super) fn list(&mut self) -> Result<Vec<Vec<u8>>, Error> {
        match self.rest.next() {
            Some(value) => list(value),
            None => Err(odd()),
        }
    }

    /// An answer that this script does not give.
    pub(super) fn unexpected<T>(&self) -> Result<T, Error> {
        Err(Error::Unavailable {
            cause: format!("a script answered {:?}", self.word).into(),
        })
    }
}

/// A list of bytes.
pub(super) fn list(value: Value) -> Result<Vec<Vec<u8>>, Error> {
    let Value::Array(items) = value else {
        return Err(odd());
    };
    let bytes = |item| match item {
        Value::BulkString(bytes) => Ok(bytes),
        _ => Err(odd()),
    };
    items.into_iter().map(bytes).collect()
}

/// Bytes that Redis keeps for us can't be read: written by a newer Maestro, or by somebody else.
pub(super) fn unreadable(error: RecordError) -> Error {
    Error::Unavailable { cause: error.into() }
}

/// An answer that no script of ours gives.
pub(super) fn odd() -> Error {
    Error::Unavailable {
        cause: "Redis answered something unexpected".into(),
    }
}
