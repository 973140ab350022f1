//! Skew of versions: what earlier versions of diyadm wrote, kept in tests/data/skew/VERSION, with
//! today's program. `agent/earlier_client.rs` has the conversations with the agent.
//!
//! A folder is written once, for its release, and never changed: `DIYADM_UPDATE_GOLDEN=1 cargo xtask
//! test -- skew` writes that of this version where it is missing.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use clap::Parser as _;
use diyadm::cli::{Cli, Command};
use serde_json::Value;

use super::rig::{Workspace, diyadm};

/// Ways of emptying, each with the file of its result.
const WAYS: [(&str, &[&str]); 3] = [
    ("emptied.yaml", &[]),
    ("emptied-agent.yaml", &["--idle", "agent"]),
    ("emptied-replicas.yaml", &["--replicas", "1", "--image", "keep"]),
];

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/skew")
}

/// The folders of earlier versions, after that of this version was written.
fn versions() -> Vec<PathBuf> {
    let own = data().join(concat!("v", env!("CARGO_PKG_VERSION")));
    if env::var_os("DIYADM_UPDATE_GOLDEN").is_some() && !own.join("webhook.yaml").exists() {
        let original = data().join("original.yaml");
        let original = original.to_str().unwrap();
        fs::create_dir_all(&own).unwrap();
        for (name, flags) in WAYS {
            let mutate = [&["mutate", "-f", original], flags].concat();
            let emptied = diyadm(&own, &mutate).code(0).stdout;
            fs::write(own.join(name), emptied).unwrap();
        }
        let rendered = data().with_file_name("golden/templates/webhook.yaml");
        fs::copy(rendered, own.join("webhook.yaml")).unwrap();
    }
    let folders = fs::read_dir(data()).unwrap().map(|entry| entry.unwrap().path());
    let folders: Vec<_> = folders.filter(|path| path.is_dir()).collect();
    assert!(!folders.is_empty());
    folders
}

#[test]
fn restores_workloads_that_earlier_versions_emptied() {
    let original = data().join("original.yaml");
    // The same format as the program's.
    let format = ["mutate", "--restore", "-f"];
    let run = |file: &Path| {
        let args = [&format[..], &[file.to_str().unwrap()]].concat();
        diyadm(&data(), &args).code(0).stdout
    };
    let original = objects(&run(&original));
    for version in versions() {
        for (name, _) in WAYS {
            let emptied = version.join(name);
            let text = fs::read_to_string(&emptied).unwrap();
            assert_ne!(objects(&text), original, "{name} is empty");
            let mut restored = objects(&run(&emptied));
            // Restoring is also opting out.
            restored.iter_mut().for_each(without_opt_out);
            assert_eq!(restored, original, "{}", emptied.display());
        }
    }
}

/// Removes the annotation by which a restored workload is not emptied again.
fn without_opt_out(object: &mut Value) {
    fn remove(value: &mut Value) {
        let Value::Object(map) = value else { return };
        for place in ["annotations", "labels"] {
            if let Some(entries) = map.get_mut(place).and_then(Value::as_object_mut) {
                entries.remove("inject-empty-container");
                if entries.is_empty() {
                    map.remove(place);
                }
            }
        }
        map.values_mut().for_each(remove);
        map.retain(|key, value| key != "metadata" || value != &serde_json::json!({}));
    }
    remove(object);
}

fn objects(text: &str) -> Vec<Value> {
    let documents = diyadm::yaml::parse_documents("-", text).unwrap();
    diyadm::yaml::objects(documents).into_iter().map(|document| document.value).collect()
}

#[test]
fn serves_with_the_arguments_of_earlier_manifests() {
    for version in versions() {
        let deployment = deployment(&fs::read_to_string(version.join("webhook.yaml")).unwrap());
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        let args = container["args"].as_array().into_iter().flatten();
        let words: Vec<_> = ["diyadm"].into_iter().chain(args.filter_map(Value::as_str)).collect();
        let cli = Cli::try_parse_from(&words).unwrap_or_else(|error| panic!("{words:?}: {error}"));
        assert!(matches!(cli.command, Command::Serve(_)), "{words:?}");
    }
}

fn deployment(manifests: &str) -> Value {
    objects(manifests).into_iter().find(|object| object["kind"] == "Deployment").unwrap()
}

/// Fields that cannot be changed would refuse an upgrade.
#[test]
fn upgrades_objects_that_earlier_versions_installed() {
    let cluster = require!(Workspace::new("skew"));
    let name = cluster.name;
    diyadm(cluster.folder(), &["init", "--out", "certs", "-n", name, "--service", name]).code(0);
    let render = ["render", "--ca", "certs/ca.crt", "-n", name, "--service", name];
    let today = diyadm(cluster.folder(), &render).code(0).stdout;
    let in_namespace = |manifests: &str| {
        let objects = objects(manifests).into_iter();
        let items: Vec<_> =
            objects.filter(|object| object["metadata"]["namespace"] == *name).collect();
        assert!(items.len() >= 3, "{items:?}");
        serde_json::json!({ "apiVersion": "v1", "kind": "List", "items": items }).to_string()
    };
    for version in versions() {
        let text = fs::read_to_string(version.join("webhook.yaml")).unwrap();
        let text = text.replace("diyadmissionwebhook", name);
        let text = text.replace("namespace: test", &format!("namespace: {name}"));
        cluster.kubectl(&["apply", "-f", "-"], &in_namespace(&text));
        cluster.kubectl(&["apply", "-f", "-"], &in_namespace(&today));
        let stored = cluster.kubectl(&["-n", name, "get", "deployment", name, "-o", "json"], "");
        let stored: Value = serde_json::from_str(&stored).unwrap();
        let args = "/spec/template/spec/containers/0/args";
        assert_eq!(stored.pointer(args), deployment(&today).pointer(args));
    }
}
