//! `cargo xtask cluster up|down|status|kubeconfig|load`: the cluster in the cache folder, or in
//! another with `--in FOLDER`.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use super::{Cluster, Kind, Life, Taint, answers, kubectl, node, server, static_pod, stop};
use crate::{image::Profile, interrupt, paths, process};

const WORDS: &str = "up [--node] [--static-apiserver] [--held], down, status, kubeconfig or \
                     load IMAGE|./ARCHIVE…, ctr WORD…, each with --in FOLDER before it or without";

/// Does what the words say.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let (folder, words) = match words[..] {
        ["--in", folder, ref words @ ..] => (std::path::absolute(folder)?, words),
        ref words => (paths::cache()?.join("cluster"), words),
    };
    match *words {
        ["up", ref flags @ ..] => up(&folder, flags)?,
        ["down"] => down(&folder)?,
        ["status"] => return status(&folder),
        ["kubeconfig"] => {
            let Some(kubeconfig) = running(&folder) else {
                bail!("no cluster runs. Start it: cargo xtask cluster up");
            };
            println!("{}", kubeconfig.display());
        }
        ["load", ref images @ ..] if !images.is_empty() => {
            interrupt::watch()?;
            node::load_into(&folder, images, Profile::Dev)?;
        }
        ["ctr", ref args @ ..] => {
            let mut ctr = node::ctr(&folder)?;
            print!("{}", process::output(ctr.args(["--namespace", "k8s.io"]).args(args))?);
        }
        _ => bail!("`cargo xtask cluster` takes {WORDS}"),
    }
    Ok(ExitCode::SUCCESS)
}

/// What `up` is to start, and for how long.
fn wanted(flags: &[&str]) -> Result<(Kind, Life)> {
    let (mut kind, mut life) = (Kind::Plain, Life::Left);
    for flag in flags {
        match *flag {
            "--static-apiserver" => kind = Kind::StaticApiserver,
            "--node" if kind == Kind::Plain => kind = Kind::Node(Taint::None),
            "--node" => {}
            "--held" => life = Life::Held,
            other => bail!("`cargo xtask cluster` has no {other}: it takes {WORDS}"),
        }
    }
    Ok((kind, life))
}

fn up(folder: &Path, flags: &[&str]) -> Result<()> {
    let (kind, life) = wanted(flags)?;
    interrupt::watch()?;
    let parent = folder.parent().context("the cluster's folder has no parent")?;
    fs::create_dir_all(parent)?;
    let lock = File::create(parent.join("cluster.lock"))?;
    lock.lock().context("cannot lock the cluster's folder")?;
    if life == Life::Held {
        let cluster = Cluster::start(folder, kind, life)?;
        println!("{}", cluster.kubeconfig().display());
        return hold();
    }
    if running(folder).is_none() {
        let _left = Cluster::start(folder, kind, life)?;
    } else if recorded(folder) != Some(kind) {
        bail!("a cluster of another kind runs. Stop it first: cargo xtask cluster down");
    }
    eprintln!("the cluster is up. Use it: export KUBECONFIG=$(cargo xtask cluster kubeconfig)");
    if kind == Kind::StaticApiserver {
        eprintln!("its API server's manifest: {}", folder.join(static_pod::MANIFEST).display());
    }
    Ok(())
}

/// Until a signal comes, or standard input ends.
fn hold() -> Result<()> {
    eprintln!("the cluster is up until Ctrl-C, or until its input ends");
    let (ended, end) = mpsc::channel();
    thread::spawn(move || {
        // Whatever is typed is nothing to it; an error is an end too.
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        ended.send(())
    });
    while end.recv_timeout(Duration::from_millis(100)) == Err(RecvTimeoutError::Timeout) {
        interrupt::check()?;
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
    fn cluster_kind_is_selected_by_flags_in_any_order() {
        let left = |kind| (kind, Life::Left);
        assert!(wanted(&[]).unwrap() == left(Kind::Plain));
        assert!(wanted(&["--node"]).unwrap() == left(Kind::Node(Taint::None)));
        for both in [["--node", "--static-apiserver"], ["--static-apiserver", "--node"]] {
            assert!(wanted(&both).unwrap() == left(Kind::StaticApiserver));
        }
        assert!(wanted(&["--held"]).unwrap() == (Kind::Plain, Life::Held));
        assert!(wanted(&["--nodes"]).is_err());
    }
}
