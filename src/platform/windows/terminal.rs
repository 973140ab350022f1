//! The local terminal.

use std::{
    io::{self, IsTerminal as _, stdin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use crossterm::{
    ansi_support::supports_ansi,
    event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
};
use crossterm_winapi::{ConsoleMode, Handle};
use tokio::sync::mpsc;

use crate::platform::set_raw;

/// A standard stream.
pub(crate) use std::os::windows::io::AsHandle as AsStream;

/// How long the end of a reading thread may take.
const MOMENT: Duration = Duration::from_millis(50);

// https://learn.microsoft.com/en-us/windows/console/setconsolemode
const ENABLE_PROCESSED_INPUT: u32 = 0x0001;
const ENABLE_LINE_INPUT: u32 = 0x0002;
const ENABLE_ECHO_INPUT: u32 = 0x0004;

/// Prepares the output for colours and movements: a console may show them as text otherwise.
pub(crate) fn prepare() {
    let _ = supports_ansi();
}

/// The columns and lines of a terminal; `None` if it is none, or does not know them.
pub(crate) fn size(stream: impl AsStream) -> Option<(u16, u16)> {
    let is_terminal = stream.as_handle().is_terminal();
    let size = is_terminal.then(|| crossterm::terminal::size().ok()).flatten();
    size.filter(|(columns, lines)| *columns > 0 && *lines > 0)
}

/// There are no jobs in the background of a terminal.
pub(crate) fn is_in_front() -> bool {
    true
}

/// Streams are never non-blocking.
pub(crate) fn wait_until_writable(_stream: &impl AsStream) -> io::Result<()> {
    Ok(())
}

/// The terminal that stdin is, raw until dropped. A panic drops it too.
pub(crate) struct Tty {
    before: (ConsoleMode, u32),
    /// The typed input; ends with the terminal.
    pub(crate) typed: mpsc::Receiver<Vec<u8>>,
    _stop: Stop,
}

impl Tty {
    /// Makes it raw; `None` if stdin is not a terminal.
    pub(crate) fn raw() -> io::Result<Option<Self>> {
        let tty = Self::without(ENABLE_LINE_INPUT | ENABLE_ECHO_INPUT | ENABLE_PROCESSED_INPUT)?;
        set_raw(tty.is_some());
        Ok(tty)
    }

    /// Makes it deliver each key at once without echo; Ctrl-C stays a signal. `None` if stdin is
    /// not a terminal.
    pub(crate) fn keys() -> io::Result<Option<Self>> {
        Self::without(ENABLE_LINE_INPUT | ENABLE_ECHO_INPUT)
    }

    fn without(modes: u32) -> io::Result<Option<Self>> {
        if !stdin().is_terminal() {
            return Ok(None);
        }
        let console = ConsoleMode::from(Handle::current_in_handle()?);
        let mode = console.mode()?;
        console.set_mode(mode & !modes)?;
        let (sender, typed) = mpsc::channel(1);
        let stop = Stop(Arc::default());
        let is_stopped = Arc::clone(&stop.0);
        let tty = Self { before: (console, mode), typed, _stop: stop };
        thread::spawn(move || {
            while let Some(key) = next_key(&is_stopped) {
                let bytes = bytes(key);
                if !bytes.is_empty() && sender.blocking_send(bytes).is_err() {
                    return;
                }
            }
        });
        Ok(Some(tty))
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        let (console, mode) = &self.before;
        // A closed terminal needs nothing.
        let _ = console.set_mode(*mode);
        set_raw(false);
    }
}

/// The next key; `None` if the terminal is gone, or the reader was stopped.
fn next_key(is_stopped: &AtomicBool) -> Option<KeyEvent> {
    loop {
        let is_there = event::poll(MOMENT).ok()?;
        if is_stopped.load(Relaxed) {
            return None;
        }
        if is_there
            && let Event::Key(key) = event::read().ok()?
            && key.kind != KeyEventKind::Release
        {
            return Some(key);
        }
    }
}

/// What a terminal of Unix sends for a key: xterm's sequences.
fn bytes(key: KeyEvent) -> Vec<u8> {
    let has = |modifier| key.modifiers.contains(modifier);
    let mut bytes = match key.code {
        KeyCode::Char(c) if has(KeyModifiers::CONTROL) => match c.to_ascii_uppercase() {
            // Ctrl takes the upper bits of a letter away.
            c @ '@'..='_' => vec![u8::try_from(c).unwrap_or_default() & 0x1f],
            ' ' => vec![0],
            c => c.to_string().into_bytes(),
        },
        KeyCode::Char(c) => c.to_string().into_bytes(),
        KeyCode::Enter => b"\r".to_vec(),
        KeyCode::Backspace => b"\x7f".to_vec(),
        KeyCode::Tab => b"\t".to_vec(),
        KeyCode::BackTab => b"\x1b[Z".to_vec(),
        KeyCode::Esc => b"\x1b".to_vec(),
        KeyCode::Up => b"\x1b[A".to_vec(),
        KeyCode::Down => b"\x1b[B".to_vec(),
        KeyCode::Right => b"\x1b[C".to_vec(),
        KeyCode::Left => b"\x1b[D".to_vec(),
        KeyCode::Home => b"\x1b[H".to_vec(),
        KeyCode::End => b"\x1b[F".to_vec(),
        KeyCode::Insert => b"\x1b[2~".to_vec(),
        KeyCode::Delete => b"\x1b[3~".to_vec(),
        KeyCode::PageUp => b"\x1b[5~".to_vec(),
        KeyCode::PageDown => b"\x1b[6~".to_vec(),
        KeyCode::F(number @ 1..=4) => vec![0x1b, b'O', b'O' + number],
        KeyCode::F(number @ 5..=12) => {
            let code = [15, 17, 18, 19, 20, 21, 23, 24][usize::from(number) - 5];
            format!("\x1b[{code}~").into_bytes()
        }
        _ => Vec::new(),
    };
    if has(KeyModifiers::ALT) && !bytes.is_empty() {
        bytes.insert(0, 0x1b);
    }
    bytes
}

/// Keys of a raw terminal, read only while a caller waits: at other times they may be for another program.
pub(crate) struct KeyInput {
    /// `None` when the terminal is gone.
    keys: mpsc::Receiver<Option<KeyEvent>>,
    sender: mpsc::Sender<Option<KeyEvent>>,
}

/// Stops a reading thread when it is dropped.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

impl KeyInput {
    /// From stdin.
    pub(crate) fn new() -> io::Result<Self> {
        let (sender, keys) = mpsc::channel(1);
        Ok(Self { keys, sender })
    }

    /// The next keys; `None` if the terminal is gone.
    pub(crate) async fn keys(&mut self) -> Option<Vec<KeyEvent>> {
        let stop = Stop(Arc::default());
        let (sender, is_stopped) = (self.sender.clone(), Arc::clone(&stop.0));
        thread::spawn(move || {
            let key = next_key(&is_stopped);
            if key.is_some() || !is_stopped.load(Relaxed) {
                // The receiver may have been dropped.
                let _ = sender.blocking_send(key);
            }
        });
        Some(vec![self.keys.recv().await??])
    }
}
