//! Golden files: what diyadm prints, word for word, below tests/data. They are written anew with
//! `DIYADM_UPDATE_GOLDEN=1 cargo xtask test -- golden`, and read in the diff.

mod check;
mod dev;
mod plan;
mod review;
mod screen;

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command as Process,
};

use clap::CommandFactory;
use serde_json::Value;

use super::rig::{Run, diyadm};

/// Texts by the names of their files.
type Golden = BTreeMap<String, String>;

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

/// Holds `made` against the files of a folder below tests/data: each the same, none missing, none
/// left over.
#[track_caller]
fn hold(folder: &str, made: &Golden) {
    let folder = data().join(folder);
    let read = || -> Golden {
        let files = fs::read_dir(&folder).into_iter().flatten().map(|file| file.unwrap().path());
        let name = |file: &Path| file.file_name().unwrap().to_str().unwrap().to_owned();
        files.map(|file| (name(&file), fs::read_to_string(&file).unwrap())).collect()
    };
    let found = read();
    if env::var_os("DIYADM_UPDATE_GOLDEN").is_some() {
        assert!(env::var("CI").as_deref() != Ok("true"), "golden files are read in CI");
        fs::create_dir_all(&folder).unwrap();
        found.keys().for_each(|name| fs::remove_file(folder.join(name)).unwrap());
        made.iter().for_each(|(name, text)| fs::write(folder.join(name), text).unwrap());
        return;
    }
    let names = |golden: &Golden| golden.keys().cloned().collect::<Vec<_>>();
    let folder = folder.display();
    let again = "DIYADM_UPDATE_GOLDEN=1 cargo xtask test -- golden";
    assert_eq!(names(&found), names(made), "files of {folder}; after a look: {again}");
    for (name, made) in made {
        let golden = &found[name];
        let differ = golden.lines().zip(made.lines()).position(|(golden, made)| golden != made);
        let line = differ.unwrap_or(golden.lines().count().min(made.lines().count()));
        let part = |text: &str| {
            text.lines().skip(line.saturating_sub(2)).take(6).collect::<Vec<_>>().join("\n")
        };
        let (was, is) = (part(golden), part(made));
        assert!(
            golden == made,
            "{folder}/{name}:{}\n--- golden\n{was}\n--- made\n{is}\n--- after a look: {again}",
            line + 1
        );
    }
}

/// Puts `N` for every number that stands right after `before`.
fn mask(text: &str, before: &str) -> String {
    let mut parts = text.split(before);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        out.push_str(before);
        if rest.len() < part.len() {
            out.push('N');
        }
        out.push_str(rest);
    }
    out
}

/// A report without what differs from run to run: times.
fn timeless(text: &str) -> String {
    let text = ["  ", "\"micros\": ", " time=\""].iter().fold(text.to_owned(), |t, b| mask(&t, b));
    text.replace("  N s\n", "  N ms\n")
}

/// What a run printed: the one of its two outputs that it uses.
#[track_caller]
fn output(run: &Run) -> &str {
    match (run.stdout.as_str(), run.stderr.as_str()) {
        (stdout, "") => stdout,
        ("", stderr) => stderr,
        both => panic!("one or the other: {both:?}"),
    }
}

#[test]
fn help_matches_golden() {
    fn all(command: &clap::Command, words: &[&str], made: &mut Golden) {
        let mut help = Process::new(env!("CARGO_BIN_EXE_diyadm"));
        // Without a terminal clap wraps as wide as this says.
        help.args(words).arg("--help").env("COLUMNS", "100");
        let name = [&["diyadm"], words].concat().join("-");
        made.insert(format!("{name}.txt"), Run::of(&mut help, "").code(0).stdout);
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
            all(sub, &[words, &[sub.get_name()]].concat(), made);
        }
    }
    let mut made = Golden::new();
    all(&::diyadm::cli::Cli::command(), &[], &mut made);
    assert!(made.len() > 8, "{:?}", made.keys());
    hold("golden/help", &made);
}

/// `render` with the golden CA; its certificate is all that there is of it.
fn render(args: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(data().join("golden/ca.crt"), folder.path().join("ca.crt")).unwrap();
    fs::write(folder.path().join("rules.yaml"), RULES).unwrap();
    diyadm(folder.path(), &[&["render", "--ca", "ca.crt"], args].concat()).code(0).stdout
}

const RULES: &str = "rules:\n- match: {kinds: [StatefulSet]}\n  empty: false\n";

/// `cargo xtask tidy` asks for a file here of each template's name.
#[test]
fn every_template_has_a_golden() {
    let test = ::diyadm::webhook::manifests::test_deployment("test").unwrap();
    let made = [
        ("webhook.yaml", render(&[])),
        ("policy.yaml", render(&["--mode", "policy"])),
        ("test.yaml", ::diyadm::webhook::manifests::to_yaml(&[test]).unwrap()),
    ];
    hold("golden/templates", &made.map(|(name, text)| (name.to_owned(), text)).into());
}

#[test]
fn render_matches_golden() {
    let url = ["--url", "https://webhook.example.org:8443/"];
    let every = [
        "--namespace=dev",
        "--webhook-namespace=infra",
        "--service=emptier",
        "--secret=emptier-secret",
        "--label=empty=yes",
        "--webhook-image=registry.example.org/diyadm:1",
        "--image=registry.example.org/empty:1",
        "--idle=shell",
        "--containers=*",
        "--level=pod",
        "--ready=container",
        "--stand-in=false",
        "--registry=registry.example.org/diyadm",
        "--requests=cpu=1",
        "--limits=cpu=4,memory=4Gi",
        "--env=A=b",
        "--env-from=secret/developers",
        "--cache=/root/.m2=m2",
        "--node-selector=disk=ssd",
        "--toleration=dev=true:NoSchedule",
        "--service-account=developer",
        "--security-context=runAsUser=0",
        "--image-pull-secret=pull",
        "--run-as-user=none",
        "--agent-image=registry.example.org/diyadm:1",
        "--rules=rules.yaml",
        "--replicas=3",
        "--failure-policy=Fail",
        "--service-type=NodePort",
        "--port=443",
        "--container-port=9443",
        "--timeout-seconds=10",
        "--cert-dir=/certs",
        "--expire=0 * * * *",
        "--expire-namespaces=shop,orders",
    ];
    let command = ::diyadm::cli::Cli::command();
    let flags = command.find_subcommand("render").unwrap().get_arguments();
    let global = ["context", "kubeconfig", "verbose", "quiet", "color", "help"];
    for flag in flags.filter_map(clap::Arg::get_long).filter(|flag| !global.contains(flag)) {
        let elsewhere = ["ca", "output", "out", "url", "mode", "resources"].contains(&flag);
        let given = every.iter().any(|arg| arg.starts_with(&format!("--{flag}=")));
        assert!(given || elsewhere, "no golden file shows what --{flag} does");
    }
    let made = [
        ("every-flag.yaml", render(&every)),
        ("url.yaml", render(&url)),
        ("policy.yaml", render(&["--mode", "policy", "--idle", "agent"])),
        ("registry.yaml", render(&["--registry", "registry.example.org/tools/"])),
        ("one-replica.yaml", render(&["--replicas", "1", "--resources", "none"])),
        ("node-port.yaml", render(&["--service-type", "NodePort"])),
        ("defaults.json", render(&["-o", "json"])),
    ];
    hold("golden/render", &made.map(|(name, text)| (name.to_owned(), text)).into());
}

#[test]
fn verify_offline_matches_golden() {
    let folder = tempfile::tempdir().unwrap();
    let verify = |more: &[&str], code| {
        let base = ["verify", "--offline", "--key", "p256"];
        let run = diyadm(folder.path(), &[&base, more].concat()).code(code);
        ["webhook.yaml, ", "127.0.0.1:"].iter().fold(timeless(output(&run)), |t, b| mask(&t, b))
    };
    let made = [
        ("offline.txt", verify(&[], 0)),
        ("offline.json", verify(&["-o", "json"], 0)),
        ("offline.xml", verify(&["-o", "junit"], 0)),
        ("failed.txt", verify(&["--csr-conf", "none"], 1)),
    ];
    hold("golden/verify", &made.map(|(name, text)| (name.to_owned(), text)).into());
}

/// JSON as it is best read in a diff.
fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}
