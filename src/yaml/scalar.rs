//! The value of a scalar in kubectl: go-yaml 2 resolves it, and the result passes through JSON.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde_json::{Number, Value};

/// 2^63: the first whole number that Kubernetes' int64 does not hold.
const TOO_LARGE: f64 = 9_223_372_036_854_775_808.0;
/// The prefix of YAML's own tags, `!!int` for one.
const CORE: &str = "tag:yaml.org,2002:";

/// A scalar with the type from its text or its tag.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    /// Greater than [`i64::MAX`].
    Unsigned(u64),
    Float(f64),
    Text(String),
}

impl Scalar {
    /// Resolves `text`. `tag`: its full tag, if any; `plain`: whether it is neither quoted nor a
    /// block scalar.
    ///
    /// # Errors
    /// A sentence: the text is none of the tag's type.
    pub(super) fn resolve(text: &str, tag: Option<&str>, plain: bool) -> Result<Self, String> {
        let as_text = || Ok(Self::Text(text.to_owned()));
        let Some(tag) = tag else { return if plain { Ok(implicit(text)) } else { as_text() } };
        let found = implicit(text);
        match (tag.strip_prefix(CORE), &found) {
            (Some("bool"), Self::Bool(_))
            | (Some("int"), Self::Int(_) | Self::Unsigned(_))
            | (Some("float"), Self::Float(_))
            | (Some("null"), Self::Null) => Ok(found),
            #[expect(clippy::cast_precision_loss, reason = "Go rounds here too")]
            (Some("float"), Self::Int(number)) => Ok(Self::Float(*number as f64)),
            // A time stays text.
            (Some("timestamp"), Self::Text(_)) if is_dated(text) => as_text(),
            (Some("binary"), _) => binary(text),
            (Some(name @ ("bool" | "int" | "float" | "null" | "timestamp")), _) => {
                Err(format!("`{text}` does not have the type of its tag `!!{name}`"))
            }
            _ => as_text(),
        }
    }

    /// The value in JSON.
    ///
    /// # Errors
    /// A sentence: JSON has no infinity, and nothing that is not a number.
    pub(super) fn into_value(self) -> Result<Value, String> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Bool(value) => value.into(),
            Self::Int(value) => value.into(),
            Self::Unsigned(value) => value.into(),
            Self::Float(value) => number(value).ok_or("JSON has no such number")?.into(),
            Self::Text(value) => value.into(),
        })
    }

    /// The key of a JSON object.
    ///
    /// # Errors
    /// A sentence: sigs.k8s.io/yaml takes no such key.
    pub(super) fn into_key(self) -> Result<String, String> {
        match self {
            Self::Null => Err("a key is null".to_owned()),
            Self::Unsigned(value) => Err(format!("the key {value} is too large for a number")),
            Self::Bool(value) => Ok(value.to_string()),
            Self::Int(value) => Ok(value.to_string()),
            Self::Float(value) => Ok(short(value)),
            Self::Text(value) => Ok(value),
        }
    }
}

/// A JSON number; whole ones are integers, as in Kubernetes.
pub(super) fn number(float: f64) -> Option<Number> {
    if float.fract() == 0.0 && float.abs() < TOO_LARGE {
        #[expect(clippy::cast_possible_truncation, reason = "whole, and within i64")]
        return Some((float as i64).into());
    }
    Number::from_f64(float)
}

/// The type of a text without tag and quotes: `resolve` of go-yaml 2.
fn implicit(text: &str) -> Scalar {
    let found = match text {
        "" | "~" | "null" | "Null" | "NULL" => Some(Scalar::Null),
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Some(Scalar::Bool(true))
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Some(Scalar::Bool(false))
        }
        ".nan" | ".NaN" | ".NAN" => Some(Scalar::Float(f64::NAN)),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            Some(Scalar::Float(f64::INFINITY))
        }
        "-.inf" | "-.Inf" | "-.INF" => Some(Scalar::Float(f64::NEG_INFINITY)),
        _ => match text.as_bytes()[0] {
            b'.' => fraction(text).map(Scalar::Float),
            b'0'..=b'9' | b'+' | b'-' => numeric(&text.replace('_', "")),
            _ => None,
        },
    };
    found.unwrap_or_else(|| Scalar::Text(text.to_owned()))
}

/// A number that begins with a digit or a sign, with underscores removed.
fn numeric(plain: &str) -> Option<Scalar> {
    let (sign, digits) = match plain.as_bytes()[0] {
        b'+' | b'-' => plain.split_at(1),
        _ => ("", plain),
    };
    let signed = |digits: &str, radix| {
        let magnitude = magnitude(digits, radix)?;
        match sign {
            "-" => 0_i64.checked_sub_unsigned(magnitude).map(Scalar::Int),
            _ => i64::try_from(magnitude).ok().map(Scalar::Int),
        }
    };
    let lower = digits.get(..2).filter(|_| digits.len() > 2).unwrap_or_default();
    let (rest, radix) = match lower {
        "0x" | "0X" => (&digits[2..], 16),
        "0b" | "0B" => (&digits[2..], 2),
        "0o" | "0O" => (&digits[2..], 8),
        _ if digits.len() > 1 && digits.starts_with('0') => (&digits[1..], 8),
        _ => (digits, 10),
    };
    let unsigned = || magnitude(rest, radix).filter(|_| sign.is_empty()).map(Scalar::Unsigned);
    let float = || decimal(plain).map(Scalar::Float);
    // Go's special handling of a sign after `0b`.
    let binary = || {
        let rest = digits.strip_prefix("0b").filter(|_| sign.is_empty())?;
        let (is_negative, rest) = (rest.starts_with('-'), rest.strip_prefix(['-', '+'])?);
        let magnitude = magnitude(rest, 2)?;
        if is_negative {
            0_i64.checked_sub_unsigned(magnitude).map(Scalar::Int)
        } else {
            i64::try_from(magnitude).ok().map(Scalar::Int)
        }
    };
    signed(rest, radix).or_else(unsigned).or_else(float).or_else(binary)
}

/// Only digits.
fn magnitude(digits: &str, radix: u32) -> Option<u64> {
    let is_digit = |byte: u8| char::from(byte).is_digit(radix);
    let is_number = !digits.is_empty() && digits.bytes().all(is_digit);
    is_number.then(|| u64::from_str_radix(digits, radix).ok()).flatten()
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, and within f64.
fn decimal(text: &str) -> Option<f64> {
    let is_of = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
    let all = text.bytes().all(|byte| is_of(&byte));
    // Rust then accepts the same texts.
    all.then(|| text.parse::<f64>().ok()).flatten().filter(|float| float.is_finite())
}

/// A number that begins with a point. Go allows underscores between digits there.
fn fraction(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    let between = |(at, byte): (usize, &u8)| {
        let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        *byte != b'_' || {
            let before = bytes[..at].iter().rposition(|byte| *byte != b'_');
            before.is_some_and(is_digit) && is_digit(at + 1) && before == Some(at - 1)
        }
    };
    bytes.iter().enumerate().all(between).then(|| decimal(&text.replace('_', ""))).flatten()
}

/// Whether a text starts as a date does: `2024-`.
fn is_dated(text: &str) -> bool {
    let (year, rest) = text.split_at_checked(4).unwrap_or_default();
    year.bytes().all(|byte| byte.is_ascii_digit()) && rest.starts_with('-')
}

/// The decoded bytes of base64, as a JSON string.
fn binary(text: &str) -> Result<Scalar, String> {
    // As in Go: line breaks are allowed anywhere, and the last bits are ignored.
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical);
    let engine = GeneralPurpose::new(&alphabet::STANDARD, config);
    let bytes = engine.decode(text.replace(['\r', '\n'], ""));
    let bytes = bytes.map_err(|_| "a value with the tag `!!binary` is not base64".to_owned())?;
    Ok(Scalar::Text(String::from_utf8_lossy(&bytes).into_owned()))
}

/// `strconv.FormatFloat(float, 'g', -1, 32)`, which formats float keys.
#[expect(clippy::cast_possible_truncation, reason = "Go rounds here too")]
fn short(float: f64) -> String {
    let float = float as f32;
    if float.is_nan() {
        return ".nan".to_owned();
    }
    if float.is_infinite() {
        return if float > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let scientific = format!("{float:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..6).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => float.to_string(),
    }
}
