//! Cuts an application's output into lines. A line is passed on whole, when its newline has
//! arrived; a too long line is passed on in pieces.

use super::protocol::MOST_PAYLOAD;

/// Longest piece of a line, in bytes. This bounds the memory that an application can make PID 1
/// use.
pub(super) const MOST_LINE: usize = 64 << 10;

// PID 1 puts it into one frame.
const _: () = assert!(MOST_LINE + 64 < MOST_PAYLOAD);

/// The part of an unfinished line that has arrived.
#[derive(Debug, Default)]
pub(super) struct Lines {
    begun: Vec<u8>,
}

impl Lines {
    /// Passes each line that ends in `bytes` to `each`, without its newline, and each piece of
    /// [`MOST_LINE`] bytes of a longer line with `true`, which means that no newline follows.
    pub(super) fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(&[u8], bool)) {
        while !bytes.is_empty() {
            let room = MOST_LINE - self.begun.len();
            let window = &bytes[..bytes.len().min(room + 1)];
            match memchr::memchr(b'\n', window) {
                Some(end) if self.begun.is_empty() => {
                    each(&bytes[..end], false);
                    bytes = &bytes[end + 1..];
                }
                Some(end) => {
                    self.begun.extend_from_slice(&bytes[..end]);
                    each(&self.begun, false);
                    self.begun.clear();
                    bytes = &bytes[end + 1..];
                }
                None if window.len() > room => {
                    self.begun.extend_from_slice(&bytes[..room]);
                    each(&self.begun, true);
                    self.begun.clear();
                    bytes = &bytes[room..];
                }
                None => {
                    self.begun.extend_from_slice(bytes);
                    return;
                }
            }
        }
    }

    /// Passes on the rest when the output has ended.
    pub(super) fn end(&mut self, mut each: impl FnMut(&[u8], bool)) {
        if !self.begun.is_empty() {
            each(&self.begun, true);
            self.begun = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    proptest! {
        #[test]
        fn split_lines_join_to_the_input(
            parts in vec((0_usize..70_000, any::<bool>()), 0..6),
            pieces in vec(1_usize..90_000, 1..9),
        ) {
            let mut text = Vec::new();
            for (length, newline) in parts {
                text.extend(std::iter::repeat_n(b'x', length));
                text.extend(newline.then_some(b'\n'));
            }
            let (mut lines, mut joined) = (Lines::default(), Vec::new());
            let mut each = |line: &[u8], cut: bool| {
                assert!(line.len() <= MOST_LINE && !line.contains(&b'\n'));
                joined.extend_from_slice(line);
                joined.extend((!cut).then_some(b'\n'));
            };
            let (mut rest, mut pieces) = (&text[..], pieces.into_iter().cycle());
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(pieces.next().unwrap().min(rest.len()));
                lines.push(piece, &mut each);
                rest = after;
            }
            lines.end(&mut each);
            prop_assert!(joined == text);
        }
    }

    #[test]
    fn line_of_the_maximum_length_is_not_cut() {
        let mut given = Vec::new();
        let mut lines = Lines::default();
        lines.push(&vec![b'x'; MOST_LINE], |line, cut| given.push((line.len(), cut)));
        lines.push(b"\n\n", |line, cut| given.push((line.len(), cut)));
        assert_eq!(given, [(MOST_LINE, false), (0, false)]);
    }
}
