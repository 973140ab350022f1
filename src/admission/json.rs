//! What serde skips without a look, looked at: a borrowed parse skips most of a review, and
//! skipped text must be as valid as if it had been read into a `Value`.

use memchr::memchr2;

/// As deep as serde_json's own `Value` goes (its recursion limit is 128), and far deeper than any
/// manifest.
const MAX_DEPTH: usize = 127;

/// More digits than any number that fits an f64 without an exponent.
const LONG: usize = 300;

/// Fails for what `serde_json::Value` refuses and a skipping parse lets pass: nesting too deep,
/// numbers past f64, lone surrogates. Everything else the skipping parse judges itself.
pub(super) fn scan(text: &str) -> Result<(), String> {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'"' => at = string(bytes, at)?,
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(format!("the body nests deeper than {MAX_DEPTH} levels"));
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'0'..=b'9' => at = number(text, at)?,
            _ => {}
        }
    }
    Ok(())
}

/// Past the number whose first digit is before `at`.
fn number(text: &str, at: usize) -> Result<usize, String> {
    let bytes = text.as_bytes();
    let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
    let length = bytes[at..].iter().take_while(|byte| is_part(byte)).count();
    let whole = &text[at - 1..at + length];
    let large = length > LONG || whole.contains(['e', 'E']);
    if large && whole.parse::<f64>().is_ok_and(f64::is_infinite) {
        return Err("the body has a number that is out of range".to_owned());
    }
    Ok(at + length)
}

/// Past the string whose opening quote is before `at`.
fn string(bytes: &[u8], mut at: usize) -> Result<usize, String> {
    let lone = || "the body has half of a surrogate pair".to_owned();
    while let Some(found) = memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()) {
        at += found + 1;
        if bytes[at - 1] == b'"' {
            return Ok(at);
        }
        if bytes.get(at) != Some(&b'u') {
            at += 1;
            continue;
        }
        let unit = |at: usize| {
            let digits = std::str::from_utf8(bytes.get(at + 1..at + 5)?).ok()?;
            u16::from_str_radix(digits, 16).ok()
        };
        match unit(at) {
            Some(0xD800..0xDC00) => {
                let low = bytes.get(at + 5..at + 7) == Some(b"\\u");
                match low.then(|| unit(at + 6)).flatten() {
                    Some(0xDC00..0xE000) => at += 11,
                    _ => return Err(lone()),
                }
            }
            Some(0xDC00..0xE000) => return Err(lone()),
            // What is no escape at all the parse itself refuses.
            _ => at += 1,
        }
    }
    Ok(bytes.len())
}
