//! `cargo xtask cluster`: etcd, kube-apiserver and kube-controller-manager on loopback.
//!
//! Two lives: `up` leaves a cluster running in the cache folder until `down`; the tests hold one
//! of their own that dies with them. Nothing survives a stop, so servers are killed rather than
//! asked. Never listens beyond 127.0.0.1, and never touches a kubeconfig but its own.

mod binaries;
mod certificates;
mod obtain;
mod server;

use std::{
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use self::{binaries::Binaries, server::Server};
use crate::{interrupt, paths};

pub(crate) use binaries::kubectl;

/// The API server cannot advertise loopback, and nothing here connects to what it advertises: an
/// address that RFC 5737 keeps for documentation is never anybody's.
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

/// Servers that run.
pub(crate) struct Cluster {
    folder: PathBuf,
    servers: Vec<Server>,
    life: Life,
}

/// `cargo xtask cluster up|down|status|kubeconfig`.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let folder = paths::cache()?.join("cluster");
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["up"] => up(&folder)?,
        ["down"] => down(&folder)?,
        ["status"] => return status(&folder),
        ["kubeconfig"] => {
            let Some(kubeconfig) = running(&folder) else {
                bail!("no cluster runs. Start it: cargo xtask cluster up");
            };
            println!("{}", kubeconfig.display());
        }
        _ => bail!("`cargo xtask cluster` takes one word: up, down, status or kubeconfig"),
    }
    Ok(ExitCode::SUCCESS)
}

fn up(folder: &Path) -> Result<()> {
    interrupt::watch()?;
    let parent = folder.parent().context("the cluster's folder has no parent")?;
    fs::create_dir_all(parent)?;
    let lock = File::create(parent.join("cluster.lock"))?;
    lock.lock().context("cannot lock the cluster's folder")?;
    if running(folder).is_none() {
        let _left = Cluster::start(folder, Life::Left)?;
    }
    eprintln!("the cluster is up. Use it: export KUBECONFIG=$(cargo xtask cluster kubeconfig)");
    Ok(())
}

fn down(folder: &Path) -> Result<()> {
    let stopped = server::stop_all(folder)?;
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    eprintln!("{}", if stopped == 0 { "no cluster ran" } else { "the cluster is down" });
    Ok(())
}

fn status(folder: &Path) -> Result<ExitCode> {
    let servers = server::recorded(folder)?;
    for (name, pid) in &servers {
        println!("{name}\t{}", pid.map_or("stopped".into(), |pid| format!("running\tpid {pid}")));
    }
    if running(folder).is_some() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("no whole cluster runs. Start it: cargo xtask cluster up");
    Ok(ExitCode::FAILURE)
}

fn running(folder: &Path) -> Option<PathBuf> {
    let servers = server::recorded(folder).ok()?;
    let whole = servers.len() == 3 && servers.iter().all(|(_, pid)| pid.is_some());
    let kubeconfig = folder.join("admin.kubeconfig");
    (whole && answers(&kubectl().ok()?, &kubeconfig, &["get", "--raw", "/readyz"]))
        .then_some(kubeconfig)
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

impl Cluster {
    /// Starts the three servers in `folder`, which is emptied first, and waits until the API
    /// server is ready and the controllers work. On an error nothing is left running.
    pub(crate) fn start(folder: &Path, life: Life) -> Result<Self> {
        let begun = Instant::now();
        let binaries = Binaries::find_or_make()?;
        server::stop_all(folder)?;
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        certificates::private_folder(folder)?;
        let mut cluster = Self { folder: folder.to_owned(), servers: Vec::new(), life };
        if let Err(error) = cluster.start_all(&binaries) {
            let tail = cluster.log_of_the_dead();
            cluster.life = Life::Held;
            drop(cluster);
            return Err(error.context(format!("the cluster did not start{tail}")));
        }
        eprintln!("etcd, kube-apiserver, kube-controller-manager: {:.1?}", begun.elapsed());
        Ok(cluster)
    }

    /// The administrator's kubeconfig.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.join("admin.kubeconfig")
    }

    fn start_all(&mut self, binaries: &Binaries) -> Result<()> {
        let [etcd, peer, api] = free_ports()?;
        let folder = self.folder.clone();
        let file = |name: &str| folder.join(name).display().to_string();
        certificates::write(&folder, &format!("https://127.0.0.1:{api}"), SERVICE_ADDRESS)?;

        self.spawn(
            &binaries.etcd,
            &[
                format!("--data-dir={}", file("etcd")),
                format!("--listen-client-urls=http://127.0.0.1:{etcd}"),
                format!("--advertise-client-urls=http://127.0.0.1:{etcd}"),
                format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
                format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer}"),
                format!("--initial-cluster=default=http://127.0.0.1:{peer}"),
            ],
        )?;
        self.spawn(
            &binaries.apiserver,
            &[
                format!("--etcd-servers=http://127.0.0.1:{etcd}"),
                "--bind-address=127.0.0.1".into(),
                format!("--secure-port={api}"),
                format!("--advertise-address={ADVERTISED}"),
                format!("--cert-dir={}", folder.display()),
                format!("--tls-cert-file={}", file("apiserver.crt")),
                format!("--tls-private-key-file={}", file("apiserver.key")),
                format!("--client-ca-file={}", file("ca.crt")),
                "--service-account-issuer=https://kubernetes.default.svc.cluster.local".into(),
                format!("--service-account-key-file={}", file("service-account.pub")),
                format!("--service-account-signing-key-file={}", file("service-account.key")),
                format!("--service-cluster-ip-range={SERVICE_RANGE}"),
                "--authorization-mode=Node,RBAC".into(),
                "--enable-admission-plugins=\
             NodeRestriction,MutatingAdmissionWebhook,ValidatingAdmissionWebhook"
                    .into(),
                // A webhook's Service resolves through its EndpointSlices: no kube-proxy is needed.
                "--enable-aggregator-routing=true".into(),
                "--allow-privileged=true".into(),
            ],
        )?;
        self.wait(&binaries.kubectl, "the API server to be ready", &["get", "--raw", "/readyz"])?;
        self.spawn(
            &binaries.controller_manager,
            &[
                format!("--kubeconfig={}", file("controller-manager.kubeconfig")),
                format!("--root-ca-file={}", file("ca.crt")),
                format!("--service-account-private-key-file={}", file("service-account.key")),
                "--use-service-account-credentials=true".into(),
                "--leader-elect=false".into(),
                // Its own port would listen on every address, and nobody asks it.
                "--secure-port=0".into(),
                "--kube-api-qps=200".into(),
                "--kube-api-burst=400".into(),
            ],
        )?;
        let account = ["get", "serviceaccount", "default", "--namespace=default"];
        self.wait(
            &binaries.kubectl,
            "the controllers to make the default service account",
            &account,
        )
    }

    fn spawn(&mut self, program: &Path, args: &[String]) -> Result<()> {
        self.servers.push(Server::spawn(&self.folder, program, args, self.life)?);
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
        // The newest first: nobody complains about a server that went before it.
        while self.servers.pop().map(Server::kill).is_some() {}
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("xtask: cannot remove {}: {error}", self.folder.display());
        }
    }
}

/// Ports that were free a moment ago, all different.
fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut held = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind("127.0.0.1:0").context("no free port on 127.0.0.1")?;
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
