//! Distinguished names: validation of their strings, and their text for people.

use crate::pki::der::{DerReader, Element, SEQUENCE, SET};

/// Parses every attribute of a name (`content` is the content of its SEQUENCE).
///
/// # Errors
/// What is malformed.
pub(super) fn check(content: &[u8]) -> Result<(), String> {
    attributes(content).map(drop)
}

/// A subject as `CN=…,O=…`; may be empty. `name` is a whole SEQUENCE.
pub(super) fn text(name: &[u8]) -> String {
    let content = DerReader(name).content(SEQUENCE).map_or(&[][..], |content| content.0);
    let known = |oid: &[u8]| match oid {
        [0x55, 4, 3] => Some("CN"),
        [0x55, 4, 10] => Some("O"),
        [0x55, 4, 11] => Some("OU"),
        _ => None,
    };
    let all = attributes(content).unwrap_or_default();
    let shown = all.iter().filter_map(|(oid, value)| Some(format!("{}={value}", known(oid)?)));
    shown.collect::<Vec<_>>().join(",")
}

fn attributes(content: &[u8]) -> Result<Vec<(&[u8], String)>, String> {
    let mut sets = DerReader(content);
    let mut all = Vec::new();
    while !sets.is_empty() {
        let mut set = sets.content(SET).ok_or("invalid RDNSequence")?;
        while !set.is_empty() {
            let mut attribute = set.content(SEQUENCE).ok_or("invalid RDNSequence: attribute")?;
            let oid = attribute.oid().ok_or("invalid RDNSequence: attribute type")?;
            let value = attribute.any().ok_or("invalid RDNSequence: attribute value")?;
            all.push((oid, string(&value)?));
        }
    }
    Ok(all)
}

fn string(Element { tag, content, .. }: &Element<'_>) -> Result<String, String> {
    let is_printable = |byte: &u8| byte.is_ascii_alphanumeric() || b" '()+,-./:=?*&".contains(byte);
    let is_numeric = |byte: &u8| byte.is_ascii_digit() || *byte == b' ';
    let text = String::from_utf8_lossy(content).into_owned();
    let (name, valid) = match tag {
        0x0c => ("UTF8String", std::str::from_utf8(content).is_ok()),
        0x12 => ("NumericString", content.iter().all(is_numeric)),
        0x13 => ("PrintableString", content.iter().all(is_printable)),
        // T61String, which is read as Latin-1.
        0x14 => return Ok(content.iter().copied().map(char::from).collect()),
        0x16 => ("IA5String", content.is_ascii()),
        0x1e => return bmp(content).ok_or_else(|| "invalid BMPString".to_owned()),
        other => return Err(format!("unsupported string type: {other}")),
    };
    if valid { Ok(text) } else { Err(format!("invalid {name}")) }
}

/// UCS-2: without surrogates and noncharacters; one NUL may end it.
fn bmp(content: &[u8]) -> Option<String> {
    if !content.len().is_multiple_of(2) {
        return None;
    }
    let content = content.strip_suffix(&[0, 0]).unwrap_or(content);
    let points = content.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    let points: Vec<_> = points.collect();
    let is_refused = |point: &u16| matches!(point, 0xfffe | 0xffff | 0xfdd0..=0xfdef);
    if points.iter().any(is_refused) {
        return None;
    }
    String::from_utf16(&points)
        .ok()
        .filter(|_| !points.iter().any(|p| (0xd800..0xe000).contains(p)))
}
