//! The only code that prints.
//!
//! Nothing here panics or ends a command: a command finishes its work even if its output fails.
//! Messages for people go to stderr one line at a time, [`escaped`]; failures are ignored. Results
//! go to stdout, where a failure is an error, unless the reader has closed it (`diyadm render |
//! head`).

use std::{
    borrow::Cow,
    fmt,
    io::{self, IsTerminal as _, StderrLock, StdoutLock, Write},
    path::Path,
    sync::LazyLock,
};

use anyhow::Result;

pub(crate) mod full_screen;
pub(crate) mod notice;
mod redraw;
pub mod terminal;
pub mod text;

pub(crate) use redraw::Redraw;

use crate::platform::{
    self,
    terminal::{AsStream, size as terminal_size, wait_until_writable},
};
use text::{as_plugin, escaped, escaped_lines, fitted};

/// Escape sequence that erases the current line.
const ERASE: &str = "\r\x1b[2K";

/// Whether kubectl has started this program as its plugin, under the name `kubectl-diyadm`.
pub fn is_plugin() -> bool {
    static IS_PLUGIN: LazyLock<bool> = LazyLock::new(|| {
        let name = std::env::args_os().next().unwrap_or_default();
        Path::new(&name).file_stem().is_some_and(|name| name == "kubectl-diyadm")
    });
    *IS_PLUGIN
}

/// `text` with our commands as the user types them.
fn typed(text: &str) -> Cow<'_, str> {
    if is_plugin() { as_plugin(text) } else { Cow::Borrowed(text) }
}

/// A line of diyadm's own text with colour codes, then text that may be foreign.
pub(crate) fn marked(mark: &str, text: &str) {
    message(&format!("{mark}{}\n", escaped(&typed(text))));
}

/// A line on stderr.
pub(crate) fn line(text: &str) {
    marked("", text);
}

/// A question of one or more lines on stderr; the answer is typed after it.
pub fn ask(question: &str) {
    message(&escaped_lines(&typed(question)));
}

/// Text on the last line of stderr that is rewritten in place; only for terminals. It is cut to
/// their width, since only one line can be erased.
///
/// indicatif would not make this smaller: every printed line would have to go through its bars, and
/// escaping, streams that cannot be written, and `ui`, which takes the screen, would stay ours.
pub(crate) fn rewrite(text: &str) {
    let text = escaped(text);
    let width = size(io::stderr()).map_or(usize::MAX, |(columns, _)| columns.saturating_sub(1));
    message(&format!("{ERASE}{}", fitted(&text, width)));
}

/// The columns and lines of a terminal; `None` if it is none, or does not know them.
pub(crate) fn size(stream: impl AsStream) -> Option<(usize, usize)> {
    terminal_size(stream).map(|(columns, lines)| (columns.into(), lines.into()))
}

/// Erases what [`rewrite`] printed.
pub(crate) fn erase() {
    message(ERASE);
}

/// One write, so that lines of several processes do not mix.
fn message(text: &str) {
    if full_screen::hides_messages() {
        return;
    }
    // Then a message begins on a line of its own, since what another program has written is to stay,
    // and its lines end in a carriage return.
    let is_raw = platform::has_raw_terminal() && io::stderr().is_terminal();
    if is_raw && text == ERASE {
        return;
    }
    let text = if is_raw {
        Cow::Owned(format!("\r\n{}", text.replace('\n', "\r\n")))
    } else {
        Cow::Borrowed(text)
    };
    // Without a reader, the message is dropped.
    let _ = stderr().write_all(text.as_bytes());
}

/// A result for machines on stdout, unchanged. A closed reader is not an error.
///
/// # Errors
/// stdout cannot be written, for example because the disk is full.
pub fn print(text: &str) -> Result<()> {
    match stream(text) {
        Err(error) if reader_has_gone(&error) => Ok(()),
        other => other,
    }
}

/// A result for people on stdout: each line is [`escaped`].
///
/// # Errors
/// See [`print`].
pub fn print_text(text: &str) -> Result<()> {
    print(&escaped_lines(&typed(text)))
}

/// A part of an endless result: `status --watch`.
///
/// # Errors
/// See [`print`]; also where the reader has gone, which ends the command quietly
/// ([`crate::exit::report`]).
pub fn stream(text: &str) -> Result<()> {
    let mut out = stdout();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// stdout for data that is passed on unchanged: an application's output, manifests. Errors are
/// [`Unwritten`].
pub(crate) fn stdout() -> Output<StdoutLock<'static>> {
    notice::end();
    Output { stream: io::stdout().lock(), name: "stdout" }
}

/// [`stdout`]'s counterpart.
pub(crate) fn stderr() -> Output<StderrLock<'static>> {
    notice::end();
    Output { stream: io::stderr().lock(), name: "stderr" }
}

/// A standard stream; waits if it is non-blocking.
pub(crate) struct Output<W> {
    stream: W,
    name: &'static str,
}

impl<W: Write + AsStream> Output<W> {
    fn patiently<T>(&mut self, mut work: impl FnMut(&mut W) -> io::Result<T>) -> io::Result<T> {
        loop {
            match work(&mut self.stream) {
                // Another process that shares the pipe or terminal may have made it non-blocking.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    wait_until_writable(&self.stream)?;
                }
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    let Self { name, .. } = self;
                    return Err(io::Error::new(error.kind(), Unwritten { name, error }));
                }
                other => return other,
            }
        }
    }
}

impl<W: Write + AsStream> Write for Output<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.patiently(|stream| stream.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.patiently(Write::flush)
    }
}

/// A standard stream that could not be written.
#[derive(Debug)]
struct Unwritten {
    name: &'static str,
    error: io::Error,
}

impl fmt::Display for Unwritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, error } = self;
        write!(f, "{name} cannot be written: {error}")
    }
}

impl std::error::Error for Unwritten {}

/// Whether the command ended because its output was closed. A broken connection has the same kind
/// of error, but is not meant.
pub(crate) fn reader_has_gone(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).any(|error| {
        let of_ours =
            error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Unwritten>);
        of_ours && error.kind() == io::ErrorKind::BrokenPipe
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_pipe_of_another_stream_is_an_error() {
        let kind = io::ErrorKind::BrokenPipe;
        let gone = Unwritten { name: "stdout", error: kind.into() };
        assert!(reader_has_gone(&anyhow::Error::from(io::Error::new(kind, gone)).context("x")));
        assert!(!reader_has_gone(&anyhow::Error::from(io::Error::from(kind)).context("x")));
    }

    #[test]
    fn output_waits_for_a_nonblocking_pipe() {
        let (reader, writer) = io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        let text = vec![b'x'; 1 << 20];
        let read = std::thread::spawn(move || io::read_to_string(reader).unwrap().len());
        let mut output = Output { stream: writer, name: "stdout" };
        output.write_all(&text).unwrap();
        drop(output);
        assert_eq!(read.join().unwrap(), text.len());
    }
}
