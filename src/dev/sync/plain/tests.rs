//! The shell's words in a shell of this machine, which has few tools.

use super::{
    run::{SCRIPT, WRONG},
    *,
};
use std::{
    fs,
    io::Write as _,
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt, symlink},
    },
    path::Path,
    process::{Command, Stdio},
};

/// The shell's own words, in a shell of this machine that has these tools alone.
fn sh(tools: &Path, words: &[&str], input: &[u8]) -> (Option<i32>, Vec<u8>) {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", SCRIPT, "diyadm"]).args(words).env_clear().env("PATH", tools);
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = pipes.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // One that ended takes no more.
    let _ = stdin.write_all(input);
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    (output.status.code(), output.stdout)
}

#[test]
fn sync_by_cat_replaces_a_file_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let [tools, root] = ["tools", "root"].map(|name| folder.path().join(name));
    fs::create_dir(&tools).unwrap();
    for tool in ["cat", "mv", "rm", "mkdir", "chmod", "touch", "cksum"] {
        let at = ["/bin", "/usr/bin"].map(|bin| Path::new(bin).join(tool));
        symlink(at.iter().find(|path| path.exists()).unwrap(), tools.join(tool)).unwrap();
    }
    let (root, stage) = (root.to_str().unwrap(), ".diyadm-1.diyadm-part");
    let (code, said) = sh(&tools, &["look", root, stage, "1", ""], b"");
    let Looked { tools: seen, there } = script::looked(&said).unwrap();
    assert!(code == Some(0) && there.is_empty());
    assert!(seen.contains("cksum") && !seen.contains("tar") && !seen.contains("stat"));

    let tool = Tool::Cksum;
    let path = Bytes(b"-it's\nin \xff".to_vec());
    let at = Path::new(root).join(std::ffi::OsStr::from_bytes(&path.0));
    fs::write(&at, "old").unwrap();
    let mtime = Mtime { s: 1_000_000_007, ns: 0 };
    let came = [script::Came { path, mode: 0o640, mtime, whole: true }];
    let bring = |content: &[u8], sum: String| {
        let rest = Rest {
            plan: &SyncPlan::default(),
            came: &came,
            sums: &[sum],
            batch: 1,
            settled: false,
            first: true,
            last: true,
        };
        let script = script::script(&rest);
        assert_eq!(sh(&tools, &["single", root, stage, "0"], content).0, Some(0));
        let sum = tool.checksum(&script);
        sh(&tools, &["finish", root, stage, tool.name(), &sum, "0"], &script).0
    };
    // The tail is lost, as exec may lose it.
    assert_eq!(bring(b"ne", tool.checksum(b"new")), Some(WRONG));
    assert_eq!(fs::read(&at).unwrap(), b"old");
    assert_eq!(bring(b"new", tool.checksum(b"new")), Some(0));
    let meta = at.metadata().unwrap();
    assert_eq!(fs::read(&at).unwrap(), b"new");
    assert_eq!((meta.permissions().mode() & 0o777, meta.mtime()), (0o640, mtime.s));
    // Nor does half a script do anything.
    sh(&tools, &["single", root, stage, "0"], b"newer");
    let half = ["finish", root, stage, tool.name(), &tool.checksum(b"move 0 './x'\n"), "0"];
    assert_eq!(sh(&tools, &half, b"move 0").0, Some(WRONG));
    let left: Vec<_> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(left, [at]);
}

/// What a sync of one file in a folder, and of the folder's mode, says to a shell.
fn nested(content: &[u8]) -> Vec<u8> {
    let mtime = Mtime { s: 1_000_000_007, ns: 0 };
    let came = [("a/f", 0), ("a/b/f", 1)].map(|(path, _)| script::Came {
        path: path.into(),
        mode: 0o644,
        mtime,
        whole: true,
    });
    let folder = |path: &str| Entry { path: path.into(), what: What::Folder, mode: 0o700, mtime };
    let file = |path: &str| Entry {
        what: What::File { size: 1, hash: None },
        mode: 0o600,
        ..folder(path)
    };
    let plan = SyncPlan {
        links: vec![Entry { what: What::Link { to: "f".into() }, ..folder("a/l") }],
        delete: vec!["a/old".into()],
        settle: vec![file("a/kept"), folder("a/b"), folder("a")],
        ..SyncPlan::default()
    };
    script::script(&Rest {
        plan: &plan,
        came: &came,
        sums: &[Tool::Sha256.checksum(&[content, content].concat())],
        batch: 2,
        settled: true,
        first: true,
        last: true,
    })
}

/// A target with folders and files, and one outside in which the same names are.
struct Around {
    folder: tempfile::TempDir,
}

impl Around {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let around = Self { folder };
        for root in ["root/a", "outside"] {
            let root = around.at(root);
            fs::create_dir_all(root.join("b")).unwrap();
            for (name, mode) in [("f", 0o444), ("kept", 0o444), ("old", 0o444), ("b/f", 0o444)] {
                fs::write(root.join(name), "gold").unwrap();
                let mode = fs::Permissions::from_mode(mode);
                fs::set_permissions(root.join(name), mode).unwrap();
            }
        }
        // Named as what comes is, before it has its name.
        for name in ["0", "1", "l0", "script", "from", "to", "settled"] {
            fs::write(around.at("outside").join(name), "gold").unwrap();
        }
        around
    }

    fn at(&self, path: &str) -> std::path::PathBuf {
        self.folder.path().join(path)
    }

    /// All that is outside, as it may not change.
    fn outside(&self) -> Vec<(String, Vec<u8>, u32, i64)> {
        let mut found = Vec::new();
        for folder in ["outside", "outside/b"] {
            for entry in fs::read_dir(self.at(folder)).unwrap() {
                let path = entry.unwrap().path();
                let meta = path.symlink_metadata().unwrap();
                let content = if meta.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
                let time = if meta.is_file() { meta.mtime() } else { 0 };
                found.push((path.display().to_string(), content, meta.mode(), time));
            }
        }
        found.sort();
        found
    }

    /// Content and script to a shell, as a sync does it; how that ended.
    fn sync(&self, stage: &str) -> Option<i32> {
        let (root, script) = (self.at("root").display().to_string(), nested(b"new"));
        let path = std::env::var("PATH").unwrap();
        let run = |words: &[&str], input: &[u8]| sh(Path::new(&path), words, input).0;
        for number in ["0", "1"] {
            // No more than was announced.
            let came = run(&["single", &root, stage, number, "3"], b"new and more");
            if came != Some(0) {
                return came;
            }
        }
        let sum = Tool::Sha256.checksum(&script);
        let length = script.len().to_string();
        run(&["finish", &root, stage, "sha256sum", &sum, &length], &script)
    }
}

#[test]
fn sync_does_not_follow_links_out_of_the_folder() {
    let stage = ".diyadm-1.diyadm-part";
    let traps: [(&str, Option<&str>); 6] = [
        ("a", Some("outside")),
        ("a/b", Some("outside/b")),
        ("a/f", Some("outside/f")),
        ("a/f", Some("outside")),
        ("a/kept", Some("outside/kept")),
        // Nothing is, and all is done.
        ("", None),
    ];
    for (path, to) in traps {
        let around = Around::new();
        let before = around.outside();
        if let Some(to) = to {
            let there = around.at("root").join(path);
            fs::rename(&there, around.at("moved")).unwrap();
            symlink(around.at(to), &there).unwrap();
        }
        let code = around.sync(stage);
        assert_eq!(around.outside(), before, "{path} is a link to {to:?}");
        // A link in a file's place is replaced, and elsewhere refused.
        let done = to.is_none() || path == "a/f";
        assert_eq!(code, Some(if done { 0 } else { 74 }), "{path} is a link to {to:?}");
        assert!(!around.at("root").join(stage).exists(), "{path}");
        if done {
            let a = around.at("root/a");
            for name in ["f", "b/f"] {
                assert_eq!(fs::read(a.join(name)).unwrap(), b"new");
            }
            let mode = |path: &Path| path.symlink_metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(
                [mode(&a), mode(&a.join("b")), mode(&a.join("kept"))],
                [0o700, 0o700, 0o600]
            );
            assert_eq!(a.join("kept").metadata().unwrap().mtime(), 1_000_000_007);
            assert!(a.join("l").is_symlink() && !a.join("old").exists());
        }
    }
}

/// Another process puts links in the place of folders and files, and back, all the time.
#[test]
fn sync_stays_in_the_folder_while_entries_are_swapped_for_links() {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    let swaps =
        [("a", "outside"), ("a/b", "outside/b"), ("a/f", "outside"), ("a/kept", "outside/kept")];
    for (path, to) in swaps {
        let around = Around::new();
        let before = around.outside();
        let (there, link) = (around.at("root").join(path), around.at("link"));
        symlink(around.at(to), &link).unwrap();
        let over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(std::sync::atomic::Ordering::Relaxed) {
                    // What is to be swapped may be gone for a moment.
                    let _ = renameat_with(CWD, &there, CWD, &link, RenameFlags::EXCHANGE);
                    std::thread::yield_now();
                }
            });
            for run in 0..12 {
                // Refused or done; what is there of each other is never the same.
                let code = around.sync(&format!(".diyadm-{run}.diyadm-part"));
                assert!(matches!(code, Some(0 | 74 | 76)), "{path}: {code:?}");
            }
            over.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        assert_eq!(around.outside(), before, "{path} was swapped");
    }
}
