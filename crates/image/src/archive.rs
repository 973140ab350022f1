//! An archive of images: an OCI layout in a tar, with the `manifest.json` of `docker save`.
//! `docker load`, `ctr image import` and `skopeo copy oci-archive:FILE` read it.

use std::{
    collections::BTreeSet,
    io::{self, Write},
};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tar::EntryType;

use crate::{
    Config, Entry, Image, canonical_name,
    layer::{self, Measured, header},
};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// Writes an archive of the images.
pub fn write(images: &[Image], out: impl Write) -> Result<()> {
    let mut archive = Archive { tar: tar::Builder::new(out), blobs: BTreeSet::new() };
    archive.file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    for folder in ["blobs/", "blobs/sha256/"] {
        let mut header = header(EntryType::Directory, 0o755);
        archive.tar.append_data(&mut header, folder, io::empty())?;
    }
    let (mut manifests, mut docker) = (Vec::new(), Vec::new());
    for image in images {
        let layers = image.layers.iter().map(|layer| archive.layer(layer));
        let layers = layers.collect::<Result<Vec<_>>>()?;
        let config = archive.json(CONFIG, &config(image, &layers))?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config.value(),
            "layers": layers.iter().map(Blob::value).collect::<Vec<_>>(),
        });
        let mut manifest = archive.json(MANIFEST, &manifest)?.value();
        manifest["platform"] = json!({ "architecture": image.architecture, "os": "linux" });
        manifest["annotations"] = json!({
            "io.containerd.image.name": canonical_name(&image.tag),
            "org.opencontainers.image.ref.name": image.tag,
        });
        manifests.push(manifest);
        docker.push(json!({
            "Config": config.path(),
            "RepoTags": [image.tag],
            "Layers": layers.iter().map(Blob::path).collect::<Vec<_>>(),
        }));
    }
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
    archive.file("index.json", index.to_string().as_bytes())?;
    archive.file("manifest.json", Value::from(docker).to_string().as_bytes())?;
    archive.tar.into_inner()?.flush()?;
    Ok(())
}

fn config(image: &Image, layers: &[Blob]) -> Value {
    let Config { entrypoint, cmd, env, user, workdir, labels } = &image.config;
    let labels: serde_json::Map<String, Value> =
        labels.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    json!({
        "architecture": image.architecture,
        "os": "linux",
        "config": {
            "Entrypoint": entrypoint,
            "Cmd": cmd,
            "Env": env,
            "User": user,
            "WorkingDir": workdir,
            "Labels": labels,
        },
        "rootfs": {
            "type": "layers",
            "diff_ids": layers.iter().map(Blob::digest).collect::<Vec<_>>(),
        },
    })
}

/// A blob that is in the archive.
struct Blob {
    media_type: &'static str,
    /// SHA-256 in hexadecimal digits.
    sum: String,
    size: u64,
}

impl Blob {
    fn digest(&self) -> String {
        format!("sha256:{}", self.sum)
    }

    fn path(&self) -> String {
        format!("blobs/sha256/{}", self.sum)
    }

    /// Its descriptor.
    fn value(&self) -> Value {
        json!({ "mediaType": self.media_type, "digest": self.digest(), "size": self.size })
    }
}

struct Archive<W: Write> {
    tar: tar::Builder<W>,
    /// Paths of what is written: images share blobs.
    blobs: BTreeSet<String>,
}

impl<W: Write> Archive<W> {
    /// Adds a layer. Writes it twice, first to learn its size, which precedes its bytes in the tar:
    /// layers can be larger than the memory.
    fn layer(&mut self, entries: &[Entry]) -> Result<Blob> {
        let mut measured = Measured::new(io::sink());
        layer::write(entries, &mut measured)?;
        let (sum, size) = measured.finish();
        let blob = Blob { media_type: LAYER, sum, size };
        if self.blobs.insert(blob.path()) {
            let mut header = header(EntryType::Regular, 0o644);
            header.set_size(size);
            header.set_path(blob.path())?;
            header.set_cksum();
            let out = self.tar.get_mut();
            out.write_all(header.as_bytes())?;
            let mut measured = Measured::new(&mut *out);
            layer::write(entries, &mut measured)?;
            let again = measured.finish();
            let first = (blob.sum.clone(), size);
            ensure!(again == first, "a file of the image changed while the archive was written");
            // A layer is a tar, whose length is a multiple of a block.
            ensure!(size % 512 == 0, "a layer has {size} bytes, which are no whole blocks");
        }
        Ok(blob)
    }

    fn json(&mut self, media_type: &'static str, value: &Value) -> Result<Blob> {
        let text = value.to_string();
        let mut measured = Measured::new(io::sink());
        measured.write_all(text.as_bytes())?;
        let (sum, size) = measured.finish();
        let blob = Blob { media_type, sum, size };
        if self.blobs.insert(blob.path()) {
            self.file(&blob.path(), text.as_bytes())?;
        }
        Ok(blob)
    }

    fn file(&mut self, path: &str, content: &[u8]) -> Result<()> {
        let mut header = header(EntryType::Regular, 0o644);
        header.set_size(content.len() as u64);
        self.tar.append_data(&mut header, path, content)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, io::Read as _};

    use super::*;
    use crate::hex;

    fn image(tag: &str, upper: &str) -> Image {
        Image {
            tag: tag.into(),
            architecture: "arm64".into(),
            config: Config {
                cmd: vec!["/a".into()],
                labels: vec![("l".into(), "v".into())],
                ..Config::default()
            },
            layers: vec![
                vec![Entry::folder("d", 0o755), Entry::text("d/a", "1")],
                vec![Entry::link("b", upper)],
            ],
        }
    }

    #[test]
    fn archive_is_reproducible_and_each_digest_is_of_its_blob() {
        let images = [image("x:1", "/d/a"), image("r.example/y:2", "/d")];
        let [mut one, mut two] = [Vec::new(), Vec::new()];
        write(&images, &mut one).unwrap();
        write(&images, &mut two).unwrap();
        assert_eq!(one, two);

        let mut files = BTreeMap::new();
        for entry in tar::Archive::new(one.as_slice()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            let known = files.insert(entry.path().unwrap().display().to_string(), content);
            assert!(known.is_none(), "shared blobs are written once");
        }
        for (path, content) in &files {
            if let Some(sum) = path.strip_prefix("blobs/sha256/").filter(|sum| !sum.is_empty()) {
                assert_eq!(hex(&openssl::sha::sha256(content)), sum);
            }
        }
        let json = |name: &str| -> Value { serde_json::from_slice(&files[name]).unwrap() };
        let blob = |descriptor: &Value| -> (String, Value) {
            let digest = descriptor["digest"].as_str().unwrap();
            let path = format!("blobs/{}", digest.replace(':', "/"));
            assert_eq!(descriptor["size"], files[&path].len());
            (path.clone(), serde_json::from_slice(&files[&path]).unwrap_or_default())
        };
        let (index, docker) = (json("index.json"), json("manifest.json"));
        let names = ["docker.io/library/x:1", "r.example/y:2"];
        for (at, name) in names.into_iter().enumerate() {
            let descriptor = &index["manifests"][at];
            assert_eq!(descriptor["annotations"]["io.containerd.image.name"], name);
            assert_eq!(docker[at]["RepoTags"], json!([images[at].tag]));
            let (_, manifest) = blob(descriptor);
            let (path, config) = blob(&manifest["config"]);
            assert_eq!(docker[at]["Config"], path);
            assert_eq!(config["config"]["Labels"], json!({ "l": "v" }));
            let layers = manifest["layers"].as_array().unwrap();
            assert_eq!(layers.len(), 2);
            for (number, layer) in layers.iter().enumerate() {
                assert_eq!(docker[at]["Layers"][number], blob(layer).0);
                assert_eq!(config["rootfs"]["diff_ids"][number], layer["digest"]);
            }
        }
    }
}
