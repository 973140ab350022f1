//! From the moment a file is saved until the program that reads it runs anew, by `diyadm dev`.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use super::{
    lab::{Lab, POD},
    median,
};
use crate::interrupt;

/// It says which version it is, and runs until it is told to end.
const PROGRAM: &str = "read -r version < /data/project/version\n\
                       echo \"started version $version\"\n\
                       trap 'exit 0' TERM\nwhile :; do sleep 1 & wait $!; done\n";

/// `diyadm dev` until it is dropped, and the versions that were started.
struct Dev {
    child: Child,
    lines: Receiver<String>,
}

impl Drop for Dev {
    fn drop(&mut self) {
        // It may have ended by itself: there is nothing left to do then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Dev {
    /// Waits until this version has said that it runs.
    fn started(&mut self, version: usize) -> Result<()> {
        let line = format!("started version {version}");
        loop {
            interrupt::check()?;
            let said = self.lines.recv_timeout(Duration::from_secs(60));
            if said.with_context(|| format!("{line:?} was never said"))?.contains(&line) {
                return Ok(());
            }
        }
    }
}

/// Seconds, the median of so many.
pub(super) fn save_to_start(lab: &Lab, times: usize) -> Result<f64> {
    let project = lab.node.folder.join("project");
    fs::create_dir_all(&project)?;
    let version = project.join("version");
    fs::write(&version, "0\n")?;
    fs::write(project.join("run.sh"), PROGRAM)?;
    let settings = format!(
        "workload: pod/{POD}\nsync:\n- from: .\n  to: /data/project\nrun:\n  command: [sh, /data/project/run.sh]\n"
    );
    fs::write(project.join("diyadm.yaml"), settings)?;
    let mut command = lab.node.diyadm(&lab.node.kubeconfig, &["dev", "--no-empty"]);
    command.current_dir(&project).stdout(Stdio::piped());
    command.stderr(fs::File::create(lab.node.folder.join("dev.log"))?);
    let mut child = command.spawn()?;
    let out = BufReader::new(child.stdout.take().context("no output")?);
    let (said, lines) = mpsc::channel();
    // Ends with the output, or with who listens.
    thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| said.send(line)));
    let mut dev = Dev { child, lines };
    dev.started(0)?;
    let mut seconds = Vec::new();
    for at in 1..=times {
        // As somebody who reads what it said before the next change.
        thread::sleep(Duration::from_secs(2));
        let began = Instant::now();
        fs::write(&version, format!("{at}\n"))?;
        dev.started(at)?;
        seconds.push(began.elapsed().as_secs_f64());
        eprintln!("xtask: restarted after {:.2} s", seconds[at - 1]);
    }
    Ok(median(&mut seconds))
}
