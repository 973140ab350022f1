//! A developer's application takes the place of a stand-in, and gives it back.
//!
//! Every process leaves a file when it starts and when it stops. The files' times are those of the
//! machine's clock, so that nothing is measured by way of a connection.

use std::{
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{Node, diyadm};
use crate::{
    bench::{
        idle::{Resting, resting},
        median,
    },
    interrupt, process,
};

const NAMESPACE: &str = "switch";
/// Longer than any switch that is worth measuring.
const LONGEST: Duration = Duration::from_secs(60);

/// Medians in seconds.
pub(super) struct Switched {
    /// From the command to the developer's application.
    pub(super) there: f64,
    /// From the end of the stand-in on.
    pub(super) there_inside: f64,
    /// From the command to the stand-in.
    pub(super) back: f64,
    /// From the end of the developer's application on.
    pub(super) back_inside: f64,
    /// The same where it ends by itself.
    pub(super) ended: f64,
    /// PID 1 while the stand-in runs.
    pub(super) alone: Resting,
    /// PID 1 while the developer's application runs.
    pub(super) leased: Resting,
}

/// A shell that leaves `NAME-started`, `NAME-asked` when it is to stop and `NAME-ended`.
fn program(name: &str, then: &str) -> String {
    // The `wait` ends with the signal, and `sleep` with its process group.
    format!(
        "cd /tmp; trap 'touch {name}-asked; touch {name}-ended; exit 0' TERM; touch \
         {name}-started; {then}; touch {name}-ended"
    )
}

pub(super) fn measure(node: &Node, rounds: usize) -> Result<Switched> {
    node.kubectl(&["create", "namespace", NAMESPACE])?;
    let stays = "sleep 86400 & wait";
    node.create(&json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "shop", "namespace": NAMESPACE },
        "spec": {
            "selector": { "matchLabels": { "app": "shop" } },
            "template": {
                "metadata": { "labels": { "app": "shop" } },
                "spec": { "containers": [{
                    "name": "app", "image": "busybox:rig", "imagePullPolicy": "IfNotPresent",
                    "command": ["sh", "-c"], "args": [program("own", stays)],
                    // One without a request comes after everything else on the machine.
                    "resources": { "requests": { "cpu": "500m" } },
                }] },
            },
        },
    }))?;
    let place = Place { node };
    node.kubectl(&["-n", NAMESPACE, "rollout", "status", "deploy/shop", "--timeout=120s"])?;
    place.run(&["empty", "deploy/shop", "--stand-in"])?;
    place.wait("own-started")?;
    let alone = place.resting()?;
    let (mut there, mut back, mut ended) = ([vec![], vec![]], [vec![], vec![]], vec![]);
    let mut leased = None;
    // The first round warms up.
    for round in 0..=rounds {
        interrupt::check()?;
        let began = place.start(&program("new", stays))?;
        let started = place.wait("new-started")?;
        let stop = place.time("own-ended")? - place.time("own-asked")?;
        let seen = [started - began - stop, started - place.time("own-ended")?];
        if leased.is_none() {
            leased = Some(place.resting()?);
        }
        let began = place.clear()?;
        place.run(&["stop", "deploy/shop"])?;
        let started = place.wait("own-started")?;
        let stop = place.time("new-ended")? - place.time("new-asked")?;
        let seen_back = [started - began - stop, started - place.time("new-ended")?];
        place.start(&program("new", "sleep 1"))?;
        place.wait("new-started")?;
        let started = place.wait("own-started")?;
        let seen_end = started - place.time("new-ended")?;
        eprintln!("xtask: there {seen:.3?} s, back {seen_back:.3?} s, by itself {seen_end:.3} s");
        if round > 0 {
            there.iter_mut().zip(seen).for_each(|(all, one)| all.push(one));
            back.iter_mut().zip(seen_back).for_each(|(all, one)| all.push(one));
            ended.push(seen_end);
        }
    }
    let [there, there_inside] = there.each_mut().map(|all| median(all));
    let [back, back_inside] = back.each_mut().map(|all| median(all));
    Ok(Switched {
        there,
        there_inside,
        back,
        back_inside,
        ended: median(&mut ended),
        alone,
        leased: leased.context("no round")?,
    })
}

/// The container.
struct Place<'a> {
    node: &'a Node,
}

impl Place<'_> {
    fn run(&self, args: &[&str]) -> Result<()> {
        process::output(&mut diyadm(self.node, NAMESPACE, args)).map(drop)
    }

    fn inside(&self, words: &[&str]) -> Result<String> {
        let exec = ["-n", NAMESPACE, "exec", "deploy/shop", "-c", "app", "--"];
        self.node.kubectl(&[&exec[..], words].concat())
    }

    /// Removes the files; returns the time after that.
    fn clear(&self) -> Result<f64> {
        self.inside(&["sh", "-c", "rm -f /tmp/*-started /tmp/*-asked /tmp/*-ended"])?;
        Ok(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs_f64())
    }

    /// Starts the developer's application; returns when this began.
    fn start(&self, script: &str) -> Result<f64> {
        let began = self.clear()?;
        let run = ["run", "deploy/shop", "--detach", "--replace", "--", "sh", "-c", script];
        self.run(&run)?;
        Ok(began)
    }

    /// When this file was written; an error where it is not there.
    fn time(&self, file: &str) -> Result<f64> {
        // 2026-11-30 21:21:04.123456789 +0000
        let text = self.inside(&["stat", "-c", "%Y %y", &format!("/tmp/{file}")])?;
        let (seconds, rest) = text.split_once(' ').context("no time")?;
        let fraction = rest.split_once('.').and_then(|(_, rest)| rest.split(' ').next());
        let fraction = fraction.with_context(|| format!("whole seconds: {text}"))?;
        Ok(format!("{seconds}.{fraction}").trim().parse()?)
    }

    fn wait(&self, file: &str) -> Result<f64> {
        let began = Instant::now();
        loop {
            interrupt::check()?;
            if let Ok(time) = self.time(file) {
                return Ok(time);
            }
            ensure!(began.elapsed() < LONGEST, "there is no {file} in the container");
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn resting(&self) -> Result<Resting> {
        // The connection of the command before has ended then.
        thread::sleep(Duration::from_secs(2));
        resting(|| self.inside(&["cat", "/proc/1/status"]))
    }
}
