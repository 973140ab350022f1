//! A command's words, quoted as in a shell. Pure.

use diyadm_agent::protocol::Bytes;

/// One word, in quotes if a shell would otherwise split it.
pub(crate) fn quoted(word: &Bytes) -> String {
    let text = word.show();
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,@%+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_that_need_it_are_quoted() {
        let quoted: Vec<_> =
            ["-Xmx64m", "a b", "", "it's", "$HOME"].map(|w| quoted(&w.into())).into();
        assert_eq!(quoted, ["-Xmx64m", "'a b'", "''", "'it'\\''s'", "'$HOME'"]);
    }
}
