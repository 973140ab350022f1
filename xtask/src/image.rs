//! `cargo xtask image`: images without Docker, each an archive in the cache folder.
//!
//! diyadm's own are built as the repository's Dockerfile says; the others are what the tests run.
//! Never pushed anywhere: `cargo xtask cluster load` gives them to the rig's node.

mod bare;
mod build;
mod dockerfile;
mod jre;
mod libraries;
mod recipe;
mod rootfs;

use std::{
    fs::{self, File},
    io::BufWriter,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, bail};
use diyadm_image::{Content, Image, hex};
use openssl::sha::Sha256;

use crate::{cluster, interrupt, paths};

pub(crate) use self::{build::Profile, libraries::libraries};

/// The static program of an image of the Dockerfile.
pub(crate) fn program(target: &str, profile: Profile) -> Result<PathBuf> {
    recipe::program(target, profile)
}

/// cargo's arguments that make it.
pub(crate) fn program_words(target: &str) -> Result<Vec<String>> {
    recipe::program_words(target)
}

/// The images apart from those of the Dockerfile.
const OTHERS: [&str; 7] =
    ["bare", "busybox", "jre", "jre-bare", "jre-tail", "kube-apiserver", "pause"];

/// The names of all images.
pub(crate) fn names() -> Result<Vec<String>> {
    Ok(recipe::targets()?.into_iter().chain(OTHERS.map(str::to_owned)).collect())
}

/// Makes the images that are named, or all, and prints where they are.
pub(crate) fn run(names: &[String]) -> Result<ExitCode> {
    interrupt::watch()?;
    let all = self::names()?;
    for name in if names.is_empty() { &all } else { names } {
        println!("{}", archive(name, Profile::Dist)?.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// The archive of an image, made where there is none with the same content.
pub(crate) fn archive(name: &str, profile: Profile) -> Result<PathBuf> {
    let image = image(name, profile)?;
    let folder = paths::cache()?.join("images");
    fs::create_dir_all(&folder)?;
    let lock = File::create(folder.join("lock"))?;
    lock.lock().context("cannot lock the folder of images")?;
    let path = folder.join(format!("{name}-{}.tar", &stamp(&image)?[..16]));
    if path.exists() {
        // Whoever tidies up sees that it is used.
        File::open(&path)?.set_modified(SystemTime::now())?;
        return Ok(path);
    }
    let fresh = folder.join(format!("{name}.new"));
    let file = File::create(&fresh)?;
    diyadm_image::write(&[image], BufWriter::new(&file))?;
    file.sync_all()?;
    // Half an image must never be found.
    fs::rename(fresh, &path)?;
    forget_old(name, &folder)?;
    Ok(path)
}

/// Writes the archive of an image with these labels, for a release.
pub(crate) fn write(
    name: &str,
    profile: Profile,
    labels: Vec<(String, String)>,
    path: &Path,
) -> Result<()> {
    let mut image = image(name, profile)?;
    image.config.labels = labels;
    diyadm_image::write(&[image], BufWriter::new(File::create(path)?))
}

/// Distinguishes an image from any other, without reading its files: their paths, lengths and
/// times.
fn stamp(image: &Image) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(format!("{image:?}").as_bytes());
    for entry in image.layers.iter().flatten() {
        if let Content::File(file) = &entry.content {
            let facts = fs::metadata(file).with_context(|| file.display().to_string())?;
            hash.update(format!("{} {:?}", facts.len(), facts.modified()?).as_bytes());
        }
    }
    Ok(hex(&hash.finish()))
}

/// Removes archives of an image that nobody used for a day.
fn forget_old(name: &str, folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let file = entry.file_name().to_string_lossy().into_owned();
        let stamp = file.strip_prefix(name).and_then(|rest| rest.strip_prefix('-'));
        let ours = stamp.and_then(|stamp| stamp.strip_suffix(".tar")).is_some_and(|stamp| {
            stamp.len() == 16 && stamp.bytes().all(|byte| byte.is_ascii_hexdigit())
        });
        let age = entry.metadata()?.modified()?.elapsed().unwrap_or_default();
        if ours && age > Duration::from_secs(24 * 3600) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn image(name: &str, profile: Profile) -> Result<Image> {
    Ok(match name {
        "bare" => bare::image()?,
        "jre" => jre::image(jre::Kind::Shell)?,
        "jre-bare" => jre::image(jre::Kind::Bare)?,
        "jre-tail" => jre::image(jre::Kind::Tail)?,
        "pause" => rootfs::pause(&cluster::busybox()?)?,
        "busybox" => rootfs::busybox(&cluster::busybox()?)?,
        "kube-apiserver" => rootfs::program("kube-apiserver:rig", &cluster::apiserver()?)?,
        _ if recipe::targets()?.iter().any(|target| target == name) => {
            recipe::image(name, profile)?
        }
        _ => bail!("there is no image {name}. The images are {}", names()?.join(", ")),
    })
}
