//! What a process costs while nothing happens.

use std::{fs, thread, time::Duration};

use anyhow::{Context, Result};

use crate::interrupt;

/// How long nothing is done.
pub(super) const SECONDS: u64 = 10;

/// A process that rests.
pub(super) struct Resting {
    /// MB resident.
    pub(super) rss: f64,
    /// MB of them that are not the program's file.
    pub(super) own: f64,
    /// How often it was given a processor.
    pub(super) switches: u64,
}

/// Reads `/proc/PID/status` twice, by `look`.
pub(super) fn resting(look: impl Fn() -> Result<String>) -> Result<Resting> {
    let field = |status: &str, name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        value.with_context(|| format!("no {name}"))
    };
    let switches = |status: &str| {
        Ok::<_, anyhow::Error>(
            field(status, "voluntary_ctxt_switches")?
                + field(status, "nonvoluntary_ctxt_switches")?,
        )
    };
    let before = look()?;
    rest(SECONDS)?;
    let after = look()?;
    #[expect(clippy::cast_precision_loss, reason = "kilobytes")]
    let mb = |kb: u64| kb as f64 / 1024.0;
    Ok(Resting {
        rss: mb(field(&after, "VmRSS")?),
        own: mb(field(&after, "RssAnon")?),
        switches: switches(&after)? - switches(&before)?,
    })
}

/// Seconds on a processor, of threads that have ended too.
pub(super) fn cpu(process: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let after = stat.rsplit_once(')').context("no name in stat")?.1;
    // Fields 14 and 15 of proc(5), which counts from 1 and the process id; USER_HZ is 100.
    let fields = after.split_whitespace().skip(11).take(2);
    Ok(fields.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0)
}

/// Does nothing for so long, unless it is interrupted.
pub(super) fn rest(seconds: u64) -> Result<()> {
    for _ in 0..seconds * 10 {
        interrupt::check()?;
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
