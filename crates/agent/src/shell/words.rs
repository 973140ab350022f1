//! Cuts a line into words: quotes, backslashes, variables. Pure. A character with a meaning in
//! other shells is rejected instead of half supported.

use std::{ffi::OsString, os::unix::ffi::OsStringExt};

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// A quote is not closed.
    Quote,
    /// This character has a meaning in other shells.
    Unknown(char),
}

/// The words of `line`; `value` returns the value of a variable. The value is never split into
/// words, as in other shells for quoted variables.
pub(super) fn split(line: &[u8], value: impl Fn(&[u8]) -> Vec<u8>) -> Result<Vec<OsString>, Wrong> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut rest = line;
    let mut quoted = false;
    while let [first, after @ ..] = rest {
        rest = after;
        match *first {
            b'"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            b'$' => word.get_or_insert_default().extend(variable(&mut rest, &value)),
            b'\\' => {
                if let [next, after @ ..] = rest {
                    word.get_or_insert_default().push(*next);
                    rest = after;
                }
            }
            b'\'' if !quoted => {
                let end = memchr::memchr(b'\'', rest).ok_or(Wrong::Quote)?;
                word.get_or_insert_default().extend_from_slice(&rest[..end]);
                rest = &rest[end + 1..];
            }
            b'#' if !quoted && word.is_none() => break,
            b'|' | b'&' | b';' | b'<' | b'>' | b'*' | b'?' | b'`' | b'(' | b')' if !quoted => {
                return Err(Wrong::Unknown(char::from(*first)));
            }
            b' ' | b'\t' | b'\r' | b'\n' if !quoted => {
                words.extend(word.take().map(OsString::from_vec));
            }
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word.map(OsString::from_vec));
    if quoted { Err(Wrong::Quote) } else { Ok(words) }
}

/// The value of the variable after a `$`; the sign itself if no name follows.
fn variable(rest: &mut &[u8], value: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let braced = rest.first() == Some(&b'{');
    let name = &rest[usize::from(braced)..];
    let good = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let length = match name.first() {
        Some(b'?') => 1,
        _ => name.iter().take_while(|byte| good(byte)).count(),
    };
    let (name, after) = name.split_at(length);
    let after = if braced { after.strip_prefix(b"}") } else { Some(after) };
    match after {
        Some(after) if length > 0 => {
            *rest = after;
            value(name)
        }
        _ => b"$".to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Result<Vec<String>, Wrong> {
        let value = |name: &[u8]| [b"<", name, b"> x"].concat();
        let words = split(line.as_bytes(), value)?;
        Ok(words.into_iter().map(|word| word.into_string().unwrap()).collect())
    }

    #[test]
    fn words_are_split_as_by_a_posix_shell() {
        let cases: [(&str, &[&str]); 11] = [
            ("", &[]),
            ("  \t\r\n", &[]),
            ("ls -l  /tmp\n", &["ls", "-l", "/tmp"]),
            ("a 'b  c' \"d 'e\" f\\ g", &["a", "b  c", "d 'e", "f g"]),
            ("'' \"\"", &["", ""]),
            ("a'b'\"c\"d", &["abcd"]),
            ("$A-${B}c '$A' \"$A\"", &["<A> x-<B> xc", "$A", "<A> x"]),
            ("$ ${ ${} $- \\$A", &["$", "${", "${}", "$-", "$A"]),
            ("$?", &["<?> x"]),
            ("a # b", &["a"]),
            ("a#b", &["a#b"]),
        ];
        for (line, expected) in cases {
            assert_eq!(words(line).unwrap(), expected, "{line}");
        }
    }

    #[test]
    fn unsupported_shell_syntax_is_refused() {
        for (line, c) in
            [("a | b", '|'), ("a > b", '>'), ("a &", '&'), ("*.jar", '*'), ("a; b", ';')]
        {
            assert_eq!(words(line), Err(Wrong::Unknown(c)), "{line}");
        }
        assert_eq!(words("'a"), Err(Wrong::Quote));
        assert_eq!(words("\"a'"), Err(Wrong::Quote));
        assert_eq!(words("'*' \"|\" \\&").unwrap(), ["*", "|", "&"]);
    }
}
