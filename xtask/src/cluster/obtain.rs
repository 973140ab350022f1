//! Programs that the machine lacks: from Debian's packages, Kubernetes' own and Helm built with Go.
//!
//! All end up in the cache folder, once. Nothing is installed: a package is unpacked there, so no
//! service is started. Where Go and apt download from is their own configuration's business.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::process::aloud;

const KUBERNETES: &str = "v1.36.3";
/// It can do both: apply server-side, and, as Helm 3 does, merge on this side.
const HELM: &str = "v4.3.1";
/// What the staging modules of [`KUBERNETES`] are called when published by themselves.
const STAGING: &str = "v0.36.3";
/// `k8s.io/kubernetes` requires these at v0.0.0 and replaces them within itself, which counts for
/// nothing in a module that only requires it.
const STAGING_MODULES: [&str; 31] = [
    "api",
    "apiextensions-apiserver",
    "apimachinery",
    "apiserver",
    "cli-runtime",
    "client-go",
    "cloud-provider",
    "cluster-bootstrap",
    "code-generator",
    "component-base",
    "component-helpers",
    "controller-manager",
    "cri-api",
    "cri-client",
    "cri-streaming",
    "csi-translation-lib",
    "dynamic-resource-allocation",
    "endpointslice",
    "externaljwt",
    "kms",
    "kube-aggregator",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubectl",
    "kubelet",
    "metrics",
    "mount-utils",
    "pod-security-admission",
    "sample-apiserver",
    "streaming",
];
const PROGRAMS: [&str; 5] =
    ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kubelet"];
/// What Debian's packages are unpacked for: the package, and where in it the programs are.
const PACKAGES: [(&str, &[&str]); 5] = [
    ("etcd-server", &["usr/bin/etcd"]),
    ("containerd", &["usr/bin/containerd", "usr/bin/containerd-shim-runc-v2", "usr/bin/ctr"]),
    ("runc", &["usr/sbin/runc"]),
    (
        "containernetworking-plugins",
        &["usr/lib/cni/bridge", "usr/lib/cni/host-local", "usr/lib/cni/loopback"],
    ),
    ("busybox-static", &["bin/busybox"]),
];

/// Puts the program `name` into `bin` and returns its path. A second process waits for the first
/// and then takes what `find` sees.
pub(super) fn obtain(
    name: &str,
    bin: &Path,
    find: impl Fn() -> Option<PathBuf>,
) -> Result<PathBuf> {
    fs::create_dir_all(bin)?;
    let lock = File::create(bin.with_file_name("bin.lock"))?;
    lock.lock().context("cannot lock the cache folder")?;
    if let Some(found) = find() {
        return Ok(found);
    }
    let package = PACKAGES.iter().find(|(_, paths)| paths.iter().any(|path| called(path) == name));
    let made = match package {
        Some((package, paths)) => unpack(package, paths, bin),
        None if name == "helm" => build_helm(bin),
        None => build(name, bin),
    };
    made.with_context(|| {
        format!(
            "there is no {name} in $KUBEBUILDER_ASSETS, on PATH or in {}, and none could be made. \
             Name a folder that has it: export KUBEBUILDER_ASSETS=FOLDER",
            bin.display()
        )
    })?;
    find().with_context(|| format!("{name} was made, but is not of the version that tests need"))
}

/// What the program at `path` of a package is called here: its name, and for a network plugin,
/// whose name may be another program's too, its folder's before that.
fn called(path: &str) -> &str {
    path.strip_prefix("usr/lib/").or(path.rsplit('/').next()).unwrap_or(path)
}

fn unpack(package: &str, paths: &[&str], bin: &Path) -> Result<()> {
    let folder = bin.with_file_name(format!("build-{package}"));
    fs::create_dir_all(&folder)?;
    let what = format!("download {package}");
    let download = || {
        // Root's apt would else drop to a user who may not write here, and say so.
        let mut apt = Command::new("apt-get");
        apt.args(["-q", "-o", "APT::Sandbox::User=root", "download", package]);
        apt.current_dir(&folder);
        apt
    };
    if aloud(&what, &mut download()).is_err() {
        // A fresh image has no package lists; reading them is root's right.
        aloud("apt-get update", Command::new("apt-get").args(["-q", "update"]))?;
        aloud(&what, &mut download())?;
    }
    let file = fs::read_dir(&folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .context("apt-get left no package")?;
    let root = folder.join("root");
    let what = format!("unpack {package}");
    aloud(&what, Command::new("dpkg-deb").arg("-x").arg(file).arg(&root))?;
    for path in paths {
        let program = bin.join(called(path));
        fs::create_dir_all(program.parent().context("a program has no folder")?)?;
        fs::rename(root.join(path), program)?;
    }
    fs::remove_dir_all(folder)?;
    Ok(())
}

fn build(name: &str, bin: &Path) -> Result<()> {
    let folder = bin.with_file_name("build");
    fs::create_dir_all(&folder)?;
    // `go install …@version` refuses a module with replace lines; a module of our own does not.
    fs::write(folder.join("go.mod"), go_mod())?;
    fs::write(folder.join("imports.go"), imports())?;
    let go = || {
        let mut go = Command::new("go");
        go.current_dir(&folder).env("CGO_ENABLED", "0");
        go
    };
    aloud("go mod tidy", go().args(["mod", "tidy"]))?;
    let fresh = folder.join(name);
    let version = "k8s.io/component-base/version";
    let flags = format!(
        "-s -w -X {version}.gitVersion={KUBERNETES} -X {version}.gitMajor=1 \
         -X {version}.gitMinor=36"
    );
    let package = format!("k8s.io/kubernetes/cmd/{name}");
    aloud(
        &format!("build {name} {KUBERNETES} (once; minutes on a small machine)"),
        go().args(["build", "-ldflags", &flags, "-o"]).arg(&fresh).arg(package),
    )?;
    // Half a program must never be found.
    fs::rename(fresh, bin.join(name))?;
    Ok(())
}

fn build_helm(bin: &Path) -> Result<()> {
    let folder = bin.with_file_name("build-helm");
    fs::create_dir_all(&folder)?;
    let mut go = Command::new("go");
    go.current_dir(&folder).env("CGO_ENABLED", "0").env("GOBIN", &folder);
    let flags = format!("-s -w -X helm.sh/helm/v4/internal/version.version={HELM}");
    go.args(["install", "-ldflags", &flags, &format!("helm.sh/helm/v4/cmd/helm@{HELM}")]);
    aloud(&format!("build helm {HELM} (once; minutes on a small machine)"), &mut go)?;
    fs::rename(folder.join("helm"), bin.join("helm"))?;
    fs::remove_dir_all(folder)?;
    Ok(())
}

fn go_mod() -> String {
    let replace: String = STAGING_MODULES
        .iter()
        .map(|module| format!("\tk8s.io/{module} => k8s.io/{module} {STAGING}\n"))
        .collect();
    format!(
        "module diyadm.invalid/kubernetes\n\ngo 1.26.0\n\nrequire k8s.io/kubernetes {KUBERNETES}\n\n\
         replace (\n{replace})\n"
    )
}

/// A file that no build takes in, so that `go mod tidy` keeps what the programs need.
fn imports() -> String {
    let imports: String = PROGRAMS
        .iter()
        .map(|program| format!("import _ \"k8s.io/kubernetes/cmd/{program}\"\n"))
        .collect();
    format!("//go:build tools\n\npackage tools\n\n{imports}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_staging_module_is_replaced_once() {
        let text = go_mod();
        for module in STAGING_MODULES {
            let line = format!("\tk8s.io/{module} => k8s.io/{module} {STAGING}\n");
            assert_eq!(text.matches(&line).count(), 1, "{module}");
        }
    }
}
