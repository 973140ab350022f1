//! The manifests that tests try things on: those of tests/data/corpus, and, where `DIYADM_CORPUS`
//! names a folder, those of it too.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
};

use diyadm::{
    kinds::{self, WORKLOADS},
    workload::is_windows_spec,
    yaml,
};
use serde_json::Value;

const OWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/corpus");

/// A file of the corpus.
pub(crate) struct File {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

impl File {
    /// Its path, for messages and commands.
    pub(crate) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Its objects, those of Lists too.
    pub(crate) fn objects(&self) -> Vec<Value> {
        let documents =
            yaml::parse_documents(&self.name(), &self.text).unwrap_or_else(|e| panic!("{e}"));
        yaml::objects(documents).into_iter().map(|document| document.value).collect()
    }
}

/// All files, in the order of their paths.
pub(crate) fn files() -> Vec<File> {
    let more = env::var_os("DIYADM_CORPUS").filter(|folder| !folder.is_empty());
    let mut folders: Vec<_> = more.map(PathBuf::from).into_iter().collect();
    folders.push(OWN.into());
    let mut paths = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder);
        let entries = entries.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if is_manifest(&path) {
                paths.insert(path);
            }
        }
    }
    let file = |path: PathBuf| File { text: fs::read_to_string(&path).unwrap(), path };
    paths.into_iter().map(file).collect()
}

fn is_manifest(path: &Path) -> bool {
    path.extension().is_some_and(|end| ["yaml", "yml", "json"].iter().any(|known| end == *known))
}

/// Whether it is a workload of a kind that diyadm empties, and not one for Windows, which it leaves
/// as it is.
pub(crate) fn is_workload(object: &Value) -> bool {
    let text = |key: &str| object[key].as_str().unwrap_or_default();
    let kind = kinds::find(text("apiVersion"), text("kind"));
    kind.is_some() && !is_windows_spec(&pod_template(object)["spec"])
}

/// The object that has the Pod's `metadata` and `spec`.
pub(crate) fn pod_template(object: &Value) -> &Value {
    match object["kind"].as_str() {
        Some("Pod") => object,
        Some("CronJob") => &object["spec"]["jobTemplate"]["spec"]["template"],
        _ => &object["spec"]["template"],
    }
}

/// Every workload with the file that it is in.
pub(crate) fn workloads() -> Vec<(String, Value)> {
    let objects = files().into_iter().flat_map(|file| {
        let name = file.name();
        file.objects().into_iter().map(move |object| (name.clone(), object))
    });
    objects.filter(|(_, object)| is_workload(object)).collect()
}

#[test]
fn corpus_covers_every_kind_and_shape() {
    let own: Vec<_> = files().into_iter().filter(|file| file.path.starts_with(OWN)).collect();
    let objects: Vec<_> = own.iter().flat_map(File::objects).collect();
    assert!(objects.len() >= 100, "{} objects", objects.len());
    for kind in
        WORKLOADS.iter().map(|kind| kind.kind).chain(["Service", "Secret", "Ingress", "Role"])
    {
        assert!(objects.iter().any(|object| object["kind"] == kind), "no {kind}");
    }
    let has = |pointer: &str| objects.iter().any(|o| pod_template(o).pointer(pointer).is_some());
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        for handler in ["exec", "httpGet", "tcpSocket", "grpc"] {
            let found = objects.iter().any(|object| {
                let containers = pod_template(object)["spec"]["containers"].as_array();
                containers.into_iter().flatten().any(|c| c[probe].get(handler).is_some())
            });
            assert!(found, "no {probe} with {handler}");
        }
    }
    for pointer in ["/spec/initContainers/0/restartPolicy", "/spec/hostNetwork", "/spec/os"] {
        assert!(has(pointer), "no Pod template has {pointer}");
    }
    let texts: String = own.iter().map(|file| file.text.as_str()).collect();
    for text in ["<<: *", "\r\n", "\u{feff}", "\t#", "--- #", "kind: List", ">-\n", "generateName"]
    {
        assert!(texts.contains(text), "no {text:?}");
    }
}
