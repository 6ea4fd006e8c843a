//! JSON whose objects have each key once.
//!
//! The JSON reader by itself keeps the last of two values in silence. Repeated keys are collected here rather than
//! refused at once, so that they are told beside whatever else is wrong.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::document::quoted;

/// Keys that stand more than once in the same object, each of them once.
#[derive(Clone, Debug, Default)]
pub(super) struct Repeated {
    keys: Vec<String>,
    /// Whether there are more than are kept.
    more: bool,
}

impl Repeated {
    /// Most keys that are kept: whoever mends them finds the rest, and an answer stays short.
    const LIMIT: usize = 5;

    fn add(&mut self, key: &str) {
        if self.keys.iter().any(|known| known == key) {
            return;
        }
        match self.keys.len() < Self::LIMIT {
            true => self.keys.push(key.to_owned()),
            false => self.more = true,
        }
    }

    /// What is said of them, if there are any.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.keys.is_empty() {
            return Ok(());
        }
        let shown: Vec<String> = self.keys.iter().map(|key| quoted(key)).collect();
        let more = if self.more { " and others" } else { "" };
        let verb = if self.more || shown.len() > 1 { "are" } else { "is" };
        Err(format!("{}{more} {verb} given more than once", shown.join(", ")))
    }
}

/// Reads one value, and which keys are repeated in it.
pub(super) fn read(bytes: &[u8]) -> Result<(Value, Repeated), serde_json::Error> {
    let repeated = RefCell::default();
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Unique(&repeated).deserialize(&mut reader)?;
    reader.end()?;
    Ok((value, repeated.into_inner()))
}

/// Reads a value wherever it stands. The depth is bounded by the JSON reader, which calls back for each level.
#[derive(Clone, Copy)]
struct Unique<'r>(&'r RefCell<Repeated>);

impl<'de> DeserializeSeed<'de> for Unique<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any valid JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if map.contains_key(&key) {
                self.0.borrow_mut().add(&key);
            }
            map.insert(key, entries.next_value_seed(self)?);
        }
        Ok(Value::Object(map))
    }
}
