//! An image as a value, and as a docker-archive: a tar of layers, a configuration and a manifest.
//!
//! The same image gives the same bytes: no clock, no owner but root, entries in their own order.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use openssl::sha::Sha256;
use serde_json::json;
use tar::{EntryType, Header};

/// An image.
#[derive(Clone, Debug)]
pub(super) struct Image {
    /// `NAME:TAG`.
    pub(super) tag: String,
    pub(super) config: Config,
    /// The lowest first.
    pub(super) layers: Vec<Vec<Entry>>,
}

/// How it is run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Config {
    pub(super) entrypoint: Vec<String>,
    pub(super) cmd: Vec<String>,
    /// `NAME=VALUE`.
    pub(super) env: Vec<String>,
    pub(super) user: String,
    pub(super) workdir: String,
}

/// A path in a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Without a leading slash.
    pub(super) path: String,
    pub(super) mode: u32,
    pub(super) content: Content,
}

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Folder,
    Text(String),
    /// The content of this file.
    File(PathBuf),
    /// A symbolic link to this.
    Link(String),
}

impl Entry {
    pub(super) fn folder(path: &str, mode: u32) -> Self {
        Self { path: path.into(), mode, content: Content::Folder }
    }

    pub(super) fn text(path: &str, text: &str) -> Self {
        Self { path: path.into(), mode: 0o644, content: Content::Text(text.into()) }
    }

    pub(super) fn program(path: &str, file: &Path) -> Self {
        Self { path: path.into(), mode: 0o755, content: Content::File(file.into()) }
    }

    pub(super) fn link(path: &str, target: &str) -> Self {
        Self { path: path.into(), mode: 0o777, content: Content::Link(target.into()) }
    }
}

impl Image {
    /// Tells it from any other, without reading its files: where they are, how long, how old.
    pub(super) fn stamp(&self) -> Result<String> {
        let mut hash = Sha256::new();
        hash.update(format!("{self:?}").as_bytes());
        for entry in self.layers.iter().flatten() {
            if let Content::File(file) = &entry.content {
                let facts = fs::metadata(file).with_context(|| file.display().to_string())?;
                hash.update(format!("{} {:?}", facts.len(), facts.modified()?).as_bytes());
            }
        }
        Ok(hex(&hash.finish()))
    }

    /// Writes the docker-archive.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let mut archive = tar::Builder::new(File::create(path)?);
        let mut layers = Vec::new();
        for (number, layer) in self.layers.iter().enumerate() {
            let file = path.with_extension(format!("layer{number}"));
            let digest = write_layer(layer, &file)?;
            let name = format!("{digest}.tar");
            // Two layers alike are one.
            if !layers.contains(&digest) {
                let mut header = header(EntryType::Regular, 0o644);
                header.set_size(fs::metadata(&file)?.len());
                archive.append_data(&mut header, &name, File::open(&file)?)?;
            }
            fs::remove_file(file)?;
            layers.push(digest);
        }
        let config = self.config(&layers).to_string();
        let name = format!("{}.json", hex(&openssl::sha::sha256(config.as_bytes())));
        append(&mut archive, &name, config.as_bytes())?;
        let files: Vec<String> = layers.iter().map(|digest| format!("{digest}.tar")).collect();
        let manifest = json!([{ "Config": name, "RepoTags": [self.tag], "Layers": files }]);
        append(&mut archive, "manifest.json", manifest.to_string().as_bytes())?;
        archive.into_inner()?.sync_all()?;
        Ok(())
    }

    fn config(&self, layers: &[String]) -> serde_json::Value {
        let Config { entrypoint, cmd, env, user, workdir } = &self.config;
        let layers: Vec<String> = layers.iter().map(|digest| format!("sha256:{digest}")).collect();
        json!({
            "architecture": architecture(),
            "os": "linux",
            "config": {
                "Entrypoint": entrypoint,
                "Cmd": cmd,
                "Env": env,
                "User": user,
                "WorkingDir": workdir,
            },
            "rootfs": { "type": "layers", "diff_ids": layers },
        })
    }
}

/// This machine's, as images call it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Writes a layer and returns its digest.
fn write_layer(layer: &[Entry], path: &Path) -> Result<String> {
    let mut tar = tar::Builder::new(File::create(path)?);
    for Entry { path, mode, content } in layer {
        match content {
            Content::Folder => {
                let mut header = header(EntryType::Directory, *mode);
                tar.append_data(&mut header, format!("{path}/"), io::empty())?;
            }
            Content::Link(target) => {
                let mut header = header(EntryType::Symlink, *mode);
                tar.append_link(&mut header, path, target)?;
            }
            Content::Text(text) => {
                let mut header = header(EntryType::Regular, *mode);
                header.set_size(text.len() as u64);
                tar.append_data(&mut header, path, text.as_bytes())?;
            }
            Content::File(source) => {
                let file = File::open(source).with_context(|| source.display().to_string())?;
                let mut header = header(EntryType::Regular, *mode);
                header.set_size(file.metadata()?.len());
                tar.append_data(&mut header, path, file)?;
            }
        }
    }
    tar.into_inner()?.flush()?;
    let mut hash = Sha256::new();
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hash.finish())),
            read => hash.update(&buffer[..read]),
        }
    }
}

fn append(archive: &mut tar::Builder<File>, name: &str, content: &[u8]) -> io::Result<()> {
    let mut header = header(EntryType::Regular, 0o644);
    header.set_size(content.len() as u64);
    archive.append_data(&mut header, name, content)
}

fn header(kind: EntryType, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    header
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_written_the_same_twice_and_names_its_layers() {
        let folder = std::env::temp_dir().join(format!("diyadm-archive-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let image = Image {
            tag: "x:y".into(),
            config: Config { cmd: vec!["/a".into()], ..Config::default() },
            layers: vec![
                vec![Entry::folder("d", 0o755), Entry::text("d/a", "1")],
                vec![Entry::link("b", "/d/a")],
            ],
        };
        let [one, two] = ["one.tar", "two.tar"].map(|name| folder.join(name));
        image.write(&one).unwrap();
        image.write(&two).unwrap();
        assert_eq!(fs::read(&one).unwrap(), fs::read(&two).unwrap());

        let mut files = std::collections::BTreeMap::new();
        for entry in tar::Archive::new(File::open(&one).unwrap()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            files.insert(entry.path().unwrap().display().to_string(), content);
        }
        let json =
            |name: &str| -> serde_json::Value { serde_json::from_slice(&files[name]).unwrap() };
        let manifest = json("manifest.json");
        assert_eq!(manifest[0]["RepoTags"], json!(["x:y"]));
        let config = json(manifest[0]["Config"].as_str().unwrap());
        let digests = config["rootfs"]["diff_ids"].as_array().unwrap();
        for (layer, digest) in manifest[0]["Layers"].as_array().unwrap().iter().zip(digests) {
            let content = &files[layer.as_str().unwrap()];
            let real = hex(&openssl::sha::sha256(content));
            assert_eq!(digest.as_str().unwrap(), format!("sha256:{real}"));
        }
        assert_eq!(digests.len(), 2);
        fs::remove_dir_all(folder).unwrap();
    }
}
