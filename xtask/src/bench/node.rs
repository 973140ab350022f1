//! A cluster with a node, on which a benchmark runs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::Result;

use crate::{
    cluster::{self, Cluster, Kind, Life, Taint},
    image::Profile,
    process,
};

/// The cluster. Ends when dropped.
pub(super) struct Node {
    _servers: Cluster,
    /// For the files of the benchmark.
    pub(super) folder: PathBuf,
    pub(super) kubeconfig: PathBuf,
    pub(super) kubectl: PathBuf,
    /// diyadm
    program: PathBuf,
}

impl Node {
    /// Starts it in `folder`, waits until the node is ready, and gives it the images.
    pub(super) fn start(
        folder: &Path,
        program: PathBuf,
        images: &[&str],
        profile: Profile,
    ) -> Result<Self> {
        let place = folder.join("cluster");
        let servers = Cluster::start(&place, Kind::Node(Taint::None), Life::Held)?;
        let node = Self {
            folder: folder.to_owned(),
            kubeconfig: servers.kubeconfig(),
            kubectl: cluster::kubectl()?,
            program,
            _servers: servers,
        };
        for until in ["--for=create", "--for=condition=Ready"] {
            node.kubectl(&["wait", "node/rig", "--timeout=120s", until])?;
        }
        cluster::load(&place, images, profile)?;
        Ok(node)
    }

    /// What kubectl prints.
    pub(super) fn kubectl(&self, args: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.kubectl);
        process::output(command.arg("--kubeconfig").arg(&self.kubeconfig).args(args))
    }

    /// diyadm on this cluster, by one of its kubeconfigs.
    pub(super) fn diyadm(&self, kubeconfig: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--kubeconfig").arg(kubeconfig).args(args);
        command.env("HOME", &self.folder).stdin(Stdio::null());
        command
    }

    /// Creates an object.
    pub(super) fn create(&self, object: &serde_json::Value) -> Result<()> {
        let file = self.folder.join("object.json");
        fs::write(&file, object.to_string())?;
        self.kubectl(&["create", "-f", &file.display().to_string()]).map(drop)
    }
}
