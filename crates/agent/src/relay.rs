//! `diyadm-agent relay`: what `kubectl exec` starts in the container. It hands the client's
//! requests to the supervisor, starts one where an application is to run and nobody supervises, and
//! receives files itself, so that PID 1 does no heavy work.

use std::{
    io::{self, Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use super::{
    error::{Code, Failure},
    protocol::{Answer, Apps, Failed, FrameKind, Hello, Request, excerpt, json},
    receive,
    socket::{connect, others, places},
    wire::{Error, Input, greet, send, stdio},
};

/// How long a supervisor may take to send hello, to accept a request, and to close the connection
/// of a client that is gone. It can be stopped, or be no supervisor at all.
const PATIENCE: Duration = Duration::from_secs(30);

/// Serves one client until it closes the connection. `socket` is the supervisor's configured
/// socket.
pub(super) fn run(socket: Option<&Path>) -> Result<Code> {
    let (stdin, mut output) = stdio().context("stdin and stdout must be open")?;
    if rustix::termios::isatty(&stdin) {
        let hint = "Run `diyadm ps`, `diyadm run` or `diyadm shell` on your own machine.";
        return Err(Failure::usage(
            "`diyadm-agent relay` is for the program diyadm, not for a terminal.",
            hint,
        )
        .into());
    }
    let mut input = Input::new(stdin);
    if greet(&mut input, &mut output)?.is_err() {
        send(&mut output, &Answer::Failed(Failed::Mismatch(Hello::own())))?;
        return Ok(Code::No);
    }
    let places = places(socket);
    loop {
        let frame = match input.frame() {
            Ok(Some(frame)) => frame,
            Ok(None) => return Ok(Code::Done),
            Err(Error::Io(error)) => return Err(error).context("the client is gone"),
            Err(Error::Broken(broken)) => return malformed(&mut output, broken.to_string()),
        };
        let request: Request = match frame.parse(FrameKind::Request) {
            Ok(request) => request,
            Err(broken) => return malformed(&mut output, broken.to_string()),
        };
        let request = match request {
            Request::Receive(wanted) => return receive::receive(&wanted, input, output),
            Request::Step { .. } => {
                return malformed(&mut output, "a step of a transfer before `Receive`".into());
            }
            request => request,
        };
        let supervisor = match (connect(&places), bare(&request)) {
            (Some(supervisor), _) => Ok(supervisor),
            (None, Request::Start(_)) => adopt(socket, &places),
            // It keeps what was sent until something is started.
            (None, _) if has_sent(&request) => adopt(socket, &places),
            (None, other) => {
                nobody(&mut output, other)?;
                continue;
            }
        };
        match supervisor {
            Ok(supervisor) => return splice(supervisor, &request, input, output, PATIENCE),
            Err(error) => {
                let why = format!("{error:#}");
                send(&mut output, &Answer::Failed(Failed::NoSupervisor { why }))?;
            }
        }
    }
}

fn malformed(output: &mut impl Write, what: String) -> Result<Code> {
    send(output, &Answer::Failed(Failed::Malformed { what }))?;
    Ok(Code::No)
}

/// The request, whoever makes it.
fn bare(request: &Request) -> &Request {
    if let Request::By(by) = request { &by.request } else { request }
}

/// Whether it says what was sent.
fn has_sent(request: &Request) -> bool {
    matches!(request, Request::By(by) if !by.sent.is_empty())
}

/// The answer if there is no supervisor, so that nothing was ever started.
fn nobody(output: &mut impl Write, request: &Request) -> io::Result<()> {
    let answer = match request {
        Request::List => Answer::Apps(Apps { others: others(), ..Apps::default() }),
        Request::StopAll { .. } => Answer::Sent,
        Request::Cancel => return Ok(()),
        Request::Stop { name, .. }
        | Request::Restart { name, .. }
        | Request::Remove { name }
        | Request::Signal { name, .. }
        | Request::Wait { name } => unknown(name),
        Request::Logs(logs) => unknown(&logs.name),
        Request::Extend { .. } => {
            Answer::Failed(Failed::NoSupervisor { why: "nothing was started yet".to_owned() })
        }
        Request::Start(_) | Request::By(_) | Request::Receive(_) | Request::Step { .. } => {
            Answer::Failed(Failed::Malformed {
                what: "the supervisor does not support this request".to_owned(),
            })
        }
    };
    send(output, &answer)
}

fn unknown(name: &str) -> Answer {
    Answer::Failed(Failed::Unknown { name: excerpt(name), known: Vec::new() })
}

/// Starts a supervisor that outlives this exec, for a container whose PID 1 is `tail` or a shell.
///
/// Compared with PID 1: orphans that were never below an application are not reaped, the
/// applications get no SIGTERM when the container stops, and their output appears in `kubectl logs`
/// only if this user may write to PID 1's outputs.
fn adopt(socket: Option<&Path>, places: &[PathBuf]) -> Result<UnixStream> {
    // Not by its path: the program may have been replaced by a newer one.
    let mut command = Command::new("/proc/self/exe");
    command.arg("--adopt");
    if let Some(socket) = socket {
        command.arg("--socket").arg(socket);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("it could not be started")?;
    let mut said = String::new();
    let mut stdout = child.stdout.take().context("its stdout is piped")?;
    stdout.read_to_string(&mut said).context("its output could not be read")?;
    if let Some(stream) = connect(places) {
        // Also if another relay was faster, and the supervisor started here has given up.
        return Ok(stream);
    }
    let mut why = String::new();
    let mut stderr = child.stderr.take().context("its stderr is piped")?;
    stderr.read_to_string(&mut why).context("its output could not be read")?;
    // It has ended, or wrote nothing: in both cases only this process waits for it.
    let _ = child.wait();
    bail!("{}", why.lines().next().unwrap_or("it ended at once"))
}

/// Forwards messages in both directions, until one side has no more. `most` is how long the
/// supervisor may take to send hello.
fn splice(
    supervisor: UnixStream,
    request: &Request,
    input: Input<std::fs::File>,
    mut output: std::fs::File,
    most: Duration,
) -> Result<Code> {
    let mut to = supervisor.try_clone().context("the supervisor's socket")?;
    let patience = |patience| {
        to.set_read_timeout(patience)?;
        to.set_write_timeout(patience)
    };
    patience(Some(most)).context("the supervisor's socket")?;
    let mut from = Input::new(supervisor);
    let refused = match greet(&mut from, &mut &to) {
        Ok(Ok(_)) => None,
        // The program was replaced while an older one is the supervisor.
        Ok(Err(hello)) => Some(Failed::Mismatch(hello)),
        Err(error) => Some(Failed::NoSupervisor { why: format!("it does not answer: {error:#}") }),
    };
    if let Some(failed) = refused {
        send(&mut output, &Answer::Failed(failed))?;
        return Ok(Code::No);
    }
    match json(FrameKind::Request, request) {
        // The peer may have sent the reason before closing the connection.
        Ok(request) => drop((&to).write_all(&request)),
        Err(broken) => return malformed(&mut output, broken.to_string()),
    }
    // A request may take any time.
    patience(None).context("the supervisor's socket")?;
    let (ahead, mut client) = input.into_rest();
    thread::spawn(move || {
        // A failure means that one side is gone; the other direction notices it as well.
        let _ = hand_on(&ahead, &mut client, &mut to);
        let _ = to.shutdown(Shutdown::Write);
        // This process ends before that, unless the supervisor is stopped.
        thread::sleep(PATIENCE);
        let _ = to.shutdown(Shutdown::Both);
    });
    let (ahead, mut from) = from.into_rest();
    // Either side may close first, which ends the conversation.
    let _ = hand_on(&ahead, &mut from, &mut output);
    Ok(Code::Done)
}

/// Writes `ahead`, then all input as it arrives. Does not use `io::copy`, whose splice(2) leaves
/// bytes in a socket until more arrive.
fn hand_on(ahead: &[u8], from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    to.write_all(ahead)?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => to.write_all(&buffer[..read])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::fd::OwnedFd};

    use super::*;

    #[test]
    fn relay_gives_up_a_silent_supervisor() {
        let (silent, supervisor) = UnixStream::pair().unwrap();
        let (mut answer, output) = io::pipe().unwrap();
        let output = File::from(OwnedFd::from(output));
        let input = Input::new(File::open("/dev/null").unwrap());
        let moment = Duration::from_millis(20);
        let code = splice(supervisor, &Request::List, input, output, moment).unwrap();
        assert_eq!(code, Code::No);
        let mut said = Vec::new();
        answer.read_to_end(&mut said).unwrap();
        let said = String::from_utf8_lossy(&said);
        assert!(said.contains("no_supervisor") && said.contains("does not answer"), "{said}");
        drop(silent);
    }
}
