//! `cargo xtask bench dev`: the developer's loop on a real node, beside the tools that people have.
//!
//! It brings up a node of its own. Times are taken straight, bytes in one more round through a
//! proxy on loopback that counts them, so that no way is slowed by the counting. Whatever a way
//! has copied is held against the original before it counts.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use anyhow::{Result, bail, ensure};

use super::{idle, median};
use crate::{image, interrupt, jar, process};

mod changed;
mod counter;
mod health;
mod lab;
mod restart;
mod watching;
mod ways;

use changed::Changed;
use counter::Counter;
use lab::Lab;
use ways::{Way, ways};

/// The targets for the developer's loop.
const FIRST: f64 = 0.8;
const AGAIN_BYTES: f64 = 0.02;
const AGAIN_FASTER: f64 = 10.0;
const RESTART: f64 = 1.0;
const WATCHING: f64 = 1.0;
const RESTING: f64 = 4.0;

/// Which of the two copies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Copy {
    /// Nothing is there.
    First,
    /// What is there differs in one class.
    Again,
}

/// One way's figures.
struct Row {
    name: &'static str,
    seconds: f64,
    /// Both ways, on the connection to the API server.
    bytes: u64,
}

pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let rounds = match args {
        [] => 3,
        [flag] if flag == "--quick" => 1,
        _ => bail!("`cargo xtask bench dev [--quick]` takes no other argument"),
    };
    interrupt::watch()?;
    let folder = crate::paths::target().join("xtask-bench-dev");
    fs::create_dir_all(&folder)?;
    // Before the node is there: minutes of compiling would disturb it.
    let program = image::program("webhook", image::Profile::Dist)?;
    image::program("agent", image::Profile::Dist)?;
    let changed = changed::change(&jar::zipkin()?, &folder)?;
    let lab = Lab::start(&folder, &program)?;
    let ways = ways(&lab)?;

    println!("# The developer's loop, beside the tools that people have\n");
    println!(
        "Made by `cargo xtask bench dev`: medians of {rounds}, on one machine with its node.\n"
    );
    println!("| what | by | seconds | bytes sent | of kubectl cp's time | reach |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for copy in [Copy::First, Copy::Again] {
        let mut rows = measure(&lab, &ways, copy, &changed.jars, rounds)?;
        if copy == Copy::Again {
            rows.push(apart(&lab, &changed)?);
        }
        print(copy, &rows, fs::metadata(&changed.jars[1])?.len());
    }
    println!();
    println!("| a changed jar until its application answers, less its own start, by | seconds |");
    println!("| --- | --- |");
    for (name, seconds) in health::after_change(&lab, &ways, &changed.jars, rounds)? {
        println!("| {name} | {seconds:.2} |");
    }
    println!();
    println!("| what | seen | reach |");
    println!("| --- | --- | --- |");
    let seconds = restart::save_to_start(&lab, rounds * 3)?;
    println!("| save to the process restarted | {seconds:.2} s | at most {RESTART} s |");
    let share = watching::watching(&lab)?;
    println!(
        "| `sync --watch` over {} idle files | {share:.2} % of a core in {} s | at most {WATCHING} % |",
        watching::FILES,
        idle::SECONDS,
    );
    let resting = idle::resting(|| lab.inside(lab::RESTING, "cat /proc/1/status"))?;
    println!("| the agent at rest | {:.1} MB RSS | at most {RESTING} MB |", resting.rss);
    println!("| of that its own, not the program file's | {:.1} MB | |", resting.own);
    println!("| its wake-ups | {} in {} s | none |", resting.switches, idle::SECONDS);
    Ok(ExitCode::SUCCESS)
}

/// Every way by turns, then once more through the proxy.
fn measure(
    lab: &Lab,
    ways: &[Way],
    copy: Copy,
    jars: &[PathBuf; 2],
    rounds: usize,
) -> Result<Vec<Row>> {
    let mut times = vec![Vec::new(); ways.len()];
    let once = |way: &Way, kubeconfig: &Path| {
        interrupt::check()?;
        lab.prepare(copy, &jars[0])?;
        let file = if copy == Copy::First { &jars[0] } else { &jars[1] };
        let seconds = way.copy(lab, file, kubeconfig)?;
        ensure!(lab.has(file)?, "{} left something else there", way.name);
        eprintln!("xtask: {} {seconds:.2} s", way.name);
        Ok::<_, anyhow::Error>(seconds)
    };
    for round in 0..=rounds {
        for (way, times) in ways.iter().zip(&mut times) {
            let seconds = once(way, &lab.node.kubeconfig)?;
            // The first round warms up.
            if round > 0 {
                times.push(seconds);
            }
        }
    }
    let mut rows = Vec::new();
    for (way, times) in ways.iter().zip(&mut times) {
        let counter = Counter::start(&lab.node.kubeconfig, &lab.node.folder)?;
        once(way, &counter.kubeconfig)?;
        rows.push(Row { name: way.name, seconds: median(times), bytes: counter.passed() });
    }
    Ok(rows)
}

/// What chunks of the entries of a jar would save over chunks of its bytes, at most: the same change
/// where each entry is a file of its own, and no deflated bytes have to be made again.
fn apart(lab: &Lab, changed: &Changed) -> Result<Row> {
    let sync = |kubeconfig: &Path| {
        let from = changed.content.display().to_string();
        let to = format!("{}:/data/apart", lab::POD);
        let began = Instant::now();
        process::output(&mut lab.node.diyadm(kubeconfig, &["sync", &from, &to]))?;
        Ok::<_, anyhow::Error>(began.elapsed().as_secs_f64())
    };
    changed.write(false)?;
    sync(&lab.node.kubeconfig)?;
    changed.write(true)?;
    let counter = Counter::start(&lab.node.kubeconfig, &lab.node.folder)?;
    let seconds = sync(&counter.kubeconfig)?;
    Ok(Row { name: "`diyadm sync` of the jar taken apart", seconds, bytes: counter.passed() })
}

fn print(copy: Copy, rows: &[Row], length: u64) {
    let theirs = rows.iter().find(|row| row.name == ways::CP).map_or(f64::NAN, |row| row.seconds);
    let what = if copy == Copy::First { "first copy" } else { "one class changed" };
    #[expect(clippy::cast_precision_loss, reason = "megabytes")]
    let share = |bytes: u64| bytes as f64 / length as f64;
    for row in rows {
        let reach = match (row.name == ways::OURS, copy) {
            (false, _) => String::new(),
            (true, Copy::First) => format!("at most {FIRST} of kubectl cp's time"),
            (true, Copy::Again) => format!(
                "at most {:.0} % of the bytes, {:.2} of kubectl cp's time",
                AGAIN_BYTES * 100.0,
                1.0 / AGAIN_FASTER
            ),
        };
        println!(
            "| {what} | {} | {:.2} | {} ({:.2} %) | {:.2} | {reach} |",
            row.name,
            row.seconds,
            row.bytes,
            share(row.bytes) * 100.0,
            row.seconds / theirs,
        );
    }
}
