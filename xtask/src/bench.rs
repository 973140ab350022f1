//! `cargo xtask bench serve`: the webhook's server against a bare echo, in one run.
//!
//! Both are release builds with one worker, pinned to one core; the client has the other. Rounds
//! are short and alternate, so that a machine that grows slower does so for both; what is printed
//! is the median of all rounds. The server's CPU time per request (schedstat) is the steadiest
//! figure; latencies are only worth something on a machine that has nothing else to do.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::{image::Profile, interrupt, paths};

pub(crate) mod attack;
mod client;
pub(crate) mod dev;
pub(crate) mod empty;
mod idle;
pub(crate) mod large;
pub(crate) mod mutate;
mod node;
mod review;
pub(crate) mod share;

use client::{Client, Open};

/// Bytes, and at most how much more of a processor than the echo.
const SIZES: [(&str, usize, f64); 3] =
    [("4 KB", 4 << 10, 1.5), ("14 KB", 14 << 10, 1.5), ("300 KB", 300 << 10, 1.4)];
const CONNECTIONS: [usize; 3] = [1, 16, 64];

/// A server under measurement; ended when dropped.
struct Server {
    child: Child,
    client: Client,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself: there is nothing left to do then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let quick = match args {
        [what] if what == "serve" => false,
        [what, flag] if what == "serve" && flag == "--quick" => true,
        _ => bail!("`cargo xtask bench serve [--quick]` is what can be measured"),
    };
    interrupt::watch()?;
    let target = release(&["--example", "echo"])?;
    let folder = target.join("xtask-bench");
    fs::create_dir_all(&folder)?;
    let programs = [target.join("diyadm"), target.join("examples/echo")];
    make_certificates(&programs[0], &folder)?;
    let lab = Lab { programs, folder };

    println!("| Deployment | connections | ours | echo | CPU | at most | p50 | p99, at most 1.5 |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    let rounds = if quick { 5 } else { 25 };
    for (name, size, limit) in SIZES {
        let request = review::of(size);
        for connections in CONNECTIONS {
            interrupt::check()?;
            eprintln!("xtask: {name}, {connections} connections");
            let row = lab.row(&request, connections, rounds)?;
            println!("| {name} | {connections} | {} |", row.show(limit));
        }
    }
    println!();
    for (name, size, limit) in [("14 KB", 14 << 10, 16), ("300 KB", 300 << 10, 64)] {
        let request = review::of(size);
        let peak = |server: &Server| {
            server.client.open(64)?.load(&request, 64 * 20)?;
            memory(server.child.id())
        };
        let ours = peak(&lab.ours()?)?;
        let echo = peak(&lab.echo(2048)?)?;
        println!(
            "peak memory at 64 x {name}: {ours:.1} MB, at most {limit}; the echo {echo:.1} MB"
        );
    }
    let request = review::of(4 << 10);
    let first = |lab: &dyn Fn() -> Result<Server>| {
        let mut times = Vec::new();
        for _ in 0..21 {
            let began = Instant::now();
            let server = lab()?;
            server.client.open(1)?.load(&request, 1)?;
            times.push(began.elapsed().as_secs_f64() * 1e3);
        }
        Ok::<_, anyhow::Error>(median(&mut times))
    };
    let (ours, echo) = (first(&|| lab.ours())?, first(&|| lab.echo(2048))?);
    println!("first answer over TLS after exec: {ours:.1} ms, at most 30; the echo {echo:.1} ms");
    Ok(ExitCode::SUCCESS)
}

/// What is measured, and where its certificates are.
struct Lab {
    /// Ours, and the echo.
    programs: [PathBuf; 2],
    folder: PathBuf,
}

/// Medians of all rounds.
struct Row {
    /// Microseconds of a processor per request: ours, and the echo's.
    micros: [f64; 2],
    /// Ours by the echo's: processor, and the two percentiles of the latency.
    ratios: [f64; 3],
}

impl Row {
    fn show(&self, limit: f64) -> String {
        let [ours, echo] = self.micros;
        let [cpu, p50, p99] = self.ratios;
        format!("{ours:.0} us | {echo:.0} us | {cpu:.2} | {limit} | {p50:.2} | {p99:.2}")
    }
}

impl Lab {
    fn ours(&self) -> Result<Server> {
        Server::diyadm(&self.programs[0], &self.folder)
    }

    fn echo(&self, answer: usize) -> Result<Server> {
        let mut command = Command::new(&self.programs[1]);
        command.arg(self.folder.join("server.crt")).arg(self.folder.join("server.key"));
        let rest = |address: SocketAddr| [address.to_string(), answer.to_string()].into();
        Server::start(command, rest, &self.folder)
    }

    /// Rounds of ours and the echo by turns, each first in every second one.
    fn row(&self, request: &[u8], connections: usize, rounds: usize) -> Result<Row> {
        let ours = self.ours()?;
        let mut to_ours = ours.client.open(connections)?;
        let echo = self.echo(to_ours.load(request, connections)?.answer)?;
        let mut to_echo = echo.client.open(connections)?;
        // About the same time for every row.
        let requests = (connections * 20).max(12_000_000 / (request.len() + 20_000));
        let (mut micros, mut ratios) = ([vec![], vec![]], [vec![], vec![], vec![]]);
        for round in 0..=rounds {
            interrupt::check()?;
            let mut seen = [[0.0; 3]; 2];
            for turn in [round % 2, 1 - round % 2] {
                let (server, open) =
                    if turn == 0 { (&ours, &mut to_ours) } else { (&echo, &mut to_echo) };
                seen[turn] = server.round(open, request, requests)?;
            }
            let [ours, echo] = seen;
            // The first one warms up.
            if round > 0 {
                micros[0].push(ours[0]);
                micros[1].push(echo[0]);
                ratios.iter_mut().enumerate().for_each(|(n, all)| all.push(ours[n] / echo[n]));
            }
        }
        Ok(Row {
            micros: micros.each_mut().map(|all| median(all)),
            ratios: ratios.each_mut().map(|all| median(all)),
        })
    }
}

/// Builds diyadm as it is given to people, and what is named besides; returns the folder that it is in.
fn release(more: &[&str]) -> Result<PathBuf> {
    let target = Profile::Dist.target()?;
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--profile", "dist", "--bin", "diyadm"]).args(more);
    cargo.env("CARGO_TARGET_DIR", &target).current_dir(paths::root());
    ensure!(cargo.status()?.success(), "the build failed");
    Ok(target.join("dist"))
}

/// Certificates for a server under measurement.
fn make_certificates(program: &Path, folder: &Path) -> Result<()> {
    let made = Command::new(program)
        .args(["init", "--force", "--out"])
        .arg(folder)
        .stderr(Stdio::null())
        .current_dir(folder)
        .status()?;
    ensure!(made.success(), "the certificates were not made");
    Ok(())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

impl Server {
    /// `diyadm serve` with one worker and the certificates of `folder`.
    fn diyadm(program: &Path, folder: &Path) -> Result<Self> {
        let mut command = Command::new(program);
        command
            .args(["serve", "--workers", "1", "--health-listen", "127.0.0.1:0", "--cert"])
            .arg(folder.join("server.crt"))
            .arg("--key")
            .arg(folder.join("server.key"))
            .arg("--listen");
        Self::start(command, |address| [address.to_string()].into(), folder)
    }

    /// `command` with what `rest` makes of the address it listens at, on a processor of its own;
    /// the client's threads have the other.
    fn start(
        mut command: Command,
        rest: impl FnOnce(SocketAddr) -> Vec<String>,
        folder: &Path,
    ) -> Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let client = Client::new(folder, address)?;
        // As in a Pod, where the log goes to a file of the node.
        let log = fs::File::create(folder.join("log"))?;
        command.args(rest(address)).stderr(log).stdout(Stdio::null());
        // What is started inherits it.
        pin(0)?;
        let child = command.spawn();
        pin(1)?;
        let mut server = Self { child: child?, client };
        for _ in 0..10_000 {
            if TcpStream::connect(address).is_ok() {
                return Ok(server);
            }
            ensure!(server.child.try_wait()?.is_none(), "a server ended at once");
            thread::sleep(Duration::from_micros(200));
        }
        bail!("a server did not start")
    }

    /// Microseconds of a processor per request, then p50 and p99 of the latency in seconds.
    fn round(&self, open: &mut Open, request: &[u8], requests: usize) -> Result<[f64; 3]> {
        let before = cpu_nanos(self.child.id())?;
        let seen = open.load(request, requests)?;
        let spent = (cpu_nanos(self.child.id())? - before) / 1e3;
        #[expect(clippy::cast_precision_loss, reason = "thousands of requests")]
        let spent = spent / seen.requests as f64;
        Ok([spent, seen.p50, seen.p99])
    }
}

fn pin(core: usize) -> Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores)
        .context("two processors are needed: one for the server, one for the client")
}

/// Time on a processor of all threads, nanoseconds: the first figure of schedstat.
fn cpu_nanos(process: u32) -> Result<f64> {
    let mut sum = 0.0;
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        let text = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
        let first = text.split(' ').next().unwrap_or_default();
        sum += first.parse::<f64>().unwrap_or_default();
    }
    Ok(sum)
}

/// Peak resident memory, MB.
fn memory(process: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).context("no VmHWM")?;
    let kb: f64 = line.split_whitespace().nth(1).context("no VmHWM")?.parse()?;
    Ok(kb / 1024.0)
}
