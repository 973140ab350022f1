//! All applications: applies requests and events of the kernel to them. Knows nothing of
//! connections, and never waits.

use std::{
    collections::BTreeMap,
    os::fd::BorrowedFd,
    time::{Duration, Instant},
};

use rustix::process::{Signal, WaitOptions};

use super::{
    app::{App, Later},
    clock::now_ms,
    leftover::{Leftover, Mark},
    proc,
    protocol::{self, Apps, Bytes, Failed, Start, Stream, excerpt, name_fits},
    sink::Sink,
};

/// Maximum number of applications; an ended one is dropped to make room.
const MOST_APPS: usize = 64;

/// The supervisor's state.
#[derive(Debug)]
pub(super) struct Supervisor {
    apps: BTreeMap<String, App>,
    out: Sink,
    err: Sink,
    ring: usize,
    since_ms: u64,
    tickets: u64,
    mark: Mark,
    /// It is not the container's main process, so its end does not restart the container.
    pub(super) adopted: bool,
    /// Protocols of earlier supervisors.
    pub(super) others: Vec<u32>,
    /// No application may be started any more.
    pub(super) ending: bool,
}

/// The result of a start.
#[derive(Debug)]
pub(super) enum Begun {
    /// It runs.
    Now,
    /// It will start when the running application of its name has ended.
    Later(u64),
}

/// A file descriptor that the supervisor polls.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    /// The n-th pipe of the n-th application: for reading.
    Pipe(usize, usize),
    /// The container's stdout: for writing.
    Out,
    /// The container's stderr: for writing.
    Err,
}

impl Supervisor {
    /// A supervisor without applications. Lines go to `out` and `err`, and `ring` bytes of them are
    /// kept for each application.
    pub(super) fn new(out: Sink, err: Sink, ring: usize) -> Self {
        let (apps, since_ms) = (BTreeMap::new(), now_ms());
        let mark = Mark::own();
        let (adopted, others, ending) = (false, Vec::new(), false);
        Self { apps, out, err, ring, since_ms, tickets: 0, mark, adopted, others, ending }
    }

    /// Starts an application, at once or after the running one of its name.
    pub(super) fn start(&mut self, start: Start) -> Result<Begun, Failed> {
        let malformed = |what: &str| Err(Failed::Malformed { what: what.to_owned() });
        self.is_open()?;
        if !name_fits(&start.name) {
            return malformed(
                "the name of an application may have letters, digits, '.', '_' and '-' only",
            );
        }
        let bad = |name: &Bytes| name.0.is_empty() || name.0.contains(&b'=');
        if start.env.iter().chain(&start.env_append).any(|(name, _)| bad(name)) {
            return malformed("a variable has no name");
        }
        if let Some(app) = self.apps.get_mut(&start.name) {
            app.check(Instant::now());
            if app.is_alive() && !start.replace {
                return Err(Failed::Runs(Box::new(app.view(&proc::processes()))));
            }
            let grace = start.grace_ms;
            return self.replace(start, grace);
        }
        if self.apps.len() >= MOST_APPS {
            let gone = self.apps.iter().filter(|(_, app)| !app.is_alive() && app.then.is_none());
            let oldest = gone.min_by_key(|(_, app)| app.since_ms).map(|(name, _)| name.clone());
            let full = || Failed::Busy { why: format!("{MOST_APPS} applications already run") };
            self.apps.remove(&oldest.ok_or_else(full)?);
        }
        let (name, mark) = (start.name.clone(), self.mark.clone());
        // If this is PID 1, nothing outlived an earlier supervisor.
        let left = if self.adopted { Leftover::find(&mark, &name) } else { None };
        if let Some(left) = left {
            self.tickets += 1;
            let (ticket, ring) = (self.tickets, self.ring);
            self.apps.insert(name, App::after(left, Later { ticket, start }, ring, mark));
            return Ok(Begun::Later(ticket));
        }
        self.apps.insert(name, App::new(start, self.ring, mark)?);
        Ok(Begun::Now)
    }

    /// Stops an application and starts it again with the same command.
    pub(super) fn restart(&mut self, name: &str, grace_ms: u64) -> Result<Begun, Failed> {
        let start = self.app(name)?.start().clone();
        self.replace(start, grace_ms)
    }

    /// Nothing is started once the container is stopping, since nobody would stop it cleanly.
    fn is_open(&self) -> Result<(), Failed> {
        if self.ending {
            return Err(Failed::Busy { why: "the container is shutting down".to_owned() });
        }
        Ok(())
    }

    fn replace(&mut self, start: Start, grace_ms: u64) -> Result<Begun, Failed> {
        self.is_open()?;
        let ticket = self.tickets + 1;
        let app = self.app(&start.name)?;
        if app.then.is_some() {
            return Err(Failed::Busy { why: format!("{} is already being restarted", start.name) });
        }
        if app.is_alive() {
            app.stop(grace_ms, Instant::now());
            app.then = Some(Later { ticket, start });
            self.tickets = ticket;
            return Ok(Begun::Later(ticket));
        }
        app.again(start)?;
        Ok(Begun::Now)
    }

    /// Tells an application to end. A pending restart is cancelled.
    pub(super) fn stop(&mut self, name: &str, grace_ms: u64) -> Result<(), Failed> {
        let app = self.app(name)?;
        app.stop(grace_ms, Instant::now());
        app.then = None;
        Ok(())
    }

    /// Removes an application that ended, with its output.
    pub(super) fn remove(&mut self, name: &str) -> Result<(), Failed> {
        let app = self.app(name)?;
        app.check(Instant::now());
        if app.is_alive() || app.then.is_some() {
            return Err(Failed::Runs(Box::new(app.view(&proc::processes()))));
        }
        self.apps.remove(name);
        Ok(())
    }

    /// Tells every application to end; none can be started afterwards.
    pub(super) fn stop_for_good(&mut self, grace_ms: u64) {
        self.ending = true;
        self.stop_all(grace_ms);
    }

    /// Tells every application to end.
    pub(super) fn stop_all(&mut self, grace_ms: u64) {
        let names: Vec<_> = self.apps.keys().cloned().collect();
        names.iter().for_each(|name| {
            // The names have just been read.
            let _ = self.stop(name, grace_ms);
        });
    }

    /// Sends a signal to an application's group.
    pub(super) fn signal(&mut self, name: &str, signal: i32) -> Result<(), Failed> {
        let malformed = || Failed::Malformed { what: format!("unknown signal {signal}") };
        let signal = Signal::from_named_raw(signal).ok_or_else(malformed)?;
        self.app(name)?.signal(signal);
        Ok(())
    }

    /// Passes a signal on to every application.
    pub(super) fn signal_all(&self, signal: Signal) {
        self.apps.values().for_each(|app| app.signal(signal));
    }

    /// An application by its name.
    pub(super) fn app(&mut self, name: &str) -> Result<&mut App, Failed> {
        let known = self.apps.keys().cloned().collect();
        let unknown = || Failed::Unknown { name: excerpt(name), known };
        self.apps.get_mut(name).ok_or_else(unknown)
    }

    /// The status of one application.
    pub(super) fn view(&mut self, name: &str) -> Result<protocol::App, Failed> {
        Ok(self.app(name)?.view(&proc::processes()))
    }

    /// The status of all applications.
    pub(super) fn list(&mut self) -> Apps {
        let (now, processes) = (Instant::now(), proc::processes());
        self.apps.values_mut().for_each(|app| app.check(now));
        Apps {
            supervisor: Some(protocol::Supervisor {
                pid: std::process::id(),
                build: protocol::Hello::own().build,
                since_ms: self.since_ms,
                logs: self.out.is_open(),
            }),
            apps: self.apps.values().map(|app| app.view(&processes)).collect(),
            others: self.others.clone(),
        }
    }

    /// The process groups of running applications, each of which was sent SIGTERM as a whole.
    pub(super) fn groups(&self) -> Vec<i32> {
        let running = self.apps.values().filter(|app| app.is_alive());
        running.map(|app| app.pid().as_raw_nonzero().get()).collect()
    }

    /// Whether any application runs.
    pub(super) fn is_idle(&self) -> bool {
        self.apps.values().all(|app| !app.is_alive() && app.then.is_none())
    }

    /// What to poll. Applications are not read while the container's outputs are full.
    pub(super) fn sources(&self) -> impl Iterator<Item = (Source, BorrowedFd<'_>)> {
        let (out, err) = (self.out.is_full(), self.err.is_full());
        let apps = self.apps.values().enumerate();
        let pipes = apps.flat_map(|(index, app)| {
            let pipes = app.pipes().enumerate();
            pipes.map(move |(pipe, (stream, fd))| (stream, Source::Pipe(index, pipe), fd))
        });
        let full = move |stream| if stream == Stream::Out { out } else { err };
        let pipes = pipes.filter(move |(stream, ..)| !full(*stream));
        let out = self.out.wants().map(|fd| (Source::Out, fd));
        let err = self.err.wants().map(|fd| (Source::Err, fd));
        pipes.map(|(_, source, fd)| (source, fd)).chain(out).chain(err)
    }

    /// Handles the events that poll reported, in the order of [`Supervisor::sources`].
    pub(super) fn ready(&mut self, sources: &[Source], buffer: &mut [u8]) {
        for source in sources {
            match *source {
                Source::Out => self.out.write(),
                Source::Err => self.err.write(),
                Source::Pipe(index, pipe) => {
                    let Some(app) = self.apps.values_mut().nth(index) else { continue };
                    let stream = app.pipes().nth(pipe).map(|(stream, _)| stream);
                    let out = stream == Some(Stream::Out);
                    app.read_pipe(pipe, buffer, if out { &mut self.out } else { &mut self.err });
                }
            }
        }
        self.apps.values_mut().for_each(App::forget);
    }

    /// Reaps every process that ended, applications or not; returns whether any child is left.
    pub(super) fn reap(&mut self, buffer: &mut [u8]) -> bool {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    let ended = |app: &&mut App| app.pid() == pid && !app.has_ended();
                    if let Some(app) = self.apps.values_mut().find(ended) {
                        app.drain(buffer, &mut self.out, &mut self.err);
                        app.reaped(status);
                    }
                }
                Ok(None) => return true,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    }

    /// Removes ended runs, kills those whose grace period is over, and performs pending starts.
    pub(super) fn check_applications(&mut self, buffer: &mut [u8]) {
        let now = Instant::now();
        for app in self.apps.values_mut() {
            app.check(now);
            if !app.is_alive()
                && let Some(Later { ticket, start }) = app.then.take()
            {
                app.drain(buffer, &mut self.out, &mut self.err);
                app.outcome = Some((ticket, app.again(start)));
            }
        }
    }

    /// How long until [`Supervisor::check_applications`] is due; `None` while only events matter.
    pub(super) fn due(&self) -> Option<Duration> {
        let now = Instant::now();
        self.apps.values().filter_map(|app| app.due(now)).min()
    }
}
