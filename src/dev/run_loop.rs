//! The developer's loop: runs iterations in the current Pod, and handles keys.

use std::{collections::VecDeque, time::Duration};

use anyhow::Result;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep},
};

use super::{
    backoff::pauses,
    dev_loop::Loop,
    events::Event,
    follow::follow,
    forward::Forward,
    iteration::{Next, PodWork, Shown, once, run_iteration},
    leave::Leave,
    pods::{NotEmptied, Pick, is_not_emptied},
    printer::{Printer, Screen},
    restored::{EndOfWork, next_is_live, until_not_empty},
    run::{interrupted, stop},
    session::Session,
    shell::{Flags, shell},
    trouble::{Spent, is_gone, is_lost},
};
use crate::{
    exit::Failure,
    platform::terminal::Tty,
    ui::{terminal::print_text, text::clause},
};
use diyadm_agent::protocol::{Follow, Logs, Start};

/// Help for the keys, shown on the terminal.
const KEYS: &str = "keys: r restart · s shell · l logs on/off · q leave it running · Q restore";
/// Maximum number of keys that are kept while an iteration runs.
const MOST_KEPT: usize = 8;
/// First byte of keys that send several bytes.
const ESCAPE: u8 = 0x1b;
/// An iteration that ran this long counts as successful.
const WELL: Duration = Duration::from_secs(30);

/// Why the output of a container ended.
type OutputEnd = (Pick, anyhow::Error);

impl Loop<'_> {
    /// Runs iterations until a key or signal ends the loop. Returns how it ended, and whether the
    /// application runs.
    ///
    /// # Errors
    /// No Pod runs, or what keeps the work from being done stays for long; the workload is not
    /// empty any more, and the application is stopped where its Pod lives.
    pub(crate) async fn repeat(mut self) -> Result<(Leave, bool)> {
        let session = self.session;
        let outcome = tokio::select! {
            left = self.rounds() => left,
            ended = until_not_empty(session) => match ended {
                EndOfWork::NotEmpty(failure) => Err(failure.because(NotEmptied).into()),
                EndOfWork::Expired => {
                    session.terminal.warn(&format!("{} has expired", session.target.shown));
                    self.stop_started().await;
                    Ok(Leave::Expired)
                }
            },
            () = interrupted() => Ok(Leave::Interrupted),
        };
        let error = match outcome {
            Ok(left @ (Leave::Restore | Leave::Expired)) => return Ok((left, false)),
            Ok(left) => return Ok((left, self.is_running().await)),
            Err(error) => error,
        };
        if is_not_emptied(&error) {
            self.stop_started().await;
        }
        Err(error)
    }

    /// Builds, sends and starts once.
    ///
    /// # Errors
    /// No Pod runs; the build, the transfer or the start fails; it is interrupted.
    pub(crate) async fn run_once(mut self) -> Result<()> {
        let session = self.session;
        let work = async {
            let pick = session.runs().await?;
            let (shown, _watched) = watch::channel(None);
            let mut place = PodWork { pick, receivers: Vec::new(), sent: Vec::new(), runs: false };
            once(&mut self, &shown, &mut place, Next::Build, &mut false, Instant::now()).await
        };
        tokio::select! {
            done = work => done,
            () = interrupted() => Err(Failure::interrupted("").into()),
        }
    }

    async fn rounds(&mut self) -> Result<Leave> {
        let session = self.session;
        let screen = Screen::default();
        let (shown, watched) = watch::channel(None);
        let (troubles, mut trouble) = mpsc::channel(1);
        let pick = session.runs().await?;
        let forward = Forward::new(session, pick.clone());
        for bound in &self.bound {
            // Ports are forwarded even if nobody reads this.
            let _ = if session.events.are_on() {
                let (local, pod) = (bound.shown(), pick.pod.clone());
                let remote = bound.remote().to_string();
                session.events.send(&Event::Forwarding { local, pod, remote })
            } else {
                print_text(&format!("{} -> {}:{}\n", bound.shown(), pick.pod, bound.remote()))
            };
        }
        let bound = std::mem::take(&mut self.bound);
        let forwarding = async {
            if !bound.is_empty() {
                forward.serve(bound).await;
            }
            std::future::pending::<()>().await;
        };
        let name = self.start.name.clone();
        let logs = logs(session, &name, &screen, watched, troubles);
        let mut state =
            LoopState { screen: &screen, shown, keys: Tty::keys()?, kept: VecDeque::new() };
        if state.keys.is_some() {
            session.terminal.say(KEYS);
        }
        tokio::select! {
            () = forwarding => Ok(Leave::Running),
            () = logs => Ok(Leave::Running),
            left = work(self, &mut state, &mut trouble, pick) => left,
        }
    }
}

/// What the iterations share.
struct LoopState<'a> {
    screen: &'a Screen,
    shown: watch::Sender<Option<Shown>>,
    keys: Option<Tty>,
    /// Keys that were pressed during an iteration, for later.
    kept: VecDeque<u8>,
}

impl LoopState<'_> {
    /// The first kept key, else the next one.
    async fn key(&mut self) -> u8 {
        match self.kept.pop_front() {
            Some(key) => key,
            None => self.pressed().await,
        }
    }

    /// The next key; waits for ever without a terminal.
    async fn pressed(&mut self) -> u8 {
        loop {
            let Some(Tty { typed, .. }) = &mut self.keys else {
                return std::future::pending().await;
            };
            match typed.recv().await.as_deref() {
                Some([key]) => return *key,
                // A key that is held down, or a line end after the terminal was reset.
                Some([key, rest @ ..])
                    if *key != ESCAPE && rest.iter().all(|one| one == key || *one == b'\n') =>
                {
                    return *key;
                }
                // An arrow key, or pasted text.
                Some(_) => {}
                None => return b'q',
            }
        }
    }

    /// Waits for the work. Keys that leave the loop act at once; other keys act when the work is
    /// done.
    async fn during<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Leave> {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Ok(done),
                key = self.pressed() => match key {
                    b'q' => return Err(Leave::Running),
                    b'Q' => return Err(Leave::Restore),
                    other => self.keep(other),
                },
            }
        }
    }

    /// Keeps a key until the work is done. A repeated key counts once: users hold keys down, or
    /// press again because nothing has happened.
    fn keep(&mut self, key: u8) {
        if self.kept.len() < MOST_KEPT && self.kept.back() != Some(&key) {
            self.kept.push_back(key);
        }
    }

    /// Shows lines again, from the first hidden one.
    fn unmute(&self) {
        self.screen.muted.set(false);
        let last = self.screen.last.get();
        self.shown.send_modify(|shown| {
            if let Some(shown) = shown {
                shown.after = shown.after.max(last);
            }
        });
    }
}

async fn work(
    all: &mut Loop<'_>,
    state: &mut LoopState<'_>,
    trouble: &mut mpsc::Receiver<OutputEnd>,
    mut pick: Pick,
) -> Result<Leave> {
    let session = all.session;
    let mut pauses_left = pauses();
    let mut built = false;
    loop {
        let began = Instant::now();
        let mut place =
            PodWork { pick: pick.clone(), receivers: Vec::new(), sent: Vec::new(), runs: false };
        let outcome = run_in_pod(all, state, trouble, &mut place, &mut built).await;
        let error = match outcome {
            Ok(leave) => return Ok(leave),
            Err(error) => error,
        };
        state.shown.send_replace(None);
        if !is_gone(&error) && !is_lost(&error) {
            return Err(error);
        }
        if began.elapsed() > WELL {
            pauses_left = pauses();
        }
        session.terminal.warn(&clause(&error));
        let Some(pause) = pauses_left.next() else { return Err(error.context(Spent)) };
        let found = state.during(async {
            sleep(pause).await;
            session.runs().await
        });
        pick = match found.await {
            Ok(Err(error)) if is_not_emptied(&error) => {
                return Err(next_is_live(session, error).await);
            }
            Ok(found) => found?,
            // There is no Pod with anything to stop.
            Err(leave) => return Ok(leave),
        };
        if pick != place.pick {
            session.claim.renew(session.cluster.now());
        }
        session.terminal.done(&format!("continuing in {}", pick.shown()), None);
        session.events.send(&Event::continuing(&pick))?;
    }
}

/// Runs iterations in one container until it is gone or the loop ends.
async fn run_in_pod<'a>(
    all: &mut Loop<'a>,
    state: &mut LoopState<'_>,
    trouble: &mut mpsc::Receiver<OutputEnd>,
    place: &mut PodWork<'a>,
    built: &mut bool,
) -> Result<Leave> {
    let session = all.session;
    let mut next = Next::Build;
    loop {
        let shown = state.shown.clone();
        match state.during(run_iteration(all, shown, place, next, built)).await {
            Ok(done) => done?,
            Err(Leave::Restore) => return Ok(restore(all, place).await),
            Err(left) => return Ok(left),
        }
        next = loop {
            tokio::select! {
                () = all.sources.changed() => break Next::Build,
                ended = trouble.recv() => {
                    // The loop has already left this Pod.
                    if let Some((_, error)) = ended.filter(|(pick, _)| *pick == place.pick) {
                        return Err(error);
                    }
                }
                key = state.key() => match key {
                    b'r' => break Next::Start,
                    b's' => {
                        state.screen.muted.set(true);
                        state.keys = None;
                        if let Err(error) = shell(session, &[], Flags::default()).await {
                            session.terminal.failed(&format!("{error:#}"), None, "");
                        }
                        state.keys = Tty::keys()?;
                        // Shows that keys go to the loop again.
                        session.terminal.say(KEYS);
                        state.unmute();
                    }
                    b'l' if state.screen.muted.get() => {
                        session.terminal.say("logs are on");
                        state.unmute();
                    }
                    b'l' => {
                        state.screen.muted.set(true);
                        session.terminal.say("logs are off; l prints the lines held back");
                    }
                    b'q' => return Ok(Leave::Running),
                    b'Q' => return Ok(restore(all, place).await),
                    _ => session.terminal.say(KEYS),
                },
            }
        };
    }
}

/// Stops the application before the workload is restored.
async fn restore(all: &Loop<'_>, place: &PodWork<'_>) -> Leave {
    let (session, Start { name, grace_ms, .. }) = (all.session, &all.start);
    // The workload is restored anyway, which ends the application.
    if let Err(error) = stop(session, &place.pick, name, *grace_ms).await
        && place.runs
    {
        session.terminal.warn(&format!("{name} was not stopped: {error:#}"));
    }
    Leave::Restore
}

/// Follows the application's output; prints errors that it cannot fix.
async fn logs(
    session: &Session<'_>,
    name: &str,
    screen: &Screen,
    mut watched: watch::Receiver<Option<Shown>>,
    troubles: mpsc::Sender<OutputEnd>,
) {
    loop {
        let now = watched.borrow_and_update().clone();
        if let Some(Shown { pick, after }) = now {
            let mut printer = Printer::on(screen);
            screen.last.set(after);
            let logs =
                Logs { name: name.to_owned(), after, follow: Follow::Always, ..Logs::default() };
            let showing = async {
                let agent = session.agent_of(&pick).await?;
                follow(session, &pick, agent, logs, &mut printer).await
            };
            tokio::select! {
                changed = watched.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return,
                },
                outcome = showing => {
                    if let Err(error) = outcome
                        && troubles.send((pick, error)).await.is_err()
                    {
                        return;
                    }
                }
            }
        }
        if watched.changed().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_handled_in_order_after_the_current_iteration() {
        let screen = Screen::default();
        let (shown, _watched) = watch::channel(None);
        let mut state = LoopState { screen: &screen, shown, keys: None, kept: VecDeque::new() };
        let pressed = *b"rlrslrlrrrrr";
        pressed.iter().for_each(|key| state.keep(*key));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for key in &pressed[..MOST_KEPT] {
            assert_eq!(runtime.block_on(state.key()), *key);
        }
        assert!(state.kept.is_empty(), "who holds a key down does not mean it for ever");
        b"rrrlll".iter().for_each(|key| state.keep(*key));
        assert_eq!(state.kept, b"rl", "a held key is kept once");
    }
}
