//! [`parameters!`]: the settings of a policy, their defaults, bounds, documentation and JSON schema from one text.

use serde::de::{self, DeserializeOwned};

/// The settings of a policy, read from the JSON text of an object. [`parameters!`](crate::parameters) writes it;
/// settings that it can't express implement it by hand, beside `serde::Deserialize`.
pub trait Parameters: DeserializeOwned {
    /// A JSON schema of the object.
    const SCHEMA: &'static str;

    /// What no type says: bounds, and what must hold between settings.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// Reads and checks settings; what is wrong is said in a sentence.
pub fn from_json<P: Parameters>(text: &str) -> Result<P, String> {
    let parameters: P = serde_json::from_str(text).map_err(|error| {
        let text = error.to_string();
        // The position is one in JSON that nobody wrote by hand; the document was YAML.
        match text.rfind(" at line ") {
            Some(end) if error.is_data() => text[..end].to_owned(),
            _ => text,
        }
    })?;
    parameters.check()?;
    Ok(parameters)
}

/// Declares the settings of a policy: a struct with public fields that is read from JSON, with a schema.
///
/// A field is `name: type = default in low..=high`, where default and bounds may be left out. Without a default it
/// must be given, unless its type is an `Option`. Types are `bool`, `u32`, `u64`, `i64`, `f64`, `String` and
/// `Option` of these; defaults and bounds are literals. Documentation comments go into the schema. Unknown keys
/// are refused. After the struct, `check path;` names a function `fn(&Self) -> Result<(), String>` for what must
/// hold between fields.
#[macro_export]
macro_rules! parameters {
    (
        $(#[$outer:meta])*
        $visibility:vis struct $name:ident {
            $(
                $(#[doc = $doc:literal])*
                $field:ident : $type:ident $(<$inner:ident>)? $(= $default:literal)? $(in $low:literal ..= $high:literal)?
            ),* $(,)?
        }
        $(check $check:path;)?
    ) => {
        $(#[$outer])*
        #[derive(Clone, Debug, PartialEq)]
        $visibility struct $name {
            $($(#[doc = $doc])* pub $field: $type $(<$inner>)?,)*
        }

        const _: () = {
            #[derive($crate::serde::Deserialize)]
            #[serde(crate = "maestro_policy_sdk::serde", deny_unknown_fields)]
            struct Given {
                $(#[serde(default)] $field: Option<$type $(<$inner>)?>,)*
            }

            impl<'de> $crate::serde::Deserialize<'de> for $name {
                fn deserialize<D: $crate::serde::Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
                    let _given: Given = $crate::serde::Deserialize::deserialize(source)?;
                    Ok($name {
                        $($field: $crate::support::settle(
                            _given.$field, [$(Some($default),)? None][0], stringify!($field),
                        )?,)*
                    })
                }
            }

            impl $crate::Parameters for $name {
                const SCHEMA: &'static str = {
                    const TEXT: $crate::support::Text = $crate::support::schema(&[
                        $($crate::support::Field {
                            name: stringify!($field),
                            docs: &[$($doc),*],
                            kind: <$type $(<$inner>)? as $crate::support::Setting>::KIND,
                            default: [$(Some(stringify!($default)),)? None][0],
                            range: [$(Some((stringify!($low), stringify!($high))),)? None][0],
                            is_optional: <$type $(<$inner>)? as $crate::support::Setting>::IS_OPTIONAL,
                        },)*
                    ]);
                    const BYTES: [u8; TEXT.size()] = TEXT.bytes();
                    match core::str::from_utf8(&BYTES) {
                        Ok(text) => text,
                        Err(_) => panic!("a schema is UTF-8"),
                    }
                };

                fn check(&self) -> Result<(), String> {
                    $($($crate::support::check_range(
                        &self.$field, $low, $high,
                        [stringify!($field), stringify!($low), stringify!($high)],
                    )?;)?)*
                    $($check(self)?;)?
                    Ok(())
                }
            }
        };
    };
}

/// A type that a setting can have.
pub trait Setting: Sized {
    /// What its default is written as.
    type Literal: Copy;
    /// What JSON schema calls it.
    const KIND: &'static str;
    /// Whether it may be left out without a default.
    const IS_OPTIONAL: bool = false;

    /// The value that a literal stands for.
    fn from_literal(literal: Self::Literal) -> Self;

    /// The value when none is given, if there is one.
    fn absent() -> Option<Self> {
        None
    }
}

/// A setting that can have bounds.
pub trait Number: Setting {
    /// Whether it lies within the bounds, ends included.
    fn is_within(&self, low: Self::Literal, high: Self::Literal) -> bool;
}

macro_rules! settings {
    ($($type:ty, $kind:literal;)*) => {$(
        impl Setting for $type {
            type Literal = $type;
            const KIND: &'static str = $kind;

            fn from_literal(literal: $type) -> $type {
                literal
            }
        }

        impl Number for $type {
            fn is_within(&self, low: $type, high: $type) -> bool {
                (low..=high).contains(self)
            }
        }
    )*};
}

settings! {
    bool, "boolean";
    u32, "integer";
    u64, "integer";
    i64, "integer";
    f64, "number";
}

impl Setting for String {
    type Literal = &'static str;
    const KIND: &'static str = "string";

    fn from_literal(literal: &'static str) -> String {
        literal.to_owned()
    }
}

impl<T: Setting> Setting for Option<T> {
    type Literal = T::Literal;
    const KIND: &'static str = T::KIND;
    const IS_OPTIONAL: bool = true;

    fn from_literal(literal: T::Literal) -> Option<T> {
        Some(T::from_literal(literal))
    }

    fn absent() -> Option<Option<T>> {
        Some(None)
    }
}

impl<T: Number> Number for Option<T> {
    fn is_within(&self, low: T::Literal, high: T::Literal) -> bool {
        self.as_ref().is_none_or(|value| value.is_within(low, high))
    }
}

/// What was given, else the default, else an error that names the field.
pub fn settle<T: Setting, E: de::Error>(
    given: Option<T>,
    default: Option<T::Literal>,
    field: &'static str,
) -> Result<T, E> {
    given
        .or(default.map(T::from_literal))
        .or_else(T::absent)
        .ok_or_else(|| E::missing_field(field))
}

/// Refuses a value outside its bounds; `texts` are the field's name and the bounds as written.
pub fn check_range<T: Number>(
    value: &T,
    low: T::Literal,
    high: T::Literal,
    texts: [&str; 3],
) -> Result<(), String> {
    if value.is_within(low, high) {
        return Ok(());
    }
    let [field, low, high] = texts;
    let number = |text: &str| text.strip_suffix(".0").unwrap_or(text).replace('_', "");
    Err(format!(
        "`{field}` must be from {} to {}",
        number(low),
        number(high)
    ))
}
