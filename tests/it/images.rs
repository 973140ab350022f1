//! diyadm's own images: their names, and archives of them that a node imports.

use std::{collections::BTreeMap, fs, fs::File, io::Read as _, path::Path};

use serde_json::{Value, json};

use super::rig::{Workspace, diyadm, wait_until};

const REGISTRY: &str = "saved.example/tools";

#[test]
fn images_are_listed_with_their_registry() {
    let here = Path::new(".");
    let names = ["admissionwebhook:latest", "empty-container:latest", "diyadm-agent:latest"];
    let table = diyadm(here, &["images", "list"]).code(0).stdout;
    let listed: Vec<_> = table.lines().skip(1).filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(listed, names);
    let list = ["images", "list", "--registry", "r.example:5000/t/", "-o"];
    let json = diyadm(here, &[&list[..], &["json"]].concat()).code(0).stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    for (image, name) in json["images"].as_array().unwrap().iter().zip(names) {
        assert_eq!(image["image"], format!("r.example:5000/t/{name}"));
    }
    let yaml = diyadm(here, &[&list[..], &["yaml"]].concat()).code(0).stdout;
    assert_eq!(serde_yaml::from_str::<Value>(&yaml).unwrap(), json);
    let scheme = ["images", "list", "--registry", "https://r.example"];
    diyadm(here, &scheme).code(2).stderr_has("without https://");
}

/// The files of a tar.
fn files(archive: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(File::open(archive).unwrap()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        files.insert(entry.path().unwrap().display().to_string(), content);
    }
    files
}

/// Name and value of the last of these instructions in a stage of the Dockerfile.
fn instruction(stage: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Dockerfile")).unwrap();
    let begin = text.find(&format!(" AS {stage}\n")).unwrap();
    let lines = text[begin..].lines().skip(1).take_while(|line| !line.starts_with("FROM "));
    let values = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    values.last().map(str::to_owned)
}

#[test]
fn saved_images_are_run_as_the_dockerfile_says() {
    let folder = tempfile::tempdir().unwrap();
    let save = ["images", "save", "empty-container", "agent", "-o", "images.tar"];
    diyadm(folder.path(), &save)
        .code(0)
        .stderr_has("image diyadm-agent:latest for")
        .stderr_has("there is no distribution in it");
    let files = files(&folder.path().join("images.tar"));
    let json = |name: &str| -> Value { serde_json::from_slice(&files[name]).unwrap() };
    for (image, stage) in
        json("manifest.json").as_array().unwrap().iter().zip(["empty-container", "agent"])
    {
        let config = json(image["Config"].as_str().unwrap());
        let list = |name: &str| match instruction(stage, name) {
            Some(list) => serde_json::from_str(&list).unwrap(),
            None => json!([]),
        };
        assert_eq!(config["config"]["Entrypoint"], list("ENTRYPOINT"));
        assert_eq!(config["config"]["Cmd"], list("CMD"));
        assert_eq!(config["config"]["User"], instruction(stage, "USER").unwrap_or_default());
    }
    // This program is linked as tests are, so that it cannot be the only file of an image.
    if !cfg!(target_feature = "crt-static") {
        let all = diyadm(folder.path(), &["images", "save", "-o", "all.tar"]).code(1);
        all.stderr_has("is not statically linked").stderr_has("images save empty-container agent");
        assert!(!folder.path().join("all.tar").exists());
    }
    let other = ["images", "save", "agent", "--arch", "riscv64", "-o", "-"];
    diyadm(folder.path(), &other).code(1).stderr_has("no agent for riscv64");
}

#[test]
fn saved_images_run_on_a_node() {
    let node = require!(Workspace::on_node("images"));
    let (name, folder) = (node.name, node.folder());
    let image = |name: &str| format!("{REGISTRY}/{name}:latest");
    let save =
        ["images", "save", "empty-container", "agent", "--registry", REGISTRY, "-o", "own.tar"];
    node.diyadm(folder, &save).code(0);
    node.load(&[folder.join("own.tar").to_str().unwrap()]);

    let empty = image("empty-container");
    node.pod(name, "idle", &json!({ "image": empty }));
    let inside = ["shell", "pod/idle", "-n", name, "--", "/diyadm-agent", "--version"];
    let run = node.diyadm(folder, &inside).code(0);
    assert!(run.stdout.starts_with("diyadm-agent "), "{}", run.stdout);

    let agent = image("diyadm-agent");
    let container = json!({
        "name": "web", "image": agent, "imagePullPolicy": "IfNotPresent", "args": ["--grace", "1"],
    });
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
        "spec": {
            "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "containers": [container], "terminationGracePeriodSeconds": 1 },
            },
        },
    });
    node.create(name, &deployment);
    let ways = ["--idle", "agent", "--registry", REGISTRY];
    node.diyadm(folder, &[&["empty", "deploy/web", "-n", name], &ways[..]].concat()).code(0);
    let emptied = node.get(name, "deploy/web")["spec"]["template"]["spec"].take();
    assert_eq!(emptied["containers"][0]["image"], empty);
    assert_eq!(emptied["initContainers"][0]["image"], agent);
    node.diyadm(folder, &["restore", "deploy/web", "-n", name]).code(0);
    let restored = node.get(name, "deploy/web")["spec"]["template"]["spec"].take();
    assert_eq!(restored["containers"][0]["image"], agent);

    // The webhook's image saves itself: there the program is static.
    node.load(&["webhook", "busybox"]);
    let own = ["images", "save", "webhook", "--registry", REGISTRY, "-o", "/out/webhook.tar"];
    let mounts = json!([{ "name": "out", "mountPath": "/out" }]);
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "saver" },
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "initContainers": [{
                "name": "save", "image": "admissionwebhook:latest", "args": own,
                "imagePullPolicy": "IfNotPresent", "volumeMounts": mounts,
            }],
            "containers": [{
                "name": "hold", "image": "busybox:rig", "command": ["sleep", "1000"],
                "imagePullPolicy": "IfNotPresent", "volumeMounts": mounts,
            }],
            "volumes": [{ "name": "out", "emptyDir": {} }],
        },
    });
    node.create(name, &pod);
    node.wait(name, "pod/saver", "condition=Ready");
    let archive = folder.join("webhook.tar");
    let cat = ["-n", name, "exec", "saver", "-c", "hold", "--", "cat", "/out/webhook.tar"];
    let mut read = node.kubectl_command(&cat);
    read.stdout(File::create(&archive).unwrap());
    assert!(read.status().unwrap().success());
    node.load(&[archive.to_str().unwrap()]);
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "version" },
        "spec": { "restartPolicy": "Never", "containers": [{
            "name": "version", "image": image("admissionwebhook"), "args": ["version", "--client"],
            "imagePullPolicy": "Never",
        }] },
    });
    node.create(name, &pod);
    node.wait(name, "pod/version", "jsonpath={.status.phase}=Succeeded");
    wait_until("the version is printed", || {
        node.kubectl(&["-n", name, "logs", "version"], "").starts_with("Client Version: ")
    });
}
