//! `diyadm ui` on a terminal, with many Deployments and without Pods.

use std::{
    fs::File,
    io::Read as _,
    process::{Child, Command},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use rustix::{
    fs::{Mode, OFlags},
    pty::{OpenptFlags, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

use super::{Node, diyadm};
use crate::{
    bench::{
        empty::deployments,
        idle::{cpu, rest},
        median, memory,
    },
    interrupt, process,
};

const NAMESPACE: &str = "bench";
/// The beginning of a row of the screen.
const ROW: &[u8] = b"deployment/d";
/// How long nothing changes.
const SECONDS: u64 = 30;
/// Longer than any first screen that is worth measuring.
const LONGEST: Duration = Duration::from_secs(60);

pub(super) struct Seen {
    /// Seconds until rows are shown.
    pub(super) first: f64,
    /// Seconds of a processor until then.
    pub(super) cpu: f64,
    /// Percent of a core.
    pub(super) idle: f64,
    /// MB.
    pub(super) rss: f64,
    /// MB.
    pub(super) peak: f64,
}

pub(super) fn measure(node: &Node, workloads: usize, rounds: usize) -> Result<Seen> {
    node.kubectl(&["create", "namespace", NAMESPACE])?;
    node.create(&deployments(workloads, NAMESPACE))?;
    // Every tenth is empty.
    let some: Vec<_> = (0..workloads).step_by(10).map(|at| format!("deployment/d{at}")).collect();
    let some: Vec<_> = some.iter().map(String::as_str).collect();
    let empty = [&["empty", "--wait=false", "--quiet"], &some[..]].concat();
    process::output(&mut diyadm(node, NAMESPACE, &empty))?;
    // The controllers have seen them.
    rest(5)?;
    let (mut first, mut spent) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        interrupt::check()?;
        let screen = Screen::start(node)?;
        eprintln!("xtask: first screen {:.2} s, processor {:.2} s", screen.first, screen.cpu);
        // The first round warms up.
        if round > 0 {
            first.push(screen.first);
            spent.push(screen.cpu);
        }
    }
    let screen = Screen::start(node)?;
    rest(5)?;
    let id = screen.child.id();
    let (before, began) = (cpu(id)?, Instant::now());
    rest(SECONDS)?;
    let idle = (cpu(id)? - before) / began.elapsed().as_secs_f64() * 100.0;
    let [first, spent] = [&mut first, &mut spent].map(|all| median(all));
    Ok(Seen { first, cpu: spent, idle, rss: resident(id)?, peak: memory(id)? })
}

/// Resident memory, MB.
fn resident(process: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
    let kb: f64 = line.split_whitespace().nth(1).context("no VmRSS")?.parse()?;
    Ok(kb / 1024.0)
}

/// `diyadm ui` that shows its rows. Ends when dropped.
struct Screen {
    child: Child,
    /// Keeps the terminal.
    _terminal: File,
    /// Seconds until a row was shown.
    first: f64,
    /// Seconds of a processor until then.
    cpu: f64,
}

impl Screen {
    fn start(node: &Node) -> Result<Self> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let here = openpt(flags)?;
        unlockpt(&here)?;
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&here, size)?;
        let name = ptsname(&here, Vec::new())?;
        let there =
            File::from(rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty())?);
        // Without a session of its own it would look at the terminal of this program.
        let mut command = Command::new("setsid");
        let ui = diyadm(node, NAMESPACE, &["ui"]);
        command.arg("--ctty").arg(ui.get_program()).args(ui.get_args());
        command.env("HOME", &node.folder).env("TERM", "xterm");
        command.stdin(there.try_clone()?).stdout(there.try_clone()?).stderr(there.try_clone()?);
        let began = Instant::now();
        let child = command.spawn().context("util-linux's setsid")?;
        let terminal = File::from(here);
        let mut output = terminal.try_clone()?;
        let mut screen = Self { child, _terminal: terminal, first: 0.0, cpu: 0.0 };
        let (tell, hear) = mpsc::channel();
        thread::spawn(move || {
            let (mut piece, mut text) = (vec![0; 1 << 16], Vec::new());
            // The last reader of a terminal gets an error where its other end is closed.
            while let Ok(count @ 1..) = output.read(&mut piece) {
                if text.len() < 1 << 20 {
                    text.extend_from_slice(&piece[..count]);
                    if text.windows(ROW.len()).any(|some| some == ROW) {
                        // Nobody may listen any more.
                        let _ = tell.send(());
                    }
                }
            }
        });
        hear.recv_timeout(LONGEST).context("`diyadm ui` showed no row")?;
        screen.first = began.elapsed().as_secs_f64();
        screen.cpu = cpu(screen.child.id())?;
        ensure!(screen.child.try_wait()?.is_none(), "`diyadm ui` ended");
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // It may have ended by itself: there is nothing left to do then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
