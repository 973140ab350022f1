//! Small Go programs that give the right answer where Kubernetes uses Go's own libraries.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::{Run, skip};

/// What the program in `tests/oracle/NAME` writes for `input`; `None`, skipped, without Go. All
/// cases of a test go through one process.
pub(crate) fn oracle(name: &str, input: &str) -> Option<String> {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "oracle", name].iter().collect();
    if Command::new("go").arg("version").output().is_err() {
        skip("no Go");
        return None;
    }
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("oracle-{name}"));
    let mut build = Command::new("go");
    build.current_dir(folder).env("CGO_ENABLED", "0").args(["build", "-o"]).arg(&program).arg(".");
    let build = Run::of(&mut build, "");
    assert_eq!(build.code, Some(0), "{}", build.stderr);
    let run = Run::of(&mut Command::new(program), input);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    Some(run.stdout)
}
