//! A Java runtime, cut out of this machine's JDK with the libraries it needs: on top of busybox,
//! or alone, as distroless images have it.
//!
//! Without a desktop: what draws on a screen or plays sound is left out.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use diyadm_image::{Content, Entry, Image, hex};
use openssl::sha::sha256;

use super::{
    libraries::{self, libraries_beside},
    rootfs,
};
use crate::{cluster, paths, process};

/// What Spring Boot and its like ask for, and a debugger.
const MODULES: &str = "java.base,java.desktop,java.instrument,java.logging,java.management,\
                       java.naming,java.net.http,java.prefs,java.scripting,java.security.jgss,\
                       java.security.sasl,java.sql,java.xml,jdk.crypto.ec,jdk.httpserver,\
                       jdk.jcmd,jdk.jdwp.agent,jdk.management,jdk.net,jdk.unsupported,jdk.zipfs";
/// They take X11 or ALSA.
const DESKTOP: [&str; 4] = ["libawt_xawt.so", "libjawt.so", "libjsound.so", "libsplashscreen.so"];
const HOME: &str = "opt/java";

/// What is beside it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A shell.
    Shell,
    /// A shell, and an idle ENTRYPOINT, as the blog's empty container has it.
    Tail,
    /// Nothing.
    Bare,
}

/// The image: `java` on PATH.
pub(super) fn image(kind: Kind) -> Result<Image> {
    let runtime = runtime()?;
    let mut layer = vec![Entry::folder("opt", 0o755), Entry::folder(HOME, 0o755)];
    let mut needed = BTreeSet::new();
    let server = runtime.join("lib/server");
    add(&runtime, HOME, &server, &mut layer, &mut needed)?;
    needed.retain(|path| !path.starts_with(&runtime));
    let mut folders = BTreeSet::new();
    for library in &needed {
        for folder in library.ancestors().skip(1).filter(|folder| folder.parent().is_some()) {
            folders.insert(bare(folder));
        }
    }
    // The lowest folder sorts before what is in it.
    layer.extend(folders.iter().map(|folder| Entry::folder(folder, 0o755)));
    for library in &needed {
        // Behind the name that the loader asks for may be a link to a version of it.
        let file = fs::canonicalize(library)?;
        layer.push(Entry::program(&bare(library), &file));
    }
    let mut image = match kind {
        Kind::Shell | Kind::Tail => rootfs::busybox(&cluster::busybox()?)?,
        Kind::Bare => rootfs::scratch(),
    };
    let (tag, entrypoint) = match kind {
        Kind::Shell => ("jre:rig", image.config.entrypoint),
        Kind::Tail => ("jre-tail:rig", ["tail", "-f", "/dev/null"].map(str::to_owned).into()),
        Kind::Bare => ("jre-bare:rig", vec![format!("/{HOME}/bin/java")]),
    };
    (image.tag, image.config.entrypoint) = (tag.into(), entrypoint);
    match kind {
        Kind::Shell => {}
        Kind::Tail => image.config.cmd.clear(),
        Kind::Bare => image.layers.push(vec![Entry::folder("tmp", 0o1777)]),
    }
    image.layers.push(layer);
    image.config.env = vec![
        format!("JAVA_HOME=/{HOME}"),
        format!("PATH=/{HOME}/bin:/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin"),
    ];
    Ok(image)
}

/// The runtime's folder, made once for a JDK.
fn runtime() -> Result<PathBuf> {
    let version = process::output(Command::new("jlink").arg("--version"))
        .context("an image with a JRE takes a JDK with jlink on PATH")?;
    let stamp = hex(&sha256(format!("{version} {MODULES}").as_bytes()));
    let folder = paths::cache()?.join(format!("jre-{}", &stamp[..16]));
    if !folder.exists() {
        let fresh = folder.with_extension("new");
        if fresh.exists() {
            fs::remove_dir_all(&fresh)?;
        }
        let mut jlink = Command::new("jlink");
        jlink.args(["--add-modules", MODULES, "--strip-java-debug-attributes"]);
        jlink.args(["--no-header-files", "--no-man-pages", "--output"]).arg(&fresh);
        process::aloud("jlink (once)", &mut jlink)?;
        fs::rename(fresh, &folder)?;
    }
    Ok(folder)
}

/// Adds what is in a folder of this machine, and notes the libraries that it takes. `server` is
/// where libjvm.so is.
fn add(
    folder: &Path,
    to: &str,
    server: &Path,
    layer: &mut Vec<Entry>,
    needed: &mut BTreeSet<PathBuf>,
) -> Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (file, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let path = format!("{to}/{name}");
        let kind = entry.file_type()?;
        if DESKTOP.contains(&name.as_str()) || path == format!("{HOME}/legal") {
            continue;
        }
        if kind.is_dir() {
            layer.push(Entry::folder(&path, 0o755));
            add(&file, &path, server, layer, needed)?;
        } else if kind.is_symlink() {
            layer.push(Entry::link(&path, &fs::read_link(&file)?.to_string_lossy()));
        } else {
            let mode = fs::metadata(&file)?.permissions().mode() & 0o777;
            if to == format!("{HOME}/bin") {
                needed.extend(libraries::libraries(&file)?);
            } else if Path::new(&name).extension().is_some_and(|end| end == "so") {
                // What could not be loaded on this machine is left out there. The virtual machine
                // itself is loaded before any other, by its path.
                let Ok(libraries) = libraries_beside(&file, server) else { continue };
                needed.extend(libraries);
            }
            layer.push(Entry { path, mode, content: Content::File(file) });
        }
    }
    Ok(())
}

fn bare(path: &Path) -> String {
    path.to_string_lossy().trim_start_matches('/').to_owned()
}
