//! The cluster, and the Pods in it that are measured.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use openssl::sha::sha256;
use serde_json::json;

use super::{super::node::Node, Copy};
use crate::image;

/// Where the jar goes.
pub(super) const TARGET: &str = "/data/app.jar";
const BEFORE: &str = "/before/app.jar";
/// The Pod that is copied to.
pub(super) const POD: &str = "work";
/// The Pod whose agent nobody speaks to.
pub(super) const RESTING: &str = "rest";

/// A cluster with a node and two Pods of the empty container. Ends when dropped.
pub(super) struct Lab {
    pub(super) node: Node,
    /// rsync and the libraries that it takes, seen in the Pod at the same paths; empty where there
    /// is none.
    pub(super) rsync: Vec<PathBuf>,
}

impl Lab {
    /// `program`: diyadm, as the image has it.
    pub(super) fn start(folder: &Path, program: &Path) -> Result<Self> {
        let images = ["empty-container", "jre"];
        let node = Node::start(folder, program.to_owned(), &images, image::Profile::Dist)?;
        let lab = Self { node, rsync: rsync()? };
        for name in [POD, RESTING] {
            lab.node.create(&lab.pod(name)?)?;
            let pod = format!("pod/{name}");
            lab.node.kubectl(&["wait", &pod, "--for=condition=Ready", "--timeout=120s"])?;
        }
        Ok(lab)
    }

    /// The one that is worked in has a JRE, and its agent as emptying with `--idle agent` brings it.
    fn pod(&self, name: &str) -> Result<serde_json::Value> {
        let mut mounts = vec![
            json!({ "name": "data", "mountPath": "/data" }),
            json!({ "name": "before", "mountPath": "/before" }),
        ];
        let mut volumes = vec![
            json!({ "name": "data", "emptyDir": {} }),
            json!({ "name": "before", "emptyDir": {} }),
        ];
        for (at, path) in self.rsync.iter().enumerate() {
            let name = format!("rsync-{at}");
            mounts.push(json!({ "name": name, "mountPath": path, "readOnly": true }));
            volumes.push(json!({ "name": name, "hostPath": { "path": path } }));
        }
        let mut container = json!({
            "name": name,
            "image": "empty-container:latest",
            "imagePullPolicy": "IfNotPresent",
            // One without a request comes after everything else on the machine.
            "resources": { "requests": { "cpu": "500m" } },
        });
        if name == POD {
            let agent = image::program("agent", image::Profile::Dist)?;
            let folder = agent.parent().context("the agent is in no folder")?;
            volumes.push(json!({ "name": "diyadm-agent", "hostPath": { "path": folder } }));
            let path = "/.diyadm";
            mounts.push(json!({ "name": "diyadm-agent", "mountPath": path, "readOnly": true }));
            container["image"] = "jre:rig".into();
            container["command"] = json!(["/.diyadm/diyadm-agent"]);
        }
        container["volumeMounts"] = mounts.into();
        Ok(json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": { "name": name },
            "spec": {
                "terminationGracePeriodSeconds": 1,
                "containers": [container],
                "volumes": volumes,
            },
        }))
    }

    /// What a script prints in a Pod.
    pub(super) fn inside(&self, pod: &str, script: &str) -> Result<String> {
        self.node.kubectl(&["exec", pod, "--", "sh", "-c", script])
    }

    /// Puts there what a copy begins with.
    pub(super) fn prepare(&self, copy: Copy, before: &Path) -> Result<()> {
        if copy == Copy::First {
            self.inside(POD, "rm -rf /data/* /data/.[!.]*; sync").map(drop)
        } else {
            // Once: later it is copied over there.
            if self.inside(POD, &format!("test -e {BEFORE}")).is_err() {
                let before = before.display().to_string();
                self.node.kubectl(&["cp", &before, &format!("{POD}:{BEFORE}")])?;
            }
            self.inside(POD, &format!("cp {BEFORE} {TARGET}; sync")).map(drop)
        }
    }

    /// Whether the file is there, whole.
    pub(super) fn has(&self, file: &Path) -> Result<bool> {
        let sum = sha256(&fs::read(file)?);
        let sum: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(self.inside(POD, &format!("sha256sum {TARGET}"))?.starts_with(&sum))
    }
}

/// rsync of this machine and its libraries, each at the path that is asked for.
fn rsync() -> Result<Vec<PathBuf>> {
    let found = Command::new("sh").args(["-c", "command -v rsync"]).output()?;
    let path = String::from_utf8(found.stdout).context("a path")?;
    if path.trim().is_empty() {
        eprintln!("xtask: there is no rsync here (Debian: rsync): it is left out");
        return Ok(Vec::new());
    }
    let program = PathBuf::from(path.trim());
    let mut all = image::libraries(&program)?;
    all.push(program);
    Ok(all)
}
