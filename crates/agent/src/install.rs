//! `diyadm-agent install`: copies this program into a folder, for an init container that shares it
//! with other containers.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use anyhow::{Context, Result};

use diyadm_agent::NAME;

use super::{error::Code, name::unguessable, output};

/// Creates the folder if it is missing, and replaces [`NAME`] in it. The file is never visible half
/// written, and other files in the folder are not touched.
pub(super) fn run(folder: &Path) -> Result<Code> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let target = folder.join(NAME);
    let name = unguessable().context("no random bytes")?;
    let part = folder.join(format!(".{NAME}.{name}"));
    copy(&part).and_then(|()| fs::rename(&part, &target)).with_context(|| {
        // It may not exist.
        let _ = fs::remove_file(&part);
        target.display().to_string()
    })?;
    output::line(&format!("{} installed", target.display()));
    Ok(Code::Done)
}

fn copy(part: &Path) -> io::Result<()> {
    // Through /proc, since the file at this program's path may have been replaced.
    let mut from = fs::File::open("/proc/self/exe")?;
    // An existing link is not followed.
    let mut to = fs::OpenOptions::new().write(true).create_new(true).mode(0o755).open(part)?;
    io::copy(&mut from, &mut to)?;
    to.flush()?;
    // Regardless of the umask, since the user of another container runs it.
    to.set_permissions(fs::Permissions::from_mode(0o755))?;
    to.sync_all()
}
