//! The git revision of a folder, as the program `git` says it. Without that program, or outside of a
//! repository, there is none.

use std::{
    path::Path,
    process::Stdio,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use tokio::{process::Command, time::timeout};

/// How long git may take. It runs while files are sent, and a start waits for it.
const MOST: Duration = Duration::from_secs(2);
/// Whether git took longer: in a very large repository, only the first start of a process waits for it.
static IS_SLOW: AtomicBool = AtomicBool::new(false);

/// What is checked out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Revision {
    /// The commit.
    pub(crate) commit: String,
    /// Whether the working tree differs from it, untracked files included.
    pub(crate) dirty: bool,
}

/// The revision of the repository that a folder is in.
pub(crate) async fn revision(folder: &Path) -> Option<Revision> {
    if IS_SLOW.load(Relaxed) {
        return None;
    }
    let mut git = Command::new("git");
    // Without a lock, which would disturb the user's own git.
    git.args(["--no-optional-locks", "status", "--porcelain=v2", "--branch"]);
    git.arg("--untracked-files=normal");
    git.current_dir(folder).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = timeout(MOST, git.output()).await;
    IS_SLOW.fetch_or(output.is_err(), Relaxed);
    let output = output.ok()?.ok()?;
    output.status.success().then(|| parse(&String::from_utf8_lossy(&output.stdout)))?
}

/// From the output of `git status --porcelain=v2 --branch`; `None` before the first commit.
fn parse(status: &str) -> Option<Revision> {
    let commit = status.lines().find_map(|line| line.strip_prefix("# branch.oid "))?;
    let is_commit = commit.len() >= 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    let dirty = status.lines().any(|line| !line.starts_with("# "));
    is_commit.then(|| Revision { commit: commit.to_owned(), dirty })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revision_is_read_from_the_status() {
        let oid = "8e7b8345d4b0aa3ff0ef1f0ed5a2a6e7c1a9a4d0";
        let of = |rest: &str| parse(&format!("# branch.oid {oid}\n# branch.head main\n{rest}"));
        let revision = |dirty| Some(Revision { commit: oid.to_owned(), dirty });
        assert_eq!(of(""), revision(false));
        assert_eq!(of("? new.txt\n"), revision(true));
        assert_eq!(of("1 .M N... 100644 100644 100644 0 0 a\n"), revision(true));
        assert_eq!(parse("# branch.oid (initial)\n# branch.head main\n"), None);
        assert_eq!(parse(""), None);
    }
}
