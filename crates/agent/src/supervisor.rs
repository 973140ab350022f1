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
    lease::Leases,
    leftover::{Leftover, Mark},
    proc,
    protocol::{self, Apps, Bytes, Failed, SentContent, Start, Stream, excerpt, name_fits},
    sink::Sink,
};

mod claims;
mod sent;
mod stand_in;

use stand_in::StandIn;

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
    stand_in: StandIn,
    /// Who has the container.
    pub(super) leases: Leases,
    /// What was sent to the container, the newest last.
    sent: Vec<SentContent>,
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
        Self {
            apps: BTreeMap::new(),
            out,
            err,
            ring,
            since_ms: now_ms(),
            tickets: 0,
            mark: Mark::own(),
            stand_in: StandIn::Absent,
            leases: Leases::default(),
            sent: Vec::new(),
            adopted: false,
            others: Vec::new(),
            ending: false,
        }
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
        Self::is_free_name(&start.name)?;
        if let Some(app) = self.apps.get_mut(&start.name) {
            app.check(Instant::now());
            // What an earlier supervisor left cannot be followed any more: it is replaced.
            if app.is_alive() && !app.is_leftover() && !start.replace {
                return Err(Failed::Runs(Box::new(app.view(&proc::processes()))));
            }
            let grace = start.grace_ms;
            return self.replace(start, grace);
        }
        if self.apps.len() >= MOST_APPS {
            let gone = self.apps.iter().filter(|(_, app)| !app.is_wanted() && !app.is_stand_in());
            let oldest = gone.min_by_key(|(_, app)| app.since_ms).map(|(name, _)| name.clone());
            let full = || Failed::Busy { why: format!("{MOST_APPS} applications already run") };
            self.apps.remove(&oldest.ok_or_else(full)?);
        }
        let (name, mark) = (start.name.clone(), self.mark.clone());
        // If this is PID 1, nothing outlived an earlier supervisor.
        let left = if self.adopted { Leftover::find(&mark, &name) } else { None };
        let mut app = App::new(start.clone(), self.ring, mark);
        let begun = if left.is_none() && !self.is_occupied() {
            app.again(start)?;
            Begun::Now
        } else {
            if let Some(left) = left {
                app.stop_leftover(left, start.grace_ms);
            }
            self.tickets += 1;
            app.then = Some(Later { ticket: self.tickets, start });
            Begun::Later(self.tickets)
        };
        self.apps.insert(name, app);
        Ok(begun)
    }

    /// Stops an application and starts it again with the same command.
    pub(super) fn restart(&mut self, name: &str, grace_ms: u64) -> Result<Begun, Failed> {
        if self.is_taken() {
            Self::is_free_name(name)?;
        }
        let mut start = self.app(name)?.start().clone();
        start.content = self.newest(&start.content);
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
        let is_occupied = self.is_occupied();
        let ticket = self.tickets + 1;
        let app = self.app(&start.name)?;
        if app.then.is_some() {
            return Err(Failed::Busy { why: format!("{} is already being restarted", start.name) });
        }
        if !app.is_alive() && !is_occupied {
            app.again(start)?;
            return Ok(Begun::Now);
        }
        app.stop(grace_ms, Instant::now());
        app.then = Some(Later { ticket, start });
        self.tickets = ticket;
        Ok(Begun::Later(ticket))
    }

    /// Tells an application to end. A pending restart is cancelled.
    pub(super) fn stop(&mut self, name: &str, grace_ms: u64) -> Result<(), Failed> {
        Self::is_free_name(name)?;
        self.app(name)?.cancel(grace_ms);
        Ok(())
    }

    /// Removes an application that ended, with its output.
    pub(super) fn remove(&mut self, name: &str) -> Result<(), Failed> {
        Self::is_free_name(name)?;
        let app = self.app(name)?;
        app.check(Instant::now());
        if app.is_wanted() {
            return Err(Failed::Runs(Box::new(app.view(&proc::processes()))));
        }
        self.apps.remove(name);
        Ok(())
    }

    /// Tells every application to end; none can be started afterwards. The stand-in ends by the
    /// `signal` that its image names, the others by SIGTERM.
    pub(super) fn stop_for_good(&mut self, signal: Signal, grace_ms: u64) {
        self.ending = true;
        let now = Instant::now();
        for app in self.apps.values_mut() {
            app.then = None;
            app.stop_by(if app.is_stand_in() { signal } else { Signal::TERM }, grace_ms, now);
        }
    }

    /// Tells every application but the stand-in to end.
    pub(super) fn stop_all(&mut self, grace_ms: u64) {
        let apps = self.apps.values_mut().filter(|app| !app.is_stand_in());
        apps.for_each(|app| app.cancel(grace_ms));
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
        let known = self.apps.iter().filter(|(_, app)| app.is_known());
        let known = known.map(|(name, _)| name.clone()).collect();
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
        let apps = self.apps.values().filter(|app| app.is_known());
        let mut apps: Vec<_> = apps.map(|app| app.view(&processes)).collect();
        // One for each: what all were sent must fit into one frame.
        let mut left = MOST_APPS;
        for app in &mut apps {
            // The newest are last.
            let excess = app.content.len().saturating_sub(left);
            app.content.drain(..excess);
            left -= app.content.len();
        }
        Apps {
            supervisor: Some(protocol::Supervisor {
                pid: std::process::id(),
                build: protocol::Hello::own().build,
                since_ms: self.since_ms,
                logs: self.out.is_open(),
            }),
            apps,
            others: self.others.clone(),
            leases: self.leases.list(),
            sent: self.sent.clone(),
        }
    }

    /// The process groups of running applications, whose processes were all sent SIGTERM.
    pub(super) fn groups(&self) -> Vec<i32> {
        self.apps.values().filter(|app| app.is_alive()).flat_map(App::groups).collect()
    }

    /// Whether any application runs.
    pub(super) fn is_idle(&self) -> bool {
        !self.apps.values().any(App::is_wanted)
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
                    let ended = |app: &&mut App| app.pid() == Some(pid) && !app.has_ended();
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

    /// Removes ended runs, kills those whose grace period is over, performs pending starts, and
    /// keeps the stand-in running while no other application does.
    pub(super) fn check_applications(&mut self, buffer: &mut [u8]) {
        let now = Instant::now();
        self.apps.values_mut().for_each(|app| app.check(now));
        self.end_leases(now);
        self.stop_stand_in(now);
        let is_occupied = self.is_occupied();
        for app in self.apps.values_mut() {
            if !app.is_alive()
                && (!is_occupied || app.is_stand_in())
                && let Some(Later { ticket, start }) = app.then.take()
            {
                app.drain(buffer, &mut self.out, &mut self.err);
                app.outcome = Some((ticket, app.again(start)));
            }
        }
        self.start_stand_in(now);
        self.leases.save();
    }

    /// Whether something still runs whose end a new application waits for.
    fn is_occupied(&self) -> bool {
        self.stand_in_runs() || self.is_left()
    }

    /// How long until [`Supervisor::check_applications`] is due; `None` while only events matter.
    pub(super) fn due(&self) -> Option<Duration> {
        let now = Instant::now();
        let starts = |app: &App| app.then.is_some() && !app.is_alive();
        let starts = !self.is_occupied() && self.apps.values().any(starts);
        let due = self.apps.values().filter_map(|app| app.due(now));
        let due = due.chain(starts.then_some(Duration::ZERO)).chain(self.stand_in_due(now));
        due.chain(self.leases.due(now)).min()
    }
}
