//! The images' archives: the rules of OCI layouts, then each program that loads them.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read as _,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Files, Untried, has};
use crate::{
    cluster,
    dist::{IMAGES, release::sha256},
    process,
};

/// containerd's namespace for what is tried, apart from what Pods use.
const NAMESPACE: &str = "diyadm-dist";

/// All images; `cluster` is the folder of a cluster with a node, whose containerd runs them.
pub(super) fn all(files: &Files<'_>, cluster: Option<&Path>) -> Result<Untried> {
    let mut untried = Vec::new();
    let docker = has("docker") && process::output(Command::new("docker").arg("version")).is_ok();
    for (name, ..) in IMAGES {
        let archive = files.folder.join(files.release.image(name, files.own));
        let tag = layout(&archive).with_context(|| format!("the layout of {name}"))?;
        if let Some(cluster) = cluster {
            run(cluster, &archive, name, &tag)?;
        }
        if docker {
            process::output(Command::new("docker").arg("load").arg("--input").arg(&archive))?;
        }
        if has("skopeo") {
            let inspect = format!("oci-archive:{}", archive.display());
            let text = process::output(Command::new("skopeo").args(["inspect", &inspect]))?;
            let version = "org.opencontainers.image.version";
            ensure!(text.contains(version), "skopeo sees no {version}: {text}");
        }
    }
    if cluster.is_none() {
        untried.push("ctr");
    }
    if !docker {
        untried.push("docker");
    }
    if !has("skopeo") {
        untried.push("skopeo");
    }
    Ok(untried)
}

/// Checks a layout as the image specification describes it; returns the image's name.
fn layout(archive: &Path) -> Result<String> {
    let mut entries = BTreeMap::new();
    for entry in tar::Archive::new(File::open(archive)?).entries()? {
        let mut entry = entry?;
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        entries.insert(entry.path()?.display().to_string(), content);
    }
    let json = |bytes: &[u8]| -> Result<Value> { Ok(serde_json::from_slice(bytes)?) };
    let file = |name: &str| entries.get(name).with_context(|| format!("there is no {name}"));
    // Size and digest of what a descriptor points to.
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().unwrap_or_default();
        let content = file(&format!("blobs/{}", digest.replace(':', "/")))?;
        ensure!(descriptor["size"] == content.len(), "the size of {digest} differs");
        ensure!(digest == format!("sha256:{}", sha256(content)), "{digest} has other content");
        Ok(content)
    };
    ensure!(json(file("oci-layout")?)?["imageLayoutVersion"] == "1.0.0", "oci-layout");
    let index = json(file("index.json")?)?;
    let entry = &index["manifests"][0];
    let manifest = json(blob(entry)?)?;
    let config = json(blob(&manifest["config"])?)?;
    let labels = &config["config"]["Labels"];
    for label in ["title", "description", "version", "created", "licenses"] {
        let label = format!("org.opencontainers.image.{label}");
        ensure!(labels[&label].is_string(), "there is no label {label}");
    }
    let layers = manifest["layers"].as_array().context("no layers")?;
    let digests = config["rootfs"]["diff_ids"].as_array().context("no diff_ids")?;
    ensure!(layers.len() == digests.len() && !layers.is_empty(), "layers and diff_ids");
    for (layer, digest) in layers.iter().zip(digests) {
        blob(layer)?;
        // The layers are not compressed.
        ensure!(layer["digest"] == *digest, "a layer's diff_id differs");
    }
    let name = entry["annotations"]["io.containerd.image.name"].as_str();
    Ok(name.context("the index names no image")?.to_owned())
}

/// Imports the image with the node's own containerd and runs it.
fn run(cluster: &Path, archive: &Path, name: &str, tag: &str) -> Result<()> {
    let ctr = |args: &[&str]| -> Result<Command> {
        let mut ctr = cluster::ctr(cluster)?;
        ctr.args(["--namespace", NAMESPACE]).args(args);
        Ok(ctr)
    };
    let archive = Stdio::from(File::open(archive)?);
    process::output_of(&mut ctr(&["images", "import", "-"])?, archive)?;
    // The agent's images print their version with the flag, the webhook's has a command.
    let program: &[&str] = match name {
        "webhook" => &["/diyadm", "version", "--client"],
        _ => &["/diyadm-agent", "--version"],
    };
    let ran = process::output(ctr(&["run", "--rm", tag, &format!("try-{name}")])?.args(program));
    process::output(&mut ctr(&["images", "remove", "--sync", tag])?)?;
    let version = env!("CARGO_PKG_VERSION");
    let text = ran?;
    ensure!(text.contains(version), "the image {name} prints {text:?}");
    Ok(())
}
