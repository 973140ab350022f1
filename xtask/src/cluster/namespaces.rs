//! Where the node lives: process, mount, network, host name and IPC namespaces of its own.
//!
//! Whatever the node starts or mounts is inside them, and the kernel ends all of it with their
//! first process: no way out leaves a shim, a Pod, a mount or an interface behind.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::{
    Life,
    server::{Place, Server},
};
use crate::{interrupt, process};

/// The node's name, for Kubernetes and for itself.
pub(super) const NODE: &str = "rig";
/// The node's folder as its own processes see it. Short, as a socket's path may have 107 bytes.
pub(super) const HOME: &str = "/run/diyadm";
/// Folders of the host that the node has its own of: containerd and kubelet write below them,
/// and not all of these paths can be set.
const COVERED: [&str; 2] = ["/var/lib", "/var/log"];
/// What the kubelet would set for the whole machine: it finds it set, in files of its own that
/// cover the kernel's.
const TUNABLES: [(&str, &str); 6] = [
    ("vm/overcommit_memory", "1"),
    ("vm/panic_on_oom", "0"),
    ("kernel/panic", "10"),
    ("kernel/panic_on_oops", "1"),
    ("kernel/keys/root_maxkeys", "1000000"),
    ("kernel/keys/root_maxbytes", "25000000"),
];
/// The first process.
const INIT: &str = include_str!("init.sh");

/// Whether this user on this machine may have a node; the reason where not.
pub(crate) fn possible() -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("it takes root");
    }
    for tool in ["ip", "nsenter", "setpriv", "mount"] {
        if Command::new(tool).arg("-V").output().is_err() {
            bail!("it takes the command {tool} (Debian: iproute2, util-linux)");
        }
    }
    let trial = ["--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "true"];
    process::output(Command::new("unshare").args(trial))
        .context("this machine does not let root make namespaces")?;
    Ok(())
}

/// Starts the first process, and returns it with the number that the host knows it by. The
/// programs are seen inside at the paths they have outside.
pub(super) fn start(folder: &Path, programs: &[&Path], life: Life) -> Result<(Server, u32)> {
    if folder.starts_with("/run") {
        bail!("{} cannot hold a node, which has a /run of its own", folder.display());
    }
    let own = folder.join("node");
    let script = own.join("init.sh");
    fs::write(&script, INIT)?;
    let mut args = [&script, &own].map(|path| path.display().to_string()).to_vec();
    args.extend([HOME.to_owned(), NODE.to_owned()]);
    let mut kept: BTreeSet<&Path> = programs.iter().filter_map(|path| path.parent()).collect();
    kept.insert(folder);
    args.extend(kept.iter().map(|path| path.display().to_string()));
    args.push("--".to_owned());
    for covered in COVERED {
        let source = covered.trim_start_matches('/').replace('/', "-");
        fs::create_dir_all(own.join(&source))?;
        args.extend([source, covered.to_owned()]);
    }
    for (name, value) in TUNABLES {
        let kernels = Path::new("/proc/sys").join(name);
        if kernels.exists() {
            let source = format!("tunable-{}", name.replace('/', "-"));
            fs::write(own.join(&source), value)?;
            args.extend([source, kernels.display().to_string()]);
        }
    }
    let spaces = ["--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child=KILL"];
    let init = spaces.into_iter().chain(["--", "sh"]).map(str::to_owned);
    let args: Vec<String> = init.chain(args).collect();
    let mut server = Server::spawn(folder, "node", Path::new("unshare"), &args, life, Place::Host)?;
    let begun = Instant::now();
    loop {
        if let Ok(pid) = fs::read_to_string(own.join("init")) {
            let pid = pid.trim().parse().context("the node's first process has no number")?;
            server.is_really(pid)?;
            return Ok((server, pid));
        }
        interrupt::check()?;
        if !server.lives() || begun.elapsed() > Duration::from_secs(20) {
            bail!("the node's namespaces did not come up");
        }
        thread::sleep(Duration::from_millis(10));
    }
}
