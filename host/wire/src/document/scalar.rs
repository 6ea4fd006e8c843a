//! What a scalar's text means: nothing, a boolean, a number, a duration, an amount.
//!
//! Follows YAML 1.2 and JSON. What YAML 1.1 reads differently (`0123`, `1_000`, `yes`) is never guessed at:
//! it is an [`Kind::Unclear`], and the reader asks for an unambiguous spelling.

use maestro_core::time::Span;

/// What a plain scalar says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    /// A whole number in decimal digits; it may be too large for any integer.
    Whole,
    /// Any other number.
    Float,
    /// Something that versions of YAML disagree on.
    Unclear,
    Text,
}

/// What `text` says when it stands without quotes.
pub(super) fn kind(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Kind::Null,
        "true" | "True" | "TRUE" => return Kind::Bool(true),
        "false" | "False" | "FALSE" => return Kind::Bool(false),
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "-.inf" | "-.Inf" | "-.INF" | "+.inf" => {
            return Kind::Unclear;
        }
        "yes" | "Yes" | "YES" | "no" | "No" | "NO" | "on" | "On" | "ON" | "off" | "Off" | "OFF" => {
            return Kind::Unclear;
        }
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') || !unsigned.contains(digit) {
        return Kind::Text;
    }
    if unsigned.bytes().all(|b| b.is_ascii_digit()) {
        let is_octal_looking = unsigned.len() > 1 && unsigned.starts_with('0');
        return if is_octal_looking {
            Kind::Unclear
        } else {
            Kind::Whole
        };
    }
    if is_radix(unsigned) || is_grouped(unsigned) {
        return Kind::Unclear;
    }
    if is_float(unsigned) {
        Kind::Float
    } else {
        Kind::Text
    }
}

fn digit(c: char) -> bool {
    c.is_ascii_digit()
}

/// `0x1F`, `0o17`, `0b11`.
fn is_radix(text: &str) -> bool {
    match text.as_bytes() {
        [b'0', b'x', rest @ ..] => !rest.is_empty() && rest.iter().all(u8::is_ascii_hexdigit),
        [b'0', b'o' | b'b', rest @ ..] => !rest.is_empty() && rest.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// `1_000`.
fn is_grouped(text: &str) -> bool {
    text.contains('_') && text.starts_with(digit) && text.chars().all(|c| digit(c) || matches!(c, '_' | '.'))
}

/// `1.5`, `.5`, `1.`, `1e3`, `1.5E-3`.
fn is_float(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let all_digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent_ok = exponent.is_none_or(|e| {
        let e = e.strip_prefix(['-', '+']).unwrap_or(e);
        !e.is_empty() && all_digits(e)
    });
    all_digits(whole) && all_digits(fraction) && !(whole.is_empty() && fraction.is_empty()) && exponent_ok
}

/// The whole number that an author most likely meant by `text`, for a hint: `0123`, `1_000`, `1e3`, `80%`, `5.0`.
pub(super) fn meant_whole(text: &str) -> Option<u64> {
    let bare: String = text
        .trim()
        .trim_end_matches('%')
        .chars()
        .filter(|c| *c != '_')
        .collect();
    if let Ok(number) = bare.parse() {
        return Some(number);
    }
    let float: f64 = bare.parse().ok()?;
    // Beyond 2^53 a float names no whole number any more.
    let is_whole = float.fract() == 0.0 && (0.0..9e15).contains(&float);
    is_whole.then_some(float as u64)
}

/// Units of a duration in milliseconds, longest first.
const UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
];

/// `90`, `90s`, `5m`, `1h30m`, `1500ms`; each unit at most once, in any order.
pub(super) fn duration(text: &str) -> Option<Span> {
    if let Ok(seconds) = digits(text) {
        return seconds.checked_mul(1_000).map(Span::from_ms);
    }
    let mut rest = text;
    let mut total: u64 = 0;
    let mut seen = [false; UNITS.len()];
    while !rest.is_empty() {
        let end = rest.find(|c: char| !digit(c))?;
        let amount = digits(&rest[..end]).ok()?;
        let (i, (unit, ms)) = UNITS
            .iter()
            .enumerate()
            .find(|(_, (unit, _))| rest[end..].starts_with(unit))?;
        if std::mem::replace(&mut seen[i], true) {
            return None;
        }
        total = total.checked_add(amount.checked_mul(*ms)?)?;
        rest = &rest[end + unit.len()..];
    }
    (!text.is_empty()).then(|| Span::from_ms(total))
}

/// How a duration is written: whole seconds as a number, else in milliseconds.
pub(super) fn duration_text(span: Span) -> Result<u64, String> {
    match span.ms() % 1_000 {
        0 => Ok(span.ms() / 1_000),
        _ => Err(format!("{}ms", span.ms())),
    }
}

fn digits(text: &str) -> Result<u64, ()> {
    match text.bytes().all(|b| b.is_ascii_digit()) {
        true => text.parse().map_err(|_| ()),
        false => Err(()),
    }
}

/// Why a text is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QuantityError {
    /// Not a number with a known suffix.
    Form,
    /// Zero or negative.
    NotPositive,
    /// More than a million cores, or than the 2^63 − 1 bytes that Kubernetes knows.
    TooLarge,
    /// Less than a thousandth of a core.
    TooFine,
}

/// A Kubernetes quantity of cpu, in thousandths of a core.
pub(super) fn cpu_milli(text: &str) -> Result<u64, QuantityError> {
    let (milli, remainder) = quantity(text, 1_000)?;
    if remainder {
        return Err(QuantityError::TooFine);
    }
    // A million cores are more than any room gets; a suffix of memory by mistake makes more than that.
    match bounded(milli)? {
        1_000_000_001.. => Err(QuantityError::TooLarge),
        milli => Ok(milli),
    }
}

/// A Kubernetes quantity of memory, in bytes; fractions of a byte are rounded up as Kubernetes does.
pub(super) fn memory_bytes(text: &str) -> Result<u64, QuantityError> {
    let (bytes, remainder) = quantity(text, 1)?;
    bounded(bytes + u128::from(remainder))
}

fn bounded(amount: u128) -> Result<u64, QuantityError> {
    match u64::try_from(amount) {
        Ok(0) => Err(QuantityError::NotPositive),
        Ok(amount) if i64::try_from(amount).is_ok() => Ok(amount),
        _ => Err(QuantityError::TooLarge),
    }
}

/// `text` × `scale`, and whether a fraction was cut off.
fn quantity(text: &str, scale: u128) -> Result<(u128, bool), QuantityError> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let amount = unsigned_quantity(unsigned, scale)?;
    if text.starts_with('-') {
        Err(QuantityError::NotPositive)
    } else {
        Ok(amount)
    }
}

fn unsigned_quantity(text: &str, scale: u128) -> Result<(u128, bool), QuantityError> {
    let end = text.find(|c: char| !digit(c) && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
        return Err(QuantityError::Form);
    }
    let (multiplier, divisor) = suffix_of(suffix).ok_or(QuantityError::Form)?;
    // 24 digits are more than any legal amount has; with them the product below stays within 128 bits or says so.
    if whole.len() + fraction.len() > 24 {
        return Err(QuantityError::TooLarge);
    }
    let all = format!("{whole}{fraction}")
        .parse::<u128>()
        .map_err(|_| QuantityError::Form)?;
    let places = u32::try_from(fraction.len()).map_err(|_| QuantityError::Form)?;
    let dividend = all
        .checked_mul(multiplier)
        .and_then(|amount| amount.checked_mul(scale))
        .ok_or(QuantityError::TooLarge)?;
    let divisor = divisor * 10_u128.pow(places);
    Ok((dividend / divisor, !dividend.is_multiple_of(divisor)))
}

/// What a suffix multiplies and divides by.
fn suffix_of(suffix: &str) -> Option<(u128, u128)> {
    const SUFFIXES: [(&str, u128); 12] = [
        ("k", 1_000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
        ("T", 1_000_000_000_000),
        ("P", 1_000_000_000_000_000),
        ("E", 1_000_000_000_000_000_000),
        ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("Ti", 1 << 40),
        ("Pi", 1 << 50),
        ("Ei", 1 << 60),
    ];
    match suffix {
        "" => return Some((1, 1)),
        "m" => return Some((1, 1_000)),
        _ => {}
    }
    if let Some((_, multiplier)) = SUFFIXES.iter().find(|(name, _)| *name == suffix) {
        return Some((*multiplier, 1));
    }
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    let power = 10_u128
        .checked_pow(exponent.unsigned_abs())
        .filter(|_| exponent.abs() <= 18)?;
    Some(if exponent < 0 { (1, power) } else { (power, 1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_means_what_json_and_yaml_1_2_say() {
        let check = |texts: &[&str], expected: Kind| {
            for text in texts {
                assert_eq!(kind(text), expected, "{text}");
            }
        };
        check(&["", "~", "null"], Kind::Null);
        check(&["true", "True"], Kind::Bool(true));
        check(
            &["0", "7", "-7", "+7", "123456789012345678901234567890"],
            Kind::Whole,
        );
        check(&["0.5", ".5", "5.", "-1.5e-3", "1e3", "1E+3"], Kind::Float);
        check(
            &[
                "0123", "-00", "1_000", "0x1F", "0o17", "0b1", "yes", "Off", ".inf", "-.INF", ".nan",
            ],
            Kind::Unclear,
        );
        check(
            &[
                "a",
                "-",
                "+",
                ".",
                "-.",
                "..",
                "1.2.3",
                "1e",
                "e3",
                "1h",
                "1:30",
                "2026-11-23",
                "0x",
                "1__a",
                "nullx",
                "100m",
            ],
            Kind::Text,
        );
    }

    #[test]
    fn durations_are_seconds_or_carry_units() {
        let check =
            |text: &str, expected: Option<u64>| assert_eq!(duration(text).map(Span::ms), expected, "{text}");
        check("0", Some(0));
        check("90", Some(90_000));
        check("90s", Some(90_000));
        check("5m", Some(300_000));
        check("1h30m", Some(5_400_000));
        check("30m1h", Some(5_400_000));
        check("1d2h3m4s5ms", Some(93_784_005));
        check("1500ms", Some(1_500));
        for bad in [
            "",
            "s",
            "1",
            "-1",
            "+1",
            "1.5h",
            "1h1h",
            "1x",
            "1 h",
            "h1",
            "1h1",
            "99999999999999999999",
        ] {
            let expected = (bad == "1").then_some(1_000);
            check(bad, expected);
        }
        check("18446744073709551615", None);
        check("300000000000000d", None);
    }

    #[test]
    fn amounts_are_those_of_kubernetes() {
        use QuantityError::{Form, NotPositive, TooFine, TooLarge};
        let cpu = |text: &str, expected| assert_eq!(cpu_milli(text), expected, "{text}");
        cpu("1", Ok(1_000));
        cpu("1000m", Ok(1_000));
        cpu("0.5", Ok(500));
        cpu(".5", Ok(500));
        cpu("2.", Ok(2_000));
        cpu("+1", Ok(1_000));
        cpu("1e1", Ok(10_000));
        cpu("5E-1", Ok(500));
        cpu("0.001", Ok(1));
        cpu("1k", Ok(1_000_000));
        cpu("0", Err(NotPositive));
        cpu("-1", Err(NotPositive));
        cpu("-x", Err(Form));
        cpu("0.0001", Err(TooFine));
        cpu("1.5m", Err(TooFine));
        cpu("2M", Err(TooLarge));
        for bad in [
            "", ".", "m", "1 m", "1mm", "1..5", "1.5.2", "--1", "1e", "1e999", "0x10", "1_0", "½",
        ] {
            cpu(bad, Err(Form));
        }
        let memory = |text: &str, expected| assert_eq!(memory_bytes(text), expected, "{text}");
        memory("1", Ok(1));
        memory("128Mi", Ok(128 << 20));
        memory("1Gi", Ok(1 << 30));
        memory("1.5Gi", Ok(3 << 29));
        memory("1G", Ok(1_000_000_000));
        memory("129e6", Ok(129_000_000));
        memory("0.1Ki", Ok(103));
        memory("1500m", Ok(2));
        memory("7Ei", Ok(7 << 60));
        memory("8Ei", Err(TooLarge));
        memory("9223372036854775807", Ok(u64::MAX >> 1));
        memory("9223372036854775808", Err(TooLarge));
        memory("999999999999999999999999Ei", Err(TooLarge));
        memory("1000000000000000000000000000", Err(TooLarge));
        memory("0Gi", Err(NotPositive));
    }
}
