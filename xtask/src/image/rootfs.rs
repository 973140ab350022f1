//! What images without a distribution hold: busybox under all its names, or one static program.

use std::{path::Path, process::Command};

use anyhow::{Result, bail};
use diyadm_image::{Config, Entry, Image, architecture};

use super::libraries;
use crate::process;

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// What holds a Pod's namespaces, and is the reaper where containers share its processes: a shell
/// that waits. It ends on SIGTERM.
const PAUSE: &str = "trap 'exit 0' TERM INT; while :; do sleep 86400 & wait $!; done";

/// Nothing at all.
pub(super) fn scratch() -> Image {
    of_host("", Config::default(), Vec::new())
}

/// What the node starts each Pod with.
pub(super) fn pause(busybox: &Path) -> Result<Image> {
    let mut image = self::busybox(busybox)?;
    image.tag = "pause:rig".into();
    image.config.entrypoint = ["/bin/sh", "-c", PAUSE].map(str::to_owned).into();
    image.config.cmd.clear();
    Ok(image)
}

/// A shell and all that goes with it, as small distributions have it.
pub(super) fn busybox(busybox: &Path) -> Result<Image> {
    let config =
        Config { cmd: vec!["/bin/sh".into()], env: vec![PATH.into()], ..Config::default() };
    Ok(of_host("busybox:rig", config, vec![busybox_layer(busybox)?]))
}

/// A program and nothing else: no shell, no library, no `/tmp`.
pub(super) fn program(tag: &str, program: &Path) -> Result<Image> {
    if !libraries(program)?.is_empty() {
        bail!("{} is not statically linked: alone it would not run", program.display());
    }
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    let path = format!("usr/local/bin/{name}");
    let config = Config {
        entrypoint: vec![format!("/{path}")],
        env: vec![PATH.into()],
        ..Config::default()
    };
    let layer = vec![
        Entry::folder("usr", 0o755),
        Entry::folder("usr/local", 0o755),
        Entry::folder("usr/local/bin", 0o755),
        Entry::program(&path, program),
    ];
    Ok(of_host(tag, config, vec![layer]))
}

/// An image for this machine's processor.
fn of_host(tag: &str, config: Config, layers: Vec<Vec<Entry>>) -> Image {
    let architecture = architecture(std::env::consts::ARCH).to_owned();
    Image { tag: tag.to_owned(), architecture, config, layers }
}

fn busybox_layer(busybox: &Path) -> Result<Vec<Entry>> {
    let mut layer: Vec<Entry> = [
        "bin", "dev", "etc", "home", "proc", "run", "sbin", "sys", "usr", "usr/bin", "usr/sbin",
        "var",
    ]
    .map(|path| Entry::folder(path, 0o755))
    .into();
    layer.push(Entry::folder("root", 0o700));
    layer.push(Entry::folder("tmp", 0o1777));
    layer.push(Entry::text(
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n",
    ));
    layer.push(Entry::text("etc/group", "root:x:0:\nnobody:x:65534:\n"));
    layer.push(Entry::program("bin/busybox", busybox));
    let list = process::output(Command::new(busybox).arg("--list-full"))?;
    let links = list.lines().filter(|path| *path != "bin/busybox");
    layer.extend(links.map(|path| Entry::link(path, "/bin/busybox")));
    Ok(layer)
}
