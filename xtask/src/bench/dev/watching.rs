//! What it costs to watch a folder in which nothing changes.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::Stdio,
    time::Instant,
};

use anyhow::{Context, Result, ensure};

use super::lab::{Lab, POD};
use crate::bench::idle::{SECONDS, cpu, rest};

/// In the folder that is watched.
pub(super) const FILES: usize = 20_000;

/// How much of a core `diyadm sync --watch` takes while nothing changes, in percent.
pub(super) fn watching(lab: &Lab) -> Result<f64> {
    let tree = lab.node.folder.join("tree");
    for at in 0..FILES {
        let folder = tree.join(format!("{}", at / 200));
        if at % 200 == 0 {
            fs::create_dir_all(&folder)?;
        }
        fs::write(folder.join(format!("{at}.txt")), format!("file {at}\n"))?;
    }
    let to = format!("{POD}:/data/tree");
    let mut command = lab
        .node
        .diyadm(&lab.node.kubeconfig, &["sync", "--watch", &tree.display().to_string(), &to]);
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
