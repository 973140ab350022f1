//! `cargo xtask cluster`: a real Kubernetes on this machine, with a node or without.
//!
//! etcd, kube-apiserver and kube-controller-manager on loopback; `--node` adds the scheduler,
//! containerd and a kubelet; `--static-apiserver` lets that kubelet run the API server. Two lives:
//! `up` leaves a cluster running in the cache folder until `down`; the tests hold one of their own
//! that dies with them. Nothing survives a stop, so servers are killed rather than asked. Never
//! listens where another machine could reach it, and never touches a kubeconfig but its own.

mod binaries;
mod certificates;
mod cgroups;
mod command;
mod containerd;
mod control_plane;
mod kubelet;
mod namespaces;
mod network;
mod node;
mod obtain;
mod server;
mod static_pod;
mod version;

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use self::{
    binaries::Binaries,
    control_plane::{Addresses, Kubelets, controller_manager, scheduler},
    node::Node,
    server::{Place, Server},
};
use crate::interrupt;

pub(crate) use self::{
    binaries::{apiserver, apiserver_of, busybox, helm, kubectl, make_programs, reader, registry},
    command::run,
    kubelet::Taint,
    namespaces::possible as node_possible,
    node::{ctr, load_into as load},
    version::Version,
};

/// The API server cannot advertise loopback, and without a node nothing connects to what it
/// advertises: an address that RFC 5737 keeps for documentation is never anybody's.
const ADVERTISED: &str = "192.0.2.1";
const SERVICE_RANGE: &str = "10.96.0.0/16";
/// The first of [`SERVICE_RANGE`]: the `kubernetes` Service.
const SERVICE_ADDRESS: &str = "10.96.0.1";
/// Two busy cores need about 15 s.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// Who stops the servers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// They die with the value, and with this process however it ends.
    Held,
    /// They go on until `cargo xtask cluster down`.
    Left,
}

/// What a cluster has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An API server and controllers: Pods stay pending.
    Plain,
    /// A node as well, on which Pods run.
    Node(Taint),
    /// All of it on the node, the API server as a static Pod.
    StaticApiserver,
}

impl Kind {
    /// What `status` lists, by the names of their pid files.
    fn servers(self) -> &'static [&'static str] {
        const ALL: [&str; 7] = [
            "node",
            "etcd",
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
            "containerd",
            "kubelet",
        ];
        const PLAIN: [&str; 3] = ["etcd", "kube-apiserver", "kube-controller-manager"];
        const STATIC: [&str; 6] =
            ["node", "etcd", "kube-controller-manager", "kube-scheduler", "containerd", "kubelet"];
        match self {
            Self::Plain => &PLAIN,
            Self::Node(_) => &ALL,
            Self::StaticApiserver => &STATIC,
        }
    }
}

/// Servers that run.
pub(crate) struct Cluster {
    folder: PathBuf,
    servers: Vec<Server>,
    life: Life,
}

impl Cluster {
    /// Starts a cluster in `folder`, which is emptied first, and waits until the API server is
    /// ready and the controllers work. A node that is held may take a few seconds more. On an
    /// error nothing is left running.
    pub(crate) fn start(folder: &Path, kind: Kind, life: Life) -> Result<Self> {
        Self::start_of(Version::TESTED, folder, kind, life)
    }

    /// [`Cluster::start`] with servers of `version`; one of another version than [`Version::TESTED`]
    /// takes [`Kind::Plain`].
    pub(crate) fn start_of(
        version: Version,
        folder: &Path,
        kind: Kind,
        life: Life,
    ) -> Result<Self> {
        let begun = Instant::now();
        let binaries = Binaries::find_or_make(version)?;
        stop(folder)?;
        certificates::private_folder(folder)?;
        fs::write(folder.join("kind"), format!("{kind:?}"))?;
        let mut cluster = Self { folder: folder.to_owned(), servers: Vec::new(), life };
        let started = cluster.start_all(&binaries, kind).and_then(|()| match (kind, life) {
            (Kind::Plain, _) | (_, Life::Held) => Ok(()),
            _ => cluster.wait_for_node(&binaries.kubectl),
        });
        if let Err(error) = started {
            let tail = cluster.log_of_the_dead();
            cluster.life = Life::Held;
            drop(cluster);
            return Err(error.context(format!("the cluster did not start{tail}")));
        }
        eprintln!("{}: {:.1?}", kind.servers().join(", "), begun.elapsed());
        Ok(cluster)
    }

    fn wait_for_node(&mut self, kubectl: &Path) -> Result<()> {
        let ready = ["wait", "node", "--all", "--for=condition=Ready", "--timeout=1s"];
        self.wait(kubectl, "the node to be ready", &ready)
    }

    /// Where it is, for `cargo xtask cluster --in`.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the servers that ended by themselves said last; empty where all run.
    pub(crate) fn dead(&mut self) -> String {
        if self.servers.iter_mut().all(Server::lives) {
            String::new()
        } else {
            self.log_of_the_dead()
        }
    }

    /// The administrator's kubeconfig.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.join("admin.kubeconfig")
    }

    fn start_all(&mut self, binaries: &Binaries, kind: Kind) -> Result<()> {
        match kind {
            Kind::Plain => self.plain(binaries),
            Kind::Node(taint) => self.with_node(binaries, taint),
            Kind::StaticApiserver => self.on_node(binaries),
        }
    }

    fn plain(&mut self, binaries: &Binaries) -> Result<()> {
        let [etcd, peer, port] = free_ports()?;
        let addresses = Addresses {
            etcd: [etcd, peer],
            api: "127.0.0.1".into(),
            port,
            advertised: ADVERTISED.into(),
            services: SERVICE_RANGE.into(),
            service: SERVICE_ADDRESS.into(),
        };
        certificates::write(&self.folder, &addresses.url(), &addresses.service, None)?;
        self.servers(binaries, &addresses, Kubelets::None)
    }

    fn with_node(&mut self, binaries: &Binaries, taint: Taint) -> Result<()> {
        let node = self.node(binaries, false)?;
        let [etcd, peer] = free_ports()?;
        let addresses = node.addresses([etcd, peer]);
        node.certificates(&addresses)?;
        self.servers.push(node.containerd(self.life)?);
        self.servers(binaries, &addresses, Kubelets::One(taint))?;
        node.load(&["pause"])?;
        self.servers.push(node.kubelet(self.life, taint)?);
        self.spawn(
            "kube-scheduler",
            &node.programs.scheduler,
            &scheduler(&self.folder),
            Place::Host,
        )
    }

    /// With everything on the node, as the API server there reaches nothing of the host.
    fn on_node(&mut self, binaries: &Binaries) -> Result<()> {
        let node = self.node(binaries, true)?;
        let addresses = node.addresses([2379, 2380]);
        node.certificates(&addresses)?;
        let etcd = control_plane::etcd(&self.folder, &addresses);
        self.spawn("etcd", &binaries.etcd, &etcd, node.place())?;
        self.servers.push(node.containerd(self.life)?);
        node.load(&["pause", "kube-apiserver"])?;
        let manifest = self.folder.join(static_pod::MANIFEST);
        fs::create_dir_all(manifest.parent().context("the manifest has no folder")?)?;
        let kubelets = Kubelets::One(Taint::None);
        fs::write(manifest, static_pod::manifest(&self.folder, &addresses, kubelets))?;
        self.servers.push(node.kubelet(self.life, Taint::None)?);
        self.controllers(binaries, node.place())?;
        let scheduler = scheduler(&self.folder);
        self.spawn("kube-scheduler", &node.programs.scheduler, &scheduler, node.place())
    }

    fn node(&mut self, binaries: &Binaries, api_on_node: bool) -> Result<Node> {
        namespaces::possible().context("a node cannot be had here")?;
        let (node, server) = Node::make(&self.folder, binaries, self.life, api_on_node)?;
        self.servers.push(server);
        Ok(node)
    }

    fn servers(
        &mut self,
        binaries: &Binaries,
        addresses: &Addresses,
        kubelets: Kubelets,
    ) -> Result<()> {
        let etcd = control_plane::etcd(&self.folder, addresses);
        self.spawn("etcd", &binaries.etcd, &etcd, Place::Host)?;
        let pki = self.folder.join("pki");
        let plugins = control_plane::plugins(kubelets);
        let apiserver = control_plane::apiserver(&pki, addresses, kubelets, plugins);
        self.spawn("kube-apiserver", &binaries.apiserver, &apiserver, Place::Host)?;
        self.controllers(binaries, Place::Host)
    }

    /// Waits for the API server, then starts the controllers and waits for them.
    fn controllers(&mut self, binaries: &Binaries, place: Place) -> Result<()> {
        self.wait(&binaries.kubectl, "the API server to be ready", &["get", "--raw", "/readyz"])?;
        let args = controller_manager(&self.folder);
        self.spawn("kube-controller-manager", &binaries.controller_manager, &args, place)?;
        let account = ["get", "serviceaccount", "default", "--namespace=default"];
        let what = "the controllers to make the default service account";
        self.wait(&binaries.kubectl, what, &account)
    }

    fn spawn(&mut self, name: &str, program: &Path, args: &[String], place: Place) -> Result<()> {
        let server = Server::spawn(&self.folder, name, program, args, self.life, place)?;
        self.servers.push(server);
        Ok(())
    }

    fn wait(&mut self, kubectl: &Path, what: &str, args: &[&str]) -> Result<()> {
        let begun = Instant::now();
        let kubeconfig = self.kubeconfig();
        while !answers(kubectl, &kubeconfig, args) {
            interrupt::check()?;
            for server in &mut self.servers {
                if !server.lives() {
                    bail!("{} ended while waiting for {what}", server.name);
                }
            }
            if begun.elapsed() > START_TIMEOUT {
                bail!("waited {START_TIMEOUT:?} for {what}");
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// The end of the log of each server that died, or of all where none did.
    fn log_of_the_dead(&mut self) -> String {
        if interrupt::seen() {
            return String::new();
        }
        let dead: Vec<bool> = self.servers.iter_mut().map(|server| !server.lives()).collect();
        let any = dead.contains(&true);
        let chosen = self.servers.iter().zip(dead).filter(|(_, dead)| *dead || !any);
        chosen
            .map(|(server, _)| format!("\n--- {}\n{}\n---", server.name, server.log_tail()))
            .collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.life == Life::Left {
            return;
        }
        // The newest first: nobody complains about a server that went before it. The node is the
        // oldest, and what still runs in it ends with it.
        while self.servers.pop().map(Server::kill).is_some() {}
        if let Err(error) = stop(&self.folder) {
            eprintln!("xtask: {error:#}");
        }
    }
}

/// Ends what runs for the cluster in `folder`, and removes all that it made, the folder last: what
/// could not be removed is found again by the next call. Returns how many servers ran.
pub(crate) fn stop(folder: &Path) -> Result<usize> {
    let stopped = server::stop_all(folder)?;
    let left = node::clear(folder);
    if !left.is_empty() {
        bail!("of the cluster is left: {}. Try again: cargo xtask cluster down", left.join(", "));
    }
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(stopped)
}

/// Whether kubectl says yes.
fn answers(kubectl: &Path, kubeconfig: &Path, args: &[&str]) -> bool {
    Command::new(kubectl)
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .arg("--request-timeout=5s")
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Ports that nothing listens on, all different. They are below those that the kernel gives to
/// outgoing connections, so none of them takes one before its server listens.
fn free_ports<const N: usize>() -> Result<[u16; N]> {
    const FIRST: u16 = 10_000;
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")?;
    let end: u16 = range.split_whitespace().next().context("no port range")?.parse()?;
    let start =
        u16::try_from(std::process::id().wrapping_mul(97) % u32::from(end - FIRST))? + FIRST;
    let mut free = (start..end)
        .chain(FIRST..start)
        .filter_map(|port| TcpListener::bind(("127.0.0.1", port)).ok());
    let mut held = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = free.next().context("no free port on 127.0.0.1")?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::free_ports;

    #[test]
    fn free_ports_differ() {
        let mut ports = free_ports::<8>().unwrap().to_vec();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 8);
    }
}
