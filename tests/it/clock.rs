//! A machine whose clock is wrong: before 1970, in the year 9999, one day late.

use std::{fs, path::Path, process::Command};

use super::rig::{Run, diyadm, program, skip};

/// Moves the clock of the program that loads it. A time namespace does not move this clock.
const CLOCK: &str = r#"
#define _GNU_SOURCE
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <sys/syscall.h>

int clock_gettime(clockid_t clock, struct timespec *time)
{
    int result = syscall(SYS_clock_gettime, clock, time);
    if (result == 0 && clock == CLOCK_REALTIME) {
        const char *at = getenv("CLOCK_AT");
        const char *by = getenv("CLOCK_BY");
        if (at) time->tv_sec = atoll(at);
        if (by) time->tv_sec += atoll(by);
    }
    return result;
}
"#;

/// `None` where there is no C compiler, or programs are static.
pub(crate) fn moved(folder: &Path, variable: &str, seconds: i64) -> Option<Command> {
    let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
    if !library.exists() {
        fs::write(&source, CLOCK).unwrap();
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source);
        if !compiler.status().is_ok_and(|status| status.success()) {
            skip("no C compiler: install gcc");
            return None;
        }
    }
    let mut command = program(folder);
    command.env("LD_PRELOAD", library).env(variable, seconds.to_string());
    Some(command)
}

#[test]
fn wrong_clock_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    diyadm(path, &["init", "--out", "certs", "--key", "p256"]).code(0);
    for (seconds, shown) in [(-86_400, "1969-12-31T"), (253_402_200_000, "9999-12-30T")] {
        for args in [
            &["init", "--out", "new"][..],
            &["init", "--out", "certs"],
            &["verify", "--offline"],
            &["serve", "--cert", "certs/server.crt", "--key", "certs/server.key"],
        ] {
            let mut command = require!(moved(path, "CLOCK_AT", seconds));
            let run = Run::of(command.args(args), "");
            let said = run.stdout + &run.stderr;
            assert!(!matches!(run.code, Some(0 | 101) | None), "{args:?}: {said}");
            assert!(said.contains("clock of this machine is wrong"), "{args:?}: {said}");
            assert!(said.contains(shown) && said.contains("timedatectl"), "{args:?}: {said}");
            assert!(!path.join("new").exists(), "nothing is made");
        }
    }
    // One that is only a day behind is not known to be wrong: what it says is shown.
    let mut command = require!(moved(path, "CLOCK_BY", -86_400));
    let run = Run::of(command.args(["init", "--out", "certs"]), "").code(1);
    run.stderr_has("the certificate is not valid yet");
}
