//! `check --manifest FILE --fix`: the one line, and nothing else.

use std::{env, fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use diyadm::webhook::checks::{Level, static_pod};
use proptest::prelude::*;

use super::rig::{Run, diyadm, diyadm_reads};

mod attributes;
mod flags;

const KUBEADM: &str = include_str!("../data/apiserver/kubeadm.yaml");
const KOPS: &str = include_str!("../data/apiserver/kops.yaml");
const NODE: &str = "--enable-admission-plugins=NodeRestriction";
const BOTH: &str = "MutatingAdmissionWebhook,ValidatingAdmissionWebhook";

/// The lines that differ: taken out, put in.
fn changes(old: &str, new: &str) -> (Vec<String>, Vec<String>) {
    let lines = |text: &str| text.split('\n').map(ToOwned::to_owned).collect::<Vec<_>>();
    let (old, new) = (lines(old), lines(new));
    let only = |a: &[String], b: &[String]| {
        a.iter().filter(|line| !b.contains(line)).cloned().collect::<Vec<_>>()
    };
    (only(&old, &new), only(&new, &old))
}

fn worst(text: &str) -> Level {
    let levels: Vec<_> =
        static_pod::findings(text).unwrap().into_iter().map(|finding| finding.level).collect();
    [Level::Failed, Level::Warning].into_iter().find(|l| levels.contains(l)).unwrap_or(Level::Ok)
}

/// The real API server names every plugin that it does not know before it misses its other flags:
/// so it tells which of a repeated flag's values count. All of them do, not the last alone.
#[test]
fn repeated_plugin_flags_add_up_as_in_the_api_server() {
    let program = env::var("DIYADM_TEST_APISERVER");
    let program = require!(program, "no kube-apiserver of our own: run `cargo xtask test`");
    for flag in ["--enable-admission-plugins", "--disable-admission-plugins", "--admission-control"]
    {
        for values in [["Bogus", "NodeRestriction"], ["NodeRestriction", "Bogus"]] {
            let args = values.map(|value| format!("{flag}={value}"));
            let run = Run::of(Command::new(&program).args(args), "");
            assert_ne!(run.code, Some(0));
            let unknown = format!("{} plugin \\\"Bogus\\\" is unknown", &flag[2..]);
            let run = run.stderr_has(&unknown);
            assert!(!run.stderr.contains("NodeRestriction"), "{}", run.stderr);
        }
    }
}

/// What it shows, the manifest, the worst finding, the lines taken out and put in.
type Row = (&'static str, String, Level, Vec<String>, Vec<String>);

#[test]
fn fix_changes_one_line() {
    let item = |text: &str| format!("    - {text}");
    let kubeadm = |flag: &str| KUBEADM.replace(NODE, flag);
    let rows: Vec<Row> = vec![
        (
            "kubeadm's, the blog's case",
            KUBEADM.to_owned(),
            Level::Warning,
            vec![item(&format!("{NODE} # kubeadm's own"))],
            vec![item(&format!("{NODE},{BOTH} # kubeadm's own"))],
        ),
        (
            "quoted",
            kubeadm(&format!("\"{NODE}\"")),
            Level::Warning,
            vec![item(&format!("\"{NODE}\" # kubeadm's own"))],
            vec![item(&format!("\"{NODE},{BOTH}\" # kubeadm's own"))],
        ),
        (
            "no such flag: an item like the last",
            kubeadm("--profiling=false").replace("--secure-port=6443", "'--secure-port=6443' # p"),
            Level::Warning,
            vec![],
            vec![item(&format!("'--enable-admission-plugins={BOTH}'"))],
        ),
        (
            "value as an item of its own",
            kubeadm("--enable-admission-plugins\n    - NodeRestriction"),
            Level::Warning,
            vec![item("NodeRestriction # kubeadm's own")],
            vec![item(&format!("NodeRestriction,{BOTH} # kubeadm's own"))],
        ),
        (
            "repeated flags add up",
            kubeadm(&format!("--enable-admission-plugins=MutatingAdmissionWebhook\n    - {NODE}")),
            Level::Warning,
            vec![item(&format!("{NODE} # kubeadm's own"))],
            vec![item(&format!("{NODE},ValidatingAdmissionWebhook # kubeadm's own"))],
        ),
        (
            "turned off",
            kubeadm(&format!(
                "{NODE},{BOTH}\n    - --disable-admission-plugins=MutatingAdmissionWebhook,X"
            )),
            Level::Failed,
            vec![item("--disable-admission-plugins=MutatingAdmissionWebhook,X # kubeadm's own")],
            vec![item("--disable-admission-plugins=X # kubeadm's own")],
        ),
        (
            "turned off, as an item of its own",
            kubeadm(&format!(
                "{NODE},{BOTH}\n    - --disable-admission-plugins\n    - MutatingAdmissionWebhook"
            )),
            Level::Failed,
            vec![item("MutatingAdmissionWebhook # kubeadm's own")],
            vec![item("\"\" # kubeadm's own")],
        ),
        (
            "the old flag names all there is",
            kubeadm("--admission-control=NodeRestriction"),
            Level::Failed,
            vec![item("--admission-control=NodeRestriction # kubeadm's own")],
            vec![item(&format!("--admission-control=NodeRestriction,{BOTH} # kubeadm's own"))],
        ),
        (
            "in args",
            KUBEADM.replace("    - --advertise", "    args:\n    - --advertise"),
            Level::Warning,
            vec![item(&format!("{NODE} # kubeadm's own"))],
            vec![item(&format!("{NODE},{BOTH} # kubeadm's own"))],
        ),
        (
            "blanks, a trailing comma and another case",
            kubeadm("\"--enable-admission-plugins=noderestriction, mutatingadmissionwebhook,\""),
            Level::Failed,
            vec![item(
                "\"--enable-admission-plugins=noderestriction, mutatingadmissionwebhook,\" # kubeadm's own",
            )],
            vec![item(&format!("\"{NODE},{BOTH}\" # kubeadm's own"))],
        ),
        (
            "quotes within the value",
            kubeadm(&format!("--enable-admission-plugins=\"NodeRestriction,{BOTH}\"")),
            Level::Failed,
            vec![item(&format!(
                "--enable-admission-plugins=\"NodeRestriction,{BOTH}\" # kubeadm's own"
            ))],
            vec![item(&format!("{NODE},{BOTH} # kubeadm's own"))],
        ),
        (
            "turned off with underscores",
            kubeadm(&format!("{NODE},{BOTH}\n    - --disable_admission_plugins={BOTH}")),
            Level::Failed,
            vec![item(&format!("--disable_admission_plugins={BOTH} # kubeadm's own"))],
            vec![item("--disable_admission_plugins= # kubeadm's own")],
        ),
        (
            "kops: started by /go-runner, beside a container with a similar image",
            KOPS.to_owned(),
            Level::Warning,
            vec![item(
                "--enable-admission-plugins=DefaultStorageClass,NodeRestriction,ResourceQuota",
            )],
            vec![item(&format!(
                "--enable-admission-plugins=DefaultStorageClass,NodeRestriction,ResourceQuota,{BOTH}"
            ))],
        ),
        (
            "too old for a default",
            KUBEADM.replace("v1.36.3", "v1.9.11"),
            Level::Failed,
            vec![item(&format!("{NODE} # kubeadm's own"))],
            vec![item(&format!("{NODE},{BOTH} # kubeadm's own"))],
        ),
    ];
    for (row, text, level, out, into) in rows {
        assert_eq!(worst(&text), level, "{row}");
        let fixed = static_pod::fix(&text).unwrap_or_else(|why| panic!("{row}: {why}")).unwrap();
        assert_eq!(changes(&text, &fixed), (out, into), "{row}");
        let findings = static_pod::findings(&fixed).unwrap();
        // The version stays what it is.
        let mut others = findings.iter().filter(|finding| finding.id != "version");
        assert!(others.all(|finding| finding.level != Level::Failed), "{row}: {findings:?}");
        assert_eq!(static_pod::fix(&fixed), Ok(None), "{row}: once is enough");
    }
}

#[test]
fn fix_leaves_unknown_manifests_alone() {
    let two = format!("{KUBEADM}---\n{KUBEADM}");
    for (why, text) in [
        ("not YAML", "a: [".to_owned()),
        ("one document", two),
        ("no Pod", KUBEADM.replace("kind: Pod", "kind: Service")),
        (
            "one container kube-apiserver",
            KUBEADM.replace("kube-apiserver\n", "else\n").replace("/kube-apiserver:", "/else:"),
        ),
        (
            "not kube-apiserver itself",
            KUBEADM.replace("    - kube-apiserver\n", "    - sh\n    - -c\n"),
        ),
        ("not a string", KUBEADM.replace("--secure-port=6443", "6443")),
        (
            "an item a line",
            KUBEADM.replace("    - --secure-port=6443\n", "    - >-\n      --secure-port=6443\n"),
        ),
        ("an item a line", {
            let start = KUBEADM.find("    - kube-apiserver").unwrap();
            let end = KUBEADM.find("    image:").unwrap();
            let flow = "      [kube-apiserver, --enable-admission-plugins=NodeRestriction]\n";
            format!("{}{flow}{}", &KUBEADM[..start], &KUBEADM[end..])
        }),
    ] {
        let refused = static_pod::fix(&text).unwrap_err();
        assert!(refused.contains(why), "{why}: {refused}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]
    /// Whatever the flags, quotes, comments and line endings: both plugins are on, no other line
    /// is touched, and a second time changes nothing.
    #[test]
    fn fix_enables_plugins_in_any_manifest_and_is_idempotent(
        flags in prop::collection::vec((
            prop_oneof![
                "--[a-z]{1,8}=[a-zA-Z0-9,:/.-]{0,11}[a-z0-9]",
                "--enable-admission-plugins=(NodeRestriction|MutatingAdmissionWebhook|A,B)",
                "--disable-admission-plugins=(ValidatingAdmissionWebhook|MutatingAdmissionWebhook,C|D)",
            ],
            0..3_usize,
            prop::option::of("[a-z ]{0,9}"),
        ), 0..8),
        crlf in any::<bool>(),
        open in any::<bool>(),
    ) {
        let mut lines = vec!["    - kube-apiserver".to_owned()];
        for (flag, quotes, comment) in flags {
            let quote = ["", "'", "\""][quotes];
            let comment = comment.map(|c| format!(" # {c}")).unwrap_or_default();
            lines.push(format!("    - {quote}{flag}{quote}{comment}"));
        }
        let start = KUBEADM.find("    - kube-apiserver").unwrap();
        let end = KUBEADM.find("    image:").unwrap();
        let mut text = format!("{}{}\n{}", &KUBEADM[..start], lines.join("\n"), &KUBEADM[end..]);
        if open {
            text.truncate(text.trim_end().len());
        }
        if crlf {
            text = text.replace('\n', "\r\n");
        }
        let fixed = static_pod::fix(&text).unwrap().unwrap_or_else(|| text.clone());
        prop_assert_ne!(worst(&fixed), Level::Failed);
        prop_assert_eq!(static_pod::fix(&fixed), Ok(None));
        let (out, into) = changes(&text, &fixed);
        prop_assert!(out.iter().all(|line| line.contains("able-admission-plugins")), "{out:?}");
        prop_assert!(into.iter().all(|line| line.contains("able-admission-plugins")), "{into:?}");
        prop_assert_eq!(fixed.ends_with('\n'), text.ends_with('\n'));
        prop_assert_eq!(fixed.matches('\n').count(), fixed.matches("\r\n").count() + if crlf { 0 } else { fixed.matches('\n').count() });
    }
}

#[test]
fn fix_replaces_the_file_and_keeps_a_backup() {
    let folder = tempfile::tempdir().unwrap();
    let manifests = folder.path().join("manifests");
    fs::create_dir(&manifests).unwrap();
    let file = manifests.join("kube-apiserver.yaml");
    fs::write(&file, KUBEADM).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let name = file.display().to_string();
    let run =
        |args: &[&str]| diyadm(folder.path(), &[&["check", "--manifest", &name], args].concat());
    let seen = |folder: &Path| fs::read_dir(folder).unwrap().count();

    run(&[]).code(0).stderr_has("on by default");
    let dry = run(&["--fix", "--dry-run=client"]).code(0);
    assert_eq!(dry.stdout.lines().count(), 2, "{}", dry.stdout);
    assert_eq!(fs::read_to_string(&file).unwrap(), KUBEADM);
    let inside = manifests.join("old").display().to_string();
    run(&["--fix", "--backup", &inside]).code(2).stderr_has("kubelet would run");
    assert_eq!(fs::read_to_string(&file).unwrap(), KUBEADM);
    assert_eq!(seen(&manifests), 1, "nothing is made there");
    run(&["--fix", "--dry-run=server"]).code(2).stderr_has("--dry-run=client");
    let json = run(&["--fix", "--dry-run=client", "-o", "json"]).code(0).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["failed"], 0, "one document: {json}");
    let stdin = |args: &[&str]| {
        diyadm_reads(folder.path(), &[&["check", "--manifest", "-"], args].concat(), KUBEADM)
    };
    stdin(&[]).code(0).stderr_has("on by default");
    assert_eq!(stdin(&["--fix", "--dry-run=client"]).code(0).stdout, dry.stdout);
    stdin(&["--fix"]).code(2).stderr_has("written back");

    run(&["--fix"]).code(0).stderr_has("undo the change with `cp ");
    assert!(fs::read_to_string(&file).unwrap().contains(&format!("{NODE},{BOTH} #")));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(seen(&manifests), 1, "nothing else for the kubelet to run");
    let backup = fs::read_dir(folder.path().join("diyadm-backup")).unwrap().next().unwrap();
    assert_eq!(fs::read_to_string(backup.unwrap().path()).unwrap(), KUBEADM);
    run(&["--fix"]).code(0).stderr_has("Nothing to do");
    run(&["-o", "json"]).code(0);

    fs::write(&file, "junk: [").unwrap();
    run(&["--fix"]).code(2).stderr_has("left as it is");
    run(&[]).code(2);
    assert_eq!(fs::read_to_string(&file).unwrap(), "junk: [");
}
