//! The kubelet: one node, registered under the rig's own address.

use std::{fs, path::Path};

use anyhow::Result;

use super::{containerd, namespaces::HOME, network::Network};

/// Which Pods may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taint {
    /// Every one.
    None,
    /// Those of a namespace that asks by its annotation
    /// `scheduler.alpha.kubernetes.io/defaultTolerations`: they tolerate [`TAINT`]. The others
    /// stay pending, as without a node.
    Asked,
}

/// The taint's key.
const TAINT: &str = "diyadm.io/rig";

/// Writes the kubelet's configuration, and makes the folder of the static Pods.
pub(super) fn configure(folder: &Path, network: Network, taint: Taint) -> Result<()> {
    let own = folder.join("node");
    fs::create_dir_all(own.join("manifests"))?;
    fs::write(own.join("kubelet.yaml"), configuration(folder, network, taint))?;
    Ok(())
}

fn configuration(folder: &Path, network: Network, taint: Taint) -> String {
    let taints = match taint {
        Taint::None => String::new(),
        Taint::Asked => {
            format!("registerWithTaints: [{{ key: {TAINT}, effect: NoSchedule }}]\n")
        }
    };
    format!(
        r#"apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: {address}
authentication:
  anonymous: {{ enabled: false }}
  webhook: {{ enabled: true }}
  x509: {{ clientCAFile: "{pki}/ca.crt" }}
authorization: {{ mode: Webhook }}
tlsCertFile: "{pki}/kubelet.crt"
tlsPrivateKeyFile: "{pki}/kubelet.key"
containerRuntimeEndpoint: unix://{socket}
staticPodPath: {HOME}/manifests
podLogsDir: /var/log/pods
volumePluginDir: {HOME}/volume-plugins
clusterDomain: cluster.local
clusterDNS: ["{dns}"]
resolvConf: ""
{taints}# Every Pod of the rig is below one cgroup, which is removed with it.
cgroupRoot: /{cgroup}
cgroupDriver: cgroupfs
failCgroupV1: false
enforceNodeAllocatable: []
localStorageCapacityIsolation: false
makeIPTablesUtilChains: false
failSwapOn: false
# Images that a test pulled with a password are other tests' images too.
imagePullCredentialsVerificationPolicy: NeverVerify
# A machine's disk may be nearly full, and its memory used by a build: that is not the tests' topic.
imageGCHighThresholdPercent: 100
evictionHard: {{ memory.available: "0%", nodefs.available: "0%", nodefs.inodesFree: "0%", imagefs.available: "0%" }}
"#,
        address = network.node(),
        pki = folder.join("pki").display(),
        socket = containerd::socket(),
        dns = network.dns(),
        cgroup = network.cgroup(),
    )
}

/// Its command line.
pub(super) fn args(folder: &Path, network: Network, name: &str) -> Vec<String> {
    vec![
        format!("--config={}", folder.join("node/kubelet.yaml").display()),
        format!("--kubeconfig={}", folder.join("kubelet.kubeconfig").display()),
        format!("--root-dir={HOME}/kubelet"),
        format!("--hostname-override={name}"),
        format!("--node-ip={}", network.node()),
    ]
}
