//! `cargo xtask bench serve`: the webhook's server against a bare echo, in one run.
//!
//! Both are release builds with one worker, pinned to one core; the client has the other. Rounds
//! alternate, so that a machine that grows slower does so for both; what is printed is the median
//! round's ratio. The server's CPU time per request (schedstat) is the steadiest figure.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use crate::{interrupt, paths};

mod client;
pub(crate) mod mutate;
mod review;

use client::{Client, Load};

const SIZES: [(&str, usize); 3] = [("4 KB", 4 << 10), ("14 KB", 14 << 10), ("300 KB", 300 << 10)];
const CONNECTIONS: [usize; 3] = [1, 16, 64];

/// A server under measurement; ended when dropped.
struct Server {
    child: Child,
    address: SocketAddr,
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
    let build = ["build", "--release", "--bin", "diyadm", "--example", "echo"];
    let built = Command::new(env!("CARGO")).args(build).current_dir(paths::root()).status()?;
    ensure!(built.success(), "the release build failed");
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or(paths::root().join("target"), PathBuf::from);
    let folder = target.join("xtask-bench");
    fs::create_dir_all(&folder)?;
    let programs = [target.join("release/diyadm"), target.join("release/examples/echo")];
    let made = Command::new(&programs[0])
        .args(["init", "--force", "--out"])
        .arg(&folder)
        .stderr(Stdio::null())
        .current_dir(&folder)
        .status()?;
    ensure!(made.success(), "the certificates were not made");
    // The client's threads inherit this.
    pin(std::process::id(), 1)?;

    println!("| Deployment | connections | CPU per request | ratio | p50 ratio | p99 ratio |");
    println!("| --- | --- | --- | --- | --- | --- |");
    let rounds = if quick { 3 } else { 7 };
    for (name, size) in SIZES {
        let request = review::of(size);
        for connections in CONNECTIONS {
            cell(&programs, &folder, &request, name, connections, rounds)?;
        }
    }
    println!();
    for (name, size, limit) in [("14 KB", 14 << 10, 16), ("300 KB", 300 << 10, 64)] {
        let server = start_ours(&programs[0], &folder)?;
        let client = Client::new(&folder, server.address)?;
        client.load(&review::of(size), Load { connections: 64, requests: 64 * 20 })?;
        let peak = memory(server.child.id())?;
        println!("peak memory at 64 x {name}: {peak:.1} MB (at most {limit})");
    }
    let mut first = Vec::new();
    for _ in 0..11 {
        let began = Instant::now();
        let server = start_ours(&programs[0], &folder)?;
        let client = Client::new(&folder, server.address)?;
        client.load(&review::of(4 << 10), Load { connections: 1, requests: 1 })?;
        first.push(began.elapsed().as_secs_f64() * 1e3);
    }
    println!("first answer over TLS after exec: {:.1} ms (at most 30)", median(&mut first));
    Ok(ExitCode::SUCCESS)
}

/// One row: rounds of ours and the echo by turns.
fn cell(
    programs: &[PathBuf; 2],
    folder: &Path,
    request: &[u8],
    name: &str,
    connections: usize,
    rounds: usize,
) -> Result<()> {
    eprintln!("xtask: {name}, {connections} connections");
    let ours = start_ours(&programs[0], folder)?;
    let client = Client::new(folder, ours.address)?;
    let answer = client.load(request, Load { connections: 1, requests: 1 })?.answer;
    let echo = start_echo(&programs[1], folder, answer)?;
    let bare = Client::new(folder, echo.address)?;
    // About the same time for every cell.
    let requests = (connections * 40).max(40_000_000 / (request.len() + 20_000));
    let load = Load { connections, requests };
    let (mut micros, mut cpu, mut p50, mut p99) = (vec![], vec![], vec![], vec![]);
    for round in 0..=rounds {
        interrupt::check()?;
        let mut sides = Vec::new();
        for (client, server) in [(&client, &ours), (&bare, &echo)] {
            let before = cpu_nanos(server.child.id())?;
            let seen = client.load(request, load)?;
            let spent = (cpu_nanos(server.child.id())? - before) / 1e3;
            #[expect(clippy::cast_precision_loss, reason = "thousands of requests")]
            let spent = spent / requests as f64;
            sides.push((spent, seen.p50, seen.p99));
        }
        // The first one warms up.
        if round > 0 {
            micros.push(sides[0].0);
            cpu.push(sides[0].0 / sides[1].0);
            p50.push(sides[0].1 / sides[1].1);
            p99.push(sides[0].2 / sides[1].2);
        }
    }
    println!(
        "| {name} | {connections} | {:.0} us | {:.2} | {:.2} | {:.2} |",
        median(&mut micros),
        median(&mut cpu),
        median(&mut p50),
        median(&mut p99)
    );
    Ok(())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn start_ours(program: &Path, folder: &Path) -> Result<Server> {
    let address = free()?;
    let mut command = pinned(program);
    command
        .args(["serve", "--workers", "1", "--health-listen", "127.0.0.1:0", "--cert"])
        .arg(folder.join("server.crt"))
        .arg("--key")
        .arg(folder.join("server.key"))
        .arg(format!("--listen={address}"));
    start(command, folder, address)
}

fn start_echo(program: &Path, folder: &Path, answer: usize) -> Result<Server> {
    let address = free()?;
    let mut command = pinned(program);
    command.arg(folder.join("server.crt")).arg(folder.join("server.key"));
    command.args([address.to_string(), answer.to_string()]);
    start(command, folder, address)
}

fn start(mut command: Command, folder: &Path, address: SocketAddr) -> Result<Server> {
    // As in a Pod, where the log goes to a file of the node.
    let log = fs::File::create(folder.join("log"))?;
    let child = command.stderr(log).stdout(Stdio::null()).spawn()?;
    let mut server = Server { child, address };
    for _ in 0..2000 {
        if std::net::TcpStream::connect(address).is_ok() {
            return Ok(server);
        }
        ensure!(server.child.try_wait()?.is_none(), "a server ended at once");
        thread::sleep(Duration::from_millis(1));
    }
    bail!("a server did not start")
}

/// A port that is free now.
fn free() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// `taskset` becomes the program, so that the process id stays.
fn pinned(program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(program);
    command
}

fn pin(process: u32, core: u32) -> Result<()> {
    let pinned = Command::new("taskset")
        .args(["-a", "-c", "-p", &core.to_string(), &process.to_string()])
        .stdout(Stdio::null())
        .status()
        .context("taskset (util-linux) is needed")?;
    ensure!(pinned.success(), "two processors are needed: one for the server, one for the client");
    Ok(())
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
