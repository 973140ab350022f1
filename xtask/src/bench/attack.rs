//! `cargo xtask bench attack`: a good client's latency during each attack on the webhook's server.
//!
//! The good client and the attackers have a network namespace each, as Pods do. Rounds with and
//! without the attack alternate, so that a machine that grows slower does so for both. The server
//! has one processor, all others the other one, where the good client goes first.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    process::{Command, ExitCode},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::{
    Server,
    client::{Client, Seen},
    median, memory, release, review,
};
use crate::{interrupt, process::output};

#[path = "../../../tests/it/serve/attacks.rs"]
mod attacks;

use attacks::{Attack, Peer};

/// Namespaces that attack at once.
const ATTACKERS: u32 = 3;
/// Connections that each of them holds.
const CONNECTIONS: usize = 300;
/// Reviews of a round, and the time between two of them: an API server that is not busy.
const REVIEWS: usize = 200;
const PAUSE: Duration = Duration::from_millis(5);
/// How many times its latency without the attack the good client may have.
const AT_MOST: f64 = 3.0;

pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let (mut quick, mut program) = (false, None);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--quick" => quick = true,
            "--program" => program = Some(args.next().context("--program FILE")?.into()),
            _ => bail!("`cargo xtask bench attack [--quick] [--program FILE]`"),
        }
    }
    interrupt::watch()?;
    let program: std::path::PathBuf = match program {
        Some(program) => program,
        None => release(&[])?.join("diyadm"),
    };
    let folder = std::env::temp_dir().join(format!("diyadm-attack-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let measured = measure(&program, &folder, if quick { 3 } else { 9 });
    fs::remove_dir_all(&folder)?;
    measured
}

fn measure(program: &std::path::Path, folder: &std::path::Path, rounds: usize) -> Result<ExitCode> {
    let mut is_within = true;
    let program = program.canonicalize().context("there is no such program")?;
    super::make_certificates(&program, folder)?;
    let nets = (0..=ATTACKERS).map(Net::new).collect::<Result<Vec<_>>>()?;
    let (good, attackers) = nets.split_first().context("there is a namespace")?;
    let small = review::of(4 << 10);
    // Its answer is larger than what the kernel keeps for a peer that does not read.
    let mut large: serde_json::Value = serde_json::from_slice(&small)?;
    large["request"]["object"]["spec"]["template"]["spec"]["containers"][0]["args"] =
        serde_json::json!(["x".repeat(180_000)]);
    let large = large.to_string().into_bytes();

    println!("| attack | p50 alone | p50 | p99 alone | p99 | p99, at most {AT_MOST} |");
    println!("| --- | --- | --- | --- | --- | --- |");
    let mut command = Command::new(&program);
    command.args(["serve", "--cert", "server.crt", "--key", "server.key"]).current_dir(folder);
    command.args(["--health-listen", "127.0.0.1:0", "--listen"]);
    let everywhere = |address: SocketAddr| vec![format!("0.0.0.0:{}", address.port())];
    let server = Server::start(command, everywhere, folder)?;
    let port = server.client.address.port();
    let client = Client::new(folder, SocketAddr::from((good.gateway, port)))?;
    for attack in Attack::ALL {
        let mut seen = [const { Vec::new() }; 4];
        for _ in 0..rounds {
            interrupt::check()?;
            let alone = good.inside(|| ask(&client, &small))?;
            let stop = AtomicBool::new(false);
            let attacked = thread::scope(|scope| {
                for net in attackers {
                    let (stop, large) = (&stop, &large);
                    let to = Peer { server: (net.gateway, port).into(), from: None };
                    scope.spawn(move || {
                        let entered = net.enter();
                        if entered.and_then(|()| yield_to_all_others()).is_ok() {
                            attack.run(to, CONNECTIONS, large, stop);
                        }
                    });
                }
                // Under way, as far as it comes.
                thread::sleep(Duration::from_secs(1));
                let asked = good.inside(|| ask(&client, &small));
                stop.store(true, Relaxed);
                asked
            })?;
            let figures = [alone.p50, attacked.p50, alone.p99, attacked.p99];
            seen.iter_mut().zip(figures).for_each(|(all, figure)| all.push(figure * 1e3));
        }
        let [p50, attacked_p50, p99, attacked_p99] = seen.each_mut().map(|all| median(all));
        println!(
            "| {attack:?} | {p50:.2} ms | {attacked_p50:.2} ms | {p99:.2} ms | \
             {attacked_p99:.2} ms | {:.2} |",
            attacked_p99 / p99
        );
        is_within &= attacked_p99 / p99 <= AT_MOST;
    }
    println!("\nPeak memory: {:.0} MB.", memory(server.child.id())?);
    Ok(if is_within { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Lets every other thread go first on the processor that this one shares with the good client. A low
/// priority is not enough: Linux lets a thread of any priority run to the next tick, up to 4 ms, while
/// one of `SCHED_IDLE` gives way at once.
fn yield_to_all_others() -> Result<()> {
    let thread = rustix::thread::gettid().as_raw_nonzero().to_string();
    output(Command::new("chrt").args(["--idle", "--pid", "0", &thread]))?;
    Ok(())
}

fn ask(client: &Client, review: &[u8]) -> Result<Seen> {
    client.open(1)?.load_paced(review, REVIEWS, PAUSE)
}

/// A network namespace with one address; gone when dropped.
struct Net {
    name: String,
    gateway: Ipv4Addr,
}

impl Net {
    fn new(number: u32) -> Result<Self> {
        let pid = std::process::id();
        let name = format!("diyadm-bench-{pid}-{number}");
        // 198.18.0.0/15 is kept free for benchmarks (RFC 2544); tests use it by other numbers.
        let base = u32::from(Ipv4Addr::new(198, 18, 255, 0)) + number * 4;
        let at = |n: u32| Ipv4Addr::from(base + n);
        let (link, gateway) = (format!("db{pid}-{number}"), at(1));
        ip(&["netns", "add", &name])?;
        let net = Self { name: name.clone(), gateway };
        ip(&["link", "add", &link, "type", "veth", "peer", "name", "eth0", "netns", &name])?;
        ip(&["addr", "add", &format!("{gateway}/30"), "dev", &link])?;
        ip(&["link", "set", &link, "up"])?;
        ip(&["-n", &name, "addr", "add", &format!("{}/30", at(2)), "dev", "eth0"])?;
        ip(&["-n", &name, "link", "set", "eth0", "up"])?;
        Ok(net)
    }

    /// Moves this thread into it.
    fn enter(&self) -> Result<()> {
        use std::os::fd::AsFd;
        let namespace = fs::File::open(format!("/run/netns/{}", self.name))?;
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
        Ok(())
    }

    /// Does `what` on a thread of its own in there.
    fn inside<T: Send>(&self, what: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                self.enter()?;
                what()
            });
            inside.join().map_err(|_| anyhow!("a client died"))?
        })
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        // Its interface goes with it, and the peer with that.
        let _ = ip(&["netns", "del", &self.name]);
    }
}

fn ip(args: &[&str]) -> Result<String> {
    output(Command::new("ip").args(args)).context("namespaces take root and iproute2")
}
