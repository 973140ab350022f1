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

/// Both jars, in `folder`.
pub(super) fn jars(jar: &Path, folder: &Path) -> Result<[PathBuf; 2]> {
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
    let both = ["before", "after"].map(|name| folder.join(name).join("app.jar"));
    for (path, class_file) in both.iter().zip([before, after]) {
        fs::create_dir_all(path.parent().context("no folder")?)?;
        fs::write(&class, class_file)?;
        // Nested jars are stored, as Spring Boot's loader wants them; all else is deflated.
        run(&["c0fM".as_ref(), path.as_os_str(), LIBRARIES.as_ref()])?;
        let rest = [CLASSES, "BOOT-INF/classpath.idx", "BOOT-INF/layers.idx", "META-INF", "org"];
        let words = [OsStr::new("ufM"), path.as_os_str()];
        run(&words.into_iter().chain(rest.map(OsStr::new)).collect::<Vec<_>>())?;
        ensure!(fs::metadata(path)?.len() > fs::metadata(jar)?.len() / 2, "half of it is gone");
    }
    ensure!(fs::read(&both[0])? != fs::read(&both[1])?, "both jars are the same");
    Ok(both)
}
