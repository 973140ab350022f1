//! Text for a terminal: foreign text is escaped, and columns are aligned. Pure.
//!
//! Names, annotations, events and server messages are foreign text. An escape sequence in it
//! changes what a terminal shows, and a line break adds a line that diyadm did not print.

use std::{borrow::Cow, fmt::Display};

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// `text` with a capital first letter, as the beginning of a sentence.
pub(crate) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// A sentence without its full stop, to be part of another one.
pub(crate) fn clause(sentence: impl Display) -> String {
    let mut clause = sentence.to_string();
    clause.truncate(clause.trim_end_matches('.').len());
    clause
}

/// `text` with our commands as a user of the plugin types them: `kubectl diyadm check`.
pub(crate) fn as_plugin(text: &str) -> Cow<'_, str> {
    const COMMAND: &str = "diyadm ";
    if !text.contains(COMMAND) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 64);
    let mut parts = text.split(COMMAND);
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        // In backquotes, and at the beginning of a line of examples: elsewhere it is the name.
        let before = out.rsplit('\n').next().unwrap_or_default();
        let is_example = before.starts_with("  ");
        let is_command = before.ends_with(['`', '$'])
            || before.ends_with("$ ")
            || (is_example
                && (before.trim().is_empty()
                    || ["| ", "; ", "<("].iter().any(|end| before.ends_with(end))));
        out.push_str(if is_command { "kubectl diyadm " } else { COMMAND });
        out.push_str(part);
    }
    Cow::Owned(out)
}

/// `text` as one line that a terminal shows literally. Control characters, line breaks and
/// characters that reverse the direction of text become visible: `^[` as in kubectl, `\n`,
/// `\u{9b}`. Escaping twice changes nothing.
pub fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\u{1b}' => out.push_str("^["),
            c if is_unsafe(c) => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Each line of `text` [`escaped`]: only line breaks stay. For text without foreign line breaks.
pub fn escaped_lines(text: &str) -> Cow<'_, str> {
    if !text.contains(|c| c != '\n' && is_unsafe(c)) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.split('\n').map(escaped).collect::<Vec<_>>().join("\n"))
}

/// `1 file` or `2 files`.
pub fn counted<N: Copy + Display + PartialEq + From<bool>>(
    count: N,
    one: &str,
    many: &str,
) -> String {
    let word = if count == N::from(true) { one } else { many };
    format!("{count} {word}")
}

/// A size in bytes: `0`, `812Ki`, `313Mi`, `2.5Gi`.
pub(crate) fn size(bytes: u64) -> String {
    let kib = bytes.div_ceil(1024);
    match kib {
        0 => "0".to_owned(),
        1..1024 => format!("{kib}Ki"),
        1024..1_048_576 => format!("{}Mi", kib / 1024),
        _ => format!("{}.{}Gi", kib / 1_048_576, kib % 1_048_576 * 10 / 1_048_576),
    }
}

/// Lines, each [`escaped`] and ended.
pub fn lines<T: AsRef<str>>(lines: impl IntoIterator<Item = T>) -> String {
    lines.into_iter().fold(String::new(), |mut text, line| {
        text.push_str(&escaped(line.as_ref()));
        text.push('\n');
        text
    })
}

/// Rows with the same number of cells as text: cells [`escaped`], columns aligned by display width
/// with three blanks between them, as by kubectl.
pub fn columns(rows: &[Vec<String>]) -> String {
    columns_within(rows, None)
}

/// [`columns`] that are at most `most` wide as long as every column keeps [`NARROWEST`]: the widest
/// ones are cut.
pub fn columns_within(rows: &[Vec<String>], most: Option<usize>) -> String {
    let rows: Vec<Vec<_>> =
        rows.iter().map(|row| row.iter().map(|cell| escaped(cell)).collect()).collect();
    let count = rows.first().map_or(0, Vec::len);
    let width = |at: usize| rows.iter().map(|row| row[at].width()).max().unwrap_or(0);
    let mut widths: Vec<_> = (0..count).map(width).collect();
    if let Some(most) = most {
        narrow(&mut widths, most.saturating_sub(BETWEEN.len() * count.saturating_sub(1)));
    }
    lines(rows.iter().map(|row| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| padded(cell, *width));
        cells.collect::<Vec<_>>().join(BETWEEN).trim_end().to_owned()
    }))
}

/// What separates columns.
const BETWEEN: &str = "   ";
/// The width below which a column of a table is not cut.
const NARROWEST: usize = 8;

/// Takes from the widest columns until all together are at most `most` wide, or [`NARROWEST`].
pub(crate) fn narrow(widths: &mut [usize], most: usize) {
    while widths.iter().sum::<usize>() > most {
        match widths.iter_mut().max() {
            Some(widest) if *widest > NARROWEST => *widest -= 1,
            _ => return,
        }
    }
}

/// `text` with exactly this display width: blanks are added, or it is [`fitted`].
pub(crate) fn padded(text: &str, width: usize) -> String {
    let text = fitted(text, width);
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

/// The beginning of `text` that a terminal shows in at most `width` columns, with `…` for the rest.
pub(crate) fn fitted(text: &str, width: usize) -> Cow<'_, str> {
    if text.width() <= width {
        return Cow::Borrowed(text);
    }
    let mut left = width.saturating_sub(1);
    let fits = |c: &char| match left.checked_sub(c.width().unwrap_or_default()) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    Cow::Owned(text.chars().take_while(fits).chain(['…']).collect())
}

/// [`fitted`] for a user: without room for all, `system:serviceaccount:shop:ann` is `…ann`.
pub(crate) fn fitted_user(user: &str, width: usize) -> Cow<'_, str> {
    match user.rfind([':', '/']).filter(|_| user.width() > width) {
        Some(at) => Cow::Owned(fitted(&format!("…{}", &user[at + 1..]), width).into_owned()),
        None => fitted(user, width),
    }
}

/// Maximum number of characters that an error quotes.
const QUOTED: usize = 120;

/// The beginning of `text` for a quote in an error: [`escaped`] and shortened.
pub fn shortened(text: &str) -> Cow<'_, str> {
    cut(text, QUOTED)
}

/// The first `most` characters of `text`, [`escaped`].
pub fn cut(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        Some((end, _)) => Cow::Owned(format!("{}…", escaped(&text[..end]))),
        None => escaped(text),
    }
}

/// `text` without the users and passwords in its URLs: `https://host` for `https://user:pw@host`.
pub fn without_passwords(text: &str) -> String {
    const SCHEME: &str = "://";
    let mut parts = text.split(SCHEME);
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let ends = |c: char| c.is_whitespace() || "/?#\"'`<>".contains(c);
        let authority = &part[..part.find(ends).unwrap_or(part.len())];
        let host = authority.rfind('@').map_or(0, |at| at + 1);
        shown.push_str(SCHEME);
        shown.push_str(&part[host..]);
    }
    shown
}

/// Control characters (Unicode's Cc), line and paragraph separators, and the marks that change the
/// direction of text (Trojan Source, CVE-2021-42574).
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_control_characters_instead_of_sending_them() {
        for (text, shown) in [
            ("deployment/web emptied", "deployment/web emptied"),
            ("\u{1b}]0;title\u{7}", "^[]0;title\\u{7}"),
            ("a\r\nb\tc", "a\\r\\nb\\tc"),
            ("\u{9b}31m \u{7f}", "\\u{9b}31m \\u{7f}"),
            ("gnp.\u{202e}exe\u{2028}", "gnp.\\u{202e}exe\\u{2028}"),
            ("容器 ✓ é", "容器 ✓ é"),
        ] {
            assert_eq!(escaped(text), shown);
            assert_eq!(escaped(shown), shown, "escaping twice changes nothing");
        }
        assert_eq!(escaped_lines("a\u{1b}b\nc\r\n"), "a^[b\nc\\r\n");
        assert_eq!(lines(["a\nb", "c"]), "a\\nb\nc\n");
    }

    #[test]
    fn plugin_has_its_own_name_for_commands_only() {
        for (text, shown) in [
            ("Run `diyadm check`.", "Run `kubectl diyadm check`."),
            ("a\n  diyadm empty web\n", "a\n  kubectl diyadm empty web\n"),
            ("$ diyadm plan", "$ kubectl diyadm plan"),
            ("  x | diyadm mutate -f -", "  x | kubectl diyadm mutate -f -"),
            ("diyadm is here; see diyadm 0.1.0", "diyadm is here; see diyadm 0.1.0"),
            ("`kubectl diyadm check`", "`kubectl diyadm check`"),
        ] {
            assert_eq!(as_plugin(text), shown);
        }
    }

    #[test]
    fn url_is_shown_without_its_password() {
        for (text, shown) in [
            ("https://user:pw@host:6443/x", "https://host:6443/x"),
            ("a \"http://u:p@w@proxy\" and socks5://h:1", "a \"http://proxy\" and socks5://h:1"),
            ("mail a@b", "mail a@b"),
            ("https://host/path@x", "https://host/path@x"),
        ] {
            assert_eq!(without_passwords(text), shown);
        }
    }

    #[test]
    fn columns_align_by_width_on_a_terminal() {
        let rows = [["NAME", "STATE"], ["容器", "x"], ["🦀", "x"], ["e\u{301}", "x"]];
        let rows = rows.map(|row| row.map(ToOwned::to_owned).to_vec());
        assert_eq!(columns(&rows), "NAME   STATE\n容器   x\n🦀     x\ne\u{301}      x\n");
    }

    #[test]
    fn columns_are_cut_to_the_width_of_a_terminal() {
        let rows =
            [["NAME", "NOTE"], ["网关服务", "镜像 registry.example.org/shop/web:1 拉取失败"]];
        let rows = rows.map(|row| row.map(ToOwned::to_owned).to_vec());
        for most in [24, 25, 26, 40] {
            let text = columns_within(&rows, Some(most));
            let widest = text.lines().map(UnicodeWidthStr::width).max().unwrap();
            assert!((most - 1..=most).contains(&widest), "{most}: {text}");
            assert!(text.contains("网关服务   镜像 ") && text.ends_with("…\n"), "{text}");
        }
        assert_eq!(columns_within(&rows, Some(99)), columns(&rows));
        assert_eq!(columns_within(&rows, Some(1)).lines().nth(1), Some("网关服务   镜像 re…"));
        assert_eq!(fitted("容器", 3), "容…");
        for (user, width, shown) in [
            ("system:serviceaccount:shop:ann", 9, "…ann"),
            ("arn:aws:sts::1:assumed-role/dev/ann.example", 8, "…ann.ex…"),
            ("wang.fang@example.org", 8, "wang.fa…"),
            ("oidc:王芳", 9, "oidc:王芳"),
        ] {
            assert_eq!(fitted_user(user, width), shown);
        }
        assert_eq!(padded("容器容器", 4), "容… ");
    }

    #[test]
    fn line_break_in_a_cell_adds_no_row() {
        let row = |cells: [&str; 2]| cells.map(ToOwned::to_owned).to_vec();
        let text = columns(&[row(["NAME", "NOTE"]), row(["a\nforged", "x"])]);
        assert_eq!(text, "NAME        NOTE\na\\nforged   x\n");
        assert_eq!(columns(&[]), "");
    }
}
