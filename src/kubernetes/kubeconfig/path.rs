//! Paths that a kubeconfig names.

use std::path::{Component, Path, PathBuf};

/// A relative path is relative to the folder of its kubeconfig.
pub(super) fn resolve(path: &mut String, folder: &Path) {
    if !path.is_empty() && !Path::new(path).is_absolute() {
        *path = cleaned(&folder.join(&path)).display().to_string();
    }
}

/// Without `.` and `..`, as by Go's `filepath.Join`.
fn cleaned(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut path, part| {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(path.pop()),
            part => path.push(part),
        }
        path
    })
}
