//! containerd, what it runs Pods with, and the images that it is given.
//!
//! Nothing is pulled: the node has no route to a registry. An image comes as an archive.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};

use super::{binaries::NodePrograms, namespaces::HOME, network::Network, server::enter};
use crate::process;

/// What holds a Pod's namespaces open. Made by `crate::image`.
const PAUSE: &str = "docker.io/library/pause:rig";

/// Writes the configuration, for containerd and for the network plugins.
pub(super) fn configure(own: &Path, programs: &NodePrograms, network: Network) -> Result<()> {
    let plugins = own.join("cni");
    fs::create_dir_all(&plugins)?;
    fs::write(own.join("containerd.toml"), configuration(programs)?)?;
    fs::write(plugins.join("10-bridge.conflist"), plugin(network))?;
    Ok(())
}

/// Its socket, as the node sees it.
pub(super) fn socket() -> String {
    format!("{HOME}/containerd.sock")
}

fn configuration(programs: &NodePrograms) -> Result<String> {
    let plugins = programs.cni_bridge.parent().context("the network plugins have no folder")?;
    // The machine may lack CAP_SYS_RESOURCE: without restrict_oom_score_adj every sandbox fails.
    Ok(format!(
        r#"version = 2
root = "{HOME}/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs"]

[grpc]
address = "{socket}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE}"
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
stream_server_address = "127.0.0.1"
stream_server_port = "0"

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{plugins}"
conf_dir = "{HOME}/cni"

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
BinaryName = "{runc}"
SystemdCgroup = false
"#,
        socket = socket(),
        plugins = plugins.display(),
        runc = programs.runc.display(),
    ))
}

/// A bridge whose addresses the host has a route to. No masquerade: nothing is beyond the host.
fn plugin(network: Network) -> String {
    format!(
        r#"{{
  "cniVersion": "1.0.0",
  "name": "rig",
  "plugins": [
    {{
      "type": "bridge",
      "bridge": "pods",
      "isGateway": true,
      "ipMasq": false,
      "hairpinMode": true,
      "ipam": {{
        "type": "host-local",
        "dataDir": "{HOME}/addresses",
        "ranges": [[{{ "subnet": "{pods}" }}]],
        "routes": [{{ "dst": "0.0.0.0/0" }}]
      }}
    }}
  ]
}}
"#,
        pods = network.pods(),
    )
}

/// Gives the node whose first process is `node` the images of an archive.
pub(super) fn import(ctr: &Path, node: u32, archive: &Path) -> Result<()> {
    // The archive may be where the node sees something else: it comes in as an open file.
    let file = fs::File::open(archive).with_context(|| archive.display().to_string())?;
    let mut command = Command::new("nsenter");
    command.args(enter(node)).arg(ctr).args(["--address", &socket(), "--namespace", "k8s.io"]);
    command.args(["image", "import", "-"]);
    process::output_of(&mut command, file.into())?;
    Ok(())
}
