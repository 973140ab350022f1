//! Which programs make the cluster, and where they are found.
//!
//! In this order: `$KUBEBUILDER_ASSETS`, `PATH`, the cache folder; what none of them has is made by
//! [`obtain`]. Never takes a Kubernetes program of another minor version.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use super::{Version, node_possible, obtain};
use crate::{image::libraries, interrupt, paths};

/// The major version whose flags choose between its two ways to update.
const HELM: &str = "v4.";

/// Paths of the control plane's programs.
pub(super) struct Binaries {
    pub(super) etcd: PathBuf,
    pub(super) apiserver: PathBuf,
    pub(super) controller_manager: PathBuf,
    pub(super) kubectl: PathBuf,
}

impl Binaries {
    /// Finds all four; downloads or builds those that are missing. The servers are of `version`,
    /// kubectl is of the one that everything is tested on.
    pub(super) fn find_or_make(version: Version) -> Result<Self> {
        Ok(Self {
            etcd: find_or_make("etcd")?,
            apiserver: find_or_make_of("kube-apiserver", version)?,
            controller_manager: find_or_make_of("kube-controller-manager", version)?,
            kubectl: kubectl()?,
        })
    }

    /// What may run inside a node.
    pub(super) fn inside(&self) -> [&Path; 2] {
        [&self.etcd, &self.controller_manager]
    }
}

/// Paths of what a node takes beyond that.
pub(super) struct NodePrograms {
    pub(super) scheduler: PathBuf,
    pub(super) kubelet: PathBuf,
    pub(super) containerd: PathBuf,
    pub(super) ctr: PathBuf,
    pub(super) shim: PathBuf,
    pub(super) runc: PathBuf,
    /// The others are beside it.
    pub(super) cni_bridge: PathBuf,
}

impl NodePrograms {
    /// Finds all; downloads or builds those that are missing.
    pub(super) fn find_or_make() -> Result<Self> {
        for plugin in ["cni/host-local", "cni/loopback"] {
            find_or_make(plugin)?;
        }
        Ok(Self {
            scheduler: find_or_make("kube-scheduler")?,
            kubelet: find_or_make("kubelet")?,
            containerd: find_or_make("containerd")?,
            ctr: find_or_make("ctr")?,
            shim: find_or_make("containerd-shim-runc-v2")?,
            runc: find_or_make("runc")?,
            cni_bridge: find_or_make("cni/bridge")?,
        })
    }

    /// What may run inside a node.
    pub(super) fn inside(&self) -> Vec<&Path> {
        let Self { scheduler, kubelet, containerd, ctr, shim, runc, cni_bridge } = self;
        vec![scheduler, kubelet, containerd, ctr, shim, runc, cni_bridge]
    }
}

/// Finds the programs of a whole test run, or makes them, so that no test waits for a compiler.
/// Helm may be missing: its tests are skipped then.
pub(crate) fn make_programs() -> Result<()> {
    Binaries::find_or_make(Version::TESTED)?;
    if node_possible().is_ok() {
        NodePrograms::find_or_make()?;
        busybox()?;
    }
    if let Err(error) = helm() {
        interrupt::check()?;
        eprintln!("xtask: there is no helm: {error:#}");
    }
    Ok(())
}

/// A statically linked busybox: it runs in an image that has nothing else.
pub(crate) fn busybox() -> Result<PathBuf> {
    find_or_make("busybox")
}

/// The API server, which the image of a static Pod holds too.
pub(crate) fn apiserver() -> Result<PathBuf> {
    find_or_make("kube-apiserver")
}

/// kubectl of the tests' version.
pub(crate) fn kubectl() -> Result<PathBuf> {
    find_or_make("kubectl")
}

/// Helm, for the tests of its updates.
pub(crate) fn helm() -> Result<PathBuf> {
    find_or_make("helm")
}

/// A registry of images, for the tests of pulls with a password.
pub(crate) fn registry() -> Result<PathBuf> {
    find_or_make("docker-registry")
}

/// A program that files of a release are tried with: `zsh`, `fish` or `mandoc`.
pub(crate) fn reader(name: &str) -> Result<PathBuf> {
    find_or_make(name)
}

fn find_or_make(name: &str) -> Result<PathBuf> {
    find_or_make_of(name, Version::TESTED)
}

/// The server `name` of `version`, for a cluster without a node.
fn find_or_make_of(name: &str, version: Version) -> Result<PathBuf> {
    let bin = paths::cache()?.join(match version {
        Version::TESTED => "bin".to_owned(),
        other => format!("kubernetes-{other}"),
    });
    let find = || find(name, version, &bin);
    match find() {
        Some(found) => Ok(found),
        None => obtain::obtain(name, version, &bin, find),
    }
}

/// The API server that tests start a second time.
pub(crate) fn apiserver_of(version: Version) -> Result<PathBuf> {
    find_or_make_of("kube-apiserver", version)
}

fn find(name: &str, version: Version, bin: &Path) -> Option<PathBuf> {
    let assets = env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    assets
        .into_iter()
        .chain(env::split_paths(&path))
        // Where Debian has the network plugins.
        .chain([bin.to_owned(), PathBuf::from("/usr/lib")])
        .map(|folder| folder.join(name))
        .find(|program| program.is_file() && fits(name, version, program))
}

/// Kubernetes' programs must say that they are of `version`, helm that it is of [`HELM`]; of the
/// rest any will do.
fn fits(name: &str, version: Version, program: &Path) -> bool {
    let args: &[&str] = match name {
        "busybox" => return libraries(program).is_ok_and(|libraries| libraries.is_empty()),
        "kubectl" => &["version", "--client"],
        "helm" => &["version", "--template", "{{.Version}}"],
        _ if name.starts_with("kube") => &["--version"],
        _ => return true,
    };
    let said = Command::new(program).args(args).output();
    said.is_ok_and(|output| {
        let said = String::from_utf8_lossy(&output.stdout);
        if name == "helm" { said.starts_with(HELM) } else { version.is_of(&said) }
    })
}
