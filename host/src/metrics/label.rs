//! Labels: mostly words of ours, which cost nothing to hand over.

use std::borrow::Cow;

/// A name and a value.
pub(super) type Label = (&'static str, Cow<'static, str>);

/// A label whose value is one of a few words.
pub(super) fn label(name: &'static str, value: &'static str) -> Label {
    (name, Cow::Borrowed(value))
}

/// A label whose value comes from elsewhere.
pub(super) fn owned(name: &'static str, value: impl Into<String>) -> Label {
    (name, Cow::Owned(value.into()))
}
