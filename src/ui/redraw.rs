//! A table on a terminal that is drawn again in place at each change: `status --watch`.

use std::io::{self, IsTerminal};

use anyhow::Result;

use super::{size, stream, text};

/// The text that was drawn last. Needs a terminal on stdout.
pub(crate) struct Redraw {
    drawn: usize,
}

impl Redraw {
    /// For a terminal on stdout; `None` elsewhere, where each change is to be printed.
    pub(crate) fn new() -> Option<Self> {
        io::stdout().is_terminal().then_some(Self { drawn: 0 })
    }

    /// Replaces the last text by this one.
    ///
    /// # Errors
    /// See [`stream`].
    pub(crate) fn draw(&mut self, text: &str) -> Result<()> {
        let (columns, lines) = size(io::stdout()).unwrap_or((80, 24));
        let (text, drawn) = self.frame(text, columns, lines);
        self.drawn = drawn;
        stream(&text)
    }

    /// What to write, and its number of lines: each has one line of the terminal, and the last one
    /// stays free for the cursor.
    fn frame(&self, text: &str, columns: usize, lines: usize) -> (String, usize) {
        let most = lines.saturating_sub(1).max(1);
        let all: Vec<_> = text.lines().map(|line| text::fitted(line, columns)).collect();
        let mut out = match self.drawn {
            0 => String::new(),
            // Up to its first line, and erase from there on.
            drawn => format!("\r\x1b[{drawn}A\x1b[J"),
        };
        let shown = if all.len() > most { most - 1 } else { all.len() };
        out.push_str(&text::lines(&all[..shown]));
        let hidden = all.len() - shown;
        if hidden > 0 {
            out.push_str(&text::lines(&[format!("… and {hidden} more")]));
        }
        (out, shown + usize::from(hidden > 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_frame_erases_the_one_before() {
        let mut redraw = Redraw { drawn: 0 };
        let (first, drawn) = redraw.frame("NAME\nweb\n", 80, 24);
        assert_eq!((first.as_str(), drawn), ("NAME\nweb\n", 2));
        redraw.drawn = drawn;
        assert_eq!(redraw.frame("none\n", 80, 24).0, "\r\x1b[2A\x1b[Jnone\n");
    }

    #[test]
    fn a_frame_fits_the_terminal() {
        let redraw = Redraw { drawn: 0 };
        let (text, drawn) = redraw.frame("a\nb\nc\nd\ne\n", 80, 4);
        assert_eq!((text.as_str(), drawn), ("a\nb\n… and 3 more\n", 3));
        assert_eq!(redraw.frame("容器容器容器\n", 7, 4).0, "容器容…\n");
    }
}
