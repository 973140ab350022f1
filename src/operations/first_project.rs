//! `diyadm dev --init`: writes a first diyadm.yaml.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use crate::{
    dev::detect::{self, Files},
    exit::{Failure, Topic},
    operations::staged_files,
    ui::terminal::{Terminal, print},
};

/// The file that a first diyadm.yaml names for editors, relative to its own folder, so that it works
/// without a network and for the next person too.
const SCHEMA: &str = "diyadm.schema.json";

/// Writes a first file and its schema, and never overwrites one.
pub(crate) fn write(
    terminal: &Terminal,
    file: &Path,
    workload: Option<&str>,
    schema_text: &str,
) -> Result<()> {
    let folder = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let real = folder.canonicalize().with_context(|| folder.display().to_string())?;
    let names = fs::read_dir(&real)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect::<Vec<_>>();
    let own = real.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let read = |path: &str| fs::read_to_string(real.join(path)).ok();
    let text = detect::write(&Files { names: &names, folder: &own, read: &read }, workload)?;
    let text = format!("# yaml-language-server: $schema={SCHEMA}\n{text}");
    let warn = || {
        if let Some(unknown) = detect::unknown(&names) {
            terminal.warn(&unknown);
        }
    };
    if file == Path::new("-") {
        warn();
        return print(&text);
    }
    let shown = file.display();
    staged_files::create(file, &text, 0o666).map_err(|error| {
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            let what = format!("{shown} already exists and was not changed.");
            let hint = "Use another file with -f FILE, or print what would be written: `diyadm \
                        dev --init -f -`.";
            return Failure::usage(Topic::LocalFile, what, hint);
        }
        staged_files::unwritable(file, &error, "-f FILE")
    })?;
    let schema = folder.join(SCHEMA);
    match staged_files::create(&schema, schema_text, 0o666) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            terminal.warn(&format!("{} cannot be written: {error}", schema.display()));
        }
        _ => {}
    }
    terminal.done(&format!("{shown} was written; check it, then run `diyadm dev`"), None);
    warn();
    Ok(())
}
