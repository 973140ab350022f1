//! From the moment a changed jar begins to travel until the application that is in it answers
//! `/health`, less what its start takes by itself.

use std::{path::PathBuf, time::Instant};

use anyhow::{Context, Result};

use super::{
    Copy,
    lab::{Lab, POD, TARGET},
    median,
    ways::Way,
};
use crate::interrupt;

/// Ends the application that runs, starts the one that is there now, and waits until it answers.
/// Prints from when to when that start took, in seconds since the machine's.
const START: &str = "\
    old=$(cat /tmp/pid 2>/dev/null); kill -9 $old 2>/dev/null\n\
    while test -n \"$old\" && kill -0 $old 2>/dev/null; do :; done\n\
    read before rest </proc/uptime\n\
    java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -jar \"$0\" >/tmp/log 2>&1 </dev/null &\n\
    echo $! >/tmp/pid\n\
    for at in $(seq 3000); do\n\
    if wget -q -O /dev/null http://127.0.0.1:9411/health 2>/dev/null; then\n\
    read after rest </proc/uptime; echo $before $after; exit\n\
    fi; sleep 0.02\n\
    done; cat /tmp/log; exit 1";

/// How long it takes by each way, in seconds: the medians of so many rounds after one that warms up.
pub(super) fn after_change(
    lab: &Lab,
    ways: &[Way],
    jars: &[PathBuf; 2],
    rounds: usize,
) -> Result<Vec<(&'static str, f64)>> {
    let mut times = vec![Vec::new(); ways.len()];
    for round in 0..=rounds {
        for (way, times) in ways.iter().zip(&mut times) {
            interrupt::check()?;
            lab.prepare(Copy::Again, &jars[0])?;
            let began = Instant::now();
            way.copy(lab, &jars[1], &lab.node.kubeconfig)?;
            let said = lab.node.kubectl(&["exec", POD, "--", "sh", "-c", START, TARGET])?;
            let all = began.elapsed().as_secs_f64();
            let own = own(&said).with_context(|| format!("it does not answer: {said}"))?;
            eprintln!("xtask: {} to /health {all:.2} s, {own:.2} s of it a start", way.name);
            // The first round warms up.
            if round > 0 {
                times.push(all - own);
            }
        }
    }
    Ok(ways.iter().zip(&mut times).map(|(way, times)| (way.name, median(times))).collect())
}

/// How many seconds the start took by itself.
fn own(said: &str) -> Option<f64> {
    let (before, after) = said.trim().split_once(' ')?;
    Some(after.parse::<f64>().ok()? - before.parse::<f64>().ok()?)
}
