//! Files that commands write: whole or not at all, with other writers and with a full disk.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command, thread};

use super::rig::{Run, diyadm, program};

const INIT: [&str; 5] = ["init", "--key", "p256", "--out", "certs"];

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn concurrent_init_leaves_one_set_of_files() {
    let folder = tempfile::tempdir().unwrap();
    let certs = folder.path().join("certs");
    for round in 0..12 {
        let more: &[&str] = if round % 3 == 2 { &["--force"] } else { &[] };
        let runs: Vec<_> = thread::scope(|scope| {
            let run = |_| scope.spawn(|| diyadm(folder.path(), &[&INIT[..], more].concat()));
            let all: Vec<_> = (0..4).map(run).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let said = |words: &str| {
            runs.iter().filter(|run| run.code == Some(0) && run.stderr.contains(words)).count()
        };
        let stderr: Vec<_> = runs.iter().map(|run| run.stderr.as_str()).collect();
        assert_eq!((said("server.key created"), said("Nothing to do")), (1, 3), "{stderr:?}");
        assert_eq!(names(&certs), ["ca.crt", "server.crt", "server.key"]);
        let inspected = diyadm(folder.path(), &["init", "--inspect", "certs"]).code(0).stdout;
        assert!(inspected.contains("belongs to the certificate"), "{inspected}");
        // It is looked at with the CA too.
        diyadm(folder.path(), &INIT).code(0).stderr_has("Nothing to do");
        if round % 2 == 0 {
            fs::remove_dir_all(&certs).unwrap();
        } else {
            names(&certs).iter().for_each(|name| fs::remove_file(certs.join(name)).unwrap());
        }
    }
}

/// With files of 1 KiB at most: an RSA key is longer.
fn limited(folder: &Path, args: &[&str]) -> Run {
    let mut bash = Command::new("bash");
    bash.args(["-c", r#"ulimit -f 1; exec "$0" "$@""#, env!("CARGO_BIN_EXE_diyadm")]);
    Run::of(bash.args(args).current_dir(folder), "")
}

#[test]
fn failed_write_leaves_no_new_file() {
    let folder = tempfile::tempdir().unwrap();
    let out = ["init", "--out", "a/b/certs", "--key", "rsa2048"];
    let run = limited(folder.path(), &out).code(2);
    run.stderr_has("a/b/certs/ca.crt cannot be written").stderr_has("hint: Free some space");
    assert!(names(folder.path()).is_empty(), "{:?}", names(folder.path()));

    // The old ones stay, whole.
    diyadm(folder.path(), &INIT).code(0);
    let certs = folder.path().join("certs");
    let read = || names(&certs).iter().map(|name| fs::read(certs.join(name)).unwrap()).collect();
    let before: Vec<_> = read();
    let replace = ["init", "--out", "certs", "--key", "rsa2048", "--force"];
    limited(folder.path(), &replace).code(2).stderr_has("certs/ca.crt cannot be written");
    assert_eq!(read(), before);
    assert_eq!(names(&certs), ["ca.crt", "server.crt", "server.key"]);

    // dev --init; check --fix.
    let pom = "<project><artifactId>x</artifactId><version>1</version></project>";
    fs::write(folder.path().join("pom.xml"), pom).unwrap();
    let long = "x".repeat(1100);
    let workload = format!("deploy/{long}");
    limited(folder.path(), &["dev", "--init", &workload])
        .code(2)
        .stderr_has("diyadm.yaml cannot be written")
        .stderr_has("-f FILE");
    assert!(!folder.path().join("diyadm.yaml").exists());
    let pod = include_str!("../data/apiserver/kubeadm.yaml").to_owned();
    let pod = pod + &format!("# {long}\n");
    let manifests = folder.path().join("manifests");
    fs::create_dir(&manifests).unwrap();
    fs::write(manifests.join("kube-apiserver.yaml"), &pod).unwrap();
    let fix = ["check", "--manifest", "manifests/kube-apiserver.yaml", "--fix"];
    limited(folder.path(), &fix).code(2).stderr_has("cannot be written");
    assert_eq!(fs::read_to_string(manifests.join("kube-apiserver.yaml")).unwrap(), pod);
    assert_eq!(names(&manifests), ["kube-apiserver.yaml"]);
    assert!(!folder.path().join("diyadm-backup").exists());

    // A result is as good as lost.
    let lost = r#"ulimit -f 1; "$0" render --ca certs/ca.crt > out"#;
    let mut bash = Command::new("bash");
    bash.args(["-c", lost, env!("CARGO_BIN_EXE_diyadm")]).current_dir(folder.path());
    Run::of(&mut bash, "").code(1).stderr_has("error: stdout cannot be written");
}

#[test]
fn full_disk_error_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    // 8 KiB: the three files do not all fit.
    let script = r#"mkdir disk && mount -t tmpfs -o size=8k none disk || exit 77
        "$0" init --out disk/certs --key p256; code=$?; ls -A disk; exit $code"#;
    let mut unshare = Command::new("unshare");
    unshare.args(["--map-root-user", "--mount", "sh", "-c", script]);
    let run = Run::of(unshare.arg(env!("CARGO_BIN_EXE_diyadm")).current_dir(folder.path()), "");
    let mounted = run.code != Some(77) && !run.stderr.contains("unshare");
    require!(mounted, "no file system of its own: {}", run.stderr);
    let run = run.code(2).stderr_has("cannot be written: No space left on device");
    assert!(run.stderr.contains("disk/certs/") && run.stderr.contains("hint: Free some space"));
    assert_eq!(run.stdout, "", "nothing is left");
}

/// Every command that writes a file, on a disk that is full, one that is read-only, where nobody
/// may write, and with a name that is too long.
#[test]
fn write_error_names_the_file_in_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = include_str!("../data/apiserver/kubeadm.yaml");
    fs::write(folder.path().join("manifest"), manifest).unwrap();
    fs::write(folder.path().join("pom.xml"), "<project><artifactId>x</artifactId></project>")
        .unwrap();
    let script = r#"mkdir disk && mount -t tmpfs -o size=512k none disk || exit 77
        mkdir disk/manifests disk/certs && cp manifest disk/manifests/kube-apiserver.yaml
        "$0" init --out disk/certs --key p256 || exit 1
        long=$(printf 'x%.0s' $(seq 300))
        try() { "$@" > said 2>&1; echo "$case $? $(tr '\n' ' ' < said)"; }
        all() {
            try "$0" init --out "$1/new" --key p256
            try "$0" init --out disk/certs --key p256 --days 9 --force
            try "$0" dev --init deploy/web -f "$1/diyadm.yaml"
            try "$0" check --manifest disk/manifests/kube-apiserver.yaml --fix --backup "$1/backup"
        }
        sums() { find disk/certs disk/manifests -type f | sort | xargs sha256sum; find disk | sort; }
        sums > before
        cat /dev/zero > disk/zero 2> /dev/null
        case=full all disk
        rm disk/zero && mount -o remount,ro disk
        case=read-only all disk
        mount -o remount,rw disk && sums > after
        case=long
        try "$0" init --out "disk/$long" --key p256
        try "$0" dev --init deploy/web -f "disk/$long"
        try "$0" check --manifest disk/manifests/kube-apiserver.yaml --fix --backup "disk/$long"
        case=forbidden
        try "$0" init --out /sys/kernel/certs --key p256
        try "$0" dev --init deploy/web -f /sys/kernel/diyadm.yaml
        try "$0" check --manifest disk/manifests/kube-apiserver.yaml --fix --backup /sys/kernel/backup
        sums | diff before - && diff before after && echo same"#;
    let mut unshare = Command::new("unshare");
    unshare.args(["--map-root-user", "--mount", "sh", "-c", script]);
    let run = Run::of(unshare.arg(env!("CARGO_BIN_EXE_diyadm")).current_dir(folder.path()), "");
    let mounted = run.code != Some(77) && !run.stderr.contains("unshare");
    require!(mounted, "no file system of its own: {}", run.stderr);
    let run = run.code(0);
    let lines: Vec<_> = run.stdout.lines().collect();
    assert_eq!((lines.len(), *lines.last().unwrap()), (15, "same"), "{lines:#?}");
    for line in &lines[..14] {
        let reason = match line.split(' ').next().unwrap() {
            "full" => "No space left on device",
            "read-only" => "Read-only file system",
            "long" => "File name too long",
            // Where /sys is read-only it says that instead.
            _ => "",
        };
        assert!(line.contains(reason) && line.contains(" 2 error: "), "{line}");
        assert!(line.contains("cannot be written") && line.contains(" hint: "), "{line}");
        assert!(line.contains("disk/") || line.contains("/sys/"), "names the file: {line}");
    }
}

#[test]
fn rewritten_key_is_private_and_links_are_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    diyadm(folder.path(), &INIT).code(0);
    let key = folder.path().join("certs/server.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    diyadm(folder.path(), &[&INIT[..], &["--force", "--days", "9"]].concat()).code(0);
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    // A link that waits in the folder is not written through.
    let secret = folder.path().join("elsewhere");
    fs::write(&secret, "mine").unwrap();
    let mut child = program(folder.path());
    std::os::unix::fs::symlink(&secret, folder.path().join("diyadm.yaml")).unwrap();
    assert_eq!(child.args(["dev", "--init"]).status().unwrap().code(), Some(2));
    assert_eq!(fs::read_to_string(&secret).unwrap(), "mine");
}
