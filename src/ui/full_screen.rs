//! A terminal of which a command uses every line, and which is as before when the command ends, by
//! whatever way.

use std::{
    io::{self, BufWriter, IsTerminal, Stdout, stderr, stdin, stdout},
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::Result;
use crossterm::{
    cursor::Show,
    execute,
    terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
};
use ratatui::{Terminal, backend::CrosstermBackend, layout::Rect};

use super::Output;

/// Whether the alternate screen is shown, and the terminal is raw.
static SHOWN: AtomicBool = AtomicBool::new(false);

/// Whether a terminal is there: on stdin for the keys, on stdout for the screen.
pub(crate) fn is_possible() -> bool {
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    stdin().is_terminal() && stdout().is_terminal() && !is_dumb
}

/// Whether stderr is the terminal that shows a screen: a line there would write over it.
pub(super) fn hides_messages() -> bool {
    SHOWN.load(Ordering::Relaxed) && stderr().is_terminal()
}

/// Gives the terminal back, if it is used. Also for a panic, whose message would be lost with the
/// alternate screen.
pub(crate) fn restore() {
    if SHOWN.swap(false, Ordering::Relaxed) {
        // Where the terminal is gone, there is nothing to restore.
        let _ = execute!(stdout(), LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}

/// The terminal; restored when dropped.
pub(crate) struct FullScreen {
    terminal: Terminal<CrosstermBackend<BufWriter<Output<Stdout>>>>,
}

impl FullScreen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub(crate) fn enter() -> Result<Self> {
        let output = Output { stream: stdout(), name: "stdout" };
        // One write for each frame: over a slow connection no half of one is seen.
        let backend = CrosstermBackend::new(BufWriter::with_capacity(1 << 16, output));
        let mut screen = Self { terminal: Terminal::new(backend)? };
        screen.resume()?;
        Ok(screen)
    }

    /// Takes the terminal again after [`restore`].
    ///
    /// # Errors
    /// See [`FullScreen::enter`].
    pub(crate) fn resume(&mut self) -> Result<()> {
        SHOWN.store(true, Ordering::Relaxed);
        enable_raw_mode()?;
        execute!(stdout(), EnterAlternateScreen)?;
        self.clear()
    }

    /// Forgets what was drawn, so that the next frame is written whole.
    ///
    /// # Errors
    /// See [`FullScreen::enter`].
    pub(crate) fn clear(&mut self) -> Result<()> {
        // `Terminal::clear` would ask the terminal where its cursor is, and wait for the answer.
        let size = self.terminal.size()?;
        Ok(self.terminal.resize(Rect::new(0, 0, size.width, size.height))?)
    }

    /// Draws a frame in the current size of the terminal.
    ///
    /// # Errors
    /// See [`FullScreen::enter`].
    pub(crate) fn draw(&mut self, draw: impl FnOnce(&mut ratatui::Frame<'_>)) -> Result<()> {
        self.terminal.draw(draw)?;
        Ok(())
    }
}

impl Drop for FullScreen {
    fn drop(&mut self) {
        restore();
    }
}

/// Keys are delivered at once, without the alternate screen, until dropped.
pub(crate) struct RawKeys;

impl RawKeys {
    /// # Errors
    /// stdin is not a terminal.
    pub(crate) fn enter() -> io::Result<Self> {
        enable_raw_mode().map(|()| Self)
    }
}

impl Drop for RawKeys {
    fn drop(&mut self) {
        let _ = disable_raw_mode();
    }
}
