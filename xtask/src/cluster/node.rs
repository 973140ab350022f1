//! The real node: its namespaces and network first, then containerd and the kubelet in them.
//!
//! Never a part of the host: what a Pod can reach is the node, the API server and this machine.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::{
    Life,
    binaries::{Binaries, NodePrograms},
    certificates::{self, NodeName},
    cgroups, containerd,
    control_plane::Addresses,
    kubelet,
    namespaces::{self, NODE},
    network::{self, Network},
    server::{Place, Server, enter},
};
use crate::{
    image::{self, Profile},
    interrupt, process,
};

/// A node whose namespaces and network are there.
pub(super) struct Node {
    folder: PathBuf,
    pub(super) programs: NodePrograms,
    pub(super) network: Network,
    first: u32,
}

impl Node {
    /// Makes the namespaces, the network and the cgroups. The first server holds all of them.
    pub(super) fn make(
        folder: &Path,
        binaries: &Binaries,
        life: Life,
        api_on_node: bool,
    ) -> Result<(Self, Server)> {
        let programs = NodePrograms::find_or_make()?;
        fs::create_dir_all(folder.join("node"))?;
        let (server, first) = {
            let all = [binaries.inside().as_slice(), &programs.inside()].concat();
            namespaces::start(folder, &all, life)?
        };
        let made = Network::connect(first, api_on_node).and_then(|network| {
            // Written first: what is made must be found again.
            fs::write(folder.join("node/link"), network.link())?;
            cgroups::make(&network.cgroup())?;
            Ok(network)
        });
        match made {
            Ok(network) => {
                Ok((Self { folder: folder.to_owned(), programs, network, first }, server))
            }
            Err(error) => {
                server.kill();
                Err(error)
            }
        }
    }

    /// Where its servers run.
    pub(super) fn place(&self) -> Place {
        Place::Node(self.first)
    }

    /// Where its cluster's servers listen; etcd at these ports.
    pub(super) fn addresses(&self, etcd: [u16; 2]) -> Addresses {
        let network = self.network;
        Addresses {
            etcd,
            api: network.api(),
            port: 443,
            advertised: network.api(),
            services: network.services(),
            service: network.api(),
        }
    }

    /// Writes the certificates of its cluster.
    pub(super) fn certificates(&self, addresses: &Addresses) -> Result<()> {
        let name = NodeName { name: NODE, address: &self.network.node() };
        certificates::write(&self.folder, &addresses.url(), &addresses.service, Some(&name))
    }

    /// Starts containerd and gives it what every Pod takes.
    pub(super) fn containerd(&self, life: Life) -> Result<Server> {
        let own = self.folder.join("node");
        containerd::configure(&own, &self.programs, self.network)?;
        let args = ["--config".to_owned(), own.join("containerd.toml").display().to_string()];
        let program = &self.programs.containerd;
        let mut server =
            Server::spawn(&self.folder, "containerd", program, &args, life, self.place())?;
        let begun = Instant::now();
        while self.ctr(&["version"]).is_err() {
            interrupt::check()?;
            if !server.lives() || begun.elapsed() > Duration::from_secs(60) {
                let tail = server.log_tail();
                server.kill();
                bail!("containerd does not answer:\n{tail}");
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }

    /// Starts the kubelet.
    pub(super) fn kubelet(&self, life: Life, taint: kubelet::Taint) -> Result<Server> {
        kubelet::configure(&self.folder, self.network, taint)?;
        let args = kubelet::args(&self.folder, self.network, NODE);
        Server::spawn(&self.folder, "kubelet", &self.programs.kubelet, &args, life, self.place())
    }

    /// Brings images to it.
    pub(super) fn load(&self, names: &[&str]) -> Result<()> {
        load(&self.programs.ctr, self.first, names, Profile::Dev)
    }

    fn ctr(&self, args: &[&str]) -> Result<String> {
        let mut command = Command::new("nsenter");
        command.args(enter(self.first)).arg(&self.programs.ctr);
        command.args(["--address", &containerd::socket(), "--timeout", "5s"]).args(args);
        process::output(&mut command)
    }
}

/// Brings images to the node that runs in `folder`: by their names, or the paths of archives.
pub(crate) fn load_into(folder: &Path, names: &[&str], profile: Profile) -> Result<()> {
    let first = first_process(folder)?;
    // containerd refuses the second of two imports of one image at the same moment.
    let lock = fs::File::create(folder.join("node/images.lock"))?;
    lock.lock().context("cannot lock the node's images")?;
    load(&NodePrograms::find_or_make()?.ctr, first, names, profile)
}

/// `ctr` of the node that runs in `folder`, without arguments.
pub(crate) fn ctr(folder: &Path) -> Result<Command> {
    let mut command = Command::new("nsenter");
    command.args(enter(first_process(folder)?)).arg(NodePrograms::find_or_make()?.ctr);
    command.args(["--address", &containerd::socket()]);
    Ok(command)
}

/// The first process of the node that runs in `folder`.
fn first_process(folder: &Path) -> Result<u32> {
    fs::read_to_string(folder.join("node/init"))
        .ok()
        .and_then(|pid| pid.trim().parse().ok())
        .context("no cluster with a node runs. Start one: cargo xtask cluster up --node")
}

fn load(ctr: &Path, first: u32, names: &[&str], profile: Profile) -> Result<()> {
    for name in names {
        // A path is an archive of images.
        let archive =
            if name.contains('/') { PathBuf::from(name) } else { image::archive(name, profile)? };
        containerd::import(ctr, first, &archive)
            .with_context(|| format!("cannot give the node the image {name}"))?;
    }
    Ok(())
}

/// After its processes have ended: waits until the kernel has taken the rest away, and removes the
/// cgroups, which it leaves. Returns what is still there, a line each.
pub(super) fn clear(folder: &Path) -> Vec<String> {
    let Ok(link) = fs::read_to_string(folder.join("node/link")) else { return Vec::new() };
    let mut left = Vec::new();
    if !network::wait_until_gone(&link) {
        left.push(format!("the network interface {link}"));
    } else if let Err(error) = cgroups::remove(&link) {
        left.push(format!("a cgroup: {error:#}"));
    }
    left
}
