//! `diyadm agent install`: copies this very program to where another container finds it.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// Copies this program to `folder`/diyadm, executable, and returns that path. A half copy is never
/// seen under that name.
pub(crate) fn run(folder: &Path) -> Result<PathBuf> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let target = folder.join("diyadm");
    let part = folder.join(format!(".diyadm.{}", std::process::id()));
    copy(&part).and_then(|()| fs::rename(&part, &target)).with_context(|| {
        // It may never have been made.
        let _ = fs::remove_file(&part);
        target.display().to_string()
    })?;
    Ok(target)
}

fn copy(part: &Path) -> io::Result<()> {
    // /proc, as the file under this program's path may be another by now.
    let mut from = fs::File::open("/proc/self/exe")?;
    let mut to =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o755).open(part)?;
    io::copy(&mut from, &mut to)?;
    to.flush()?;
    // Past any umask: another container's user runs it.
    to.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    to.sync_all()
}
