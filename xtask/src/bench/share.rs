//! `cargo xtask bench share`: what it costs to share a namespace. A developer's application takes
//! the place of a stand-in and gives it back on a real node, PID 1 rests with both, and `diyadm ui`
//! shows 1,000 Deployments.
//!
//! It brings up a node of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Result, bail};

use super::idle::SECONDS;
use crate::{
    cluster::{self, Cluster, Kind, Life, Taint},
    image::{self, Profile},
    interrupt, process,
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

/// A cluster with a node. Ends when dropped.
struct Lab {
    servers: Cluster,
    folder: PathBuf,
    kubectl: PathBuf,
    diyadm: PathBuf,
}

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
    let lab = Lab::start(&folder, diyadm, profile)?;

    println!("| what | seen | target |");
    println!("| --- | --- | --- |");
    let switched = switch::measure(&lab, rounds)?;
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
    let seen = screen::measure(&lab, WORKLOADS, rounds)?;
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

impl Lab {
    fn start(folder: &Path, diyadm: PathBuf, profile: Profile) -> Result<Self> {
        let place = folder.join("cluster");
        let servers = Cluster::start(&place, Kind::Node(Taint::None), Life::Held)?;
        let kubectl = cluster::kubectl()?;
        let lab = Self { servers, folder: folder.to_owned(), kubectl, diyadm };
        for until in ["--for=create", "--for=condition=Ready"] {
            lab.kubectl(&["wait", "node/rig", "--timeout=120s", until])?;
        }
        cluster::load(&place, &["busybox", "agent"], profile)?;
        Ok(lab)
    }

    /// What kubectl prints.
    fn kubectl(&self, args: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.kubectl);
        process::output(command.arg("--kubeconfig").arg(self.servers.kubeconfig()).args(args))
    }

    /// Creates an object.
    fn create(&self, object: &serde_json::Value) -> Result<()> {
        let file = self.folder.join("object.json");
        fs::write(&file, object.to_string())?;
        self.kubectl(&["create", "-f", &file.display().to_string()]).map(drop)
    }

    /// diyadm on this cluster: a subcommand, and its arguments.
    fn diyadm(&self, namespace: &str, args: &[&str]) -> Command {
        let mut command = Command::new(&self.diyadm);
        command.arg("--kubeconfig").arg(self.servers.kubeconfig());
        command.args([args[0], "-n", namespace]).args(&args[1..]);
        command.env("HOME", &self.folder).stdin(Stdio::null());
        command
    }
}
