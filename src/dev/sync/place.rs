//! The source and target of a sync, parsed from the command line. Pure.

use std::{
    ffi::OsStr,
    path::{Component, Path, PathBuf},
};

use crate::{
    exit::{Failure, Topic, quoted},
    platform::files,
};
use diyadm_agent::protocol::Bytes;

/// `deploy/web:/app` as a workload and a path. With a selector the workload is empty.
pub(crate) fn destination(text: &OsStr) -> Result<(String, Bytes), Failure> {
    let bytes = files::argument_bytes(text.to_owned());
    let wrong = || {
        let shown = text.to_string_lossy();
        let what = format!("{shown:?} has no path in the container.");
        Failure::usage(Topic::CommandLine, what, "Use KIND/NAME:/PATH, like deploy/web:/app.")
    };
    let colon = bytes.iter().position(|byte| *byte == b':').ok_or_else(wrong)?;
    let workload = str::from_utf8(&bytes[..colon]).map_err(|_| wrong())?.to_owned();
    let path = &bytes[colon + 1..];
    if path.is_empty() {
        return Err(wrong());
    }
    Ok((workload, Bytes(path.to_vec())))
}

/// The error for arguments with a container's file first, with which `kubectl cp` copies out of a
/// container.
pub(crate) fn copy_out(source: &OsStr, to: &OsStr) -> Option<Failure> {
    let (workload, path) = destination(source).ok().filter(|(workload, _)| !workload.is_empty())?;
    let (path, to) = (str::from_utf8(&path.0).ok()?, to.to_str()?);
    if to.contains(':') {
        return None;
    }
    let own = path.trim_end_matches('/').rsplit('/').next()?;
    let into = if to == "." { own.to_owned() } else { to.trim_end_matches('/').to_owned() };
    let into = if to.ends_with('/') { format!("{into}/{own}") } else { into };
    let [path, into] = [path, &into].map(quoted);
    let hint = format!("Copy a file out: `diyadm shell {workload} -- cat {path} > {into}`.");
    Some(Failure::usage(
        Topic::CommandLine,
        "`sync` copies files into a container, not out of it.",
        hint,
    ))
}

/// The source and the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SyncPaths {
    /// The local folder of relative paths.
    pub(crate) from: PathBuf,
    /// The remote folder.
    pub(crate) root: Bytes,
    /// The single file, by its local and its remote name; `None` for the whole folder.
    pub(crate) file: Option<(PathBuf, Bytes)>,
    /// The remote path, into which the file goes if it is a folder.
    folder: Option<Bytes>,
}

impl SyncPaths {
    /// From the folder or file `source` to the path `to`. A file goes into a path with a trailing
    /// slash, under its own name.
    ///
    /// # Errors
    /// A file without a name, here or there.
    pub(crate) fn new(source: &Path, is_folder: bool, to: &Bytes) -> Result<Self, Failure> {
        let root = trimmed(&to.0);
        if is_folder {
            let (from, root) = (source.to_owned(), Bytes(root.to_vec()));
            return Ok(Self { from, root, file: None, folder: None });
        }
        let nameless = || {
            Failure::usage(
                Topic::CommandLine,
                "The file to send has no name.",
                "Add its name to the path.",
            )
        };
        let own = source.file_name().ok_or_else(nameless)?;
        let own_bytes = files::path_bytes(own);
        let parent = source.parent().filter(|parent| !parent.as_os_str().is_empty());
        let from = parent.unwrap_or(Path::new(".")).to_owned();
        let (folder, (root, name)) = if to.0.ends_with(b"/") {
            (None, (root, &*own_bytes))
        } else {
            let parts = match root.iter().rposition(|byte| *byte == b'/') {
                Some(0) => (&b"/"[..], &root[1..]),
                Some(at) => (trimmed(&root[..at]), &root[at + 1..]),
                None => (&b"."[..], root),
            };
            (Some(to.clone()), parts)
        };
        if matches!(name, b"" | b"." | b"..") {
            let what = format!("{} is not a valid file name.", to.show());
            return Err(Failure::usage(
                Topic::CommandLine,
                what,
                "End the path with a slash to keep the file's own name.",
            ));
        }
        let file = Some((PathBuf::from(own), Bytes(name.to_vec())));
        Ok(Self { from, root: Bytes(root.to_vec()), file, folder })
    }

    /// The remote path of the file or folder.
    pub(crate) fn target(&self) -> Bytes {
        match &self.file {
            None => self.root.clone(),
            Some((_, name)) if self.root.0.ends_with(b"/") => {
                Bytes([&self.root.0[..], &name.0].concat())
            }
            Some((_, name)) => Bytes([&self.root.0[..], b"/", &name.0].concat()),
        }
    }

    /// The same file into the path, if that is a folder; as in `cp`.
    pub(super) fn inside(&self) -> Option<Self> {
        let (here, _) = self.file.as_ref()?;
        let file = Some((here.clone(), Bytes(files::path_bytes(here.as_os_str()).into_owned())));
        Some(Self { from: self.from.clone(), root: self.folder.clone()?, file, folder: None })
    }

    /// Whether both have the same target: a folder in the container is open for one transfer at a
    /// time.
    pub(crate) fn collides(&self, other: &Self) -> bool {
        let name = |way: &Self| way.file.as_ref().map(|(_, there)| there.clone());
        without_dots(&self.root.0) == without_dots(&other.root.0) && name(self) == name(other)
    }
}

/// A normalized path for comparison: `./x/` is `x`. A `..` stays, since its parent may be a link.
pub(crate) fn without_dots(path: &[u8]) -> PathBuf {
    let path = files::local_path(path);
    path.components().filter(|part| *part != Component::CurDir).collect()
}

/// Without trailing slashes, except for the root.
fn trimmed(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |at| at + 1);
    if end == 0 && !path.is_empty() { &path[..1] } else { &path[..end] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destination_is_parsed_as_workload_and_path() {
        let of = |text: &str| destination(OsStr::new(text)).map_err(|failure| failure.what);
        assert_eq!(of("deploy/web:/a:b").unwrap(), ("deploy/web".to_owned(), "/a:b".into()));
        assert_eq!(of(":/app").unwrap(), (String::new(), "/app".into()));
        assert_eq!(of("web-0:x").unwrap(), ("web-0".to_owned(), "x".into()));
        assert!(of("deploy/web").is_err() && of("deploy/web:").is_err());
    }

    #[test]
    fn copying_out_of_a_container_is_refused_with_a_command() {
        let of = |source: &str, to: &str| Some(copy_out(OsStr::new(source), OsStr::new(to))?.hint);
        for (to, into) in [(".", "log"), ("here", "here"), ("here/", "here/log")] {
            let hint = of("deploy/web:/app/log", to).unwrap();
            let command = format!("`diyadm shell deploy/web -- cat /app/log > {into}`");
            assert!(hint.contains(&command), "{hint}");
        }
        assert_eq!(of("app.jar", "deploy/web:/app"), None);
        assert_eq!(of("a:b", "deploy/web:/app"), None);
        assert_eq!(of("app.jar", "x"), None);
    }

    #[test]
    fn file_synced_into_a_folder_keeps_its_name() {
        let of = |source: &str, to: &str| {
            let way = SyncPaths::new(Path::new(source), false, &to.into()).unwrap();
            let (here, there) = way.file.unwrap();
            let text = |path: PathBuf| path.to_str().unwrap().to_owned();
            [text(way.from), text(here), way.root.show(), there.show()]
        };
        assert_eq!(of("t/a.jar", "/tmp/"), ["t", "a.jar", "/tmp", "a.jar"]);
        assert_eq!(of("a.jar", "/tmp/b.jar"), [".", "a.jar", "/tmp", "b.jar"]);
        assert_eq!(of("/x/a.jar", "/b.jar"), ["/x", "a.jar", "/", "b.jar"]);
        assert_eq!(of("a.jar", "/"), [".", "a.jar", "/", "a.jar"]);
        assert_eq!(of("a.jar", "b.jar"), [".", "a.jar", ".", "b.jar"]);
        assert_eq!(of("a.jar", "/tmp//b"), [".", "a.jar", "/tmp", "b"]);
        // Into the path itself, if that is a folder.
        let inside = |to: &str| {
            let way = SyncPaths::new(Path::new("t/a.jar"), false, &to.into()).unwrap().inside()?;
            Some([way.root.show(), way.file.unwrap().1.show()])
        };
        assert_eq!(inside("/app"), Some(["/app".to_owned(), "a.jar".to_owned()]));
        assert_eq!(inside("/app/"), None);
        for to in ["..", "/tmp/.."] {
            assert!(SyncPaths::new(Path::new("a"), false, &to.into()).is_err(), "{to}");
        }
    }

    #[test]
    fn sync_targets_that_overlap_are_found() {
        let of = |source: &str, is_folder, to: &str| {
            SyncPaths::new(Path::new(source), is_folder, &to.into()).unwrap()
        };
        assert!(of("a", true, "/x").collides(&of("b", true, "/x/")));
        assert!(of("a", true, "/x/y").collides(&of("b", true, "/x//./y")));
        assert!(of("a", true, "./x").collides(&of("b", true, "x")));
        assert!(of("a", false, "./x").collides(&of("b", false, "x")));
        assert!(!of("a", true, "../x").collides(&of("b", true, "x")));
        assert!(of("a", false, "/x/").collides(&of("b", false, "/x/a")));
        assert!(!of("a", false, "/x/").collides(&of("b", false, "/x/")));
        assert!(!of("a", true, "/x").collides(&of("b", false, "/x/")));
        assert!(!of("a", true, "/x").collides(&of("b", true, "/x/y")));
    }

    #[test]
    fn folder_content_is_synced_into_the_path() {
        let way = SyncPaths::new(Path::new("src"), true, &"/app/".into()).unwrap();
        assert!(way.inside().is_none());
        assert_eq!((way.root, way.file), ("/app".into(), None));
        assert_eq!(SyncPaths::new(Path::new("src"), true, &"/".into()).unwrap().root, "/".into());
    }
}
