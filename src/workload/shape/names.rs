//! Names and labels of objects.

/// `text`, if an object can have this name.
///
/// # Errors
/// In a few words, what it is instead.
pub(crate) fn object_name(text: &str) -> Result<String, String> {
    name_of("an object", text)
}

/// `text`, if `kind`, which is named in the error, can have this name: a DNS subdomain.
pub(in crate::workload) fn name_of(kind: &str, text: &str) -> Result<String, String> {
    let is_edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_inner = |c: char| is_edge(c) || c == '-' || c == '.';
    let fits = text.len() <= 253 && text.starts_with(is_edge) && text.ends_with(is_edge);
    if fits && text.chars().all(is_inner) {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} cannot be the name of {kind}"))
    }
}

/// A qualified name: `[PREFIX/]NAME`.
pub(super) fn is_key(key: &str) -> bool {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(p, n)| (Some(p), n));
    prefix.is_none_or(|prefix| object_name(prefix).is_ok()) && is_word(name)
}

/// At most 63 letters, digits and `-_.`, the first and the last no sign.
pub(super) fn is_word(text: &str) -> bool {
    let is_edge = |c: char| c.is_ascii_alphanumeric();
    let is_inner = |c: char| is_edge(c) || "-_.".contains(c);
    text.len() <= 63
        && text.starts_with(is_edge)
        && text.ends_with(is_edge)
        && text.chars().all(is_inner)
}
