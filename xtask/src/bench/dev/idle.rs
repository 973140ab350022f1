//! What it costs to do nothing: a folder that is watched, an agent that rests.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::lab::{Lab, POD, RESTING};
use crate::interrupt;

/// In the folder that is watched.
pub(super) const FILES: usize = 20_000;
/// How long nothing is done.
pub(super) const SECONDS: u64 = 10;

/// Of an agent.
pub(super) struct Resting {
    /// MB resident.
    pub(super) rss: f64,
    /// MB of them that are not the program's file.
    pub(super) own: f64,
    /// How often it was given a processor.
    pub(super) switches: u64,
}

/// How much of a core `diyadm sync --watch` takes while nothing changes, in percent.
pub(super) fn watching(lab: &Lab) -> Result<f64> {
    let tree = lab.folder.join("tree");
    for at in 0..FILES {
        let folder = tree.join(format!("{}", at / 200));
        if at % 200 == 0 {
            fs::create_dir_all(&folder)?;
        }
        fs::write(folder.join(format!("{at}.txt")), format!("file {at}\n"))?;
    }
    let to = format!("{POD}:/data/tree");
    let mut command =
        lab.diyadm(&lab.kubeconfig, &["sync", "--watch", &tree.display().to_string(), &to]);
    let mut child = command.stderr(Stdio::piped()).spawn()?;
    let said = BufReader::new(child.stderr.take().context("no output")?);
    let watched = (|| {
        // It says so when all of them are there.
        let done =
            said.lines().map_while(Result::ok).any(|line| line.contains(&format!("{FILES} files")));
        ensure!(done, "`diyadm sync --watch` ended");
        rest(3)?;
        let (before, began) = (cpu(child.id())?, Instant::now());
        rest(SECONDS)?;
        let spent = cpu(child.id())? - before;
        ensure!(child.try_wait()?.is_none(), "`diyadm sync --watch` ended");
        Ok(spent / began.elapsed().as_secs_f64() * 100.0)
    })();
    child.kill()?;
    child.wait()?;
    watched
}

/// The agent that nobody speaks to.
pub(super) fn resting(lab: &Lab) -> Result<Resting> {
    let look = || lab.inside(RESTING, "cat /proc/1/status");
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
fn cpu(process: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let after = stat.rsplit_once(')').context("no name in stat")?.1;
    // Fields 14 and 15 of proc(5), which counts from 1 and the process id; USER_HZ is 100.
    let fields = after.split_whitespace().skip(11).take(2);
    Ok(fields.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0)
}

fn rest(seconds: u64) -> Result<()> {
    for _ in 0..seconds * 10 {
        interrupt::check()?;
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
