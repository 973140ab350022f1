//! The manifest of an API server that the kubelet runs by itself, in kubeadm's form.

use std::path::Path;

use super::control_plane::{self, Addresses, Kubelets};

/// Where the manifest is, below the cluster's folder.
pub(super) const MANIFEST: &str = "node/manifests/kube-apiserver.yaml";
/// Where the server sees its files.
const PKI: &str = "/etc/kubernetes/pki";
/// As kubeadm names them: the plugins that diyadm needs are on by default, and not named.
const PLUGINS: &str = "NodeRestriction";

/// The manifest for the API server of the cluster in `folder`. Its one difference from kubeadm's
/// beside names and addresses: an old server, which waits for open watches, gets 5 s, not 30.
pub(super) fn manifest(folder: &Path, addresses: &Addresses, kubelets: Kubelets) -> String {
    let args = control_plane::apiserver(Path::new(PKI), addresses, kubelets, PLUGINS);
    let args: String = args.iter().map(|arg| format!("    - {arg}\n")).collect();
    let probe = |name: &str, path: &str, period: u32, failures: u32| {
        format!(
            "    {name}:
      failureThreshold: {failures}
      httpGet:
        host: {api}
        path: {path}
        port: {port}
        scheme: HTTPS
      periodSeconds: {period}
      timeoutSeconds: 15
",
            api = addresses.api,
            port = addresses.port,
        )
    };
    format!(
        "apiVersion: v1
kind: Pod
metadata:
  annotations:
    kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint: {api}:{port}
  labels:
    component: kube-apiserver
    tier: control-plane
  name: kube-apiserver
  namespace: kube-system
spec:
  containers:
  - command:
    - kube-apiserver
{args}    image: kube-apiserver:rig
    imagePullPolicy: IfNotPresent
{liveness}    name: kube-apiserver
{readiness}{startup}    volumeMounts:
    - mountPath: {PKI}
      name: k8s-certs
      readOnly: true
  hostNetwork: true
  priority: 2000001000
  priorityClassName: system-node-critical
  securityContext:
    seccompProfile:
      type: RuntimeDefault
  terminationGracePeriodSeconds: 5
  volumes:
  - hostPath:
      path: {pki}
      type: DirectoryOrCreate
    name: k8s-certs
",
        api = addresses.api,
        port = addresses.port,
        liveness = probe("livenessProbe", "/livez", 10, 8),
        readiness = probe("readinessProbe", "/readyz", 1, 3),
        startup = probe("startupProbe", "/livez", 1, 120),
        pki = folder.join("pki").display(),
    )
}
