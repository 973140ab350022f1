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
fn a_shell_with_cat_takes_a_file_whole_or_leaves_what_was_there() {
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
            plan: &Plan::default(),
            came: &came,
            sums: &[sum],
            batch: 1,
            settled: false,
            first: true,
            last: true,
        };
        let script = script::script(&rest);
        assert_eq!(sh(&tools, &["single", root, stage, "0"], content).0, Some(0));
        let sum = tool.of(&script);
        sh(&tools, &["finish", root, stage, tool.name(), &sum, "0"], &script).0
    };
    // The tail is lost, as exec may lose it.
    assert_eq!(bring(b"ne", tool.of(b"new")), Some(WRONG));
    assert_eq!(fs::read(&at).unwrap(), b"old");
    assert_eq!(bring(b"new", tool.of(b"new")), Some(0));
    let meta = at.metadata().unwrap();
    assert_eq!(fs::read(&at).unwrap(), b"new");
    assert_eq!((meta.permissions().mode() & 0o777, meta.mtime()), (0o640, mtime.s));
    // Nor does half a script do anything.
    sh(&tools, &["single", root, stage, "0"], b"newer");
    let half = ["finish", root, stage, tool.name(), &tool.of(b"move 0 './x'\n"), "0"];
    assert_eq!(sh(&tools, &half, b"move 0").0, Some(WRONG));
    let left: Vec<_> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(left, [at]);
}
