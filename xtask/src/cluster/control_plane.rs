//! The command lines of etcd and Kubernetes' own servers.
//!
//! Never more open than it must be: they listen on loopback, or on the address that the rig made.

use std::path::Path;

use super::kubelet::Taint;

/// Where the servers of one cluster listen.
pub(super) struct Addresses {
    /// etcd's port for clients, and for peers that never come, on 127.0.0.1.
    pub(super) etcd: [u16; 2],
    /// Where the API server listens.
    pub(super) api: String,
    pub(super) port: u16,
    /// What the `kubernetes` Service leads to.
    pub(super) advertised: String,
    /// The range of Services, and the first address of it.
    pub(super) services: String,
    pub(super) service: String,
}

impl Addresses {
    pub(super) fn url(&self) -> String {
        format!("https://{}:{}", self.api, self.port)
    }
}

/// How the API server stands to a node.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kubelets {
    /// There is none.
    None,
    /// One, which it reaches by address: nothing resolves its name.
    One(Taint),
}

pub(super) fn etcd(folder: &Path, addresses: &Addresses) -> Vec<String> {
    let [client, peer] = addresses.etcd.map(|port| format!("http://127.0.0.1:{port}"));
    vec![
        format!("--data-dir={}", folder.join("etcd").display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
    ]
}

/// The API server's, with its files in the folder `pki`. `plugins` are those that are named beside
/// the ones which are on by default.
pub(super) fn apiserver(
    pki: &Path,
    addresses: &Addresses,
    kubelets: Kubelets,
    plugins: &str,
) -> Vec<String> {
    let file = |name: &str| pki.join(name).display().to_string();
    let mut args = vec![
        format!("--etcd-servers=http://127.0.0.1:{}", addresses.etcd[0]),
        format!("--bind-address={}", addresses.api),
        format!("--secure-port={}", addresses.port),
        format!("--advertise-address={}", addresses.advertised),
        format!("--tls-cert-file={}", file("apiserver.crt")),
        format!("--tls-private-key-file={}", file("apiserver.key")),
        format!("--client-ca-file={}", file("ca.crt")),
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local".into(),
        format!("--service-account-key-file={}", file("service-account.pub")),
        format!("--service-account-signing-key-file={}", file("service-account.key")),
        format!("--service-cluster-ip-range={}", addresses.services),
        "--authorization-mode=Node,RBAC".into(),
        format!("--enable-admission-plugins={plugins}"),
        // A webhook's Service resolves through its EndpointSlices: no kube-proxy is needed.
        "--enable-aggregator-routing=true".into(),
        "--allow-privileged=true".into(),
    ];
    if let Kubelets::One(_) = kubelets {
        args.extend([
            "--kubelet-preferred-address-types=InternalIP".into(),
            format!("--kubelet-certificate-authority={}", file("ca.crt")),
            format!("--kubelet-client-certificate={}", file("apiserver-kubelet-client.crt")),
            format!("--kubelet-client-key={}", file("apiserver-kubelet-client.key")),
        ]);
    }
    args
}

/// The plugins to name for [`apiserver`].
pub(super) fn plugins(kubelets: Kubelets) -> &'static str {
    match kubelets {
        Kubelets::One(Taint::Asked) => {
            "NodeRestriction,PodTolerationRestriction,MutatingAdmissionWebhook,\
             ValidatingAdmissionWebhook"
        }
        _ => "NodeRestriction,MutatingAdmissionWebhook,ValidatingAdmissionWebhook",
    }
}

pub(super) fn controller_manager(folder: &Path) -> Vec<String> {
    let pki = folder.join("pki");
    let mut args = client(folder, "controller-manager");
    args.extend([
        format!("--root-ca-file={}", pki.join("ca.crt").display()),
        format!("--service-account-private-key-file={}", pki.join("service-account.key").display()),
        "--use-service-account-credentials=true".into(),
    ]);
    args
}

pub(super) fn scheduler(folder: &Path) -> Vec<String> {
    client(folder, "scheduler")
}

fn client(folder: &Path, name: &str) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", folder.join(format!("{name}.kubeconfig")).display()),
        "--leader-elect=false".into(),
        // Its own port would listen on every address, and nobody asks it.
        "--secure-port=0".into(),
        "--kube-api-qps=200".into(),
        "--kube-api-burst=400".into(),
    ]
}
