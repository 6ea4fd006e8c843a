//! How values become bytes and back: numbers in as few bytes as they need, everything else by its parts in order.

use super::RecordError;

/// Bytes that are being read.
#[derive(Clone, Debug)]
pub(super) struct Bytes<'a>(&'a [u8]);

/// What can be written and read.
pub(super) trait Coded: Sized {
    fn write(&self, out: &mut Vec<u8>);
    fn read(from: &mut Bytes<'_>) -> Result<Self, RecordError>;
}

impl<'a> Bytes<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], RecordError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(RecordError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    /// A count of things that each take a byte at least, so that no count promises more than there is.
    pub(super) fn count(&mut self) -> Result<usize, RecordError> {
        let count = u64::read(self)?;
        let count = usize::try_from(count).map_err(|_| RecordError::Truncated)?;
        if count > self.0.len() {
            Err(RecordError::Truncated)
        } else {
            Ok(count)
        }
    }

    /// Checks that nothing is left.
    pub(super) fn end(&self) -> Result<(), RecordError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(RecordError::Damaged("bytes follow its end"))
        }
    }
}

/// Implements [`Coded`] of structs by their fields, in the order given.
macro_rules! coded_struct {
    ($($name:ident { $($field:ident),* $(,)? })*) => {$(
        impl Coded for $name {
            fn write(&self, out: &mut Vec<u8>) {
                $(self.$field.write(out);)*
            }

            fn read(from: &mut Bytes<'_>) -> Result<Self, RecordError> {
                Ok(Self { $($field: Coded::read(from)?),* })
            }
        }
    )*};
}

/// Implements [`Coded`] of enums by a byte for the variant, and its fields. A byte once given is never reused.
macro_rules! coded_enum {
    ($($name:ident { $($byte:literal => $variant:ident $(($single:ident))? $({ $($field:ident),* })?),* $(,)? })*) => {$(
        impl Coded for $name {
            fn write(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant $(($single))? $({ $($field),* })? => {
                        out.push($byte);
                        $($single.write(out);)?
                        $($($field.write(out);)*)?
                    })*
                }
            }

            fn read(from: &mut Bytes<'_>) -> Result<Self, RecordError> {
                match u8::read(from)? {
                    $($byte => {
                        $(let $single = Coded::read(from)?;)?
                        Ok(Self::$variant $(($single))? $({ $($field: Coded::read(from)?),* })?)
                    })*
                    _ => Err(RecordError::Damaged(concat!("an unknown variant of ", stringify!($name)))),
                }
            }
        }
    )*};
}

pub(super) use {coded_enum, coded_struct};

impl Coded for u8 {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }

    fn read(from: &mut Bytes<'_>) -> Result<Self, RecordError> {
        Ok(from.take(1)?[0])
    }
}

/// Seven bits a byte, lowest first; the eighth says that more follow.
impl Coded for u64 {
    fn write(&self, out: &mut Vec<u8>) {
        let mut rest = *self;
        while rest >= 0x80 {
            out.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        out.push(rest as u8);
    }

    fn read(from: &mut Bytes<'_>) -> Result<Self, RecordError> {
        let mut value: u64 = 0;
        for shift in (0..64).step_by(7) {
            let byte = u8::read(from)?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(RecordError::Damaged("a number is too large"))
    }
}

/// Small numbers of either sign become small ones: 0, −1, 1, −2 … become 0, 1, 2, 3 …
pub(super) fn fold(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The inverse of [`fold`].
pub(super) fn unfold(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

impl Coded for i64 {
    fn write(&self, out: &mut Vec<u8>) {
        fold(*self).write(out);
    }

    fn read(from: &mut Bytes<'_>) -> Result<Self, RecordError> {
        u64::read(from).map(unfold)
    }
}

impl Coded for u32 {
    fn write(&self, out: &mut Vec<u8>) {
        u64::from(*self).write(out);
    }

    fn read(from: &mut Bytes<'_>) -> Result<Self, RecordError> {
        u32::try_from(u64::read(from)?).map_err(|_| RecordError::Damaged("a number is too large"))
    }
}

impl Coded for bool {
    fn write(&self, out: &mut Vec<u8>) {
        out.push((*self).into());
    }

    fn read(from: &mut Bytes<'_>) -> Result<Self, RecordError> {
        match u8::read(from)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(RecordError::Damaged("neither true nor false")),
        }
    }
}

impl Coded for f64 {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.to_le_bytes());
    }

    fn read(from: &mut Bytes<'_>) -> Result<Self, RecordError> {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(from.take(8)?);
        Some(f64::from_le_bytes(bytes))
            .filter(|number| number.is_finite())
            .ok_or(RecordError::Damaged("a number that is not finite"))
    }
}

impl Coded for String {
    fn write(&self, out: &mut Vec<u8>) {
        (self.len() as u64).write(out);
        out.extend(self.as_bytes());
    }

    fn read(from: &mut Bytes<'_>) -> Result<Self, RecordError> {
        let length = from.count()?;
        let bytes = from.take(length)?.to_vec();
        String::from_utf8(bytes).map_err(|_| RecordError::Damaged("a text is not UTF-8"))
    }
}

impl Coded for [u8; 32] {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self);
    }

    fn read(from: &mut Bytes<'_>) -> Result<Self, RecordError> {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(from.take(32)?);
        Ok(bytes)
    }
}

impl<T: Coded> Coded for Option<T> {
    fn write(&self, out: &mut Vec<u8>) {
        self.is_some().write(out);
        if let Some(value) = self {
            value.write(out);
        }
    }

    fn read(from: &mut Bytes<'_>) -> Result<Self, RecordError> {
        Ok(if bool::read(from)? {
            Some(T::read(from)?)
        } else {
            None
        })
    }
}

impl<T: Coded> Coded for Vec<T> {
    fn write(&self, out: &mut Vec<u8>) {
        (self.len() as u64).write(out);
        for item in self {
            item.write(out);
        }
    }

    fn read(from: &mut Bytes<'_>) -> Result<Self, RecordError> {
        let count = from.count()?;
        (0..count).map(|_| T::read(from)).collect()
    }
}

impl<A: Coded, B: Coded> Coded for (A, B) {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
    }

    fn read(from: &mut Bytes<'_>) -> Result<Self, RecordError> {
        Ok((A::read(from)?, B::read(from)?))
    }
}
