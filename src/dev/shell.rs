//! A terminal in a container.

use std::{
    io::{self, IsTerminal, Read, Write, stderr, stdout},
    thread,
};

use anyhow::Result;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
};

use super::{
    agent_start::is_absent, pods::Pick, replaced::Suspicion, run::interrupted, session::Session,
    trouble::Trouble,
};
use crate::{
    exit::{Code, Failure, Topic},
    kubernetes::{End, Exec, Input, Size},
    platform::{
        signals::{SignalKind, signal},
        terminal::{self, Tty, is_in_front},
    },
};

/// Replaces itself by the best available shell; $1 is the type of the terminal.
const SCRIPT: &str = include_str!("shell.sh");
/// The default type of a terminal.
const USUAL: &str = "xterm";
const PIECE: usize = 16 << 10;
const NO_END_OF_INPUT: &str = "the end of the input does not reach the command: the API server \
(Kubernetes 1.29 or older), or a proxy before it, supports only v4.channel.k8s.io, which cannot \
signal it. A command that reads all of its input keeps waiting; Ctrl-C stops it";
/// Exit statuses above this one mean a signal.
const SIGNALLED: i32 = 128;
/// The exit status of SIGKILL, which ends all processes of a container.
const KILLED: i32 = 137;

/// `-i` and `-t`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flags {
    /// Pass the standard input on.
    pub(crate) stdin: bool,
    /// Use a terminal.
    pub(crate) tty: bool,
}

/// Whether the ends of this process are terminals.
#[derive(Clone, Copy, Debug)]
struct OwnTerminal {
    stdin: bool,
    stdout: bool,
    /// Keys go to this program, and not to another one in the terminal's foreground.
    in_front: bool,
}

/// The input of a command, as with the same flags of `kubectl exec`. Without flags it is a terminal
/// if local input and output are terminals, and otherwise the standard input, unless a shell runs
/// this command in the background.
fn input(flags: Flags, own: OwnTerminal) -> Input {
    let OwnTerminal { stdin, stdout, in_front } = own;
    match flags {
        Flags { tty: true, .. } if stdin => Input::Terminal,
        Flags { stdin: true, .. } => Input::Piped,
        Flags { tty: false, .. } if stdin && stdout => Input::Terminal,
        Flags { tty: false, .. } if stdin && in_front => Input::Piped,
        _ => Input::None,
    }
}

/// Validates the type of a terminal, which the environment may set to anything.
fn kind(term: &str) -> &str {
    let good = |c: char| c.is_ascii_alphanumeric() || "-_+.".contains(c);
    let is_name = term.starts_with(|c: char| c.is_ascii_alphanumeric()) && term.chars().all(good);
    if is_name { term } else { USUAL }
}

/// Runs `command`, or a shell where it is empty, and returns its exit status.
///
/// # Errors
/// There is no such command, nor any shell; the connection is lost.
pub(crate) async fn shell(session: &Session<'_>, command: &[String], flags: Flags) -> Result<Code> {
    let stdin = io::stdin().is_terminal();
    let own = OwnTerminal { stdin, stdout: stdout().is_terminal(), in_front: is_in_front() };
    let input = input(flags, own);
    if flags.tty && !stdin {
        // kubectl's own sentence.
        let what = "Unable to use a TTY - input is not a terminal or the right kind of file";
        session.terminal.warn(what);
    }
    let pick = session.pick().await?;
    if input == Input::None && command.is_empty() {
        let what = "The standard input is not a terminal, so a shell would end at once.";
        let hint = "Add -i for a shell that reads it, or `-- COMMAND` to run one.";
        return Err(Failure::usage(Topic::CommandLine, what, hint).into());
    }
    session.warn_of_restart(&pick).await;
    let term = std::env::var("TERM").unwrap_or_default();
    let kind = if input == Input::Terminal { kind(&term) } else { "" };
    let ways: Vec<Vec<&str>> = if command.is_empty() {
        let mut ways = vec![vec!["sh", "-c", SCRIPT, "diyadm", kind]];
        ways.extend([vec![diyadm_agent::MOUNTED, "shell"], vec![diyadm_agent::IN_IMAGE, "shell"]]);
        ways
    } else {
        vec![command.iter().map(String::as_str).collect()]
    };
    if input == Input::Terminal {
        // Before any output of the container, while the cursor is at the start of a line.
        let what = if command.is_empty() { "a shell" } else { &command[0] };
        session.terminal.say(&format!("{what} in {}", pick.shown()));
    }
    let mut raw = if input == Input::Terminal { Tty::raw()? } else { None };
    let mut last = String::new();
    for way in &ways {
        match attach(session, &pick, way, input, raw.as_mut()).await? {
            End::Exit(code) => {
                drop(raw);
                // A normal end of a shell needs no explanation.
                if code > SIGNALLED
                    && let Some(fate) =
                        session.fate(&pick, Suspicion::from_end(code == KILLED)).await
                {
                    session.terminal.warn(&fate);
                    session.terminal.say(&again(session));
                }
                return Ok(code_of(code));
            }
            End::Lost(why) => {
                drop(raw);
                return Err(match session.fate(&pick, Suspicion::Killed).await {
                    Some(fate) => {
                        Failure::no(Topic::Replaced, format!("{fate}."), again(session)).into()
                    }
                    None => session.explain(Trouble::Lost(why)),
                });
            }
            End::Failed(why) if is_absent(&why) => last = why,
            End::Failed(why) => {
                let what = format!("The container could not run it: {why}.");
                return Err(Failure::no(Topic::NoProgram, what, "").into());
            }
        }
    }
    drop(raw);
    Err(nothing(session, &pick, command, &last))
}

/// The hint if the container is gone.
fn again(session: &Session<'_>) -> String {
    format!("Run `diyadm shell {}` to enter the container after it.", session.target.typed)
}

fn nothing(session: &Session<'_>, pick: &Pick, command: &[String], why: &str) -> anyhow::Error {
    let shown = pick.shown();
    match command.first() {
        Some(command) => {
            let hint = format!("Run `diyadm shell {}` to look around.", session.target.typed);
            let what = format!("{command} cannot be run in {shown} ({why}).");
            let failure = Failure::no(Topic::NoProgram, what, hint);
            Failure { code: Code::Program(127), ..failure }.into()
        }
        None => Failure::no(
            Topic::NoAgent,
            format!("There is no shell in {shown}, and no agent, which has one of its own."),
            "Empty it with `diyadm empty --idle agent`, which mounts the agent into any image.",
        )
        .into(),
    }
}

/// Connects the local streams with the command's until it ends.
async fn attach(
    session: &Session<'_>,
    pick: &Pick,
    command: &[&str],
    reads: Input,
    raw: Option<&mut Tty>,
) -> Result<End> {
    // Checked before and after the command starts, since a Pod of the same name may replace it
    // meanwhile.
    session.check(pick).await?;
    let exec = session.cluster.exec(&pick.place(), command, reads).await?;
    session.check(pick).await?;
    let Exec { stdin: mut to, sends_end_of_input, stdout: out, stderr: err, size, mut end } = exec;
    let has_screen = raw.is_some();
    let outputs = async { tokio::join!(show(out, stdout()), show(err, stderr())) };
    let input = async {
        if let Some(Tty { typed, .. }) = raw {
            while let Some(keys) = typed.recv().await {
                if to.write_all(&keys).await.is_err() {
                    break;
                }
            }
        } else if reads == Input::Piped {
            // The end of the input is passed on to the command.
            let mut pieces = piped();
            while let Some(piece) = pieces.recv().await {
                if to.write_all(&piece).await.is_err() {
                    break;
                }
            }
            if !sends_end_of_input {
                session.terminal.warn(NO_END_OF_INPUT);
            }
        }
        let _ = to.shutdown().await;
        std::future::pending::<()>().await;
    };
    let sizes = async {
        let changes = has_screen.then(|| signal(SignalKind::window_change()).ok()).flatten();
        let Some(mut changes) = changes else { return std::future::pending().await };
        loop {
            if let Some((width, height)) = terminal::size(io::stdin()) {
                size.send_replace(Some(Size { width, height }));
            }
            changes.recv().await;
        }
    };
    tokio::select! {
        (out, err) = outputs => {
            // Failing output ends it, as a broken pipe ends any program.
            out.and(err)?;
            Ok(end.wait().await)
        }
        () = input => Ok(end.wait().await),
        () = sizes => Ok(end.wait().await),
        // With a raw terminal, Ctrl-C is a byte that is passed on, and not a signal.
        () = interrupted() => Err(Failure::interrupted("").into()),
    }
}

/// Input from a pipe or a file. Read by its own thread, for which nobody waits.
fn piped() -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(1);
    thread::spawn(move || {
        let mut buffer = vec![0; PIECE];
        while let Ok(read @ 1..) = io::stdin().read(&mut buffer) {
            if sender.blocking_send(buffer[..read].to_vec()).is_err() {
                break;
            }
        }
    });
    receiver
}

async fn show(mut from: impl AsyncRead + Unpin, mut to: impl Write) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    loop {
        match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return Ok(()),
            Ok(read) => {
                to.write_all(&buffer[..read])?;
                to.flush()?;
            }
        }
    }
}

fn code_of(status: i32) -> Code {
    match u8::try_from(status) {
        Ok(0) => Code::Done,
        Ok(code) => Code::Program(code),
        Err(_) => Code::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_stdin_and_tty_defaults_match_kubectl_exec() {
        let [none, i, t, it] = [(false, false), (true, false), (false, true), (true, true)]
            .map(|(stdin, tty)| Flags { stdin, tty });
        for (flags, stdin, stdout, reads) in [
            (none, true, true, Input::Terminal),
            (none, true, false, Input::Piped),
            (none, false, true, Input::None),
            (none, false, false, Input::None),
            (i, true, true, Input::Piped),
            (i, false, false, Input::Piped),
            (t, true, false, Input::Terminal),
            (t, false, true, Input::None),
            (it, true, true, Input::Terminal),
            (it, true, false, Input::Terminal),
            (it, false, true, Input::Piped),
        ] {
            let own = OwnTerminal { stdin, stdout, in_front: true };
            assert_eq!(input(flags, own), reads, "{flags:?} {stdin} {stdout}");
        }
        let behind = OwnTerminal { stdin: true, stdout: false, in_front: false };
        assert_eq!(input(none, behind), Input::None, "it would be stopped");
    }

    #[test]
    fn invalid_term_falls_back_to_the_default() {
        for odd in ["", " ", "xterm kitty", "../../etc/passwd", "-x", ".x", "a/b", "é", "x\n"] {
            assert_eq!(kind(odd), USUAL, "{odd:?}");
        }
        for good in ["xterm-kitty", "screen.xterm-256color", "vt100", "xterm+256color", "dumb"] {
            assert_eq!(kind(good), good);
        }
    }
}
