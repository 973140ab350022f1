//! `diyadm mutate`: manifests emptied and restored by a filter, as kubectl reads them.

use std::{fs, path::Path};

use diyadm::{
    mutate::{MutateOptions, mutate},
    workload::{ORIGINAL, Rules, Subject},
    yaml,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    corpus,
    generated::{cases, object, rules},
    rig::{cluster, diyadm, diyadm_reads},
};

const DEPLOYMENT: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web} # a comment inside
spec:
  template:
    spec:
      containers:
      - image: \"web:1\"
        name: web
        command: [run]
        x: 0644
";
/// A document that nothing changes, written as no program would.
const OTHER: &str =
    "kind:   ConfigMap   # kept\napiVersion: v1\ndata: {a: 'yes',\n  b: \"no\"}\n\n";

fn here() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// What `diyadm mutate -f -` makes of `text`.
#[track_caller]
fn filter(args: &[&str], text: &str) -> String {
    let all = [&["mutate", "-f", "-"], args].concat();
    diyadm_reads(here().path(), &all, text).code(0).stdout
}

fn read(text: &str) -> Vec<Value> {
    yaml::parse_documents("t", text)
        .unwrap_or_else(|e| panic!("{e}: {text}"))
        .into_iter()
        .map(|d| d.value)
        .collect()
}

#[test]
fn mutate_warns_about_documents_that_are_not_objects() {
    let values = "replicas: 2\n---\n# nothing\n---\n- a\n---\nkind: Deployment\nspec: {}\n";
    let run = diyadm_reads(here().path(), &["mutate", "-f", "-"], &format!("{values}---\n{OTHER}"));
    let run = run.code(0);
    assert_eq!(run.stdout, format!("{values}---\n{OTHER}"), "it passes them on");
    let places = run.stderr.lines().map(|line| line.split(": ").next().unwrap());
    assert_eq!(places.collect::<Vec<_>>(), ["! -:1", "! -:5", "! -:7"], "{}", run.stderr);
    assert!(run.stderr.lines().all(|line| line.contains("is not a Kubernetes object")));
}

#[test]
fn mutate_keeps_unchanged_documents_byte_for_byte() {
    let text = format!("# first\n\n---\n{OTHER}--- # marker\n# Source: x.yaml\n{OTHER}...\n---\n");
    assert_eq!(filter(&[], &text), text);
    assert_eq!(filter(&["--restore"], &text), text);
    let open = text.trim_end();
    assert_eq!(filter(&[], open), open, "the last line is not ended");
    assert_eq!(filter(&[], ""), "");

    let text = format!("# licence\n---\n# Source: a\n\n{DEPLOYMENT}---\n{OTHER}--- {{a: 1}}\n");
    let emptied = filter(&[], &text);
    assert!(
        emptied.starts_with("# licence\n---\n# Source: a\n\napiVersion: apps/v1\n"),
        "{emptied}"
    );
    assert!(emptied.ends_with(&format!("---\n{OTHER}--- {{a: 1}}\n")), "{emptied}");
    let keys =
        ["apiVersion", "kind", "metadata", "name: web", "spec", "image", "name: web", "x: 420"];
    let mut rest = emptied.as_str();
    for key in keys {
        rest = &rest[rest.find(key).unwrap_or_else(|| panic!("{key} in its order: {emptied}"))..];
    }
    assert_eq!(read(&filter(&["--restore"], &emptied)), read(&text));
    // What emptying takes away comes back where it was, also after a second time.
    let there = filter(&["--idle", "shell"], &filter(&[], DEPLOYMENT));
    let written = yaml::write(&read(DEPLOYMENT)[0]).unwrap();
    assert_eq!(filter(&["--restore"], &there), written);
    // An object on the same line as its marker.
    let text = format!("---\n{OTHER}--- {}\n", read(DEPLOYMENT)[0]);
    assert_eq!(read(&filter(&["--restore"], &filter(&[], &text))), read(&text));
}

#[test]
fn mutate_joins_files_and_folders_to_one_stream() {
    let folder = here();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("a.yaml", OTHER.trim_end());
    write("b.json", &format!("\u{feff}{}\n{{\"a\":1.0}}\n", read(DEPLOYMENT)[0]));
    write("c/d.yml", &format!("---\r\n{}", DEPLOYMENT.replace('\n', "\r\n")));
    write("c/README.md", "no manifest: [");
    let run = |args: &[&str]| diyadm(folder.path(), &[&["mutate"], args].concat());
    let texts = |text: &str| read(text).into_iter().map(|v| v["kind"].clone()).collect::<Vec<_>>();
    let some = run(&["-f", "."]).code(0).stdout;
    assert_eq!(
        texts(&some),
        ["ConfigMap", "Deployment"]
            .map(Value::from)
            .into_iter()
            .chain([Value::Null])
            .collect::<Vec<_>>()
    );
    let all = run(&["-f", ".", "-R"]).code(0).stdout;
    assert_eq!(read(&all).len(), 4);
    assert_eq!(read(&all)[1], read(&all)[3]);
    run(&["-f", "c", "-f", "a.yaml"]).code(0);
    fs::create_dir(folder.path().join("none")).unwrap();
    run(&["-f", "none"]).code(2).stderr_has("holds no .yaml");
    run(&["-f", "nowhere.yaml"]).code(2).stderr_has("nowhere.yaml could not be read");
    run(&["-f", "a.yaml", "--restore", "--image", "x"]).code(2).stderr_has("--restore");
    write("bad.yaml", "a: 1\n---\nb: *nope\n");
    let bad = run(&["-f", "bad.yaml"]).code(2).stderr_has("bad.yaml:3:4: the alias `*nope`");
    assert_eq!(bad.stdout, "a: 1\n", "a filter does not wait for the end");
    fs::write(folder.path().join("bad.yaml"), b"a: \xff\n").unwrap();
    run(&["-f", "bad.yaml"]).code(2).stderr_has("not UTF-8");
}

#[test]
fn mutate_reads_and_writes_json() {
    let other = "{\"kind\": \"X\",  \"n\": 1.0}";
    let text = format!("{}\n{other}", read(DEPLOYMENT)[0]);
    let emptied = filter(&["-o", "json"], &text);
    assert!(emptied.ends_with(&format!("}}\n{other}\n")), "{emptied}");
    assert_eq!(read(&emptied)[0], read(&filter(&[], DEPLOYMENT))[0]);
    assert_eq!(read(&filter(&["-o", "json", "--restore"], &emptied)), read(&text));
    // YAML in, JSON out, and the reverse.
    assert_eq!(read(&filter(&["-o", "json"], DEPLOYMENT))[0], read(&emptied)[0]);
    assert_eq!(read(&filter(&["-o", "yaml"], &text)), read(&emptied));
    // A YAML flow mapping looks like JSON at first.
    let flow = "{a: 1}\n---\n{b: 2}\n";
    assert_eq!(filter(&[], flow), flow);
}

#[test]
fn mutate_prints_one_patch_per_line() {
    let text = format!("{DEPLOYMENT}---\n{OTHER}---\n{DEPLOYMENT}");
    let out = filter(&["-o", "patch", "-n", "dev"], &text);
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    let mut named = lines[0].clone();
    let patch = named.as_object_mut().unwrap().remove("patch").unwrap();
    let name = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "namespace": "dev", "name": "web",
    });
    assert_eq!(named, name);
    let mut object = read(DEPLOYMENT).remove(0);
    let patch: json_patch::Patch = serde_json::from_value(patch).unwrap();
    json_patch::patch(&mut object, &patch).unwrap();
    assert_eq!(object, read(&filter(&["-n", "dev"], DEPLOYMENT))[0]);
}

#[test]
fn mutate_diff_shows_changes() {
    let folder = here();
    fs::write(folder.path().join("a.yaml"), format!("---\n{OTHER}---\n{DEPLOYMENT}")).unwrap();
    let run = |args: &[&str]| {
        diyadm(folder.path(), &[&["mutate", "-f", "a.yaml", "--diff"], args].concat())
    };
    let diff = run(&[]).code(1).stdout;
    assert!(diff.starts_with("--- a.yaml:8\tdeployment/web\n+++ "), "{diff}");
    assert!(
        diff.contains("\n-      - image: web:1\n+      - image: empty-container:latest\n"),
        "{diff}"
    );
    assert!(!diff.contains("ConfigMap"), "{diff}");
    assert_eq!(run(&["--restore"]).code(0).stdout, "");
    run(&["-o", "json"]).code(2);
}

#[test]
fn mutate_keeps_lists() {
    let deployment = read(DEPLOYMENT).remove(0);
    let mut bare = deployment.clone();
    bare.as_object_mut().unwrap().retain(|key, _| key != "kind" && key != "apiVersion");
    let list = json!({
        "apiVersion": "v1", "kind": "List", "metadata": {},
        "items": [deployment, { "kind": "X" }, { "apiVersion": "v1", "kind": "List", "items": [deployment] }],
    });
    // As kubectl reads a typed list: its items have no kind of their own.
    let typed = json!({ "kind": "DeploymentList", "apiVersion": "apps/v1", "items": [bare] });
    for (list, items) in
        [(list, ["/items/0", "/items/2/items/0"].as_slice()), (typed, &["/items/0"])]
    {
        let emptied = read(&filter(&[], &list.to_string())).remove(0);
        for item in items {
            let item = emptied.pointer(item).unwrap();
            assert!(item["metadata"]["annotations"].get(ORIGINAL).is_some(), "{emptied}");
            assert_eq!(item.get("kind").is_some(), list["kind"] == "List");
        }
        assert_eq!(read(&filter(&["--restore"], &emptied.to_string()))[0], list);
        let patches = filter(&["-o", "patch"], &list.to_string());
        assert_eq!(patches.lines().count(), items.len());
        assert!(patches.lines().all(|line| line.contains("\"kind\":\"Deployment\"")), "{patches}");
    }
}

#[test]
fn mutate_obeys_flags_rules_and_annotations() {
    let folder = here();
    let image = |args: &[&str]| {
        let all = [&["mutate", "-f", "-"], args].concat();
        let misnamed = args.contains(&"none");
        let run = diyadm_reads(folder.path(), &all, DEPLOYMENT).code(i32::from(misnamed));
        (read(&run.stdout)[0].clone(), run.stderr)
    };
    let rules = "rules:\n- match: {namespaces: [prod]}\n  empty: false\n- image: tools:1\n  containers: web\n";
    fs::write(folder.path().join("rules.yaml"), rules).unwrap();
    let container = "/spec/template/spec/containers/0";
    let (emptied, _) = image(&["--image", "keep", "--idle", "shell", "--replicas", "2"]);
    assert_eq!(emptied.pointer(container).unwrap()["image"], "web:1");
    assert_eq!(emptied["spec"]["replicas"], 2);
    let (emptied, _) = image(&["--rules", "rules.yaml", "--image", "keep"]);
    assert_eq!(emptied.pointer(container).unwrap()["image"], "tools:1");
    assert_eq!(image(&["--rules", "rules.yaml", "-n", "prod"]).0, read(DEPLOYMENT)[0]);
    assert_eq!(image(&["--level", "pod"]).0, read(DEPLOYMENT)[0]);
    let (left, warned) = image(&["--containers", "none"]);
    assert_eq!(left, read(DEPLOYMENT)[0]);
    assert!(warned.contains("-:1: diyadm: --containers names no container: none"), "{warned}");
    let quiet = diyadm_reads(
        folder.path(),
        &["mutate", "-q", "-f", "-", "--containers", "none"],
        DEPLOYMENT,
    );
    // What is wrong is said even so.
    assert_eq!(quiet.code(1).stderr, warned);
}

/// Whether the keys that both have come in one order, all the way down.
fn in_order(before: &Value, after: &Value) -> bool {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            let both = before.keys().filter(|key| after.contains_key(*key));
            both.eq(after.keys().filter(|key| before.contains_key(*key)))
                && before.iter().all(|(k, v)| after.get(k).is_none_or(|after| in_order(v, after)))
        }
        (Value::Array(before), Value::Array(after)) => {
            before.iter().zip(after).all(|(before, after)| in_order(before, after))
        }
        _ => true,
    }
}

proptest! {
    #![proptest_config(cases())]
    #[test]
    fn mutate_empties_and_restores_any_document_in_order(object in object(), rules in rules()) {
        let mut document = json!({ "kind": "List", "apiVersion": "v1", "items": [object] });
        let before = document.clone();
        let how = |restore| MutateOptions { rules: &rules, namespace: "n", restore };
        let outcome = mutate(&how(false), &mut document);
        prop_assert!(in_order(&before, &document), "{} {}", before, document);
        prop_assert_eq!(outcome.edits.is_empty(), before == document);
        // One that came in emptied goes back further than to where it was.
        if !before.to_string().contains(ORIGINAL) {
            mutate(&how(true), &mut document);
            prop_assert_eq!(document.to_string(), before.to_string());
        }
    }
}

const WAYS: [&[&str]; 4] = [
    &[],
    &["--idle", "shell", "--image", "keep", "--containers", "*"],
    &["--idle", "agent", "--image", "tools:1"],
    &["--idle", "agent", "--image", "keep", "--replicas", "1"],
];

fn there_and_back(file: &Path, way: &[&str]) -> (String, String) {
    let folder = here();
    let name = file.display().to_string();
    let there = [&["mutate", "-f", &name], way].concat();
    let emptied = diyadm(folder.path(), &there).code(0).stdout;
    let back =
        diyadm_reads(folder.path(), &["mutate", "-f", "-", "--restore"], &emptied).code(0).stdout;
    (emptied, back)
}

#[test]
fn mutate_empties_and_restores_the_corpus() {
    for file in corpus::files() {
        let objects = file.objects();
        for way in WAYS {
            // Volumes are worth more than a number of replicas.
            let loses_volumes = |object: &Value| {
                let text = object.to_string();
                let subject = Subject::parse(&text);
                way.contains(&"--replicas") && subject.is_some_and(|one| one.loses_volumes(1))
            };
            let is_meant = |object: &&Value| corpus::is_workload(object) && !loses_volumes(object);
            let workloads = objects.iter().filter(is_meant).count();
            let (emptied, back) = there_and_back(&file.path, way);
            let name = file.name();
            let empty = read(&emptied).iter().map(count_emptied).sum::<usize>();
            assert_eq!(empty, workloads, "{name} {way:?}");
            let ordered = |text: &str| read(text).iter().map(Value::to_string).collect::<Vec<_>>();
            assert_eq!(ordered(&back), ordered(&file.text), "{name} {way:?}");
        }
    }
}

/// Emptied objects in a document: itself, or the items of a List.
fn count_emptied(document: &Value) -> usize {
    let items = document["items"].as_array();
    let own = usize::from(document["metadata"]["annotations"].get(ORIGINAL).is_some());
    own + items.into_iter().flatten().map(count_emptied).sum::<usize>()
}

#[test]
fn kubectl_reads_corpus_restored_by_mutate_as_the_original() {
    let cluster = require!(cluster());
    // kubectl reports kinds that the cluster does not know, and goes on.
    let made = |text: &str| {
        let args = ["create", "--dry-run=client", "--validate=false", "-f", "-", "-o", "json"];
        let run = cluster.try_kubectl(&args, text);
        assert!(!run.stdout.is_empty(), "{}", run.stderr);
        (run.code, run.stdout, run.stderr)
    };
    for file in corpus::files() {
        let (emptied, back) = there_and_back(&file.path, &[]);
        let before = made(&file.text);
        // Of a kind that the cluster does not know kubectl shows nothing.
        if before.0 == Some(0) {
            let holds = emptied.contains(ORIGINAL);
            assert_eq!(made(&emptied) != before, holds, "{}", file.name());
        }
        assert_eq!(made(&back), before, "{}", file.name());
    }
}

#[test]
fn library_and_program_mutate_alike_with_empty_rules() {
    let how = MutateOptions { rules: &Rules::default(), namespace: "", restore: false };
    let mut object = read(DEPLOYMENT).remove(0);
    mutate(&how, &mut object);
    assert_eq!(object, read(&filter(&[], DEPLOYMENT))[0]);
}
