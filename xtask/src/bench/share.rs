//! `cargo xtask bench share`: what it costs to share a namespace. A developer's application takes
//! the place of a stand-in and gives it back on a real node, PID 1 rests with both, and `diyadm ui`
//! shows 1,000 Deployments.
//!
//! It brings up a node of its own.

use std::{
    fs,
    process::{Command, ExitCode},
};

use anyhow::{Result, bail};

use super::{idle::SECONDS, node::Node};
use crate::{
    image::{self, Profile},
    interrupt,
};

mod screen;
mod switch;

/// The targets.
const THERE: f64 = 0.3;
const BACK: f64 = 1.0;
const SUPERVISOR: f64 = 2.0;
const FIRST: f64 = 1.0;
const IDLE: f64 = 2.0;
const SCREEN: f64 = 60.0;

const WORKLOADS: usize = 1000;

pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let (mut rounds, mut profile) = (5, Profile::Dist);
    for arg in args {
        match arg.as_str() {
            "--quick" => rounds = 1,
            // The program that the tests run: built in seconds, and slower.
            "--dev" => profile = Profile::Dev,
            _ => bail!("`cargo xtask bench share [--quick] [--dev]` takes no other argument"),
        }
    }
    interrupt::watch()?;
    // Before the node is there: minutes of compiling would disturb it.
    let diyadm = match profile {
        Profile::Dist => super::release(&[])?.join("diyadm"),
        Profile::Dev => image::program("webhook", profile)?,
    };
    let folder = crate::paths::target().join("xtask-bench-share");
    fs::create_dir_all(&folder)?;
    let node = Node::start(&folder, diyadm, &["busybox", "agent"], profile)?;

    println!("| what | seen | target |");
    println!("| --- | --- | --- |");
    let switched = switch::measure(&node, rounds)?;
    println!(
        "| `diyadm run` until the developer's application runs, less the stand-in's own stop | \
         {:.2} s | at most {THERE} s |",
        switched.there
    );
    println!("| of that in the container | {:.3} s | |", switched.there_inside);
    println!(
        "| `diyadm stop` until the stand-in runs, less the application's own stop | {:.2} s | at \
         most {BACK} s |",
        switched.back
    );
    println!("| of that in the container | {:.3} s | |", switched.back_inside);
    println!(
        "| an application that ends by itself until the stand-in runs | {:.3} s | at most {BACK} \
         s |",
        switched.ended
    );
    for (with, resting) in [("the stand-in", switched.alone), ("a lease", switched.leased)] {
        println!("| PID 1 with {with} | {:.2} MB RSS | at most {SUPERVISOR} MB |", resting.rss);
        println!("| of that its own, not the program file's | {:.2} MB | |", resting.own);
        println!("| its wake-ups | {} in {SECONDS} s | none |", resting.switches);
    }
    let seen = screen::measure(&node, WORKLOADS, rounds)?;
    println!(
        "| `diyadm ui` of {WORKLOADS} Deployments until its rows are shown | {:.2} s | at most \
         {FIRST} s |",
        seen.first
    );
    println!("| of that on a processor | {:.2} s | |", seen.cpu);
    println!(
        "| its processor while nothing changes | {:.2} % of a core | at most {IDLE} % |",
        seen.idle
    );
    println!("| its memory then | {:.1} MB RSS | at most {SCREEN} MB |", seen.rss);
    println!("| its peak | {:.1} MB RSS | at most {SCREEN} MB |", seen.peak);
    println!();
    println!("Medians of {rounds}; load average {}.", load()?);
    Ok(ExitCode::SUCCESS)
}

/// The load averages of the machine.
fn load() -> Result<String> {
    let text = fs::read_to_string("/proc/loadavg")?;
    Ok(text.split(' ').take(3).collect::<Vec<_>>().join(" "))
}

/// A subcommand of diyadm, and its arguments.
fn diyadm(node: &Node, namespace: &str, args: &[&str]) -> Command {
    let words = [&[args[0], "-n", namespace], &args[1..]].concat();
    node.diyadm(&node.kubeconfig, &words)
}
