//! The jar before and after one class was changed, both packed by the JDK's `jar` as a build would.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::process;

const LIBRARIES: &str = "BOOT-INF/lib";
const CLASSES: &str = "BOOT-INF/classes";
const CLASS: &str = "BOOT-INF/classes/zipkin/server/ZipkinServer.class";
/// A name of its source that debuggers show, and one as long: the class stays a class.
const NAME: [&[u8]; 2] = [b"ZipkinServer.java", b"ZipkinSaveer.java"];

/// The jar before and after, packed and taken apart.
pub(super) struct Changed {
    /// Both jars.
    pub(super) jars: [PathBuf; 2],
    /// The folder that they were packed from.
    pub(super) content: PathBuf,
    classes: [Vec<u8>; 2],
}

impl Changed {
    /// Makes the folder what the jar before, or after, was packed from.
    pub(super) fn write(&self, after: bool) -> Result<()> {
        Ok(fs::write(self.content.join(CLASS), &self.classes[usize::from(after)])?)
    }
}

/// Makes both in `folder`.
pub(super) fn change(jar: &Path, folder: &Path) -> Result<Changed> {
    let content = folder.join("content");
    if content.exists() {
        fs::remove_dir_all(&content)?;
    }
    fs::create_dir_all(&content)?;
    let run = |args: &[&OsStr]| {
        let mut command = Command::new("jar");
        process::output(command.args(args).current_dir(&content))
            .context("the jar is taken apart and built again by the JDK's jar")
    };
    run(&["xf".as_ref(), jar.as_os_str()])?;
    let class = content.join(CLASS);
    let before = fs::read(&class)?;
    let at = before.windows(NAME[0].len()).position(|some| some == NAME[0]);
    let at = at.with_context(|| format!("{CLASS} does not name its source"))?;
    let mut after = before.clone();
    after[at..at + NAME[1].len()].copy_from_slice(NAME[1]);
    let jars = ["before", "after"].map(|name| folder.join(name).join("app.jar"));
    let changed = Changed { jars, content: content.clone(), classes: [before, after] };
    for (path, after) in changed.jars.iter().zip([false, true]) {
        fs::create_dir_all(path.parent().context("no folder")?)?;
        changed.write(after)?;
        // Nested jars are stored, as Spring Boot's loader wants them; all else is deflated.
        run(&["c0fM".as_ref(), path.as_os_str(), LIBRARIES.as_ref()])?;
        let rest = [CLASSES, "BOOT-INF/classpath.idx", "BOOT-INF/layers.idx", "META-INF", "org"];
        let words = [OsStr::new("ufM"), path.as_os_str()];
        run(&words.into_iter().chain(rest.map(OsStr::new)).collect::<Vec<_>>())?;
        ensure!(fs::metadata(path)?.len() > fs::metadata(jar)?.len() / 2, "half of it is gone");
    }
    let [before, after] = &changed.jars;
    ensure!(fs::read(before)? != fs::read(after)?, "both jars are the same");
    Ok(changed)
}
