//! `diyadm-agent install`: copies this very program into a folder, for an init container that shares it with others.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use anyhow::{Context, Result};

use diyadm_agent::NAME;

use super::{error::Code, name::unguessable, output};

/// Makes the folder where it is missing, and replaces [`NAME`] in it. A half copy is never seen under
/// that name, and nothing that others have put into the folder is written to.
pub(super) fn run(folder: &Path) -> Result<Code> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let target = folder.join(NAME);
    let name = unguessable().context("no random bytes")?;
    let part = folder.join(format!(".{NAME}.{name}"));
    copy(&part).and_then(|()| fs::rename(&part, &target)).with_context(|| {
        // It may never have been made.
        let _ = fs::remove_file(&part);
        target.display().to_string()
    })?;
    output::line(&format!("{} installed", target.display()));
    Ok(Code::Done)
}

fn copy(part: &Path) -> io::Result<()> {
    // /proc, as the file under this program's path may be another by now.
    let mut from = fs::File::open("/proc/self/exe")?;
    // A link that is there is not followed.
    let mut to = fs::OpenOptions::new().write(true).create_new(true).mode(0o755).open(part)?;
    io::copy(&mut from, &mut to)?;
    to.flush()?;
    // Past any umask: another container's user runs it.
    to.set_permissions(fs::Permissions::from_mode(0o755))?;
    to.sync_all()
}
