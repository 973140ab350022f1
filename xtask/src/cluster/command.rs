//! `cargo xtask cluster up|down|status|kubeconfig|load`: the cluster in the cache folder.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};

use super::{Cluster, Kind, Life, Taint, answers, kubectl, node, server, static_pod, stop};
use crate::{interrupt, paths};

const WORDS: &str = "up [--node] [--static-apiserver], down, status, kubeconfig or load IMAGE…";

/// Does what the words say.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let folder = paths::cache()?.join("cluster");
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["up", ref flags @ ..] => up(&folder, kind(flags)?)?,
        ["down"] => down(&folder)?,
        ["status"] => return status(&folder),
        ["kubeconfig"] => {
            let Some(kubeconfig) = running(&folder) else {
                bail!("no cluster runs. Start it: cargo xtask cluster up");
            };
            println!("{}", kubeconfig.display());
        }
        ["load", ref images @ ..] if !images.is_empty() => node::load_into(&folder, images)?,
        _ => bail!("`cargo xtask cluster` takes {WORDS}"),
    }
    Ok(ExitCode::SUCCESS)
}

fn kind(flags: &[&str]) -> Result<Kind> {
    let mut kind = Kind::Plain;
    for flag in flags {
        kind = match (*flag, kind) {
            ("--static-apiserver", _) => Kind::StaticApiserver,
            ("--node", Kind::Plain) => Kind::Node(Taint::None),
            ("--node", kind) => kind,
            (other, _) => bail!("`cargo xtask cluster` has no {other}: it takes {WORDS}"),
        };
    }
    Ok(kind)
}

fn up(folder: &Path, kind: Kind) -> Result<()> {
    interrupt::watch()?;
    let parent = folder.parent().context("the cluster's folder has no parent")?;
    fs::create_dir_all(parent)?;
    let lock = File::create(parent.join("cluster.lock"))?;
    lock.lock().context("cannot lock the cluster's folder")?;
    if running(folder).is_none() {
        let _left = Cluster::start(folder, kind, Life::Left)?;
    } else if recorded(folder) != Some(kind) {
        bail!("a cluster of another kind runs. Stop it first: cargo xtask cluster down");
    }
    eprintln!("the cluster is up. Use it: export KUBECONFIG=$(cargo xtask cluster kubeconfig)");
    if kind == Kind::StaticApiserver {
        eprintln!("its API server's manifest: {}", folder.join(static_pod::MANIFEST).display());
    }
    Ok(())
}

fn down(folder: &Path) -> Result<()> {
    let stopped = stop(folder)?;
    eprintln!("{}", if stopped == 0 { "no cluster ran" } else { "the cluster is down" });
    Ok(())
}

fn status(folder: &Path) -> Result<ExitCode> {
    for (name, pid) in &server::recorded(folder)? {
        println!("{name}\t{}", pid.map_or("stopped".into(), |pid| format!("running\tpid {pid}")));
    }
    if recorded(folder) == Some(Kind::StaticApiserver) {
        let state = if running(folder).is_some() { "ready" } else { "not ready" };
        println!("kube-apiserver\t{state}\tstatic Pod");
    }
    if running(folder).is_some() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("no whole cluster runs. Start it: cargo xtask cluster up");
    Ok(ExitCode::FAILURE)
}

/// The kubeconfig of the cluster in `folder`, if all its servers run and it answers.
fn running(folder: &Path) -> Option<PathBuf> {
    let servers = server::recorded(folder).ok()?;
    let wanted = recorded(folder)?.servers();
    let whole = wanted
        .iter()
        .all(|name| servers.iter().any(|(server, pid)| server == name && pid.is_some()));
    let kubeconfig = folder.join("admin.kubeconfig");
    (whole && answers(&kubectl().ok()?, &kubeconfig, &["get", "--raw", "/readyz"]))
        .then_some(kubeconfig)
}

/// What kind of cluster was started in `folder`.
fn recorded(folder: &Path) -> Option<Kind> {
    let written = fs::read_to_string(folder.join("kind")).ok()?;
    [Kind::Plain, Kind::Node(Taint::None), Kind::StaticApiserver]
        .into_iter()
        .find(|kind| written == format!("{kind:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_is_said_by_flags_in_any_order() {
        assert_eq!(kind(&[]).unwrap(), Kind::Plain);
        assert_eq!(kind(&["--node"]).unwrap(), Kind::Node(Taint::None));
        assert_eq!(kind(&["--node", "--static-apiserver"]).unwrap(), Kind::StaticApiserver);
        assert_eq!(kind(&["--static-apiserver", "--node"]).unwrap(), Kind::StaticApiserver);
        assert!(kind(&["--nodes"]).is_err());
    }
}
