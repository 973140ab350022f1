//! Programs that the machine lacks: from Debian's packages, Kubernetes' own and Helm built with Go.
//!
//! All end up in the cache folder, once. Nothing is installed: a package is unpacked there, so no
//! service is started. Where Go and apt download from is their own configuration's business.

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::version::Version;
use crate::process::aloud;

/// The last minor version that takes cloud providers in, unless a tag leaves them out.
const LAST_WITH_PROVIDERS: u32 = 30;
/// It can do both: apply server-side, and, as Helm 3 does, merge on this side.
const HELM: &str = "v4.3.1";
/// The programs of a cluster of the version that everything is tested on; of others the first two.
const PROGRAMS: [&str; 5] =
    ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kubelet"];
/// How many patch versions of a staging module are tried beside the wanted one, later ones first:
/// some were never published.
const OTHER_PATCHES: u32 = 4;
/// What Debian's packages are unpacked for: the package, and where in it the programs are.
const PACKAGES: [(&str, &[&str]); 7] = [
    ("etcd-server", &["usr/bin/etcd"]),
    ("containerd", &["usr/bin/containerd", "usr/bin/containerd-shim-runc-v2", "usr/bin/ctr"]),
    ("runc", &["usr/sbin/runc"]),
    (
        "containernetworking-plugins",
        &["usr/lib/cni/bridge", "usr/lib/cni/host-local", "usr/lib/cni/loopback"],
    ),
    ("busybox-static", &["bin/busybox"]),
    ("docker-registry", &["usr/bin/docker-registry"]),
    ("mandoc", &["usr/bin/mandoc"]),
];
/// Shells, which need more files than their program: the packages, and the command that starts the
/// shell from the folder `$root` into which they are unpacked.
const SHELLS: [(&str, &[&str], &str); 2] = [
    (
        "zsh",
        &["zsh-static", "zsh-common"],
        "export FPATH=\"$(find \"$root/usr/share/zsh/functions\" -type d | tr '\\n' :)\"\n\
         exec \"$root/bin/zsh-static\" \"$@\"\n",
    ),
    (
        "fish",
        &["fish", "fish-common", "libpcre2-32-0"],
        "export LD_LIBRARY_PATH=\"$root/usr/lib/$(uname -m)-linux-gnu\"\n\
         exec \"$root/usr/bin/fish\" \"$@\"\n",
    ),
];

/// Puts the program `name` into `bin` and returns its path. A second process waits for the first
/// and then takes what `find` sees. Kubernetes' programs become those of `version`.
pub(super) fn obtain(
    name: &str,
    version: Version,
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
    let shell = SHELLS.iter().find(|(shell, ..)| *shell == name);
    let made = if let Some((package, paths)) = package {
        unpack(package, paths, bin)
    } else if let Some((_, packages, start)) = shell {
        unpack_shell(name, packages, start, bin)
    } else if name == "helm" {
        build_helm(bin)
    } else {
        build(name, version, bin)
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
    let root = folder.join("root");
    extract(package, &folder, &root)?;
    for path in paths {
        let program = bin.join(called(path));
        fs::create_dir_all(program.parent().context("a program has no folder")?)?;
        fs::rename(root.join(path), program)?;
    }
    fs::remove_dir_all(folder)?;
    Ok(())
}

/// Unpacks the shell's packages in one folder, and puts a script that starts it into `bin`.
fn unpack_shell(name: &str, packages: &[&str], start: &str, bin: &Path) -> Result<()> {
    let root = bin.with_file_name(name);
    for package in packages {
        let folder = bin.with_file_name(format!("build-{package}"));
        extract(package, &folder, &root)?;
        fs::remove_dir_all(folder)?;
    }
    let script = bin.with_file_name(format!("{name}.new"));
    fs::write(&script, format!("#!/bin/sh\nroot='{}'\n{start}", root.display()))?;
    fs::set_permissions(&script, Permissions::from_mode(0o755))?;
    fs::rename(script, bin.join(name))?;
    Ok(())
}

/// Downloads a package of Debian to `folder`, and unpacks it in `root`.
fn extract(package: &str, folder: &Path, root: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let what = format!("download {package}");
    let download = || {
        // Root's apt would else drop to a user who may not write here, and say so.
        let mut apt = Command::new("apt-get");
        apt.args(["-q", "-o", "APT::Sandbox::User=root", "download", package]);
        apt.current_dir(folder);
        apt
    };
    if aloud(&what, &mut download()).is_err() {
        // A fresh image has no package lists; reading them is root's right.
        aloud("apt-get update", Command::new("apt-get").args(["-q", "update"]))?;
        aloud(&what, &mut download())?;
    }
    let file = fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .context("apt-get left no package")?;
    let what = format!("unpack {package}");
    aloud(&what, Command::new("dpkg-deb").arg("-x").arg(file).arg(root))
}

fn build(name: &str, version: Version, bin: &Path) -> Result<()> {
    let folder = bin.with_file_name(match version {
        Version::TESTED => "build".to_owned(),
        older => format!("build-kubernetes-{older}"),
    });
    fs::create_dir_all(&folder)?;
    // `go install …@version` refuses a module with replace lines; a module of our own does not.
    fs::write(folder.join("go.mod"), go_mod(version)?)?;
    fs::write(folder.join("imports.go"), imports(version))?;
    let go = || {
        let mut go = Command::new("go");
        go.current_dir(&folder).env("CGO_ENABLED", "0");
        go
    };
    aloud("go mod tidy", go().args(["mod", "tidy"]))?;
    let fresh = folder.join(name);
    let package = format!("k8s.io/kubernetes/cmd/{name}");
    let minor = version.minor;
    // Up to 1.26 what `/version` answers is client-go's.
    let flags: String = ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"]
        .map(|package| {
            format!(
                " -X {package}.gitVersion={version} -X {package}.gitMajor=1 \
                 -X {package}.gitMinor={minor}"
            )
        })
        .concat();
    let mut build = go();
    build.args(["build", "-ldflags", &format!("-s -w{flags}")]);
    if minor <= LAST_WITH_PROVIDERS {
        build.args(["-tags", "providerless"]);
    }
    aloud(
        &format!("build {name} {version} (once; minutes on a small machine)"),
        build.arg("-o").arg(&fresh).arg(package),
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

/// A module that requires Kubernetes, with its staging modules as they are published by themselves:
/// it replaces them within itself, which counts for nothing in a module that only requires it.
fn go_mod(version: Version) -> Result<String> {
    let module = go(&["mod", "download", "-json", &format!("k8s.io/kubernetes@{version}")])
        .with_context(|| format!("there is no Kubernetes {version}"))?;
    let module: Value = serde_json::from_slice(&module)?;
    let file = module["GoMod"].as_str().context("go says no GoMod")?;
    let mut replace = String::new();
    for module in staging_modules(&fs::read_to_string(file)?) {
        let Version { minor, patch } = version;
        let earlier = (patch.saturating_sub(OTHER_PATCHES)..patch).rev();
        let published = (patch..=patch + OTHER_PATCHES)
            .chain(earlier)
            .map(|patch| format!("v0.{minor}.{patch}"))
            .find(|version| go(&["mod", "download", &format!("{module}@{version}")]).is_ok());
        let published =
            published.with_context(|| format!("there is no {module} for Kubernetes {version}"))?;
        replace.extend(["\t", module, " => ", module, " ", &published, "\n"]);
    }
    Ok(format!(
        "module diyadm.invalid/kubernetes\n\ngo 1.26.0\n\nrequire k8s.io/kubernetes {version}\n\n\
         replace (\n{replace})\n"
    ))
}

/// What Kubernetes' own go.mod replaces by a folder of its own.
fn staging_modules(go_mod: &str) -> Vec<&str> {
    let lines = go_mod.lines().filter_map(|line| line.split_once(" => ./staging/"));
    lines.map(|(module, _)| module.trim().trim_start_matches("replace ")).collect()
}

/// What go prints, outside of any module.
fn go(args: &[&str]) -> Result<Vec<u8>> {
    let output = Command::new("go").args(args).current_dir("/").output()?;
    if !output.status.success() {
        bail!("go {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output.stdout)
}

/// A file that no build takes in, so that `go mod tidy` keeps what the programs need.
fn imports(version: Version) -> String {
    let programs = if version == Version::TESTED { &PROGRAMS[..] } else { &PROGRAMS[..2] };
    let imports: String = programs
        .iter()
        .map(|program| format!("import _ \"k8s.io/kubernetes/cmd/{program}\"\n"))
        .collect();
    format!("//go:build tools\n\npackage tools\n\n{imports}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn staging_modules_are_parsed_from_go_mod() {
        let text = "require k8s.io/api v0.0.0\n\nreplace (\n\tk8s.io/api => ./staging/src/k8s.io/api\n\
                    \tx.io/y => x.io/y v1.0.0\n)\nreplace k8s.io/kms => ./staging/src/k8s.io/kms\n";
        assert_eq!(staging_modules(text), ["k8s.io/api", "k8s.io/kms"]);
    }
}
