//! A line that is typed at the bottom of the screen.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// The text, and the cursor in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Edit {
    text: String,
    /// Byte index of a character's start, or the end.
    cursor: usize,
}

impl Edit {
    /// With the cursor at the end.
    pub(super) fn new(text: String) -> Self {
        Self { cursor: text.len(), text }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The text up to the cursor.
    pub(super) fn before(&self) -> &str {
        &self.text[..self.cursor]
    }

    /// Changes the text as a shell would.
    pub(super) fn key(&mut self, key: KeyEvent) {
        let previous = |edit: &Self| edit.before().chars().next_back().map_or(0, char::len_utf8);
        let next = |edit: &Self| edit.text[edit.cursor..].chars().next().map_or(0, char::len_utf8);
        match key.code {
            KeyCode::Char(c) if key.modifiers.contains(KeyModifiers::CONTROL) => match c {
                'a' => self.cursor = 0,
                'e' => self.cursor = self.text.len(),
                'u' => self.erase_from(0),
                'w' => {
                    let word = self.before().trim_end().rfind(' ').map_or(0, |at| at + 1);
                    self.erase_from(word);
                }
                _ => {}
            },
            KeyCode::Char(c) if !key.modifiers.contains(KeyModifiers::ALT) => {
                self.text.insert(self.cursor, c);
                self.cursor += c.len_utf8();
            }
            KeyCode::Backspace => self.erase_from(self.cursor - previous(self)),
            KeyCode::Delete => {
                let end = self.cursor + next(self);
                self.text.replace_range(self.cursor..end, "");
            }
            KeyCode::Left => self.cursor -= previous(self),
            KeyCode::Right => self.cursor += next(self),
            KeyCode::Home => self.cursor = 0,
            KeyCode::End => self.cursor = self.text.len(),
            _ => {}
        }
    }

    fn erase_from(&mut self, start: usize) {
        self.text.replace_range(start..self.cursor, "");
        self.cursor = start;
    }
}
