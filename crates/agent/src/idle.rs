//! PID 1 of an emptied container: reaps processes, supervises applications and serves its socket.
//!
//! It has one thread and one poll, without a timeout while nothing is due, so an idle container
//! costs no wake-ups. It ends on SIGTERM, SIGINT and its image's stop signal only, and never because of
//! an application or a client.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::{fd::AsFd, unix::net::UnixListener, unix::net::UnixStream},
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, Signal},
};
use signal_hook::{
    consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH},
    iterator::{backend::SignalDelivery, exfiltrator::WithOrigin},
    low_level::siginfo::Origin,
};

use super::{
    connection::Connection,
    error::{self, Code, Failure},
    lease::Leases,
    proc::{self, Process},
    sink::Sink,
    socket::{self, Bound},
    supervisor::{Source, Supervisor},
};

/// Maximum number of clients at a time; see [`make_room`].
const MOST_CLIENTS: usize = 64;
/// How long to accept no clients after accepting failed and no client could be dropped.
const PAUSE: Duration = Duration::from_secs(1);
/// How often a shutdown checks for processes that are not children and still run.
const LOOK: Duration = Duration::from_millis(50);

/// How to idle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Options {
    /// Time from SIGTERM to SIGKILL for applications when the container stops.
    pub(super) grace: Duration,
    /// Path of the socket; `None` searches for a folder ([`socket::places`]).
    pub(super) socket: Option<PathBuf>,
    /// Bytes of output kept for each application.
    pub(super) ring: usize,
    /// Another program is PID 1: become a daemon, print `ready` to stdout, and write to PID 1's
    /// outputs.
    pub(super) adopt: bool,
    /// The stand-in's command line.
    pub(super) stand_in: Option<Vec<OsString>>,
}

type Signals = SignalDelivery<UnixStream, WithOrigin>;

/// Idles until SIGTERM, SIGINT or a client's `StopAll` with `exit`.
pub(super) fn run(options: &Options) -> Result<Code> {
    // Before anything can start, so that no signal is missed; PID 1 has no default signal actions.
    let (read, write) = UnixStream::pair().context("cannot create a socket for signals")?;
    let wanted = [SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH];
    let mut signals = SignalDelivery::with_pipe(read, write, WithOrigin::default(), wanted)
        .context("cannot handle signals")?;
    // Also reap orphans of the applications if PID 1 is another program.
    if std::process::id() != 1 {
        let own = Some(rustix::process::getpid());
        rustix::process::set_child_subreaper(own)
            .context("this process cannot reap other processes")?;
    }
    if options.adopt {
        // A session leader already has its own process group.
        let _ = rustix::process::setsid();
    }
    let listener = match socket::bind(&socket::places(options.socket.as_deref())) {
        Ok(Bound::Here(listener)) => Some(listener),
        Ok(Bound::Taken(path)) => {
            let what = format!("A supervisor already listens on {}.", path.display());
            return Err(Failure::no(what, "Run `diyadm-agent relay` to connect to it.").into());
        }
        Err(error) if options.adopt => return Err(error),
        // The container must not stop for this: it idles and reaps anyway.
        Err(error) => {
            error::report(&error);
            None
        }
    };
    let (out, err) = if options.adopt { adopt()? } else { own() };
    let mut supervisor = Supervisor::new(out, err, options.ring);
    supervisor.adopted = options.adopt;
    if let Some(command) = &options.stand_in {
        supervisor.add_stand_in(command);
    }
    if options.adopt {
        supervisor.others = socket::others();
        // PID 1 has nothing to keep: its end restarts the container.
        let path = listener.as_ref().and_then(|listener| listener.local_addr().ok());
        if let Some(path) = path.as_ref().and_then(|address| address.as_pathname()) {
            supervisor.restore_leases(Leases::kept_in(path.with_extension("lease")));
        }
    }
    serve(&mut supervisor, listener.as_ref(), &mut signals, options.grace)
}

/// The process's own outputs.
fn own() -> (Sink, Sink) {
    let sink = |fd| Sink::new(rustix::io::fcntl_dupfd_cloexec(fd, 3).ok().map(File::from));
    (sink(rustix::stdio::stdout()), sink(rustix::stdio::stderr()))
}

/// Notifies the process that started it, closes inherited files, and opens PID 1's outputs if this
/// user may.
fn adopt() -> Result<(Sink, Sink)> {
    let said = std::io::stdout().write_all(b"ready\n");
    said.context("the process that started it is gone")?;
    std::io::stdout().flush().context("the process that started it is gone")?;
    let null = OpenOptions::new().read(true).write(true).open("/dev/null").context("/dev/null")?;
    rustix::stdio::dup2_stdin(&null).context("stdin")?;
    rustix::stdio::dup2_stdout(&null).context("stdout")?;
    rustix::stdio::dup2_stderr(&null).context("stderr")?;
    let sink = |fd: u8| {
        let path = format!("/proc/1/fd/{fd}");
        Sink::new(OpenOptions::new().append(true).open(path).ok())
    };
    Ok((sink(1), sink(2)))
}

#[derive(Clone, Copy)]
enum Token {
    Signals,
    Listener,
    Source(Source),
    Client(usize),
}

fn serve(
    supervisor: &mut Supervisor,
    listener: Option<&UnixListener>,
    signals: &mut Signals,
    grace: Duration,
) -> Result<Code> {
    let mut clients: Vec<Connection> = Vec::new();
    // On the heap, and not bigger than a pipe: every page that is touched stays in memory.
    let mut buffer = vec![0; 16 << 10];
    let mut shutdown: Option<Instant> = None;
    // Children that were signaled.
    let mut signaled = Vec::new();
    // Until when no clients are accepted.
    let mut full: Option<Instant> = None;
    loop {
        full = full.filter(|until| *until > Instant::now());
        let mut polled = vec![(Token::Signals, signals.get_read().as_fd(), PollFlags::IN)];
        if let Some(listener) = listener.filter(|_| full.is_none()) {
            polled.push((Token::Listener, listener.as_fd(), PollFlags::IN));
        }
        polled.extend(supervisor.sources().map(|(source, fd)| {
            let reads = matches!(source, Source::Pipe(..));
            (Token::Source(source), fd, if reads { PollFlags::IN } else { PollFlags::OUT })
        }));
        polled.extend(clients.iter().enumerate().map(|(index, client)| {
            let (fd, flags) = client.wants();
            (Token::Client(index), fd, flags)
        }));
        let left = shutdown.map(|at| at.saturating_duration_since(Instant::now()).min(LOOK));
        let full_for = full.map(|until| until.saturating_duration_since(Instant::now()));
        let due = supervisor.due().into_iter().chain(left).chain(full_for).min();
        let found = wait(&polled, due);

        let mut sources = Vec::new();
        let mut asking = Vec::new();
        let (mut accept, mut heard) = (false, false);
        for (token, flags) in found {
            match token {
                Token::Signals => heard = true,
                Token::Listener => accept = true,
                Token::Source(source) => sources.push(source),
                Token::Client(index) => asking.push((index, flags)),
            }
        }
        // Before the requests, which may replace applications in these positions.
        supervisor.ready(&sources, &mut buffer);
        for (index, flags) in asking {
            clients[index].ready(flags, supervisor, &mut buffer);
        }
        if heard {
            for origin in signals.pending() {
                let Some(signal) = Signal::from_named_raw(origin.signal) else { continue };
                match signal {
                    // Processes that ended are reaped below.
                    Signal::CHILD => {}
                    signal if asks_to_end(&origin) => {
                        if shutdown.is_none() {
                            shutdown = Some(Instant::now() + grace);
                            let ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
                            supervisor.stop_for_good(signal, ms);
                        }
                    }
                    other => supervisor.signal_all(other),
                }
            }
        }
        let children = supervisor.reap(&mut buffer);
        supervisor.check_applications(&mut buffer);
        if let Some(listener) = listener.filter(|_| accept) {
            match accepted(listener) {
                Ok(Some(stream))
                    if clients.len() < MOST_CLIENTS || make_room(&mut clients, supervisor) =>
                {
                    clients.push(Connection::new(stream));
                }
                Ok(Some(stream)) => clients.push(Connection::refused(stream, MOST_CLIENTS)),
                Ok(None) => {}
                // Usually because no file descriptor is free.
                Err(_) if make_room(&mut clients, supervisor) => {}
                Err(_) => full = Some(Instant::now() + PAUSE),
            }
        }
        let mut exit = false;
        clients.iter_mut().for_each(|client| exit |= client.go_on(supervisor));
        clients.extract_if(.., |client| client.is_over()).for_each(|mut client| {
            client.leave(supervisor);
        });
        if exit {
            return Ok(Code::Done);
        }
        if let Some(at) = shutdown {
            if supervisor.is_idle() && !children || at <= Instant::now() {
                signal_children(Signal::KILL, &mut Vec::new(), &[]);
                flush(supervisor, &mut buffer);
                return Ok(Code::Terminated);
            }
            // Every time, since ending processes leave their children to this process.
            signal_children(Signal::TERM, &mut signaled, &supervisor.groups());
        }
    }
}

/// Whether a signal asks this process to end: SIGTERM, SIGINT, and every signal that another one sent
/// from outside this PID namespace, as the container runtime sends the stop signal that an image
/// names (SIGQUIT for nginx).
fn asks_to_end(origin: &Origin) -> bool {
    // The kernel shows a sender that has no number in this namespace as 0.
    let from_outside = origin.process.is_some_and(|sender| sender.pid == 0);
    from_outside || matches!(origin.signal, SIGTERM | SIGINT)
}

/// Disconnects the client that needs its place least: the oldest one without a hello, else the
/// oldest one that waits for no answer. Returns whether there was one.
fn make_room(clients: &mut Vec<Connection>, supervisor: &mut Supervisor) -> bool {
    let silent = clients.iter().enumerate().filter(|(_, client)| client.is_silent());
    let least = silent.min_by_key(|(_, client)| client.is_greeted()).map(|(index, _)| index);
    least.map(|index| clients.remove(index).leave(supervisor)).is_some()
}

/// The entries of `polled` that are ready; empty after a timeout or a signal.
fn wait(
    polled: &[(Token, std::os::fd::BorrowedFd<'_>, PollFlags)],
    due: Option<Duration>,
) -> Vec<(Token, PollFlags)> {
    let fds = polled.iter().map(|(_, fd, flags)| PollFd::from_borrowed_fd(*fd, *flags));
    let mut fds: Vec<_> = fds.collect();
    // One millisecond more, so that everything is due when poll returns.
    let due = due.map(|due| due + Duration::from_millis(1));
    let due = due.and_then(|due| Timespec::try_from(due).ok());
    match poll(&mut fds, due.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        // The kernel has no memory for it now. The container must not stop for this.
        Err(_) => {
            std::thread::sleep(LOOK);
            return Vec::new();
        }
    }
    let found = polled.iter().zip(&fds).filter(|(_, fd)| !fd.revents().is_empty());
    found.map(|((token, ..), fd)| (*token, fd.revents())).collect()
}

/// A new client; a connection of another user is closed.
fn accepted(listener: &UnixListener) -> io::Result<Option<UnixStream>> {
    let stream = match listener.accept() {
        Ok((stream, _)) => stream,
        // It has already closed the connection.
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let good = socket::may_order(&stream) && stream.set_nonblocking(true).is_ok();
    Ok(good.then_some(stream))
}

/// Sends a signal to every child that is not in `signaled` and not in one of these process `groups`:
/// processes left behind by a shell that ended. Programs that `kubectl exec` started are not
/// children of this process, and end with PID 1.
fn signal_children(signal: Signal, signaled: &mut Vec<i32>, groups: &[i32]) {
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    for pid in unsignaled(&proc::processes(), own, signaled, groups) {
        // It has ended meanwhile, or belongs to another user.
        let _ = Pid::from_raw(pid).map(|pid| rustix::process::kill_process(pid, signal));
    }
}

/// The children to signal now. Children that have ended are removed, since their numbers may be
/// reused.
fn unsignaled(
    processes: &[Process],
    own: i32,
    signaled: &mut Vec<i32>,
    groups: &[i32],
) -> Vec<i32> {
    let children = processes.iter().filter(|process| process.parent == own && !process.zombie);
    let children: Vec<_> = children.filter(|process| !groups.contains(&process.group)).collect();
    signaled.retain(|pid| children.iter().any(|process| process.pid == *pid));
    let new = children.iter().map(|process| process.pid).filter(|pid| !signaled.contains(pid));
    let new: Vec<_> = new.collect();
    signaled.extend(&new);
    new
}

/// Writes the last lines out, with a short time limit, because the container is stopping.
fn flush(supervisor: &mut Supervisor, buffer: &mut [u8]) {
    let until = Instant::now() + Duration::from_millis(200);
    loop {
        let outputs =
            supervisor.sources().filter(|(source, _)| !matches!(source, Source::Pipe(..)));
        let polled: Vec<_> =
            outputs.map(|(source, fd)| (Token::Source(source), fd, PollFlags::OUT)).collect();
        let left = until.saturating_duration_since(Instant::now());
        if polled.is_empty() || left.is_zero() {
            return;
        }
        let found = wait(&polled, Some(left));
        let found = found.into_iter().filter_map(|(token, _)| match token {
            Token::Source(source) => Some(source),
            _ => None,
        });
        supervisor.ready(&found.collect::<Vec<_>>(), buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_connections_are_removed() {
        let process = |pid, parent, group, zombie| Process {
            pid,
            parent,
            group,
            zombie,
            cpu_ms: 0,
            rss: 0,
            started: 0,
        };
        let mut signaled = Vec::new();
        // Another's child, one of an application, and one that has ended.
        let others =
            [process(10, 2, 10, false), process(11, 1, 30, false), process(12, 1, 12, true)];
        let now = |own: &[Process]| [&others[..], own].concat();
        let children = now(&[process(20, 1, 20, false)]);
        assert_eq!(unsignaled(&children, 1, &mut signaled, &[30]), [20]);
        assert!(unsignaled(&children, 1, &mut signaled, &[30]).is_empty(), "once is enough");
        assert!(unsignaled(&now(&[]), 1, &mut signaled, &[30]).is_empty());
        assert!(signaled.is_empty());
        assert_eq!(unsignaled(&children, 1, &mut signaled, &[30]), [20], "it is another one");
    }
}
