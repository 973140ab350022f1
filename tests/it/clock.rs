//! A machine whose clock is wrong: before 1970, in the year 9999, one day late.

use std::{fs, path::Path, process::Command};

use super::{
    rig::{Run, Workspace, diyadm, program, skip},
    workloads::workload,
};

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

/// A laptop that is six hours ahead.
#[test]
fn workload_ends_by_the_clock_of_the_api_server() {
    let cluster = require!(Workspace::new("clock"));
    let (name, folder) = (cluster.name, cluster.folder());
    let kubeconfig = folder.join("kubeconfig");
    let view = ["config", "view", "--raw", "--flatten", "--minify", "-o", "json"];
    fs::write(&kubeconfig, cluster.kubectl(&view, "")).unwrap();
    let ahead = |args: &[&str]| {
        let mut command = moved(folder, "CLOCK_BY", 6 * 3600)?;
        command.arg("--kubeconfig").arg(&kubeconfig).args(["-n", name]).args(args);
        Some(Run::of(&mut command, ""))
    };
    for app in ["web", "db"] {
        cluster.create(name, &workload("Deployment", app));
    }
    let end = |app: &str| {
        let object = cluster.get(name, &format!("deployment/{app}"));
        let end = object["metadata"]["annotations"]["diyadm.io/expires"].as_str().unwrap();
        end.parse::<jiff::Timestamp>().unwrap()
    };
    let hours = |from: jiff::Timestamp, to: jiff::Timestamp| to.duration_since(from).as_hours();
    let began = jiff::Timestamp::now();
    let web = ["empty", "deploy/web", "--for", "3h", "--wait=false"];
    require!(ahead(&web)).code(0);
    assert_eq!(hours(began, end("web") + jiff::SignedDuration::from_mins(30)), 3);
    // By its own clock that would be over.
    require!(ahead(&["expire"])).code(0).stderr_has("No workload has expired.");
    let wide = require!(ahead(&["status", "-o", "wide"])).code(0).stdout;
    assert!(wide.contains("   2h   ") || wide.contains("   3h   "), "{wide}");
    require!(ahead(&["extend", "deploy/web", "5h"])).code(0);
    assert_eq!(hours(began, end("web") + jiff::SignedDuration::from_mins(30)), 5);
    cluster.run(&["empty", "deploy/db", "--for", "1ms", "--wait=false"]).code(0);
    let run = require!(ahead(&["expire", "--wait=false"])).code(0);
    run.stderr_has("deployment/db restored");
}
