//! One application: its process group, its pipes and its last lines of output. Knows nothing of
//! connections.

use std::{
    os::fd::{AsFd, BorrowedFd},
    process::ChildStdin,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, WaitStatus};

use super::{
    clock::now_ms,
    jvm,
    leftover::{Leftover, Mark},
    pipe::Pipe,
    proc::{self, Process},
    protocol::{
        self, Bytes, End, EndedBy, Failed, MOST_GRACE_S, STAND_IN, Start, State, Stream,
        Termination,
    },
    ring::Ring,
    sink::Sink,
    spawn::{Run, spawn},
    words::reported,
};

/// How long to wait for a killed process. A process that hangs in the kernel (a dead NFS server)
/// never ends.
const KILLED: Duration = Duration::from_secs(5);
/// How often to check a dying process group, since no signal reports its end.
const LOOK: Duration = Duration::from_millis(50);

/// An application that was started at least once.
#[derive(Debug)]
pub(super) struct App {
    start: Start,
    mark: Mark,
    /// What an earlier supervisor left running of it, until that has ended.
    before: Option<Leftover>,
    cwd: Bytes,
    /// Its output.
    pub(super) ring: Ring,
    pipes: Vec<Pipe>,
    /// The writing end of its stdin, if that stays open.
    stdin: Option<ChildStdin>,
    /// Its first process; `None` before the first run.
    pid: Option<Pid>,
    /// Counts its runs, from 1; 0 before the first.
    pub(super) run: u32,
    /// Number of the first line of this run.
    pub(super) first: u64,
    /// Whether processes of its group may still run. Afterwards the group's number may belong to
    /// others, so it is not checked again.
    alive: bool,
    end: Option<End>,
    /// When this run started, in milliseconds since 1970.
    pub(super) since_ms: u64,
    oom_before: Option<u64>,
    stopping: Option<Stopping>,
    /// What to start when this run has ended.
    pub(super) then: Option<Later>,
    /// Why it was stopped, where its own user did not ask for it.
    pub(super) ended_by: Option<EndedBy>,
    /// It is stopped for somebody else, and what that person starts waits for its end.
    pub(super) leaves: bool,
    /// The newest run that was stopped for another person's run of the same name.
    pub(super) replaced: Option<Replaced>,
    /// The result of the newest [`Later`].
    pub(super) outcome: Option<(u64, Result<(), Failed>)>,
}

/// The end of a run after which another person started one of the same name.
#[derive(Debug)]
pub(super) struct Replaced {
    /// Its number, as [`App::run`].
    pub(super) run: u32,
    /// What its followers get.
    pub(super) view: protocol::App,
}

/// A start that waits for the end of the previous run.
#[derive(Debug)]
pub(super) struct Later {
    /// Identifies it.
    pub(super) ticket: u64,
    /// What to start.
    pub(super) start: Start,
}

#[derive(Clone, Copy, Debug)]
enum Stopping {
    /// SIGTERM was sent; when SIGKILL follows.
    Asked(Instant),
    /// SIGKILL was sent; when to stop waiting.
    Killed(Instant),
}

impl App {
    /// One that was never started, with an output ring of this many bytes.
    pub(super) fn new(start: Start, ring: usize, mark: Mark) -> Self {
        let how = Termination::Signal { signal: Signal::TERM.as_raw(), core: false };
        Self {
            start,
            mark,
            before: None,
            cwd: Bytes::default(),
            ring: Ring::new(ring),
            pipes: Vec::new(),
            stdin: None,
            pid: None,
            run: 0,
            first: 1,
            alive: false,
            end: Some(End { at_ms: now_ms(), how, asked: true, oom: false }),
            since_ms: now_ms(),
            oom_before: None,
            stopping: None,
            then: None,
            ended_by: None,
            leaves: false,
            replaced: None,
            outcome: None,
        }
    }

    /// Takes leftover processes of it for its run.
    pub(super) fn keep_leftover(&mut self, left: (Leftover, Pid)) {
        (self.before, self.pid, self.alive) = (Some(left.0), Some(left.1), true);
    }

    /// Tells leftover processes of it to end. They are not children of this process, so no signal
    /// reports their end.
    pub(super) fn stop_leftover(&mut self, left: (Leftover, Pid), grace_ms: u64) {
        self.keep_leftover(left);
        self.stop(grace_ms, Instant::now());
    }

    /// Starts it again, as `start` says. The previous run has ended.
    pub(super) fn again(&mut self, start: Start) -> Result<(), Failed> {
        let Run { pid, pipes, stdin, cwd, since_ms, oom_before } = spawn(&start, &self.mark)?;
        if self.ended_by.is_some() {
            self.replaced = Some(Replaced { run: self.run, view: self.view(&[]) });
        }
        (self.ended_by, self.leaves, self.before) = (None, false, None);
        // Output that another process still writes to the old pipes goes into the same ring.
        self.pipes.extend(pipes);
        (self.start, self.pid, self.cwd, self.stdin) = (start, Some(pid), cwd, stdin);
        (self.since_ms, self.oom_before) = (since_ms, oom_before);
        (self.alive, self.end, self.stopping) = (true, None, None);
        (self.run, self.first) = (self.run + 1, self.ring.newest() + 1);
        Ok(())
    }

    /// The request that started it.
    pub(super) fn start(&self) -> &Start {
        &self.start
    }

    /// Its first process; `None` before the first run.
    pub(super) fn pid(&self) -> Option<Pid> {
        self.pid
    }

    /// Whether it is the stand-in.
    pub(super) fn is_stand_in(&self) -> bool {
        self.start.name == STAND_IN
    }

    /// Whether it runs or is about to.
    pub(super) fn is_wanted(&self) -> bool {
        self.alive || self.then.is_some()
    }

    /// Whether there is anything to report of it: an application that never ran is none.
    pub(super) fn is_known(&self) -> bool {
        self.alive || self.run > 0 || self.is_stand_in()
    }

    /// The end of the newest run.
    pub(super) fn end(&self) -> Option<End> {
        self.end
    }

    /// It could not be started: it counts as a run that ended at once.
    pub(super) fn fail_to_start(&mut self, code: u8) {
        let how = Termination::Exit { code: code.into() };
        self.since_ms = now_ms();
        self.end = Some(End { at_ms: self.since_ms, how, asked: false, oom: false });
    }

    /// Whether its first process ended, and its first run is not still to come.
    pub(super) fn has_ended(&self) -> bool {
        self.end.is_some() && !(self.run == 0 && self.is_wanted())
    }

    /// Whether any of its processes ran at the last check.
    pub(super) fn is_alive(&self) -> bool {
        self.alive
    }

    /// Whether an earlier supervisor left it running.
    pub(super) fn is_leftover(&self) -> bool {
        self.before.is_some()
    }

    /// Whether it was asked to end.
    pub(super) fn is_stopping(&self) -> bool {
        self.alive && self.stopping.is_some()
    }

    /// Sends SIGTERM to its group, and SIGKILL after `grace_ms`; an earlier deadline stays.
    pub(super) fn stop(&mut self, grace_ms: u64, now: Instant) {
        self.stop_by(Signal::TERM, grace_ms, now);
    }

    /// Stops it as [`App::stop`] does, with another signal than SIGTERM.
    pub(super) fn stop_by(&mut self, signal: Signal, grace_ms: u64, now: Instant) {
        if !self.alive {
            return;
        }
        let at = now + Duration::from_millis(grace_ms).min(Duration::from_secs(MOST_GRACE_S));
        match self.stopping {
            None => {
                self.signal(signal);
                // A stopped process handles no signal until it continues.
                self.signal(Signal::CONT);
                self.signal_daemons(signal);
                self.stopping = Some(Stopping::Asked(at));
            }
            Some(Stopping::Asked(earlier)) => {
                self.stopping = Some(Stopping::Asked(at.min(earlier)));
            }
            Some(Stopping::Killed(_)) => {}
        }
    }

    /// Stops it, and cancels a pending start.
    pub(super) fn cancel(&mut self, grace_ms: u64) {
        self.stop(grace_ms, Instant::now());
        self.then = None;
    }

    /// Sends a signal to its group.
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(left) = &self.before {
            left.signal(signal);
        } else if let Some(pid) = self.pid.filter(|_| self.alive) {
            // It has ended meanwhile, or has become another user's: no process to signal.
            let _ = rustix::process::kill_process_group(pid, signal);
        }
    }

    /// The stand-in's processes that left its group. As PID 1, whose end ends all processes, it would
    /// not leave them its ports.
    fn daemons(&self) -> Vec<Process> {
        let group = self.pid.filter(|_| self.alive && self.is_stand_in());
        group.map(|group| self.mark.outside(STAND_IN, group)).unwrap_or_default()
    }

    fn signal_daemons(&self, signal: Signal) {
        for pid in self.daemons().iter().filter_map(|daemon| Pid::from_raw(daemon.pid)) {
            // It has ended meanwhile.
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    /// The process groups of its processes.
    pub(super) fn groups(&self) -> impl Iterator<Item = i32> {
        let own = self.pid.map(|pid| pid.as_raw_nonzero().get());
        own.into_iter().chain(self.daemons().into_iter().map(|daemon| daemon.group))
    }

    /// Its first process.
    pub(super) fn reaped(&mut self, status: WaitStatus) {
        let how = match status.exit_status() {
            Some(code) => Termination::Exit { code },
            None => Termination::Signal {
                signal: status.terminating_signal().unwrap_or_default(),
                // WCOREDUMP of wait(2).
                core: status.as_raw() & 0x80 != 0,
            },
        };
        let killed = how.code() == 128 + Signal::KILL.as_raw();
        let by_us = matches!(self.stopping, Some(Stopping::Killed(_)));
        let kills = || Some(proc::oom_kills()? > self.oom_before?);
        let oom = killed && !by_us && kills().unwrap_or_default();
        self.end = Some(End { at_ms: now_ms(), how, asked: self.stopping.is_some(), oom });
    }

    /// Checks whether its group has ended, and kills processes whose grace period is over.
    pub(super) fn check(&mut self, now: Instant) {
        if !self.alive {
            return;
        }
        let gone = if let Some(left) = &self.before {
            left.is_gone()
        } else {
            // The group's number is free for others only when the first process is reaped.
            let found = self.pid.map(rustix::process::test_kill_process_group);
            self.end.is_some()
                && found.is_none_or(|found| found == Err(rustix::io::Errno::SRCH))
                && self.daemons().is_empty()
        };
        if gone {
            return self.gone();
        }
        match self.stopping {
            Some(Stopping::Asked(at)) if at <= now => {
                self.signal(Signal::KILL);
                self.signal_daemons(Signal::KILL);
                self.stopping = Some(Stopping::Killed(now + KILLED));
            }
            Some(Stopping::Killed(at)) if at <= now && self.end.is_some() => self.gone(),
            // Unlike a group, they are not killed all at once: one may have started another.
            Some(Stopping::Killed(_)) => self.signal_daemons(Signal::KILL),
            _ => {}
        }
    }

    fn gone(&mut self) {
        (self.alive, self.stopping, self.before, self.leaves) = (false, None, None, false);
    }

    /// How long until [`App::check`] is due; `None` while only events matter.
    pub(super) fn due(&self, now: Instant) -> Option<Duration> {
        let at = match self.stopping? {
            Stopping::Asked(at) => at,
            Stopping::Killed(at) if self.end.is_some() => at,
            Stopping::Killed(_) => return None,
        };
        let left = at.saturating_duration_since(now);
        // The first process ends with a SIGCHLD; the others need not.
        Some(if self.end.is_some() { left.min(LOOK) } else { left })
    }

    /// What to poll for reading.
    pub(super) fn pipes(&self) -> impl Iterator<Item = (Stream, BorrowedFd<'_>)> {
        self.pipes.iter().map(|pipe| (pipe.stream, pipe.file.as_fd()))
    }

    /// Reads once from a readable pipe.
    pub(super) fn read_pipe(&mut self, pipe: usize, buffer: &mut [u8], sink: &mut Sink) {
        let ring = &mut self.ring;
        if let Some(pipe) = self.pipes.get_mut(pipe) {
            pipe.read_lines(buffer, ring, sink);
        }
    }

    /// Reads all that is in the pipes now: what an application wrote before it ended comes before
    /// its end.
    pub(super) fn drain(&mut self, buffer: &mut [u8], out: &mut Sink, err: &mut Sink) {
        for pipe in &mut self.pipes {
            let sink = if pipe.stream == Stream::Out { &mut *out } else { &mut *err };
            pipe.drain(buffer, &mut self.ring, sink);
        }
        self.forget();
    }

    /// Drops the pipes that have ended.
    pub(super) fn forget(&mut self) {
        self.pipes.retain(|pipe| !pipe.ended);
    }

    /// Whether it was started for a Java debugger.
    fn is_debugged(&self) -> bool {
        let mut values = self.start.env_append.iter().map(|(_, value)| &value.0);
        values.any(|value| memchr::memmem::find(value, b"jdwp").is_some())
    }

    /// Its status; `processes` are all visible processes.
    pub(super) fn view(&self, processes: &[Process]) -> protocol::App {
        let group = self.pid.map_or(0, |pid| pid.as_raw_nonzero().get());
        let of_it = |p: &&Process| self.alive && p.group == group && !p.zombie;
        let of_it: Vec<_> = processes.iter().filter(of_it).collect();
        protocol::App {
            name: self.start.name.clone(),
            command: reported(&self.start.command),
            cwd: reported(std::slice::from_ref(&self.cwd)).swap_remove(0),
            state: match self.end {
                _ if self.is_stopping() => State::Stopping,
                _ if self.before.is_some() => State::Running,
                Some(end) => State::Ended(end),
                None => State::Running,
            },
            pid: group.unsigned_abs(),
            since_ms: self.since_ms,
            restarts: self.run.saturating_sub(1),
            processes: u32::try_from(of_it.len()).unwrap_or(u32::MAX),
            cpu_ms: of_it.iter().map(|process| process.cpu_ms).sum(),
            rss: of_it.iter().map(|process| process.rss).sum(),
            lines: self.ring.newest(),
            debug_port: self.is_debugged().then(|| jvm::debug_port(group, &of_it)).flatten(),
            stand_in: self.is_stand_in(),
            ended_by: self.ended_by.clone(),
            content: self.start.content.clone(),
        }
    }
}
