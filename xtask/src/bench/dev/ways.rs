//! The ways to bring a file into a container.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, ensure};

use super::lab::{Lab, POD, TARGET};

pub(super) const OURS: &str = "`diyadm sync`";
pub(super) const CP: &str = "`kubectl cp`";

/// One of them.
pub(super) struct Way {
    pub(super) name: &'static str,
    /// The file, the kubeconfig.
    command: fn(&Lab, &Path, &Path) -> Command,
}

impl Way {
    /// Copies; how many seconds that took.
    pub(super) fn copy(&self, lab: &Lab, file: &Path, kubeconfig: &Path) -> Result<f64> {
        let mut command = (self.command)(lab, file, kubeconfig);
        command.stdin(Stdio::null());
        let began = Instant::now();
        let output = command.output()?;
        let seconds = began.elapsed().as_secs_f64();
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {said}", self.name);
        Ok(seconds)
    }
}

/// Select all that this machine has.
pub(super) fn ways(lab: &Lab) -> Result<Vec<Way>> {
    let mut ways = vec![
        Way {
            name: OURS,
            command: |lab, file, kubeconfig| {
                let to = format!("{POD}:{TARGET}");
                lab.node.diyadm(kubeconfig, &["sync", &file.display().to_string(), &to])
            },
        },
        Way {
            name: CP,
            command: |lab, file, kubeconfig| {
                let mut command = kubectl(lab, kubeconfig);
                command.arg("cp").arg(file).arg(format!("{POD}:{TARGET}"));
                command
            },
        },
        Way {
            name: "`tar \\| kubectl exec`",
            command: |lab, file, kubeconfig| {
                // The shell stands for one that somebody types this in.
                let mut command = Command::new("sh");
                let script = "tar -C \"$1\" -cf - app.jar | \"$2\" --kubeconfig \"$3\" exec -i \
                              \"$4\" -- tar -C /data -xf -";
                command.args(["-c", script, "sh"]).arg(file.parent().unwrap_or(file));
                command.arg(&lab.node.kubectl).arg(kubeconfig).arg(POD);
                command
            },
        },
    ];
    if lab.rsync.is_empty() {
        return Ok(ways);
    }
    // rsync gives a host's name first, and it takes one word: where it goes is in a script.
    let script = lab.node.folder.join("rsh.sh");
    let text = "#!/bin/sh\nshift\nexec \"$BENCH_KUBECTL\" --kubeconfig \"$BENCH_KUBECONFIG\" exec \
                -i \"$BENCH_POD\" -- \"$@\"\n";
    fs::write(&script, text)?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).context("rsh.sh")?;
    ways.push(Way {
        name: "`rsync` over `kubectl exec`",
        command: |lab, file, kubeconfig| rsync(lab, file, kubeconfig, "--times"),
    });
    ways.push(Way {
        name: "`rsync -z` over `kubectl exec`",
        command: |lab, file, kubeconfig| rsync(lab, file, kubeconfig, "--compress"),
    });
    Ok(ways)
}

fn kubectl(lab: &Lab, kubeconfig: &Path) -> Command {
    let mut command = Command::new(&lab.node.kubectl);
    command.arg("--kubeconfig").arg(kubeconfig);
    command
}

fn rsync(lab: &Lab, file: &Path, kubeconfig: &Path, flag: &str) -> Command {
    let mut command = Command::new("rsync");
    command.args(["--times", flag, "-e"]).arg(lab.node.folder.join("rsh.sh"));
    command.arg(file).arg(format!("pod:{TARGET}"));
    command.env("BENCH_KUBECTL", &lab.node.kubectl).env("BENCH_KUBECONFIG", kubeconfig);
    command.env("BENCH_POD", POD);
    command
}
