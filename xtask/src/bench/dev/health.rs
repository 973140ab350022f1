//! From the moment a changed jar begins to travel until the application that is in it answers
//! `/health`, less what its start takes by itself.

use std::time::Instant;

use anyhow::{Context, Result};

use super::{
    Copy,
    lab::{Lab, POD, TARGET},
    median,
    ways::Way,
};
use crate::interrupt;

/// Ends the application that runs, starts the one that is there now, and waits until it answers.
const START: &str = "\
    old=$(cat /tmp/pid 2>/dev/null); kill $old 2>/dev/null\n\
    while test -n \"$old\" && kill -0 $old 2>/dev/null; do sleep 0.02; done\n\
    java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -jar \"$0\" >/tmp/log 2>&1 </dev/null &\n\
    echo $! >/tmp/pid\n\
    for at in $(seq 3000); do\n\
    wget -q -O /dev/null http://127.0.0.1:9411/health && exit; sleep 0.02\n\
    done; cat /tmp/log; exit 1";

/// How long it takes by each way, in seconds: the medians of so many rounds after one that warms up.
pub(super) fn after_change(
    lab: &Lab,
    ways: &[Way],
    jars: &[std::path::PathBuf; 2],
    rounds: usize,
) -> Result<Vec<(&'static str, f64)>> {
    let mut own = Vec::new();
    let mut times = vec![Vec::new(); ways.len()];
    lab.prepare(Copy::Again, &jars[0])?;
    for round in 0..=rounds {
        let alone = start(lab)?;
        if round > 0 {
            own.push(alone);
        }
        for (way, times) in ways.iter().zip(&mut times) {
            interrupt::check()?;
            lab.prepare(Copy::Again, &jars[0])?;
            let began = Instant::now();
            way.copy(lab, &jars[1], &lab.kubeconfig)?;
            start(lab)?;
            let seconds = began.elapsed().as_secs_f64();
            eprintln!("xtask: {} and a start of its own {seconds:.2} s, {alone:.2} s", way.name);
            if round > 0 {
                times.push(seconds);
            }
        }
    }
    let own = median(&mut own);
    eprintln!("xtask: a start by itself {own:.2} s");
    Ok(ways.iter().zip(&mut times).map(|(way, times)| (way.name, median(times) - own)).collect())
}

/// How many seconds a start takes.
fn start(lab: &Lab) -> Result<f64> {
    let began = Instant::now();
    lab.kubectl(&["exec", POD, "--", "sh", "-c", START, TARGET])
        .context("the application does not answer")?;
    Ok(began.elapsed().as_secs_f64())
}
