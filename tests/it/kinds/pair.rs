//! Two namespaces with the same objects: one where diyadm empties, and its twin, where nothing
//! does.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    rig::{Cluster, Run, Server, reaching_cluster, wait_until},
    serve::LocalWebhook,
};

/// See the module.
pub(crate) struct Pair {
    pub(crate) cluster: Cluster,
    pub(crate) name: &'static str,
    twin: &'static str,
    folder: TempDir,
    _server: Option<Server>,
}

impl Pair {
    /// Without a webhook.
    pub(crate) fn new(cluster: Cluster, name: &str) -> Self {
        let [name, twin] = namespaces(&cluster, name);
        Self { cluster, name, twin, folder: tempfile::tempdir().unwrap(), _server: None }
    }

    /// With a webhook that empties what is written in the first of both.
    pub(crate) fn hooked(name: &str) -> Option<Self> {
        Self::hooked_with(name, &[])
    }

    /// The same, with more flags of the server and of `render`.
    pub(crate) fn hooked_with(name: &str, flags: &[&str]) -> Option<Self> {
        let cluster = reaching_cluster()?;
        let [name, twin] = namespaces(&cluster, name);
        let webhook = LocalWebhook::start(name, flags);
        cluster.kubectl(&["label", "namespace", name, &format!("{name}=enabled")], "");
        cluster.kubectl(&["apply", "-f", "-"], &webhook.render(flags));
        let LocalWebhook { certs, server, .. } = webhook;
        let pair = Self { cluster, name, twin, folder: certs, _server: Some(server) };
        // A new webhook is known to every part of the API server after a moment.
        let probe = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "probe" },
            "spec": { "containers": [{ "name": "a", "image": "b" }] },
        });
        let ask = ["-n", name, "create", "--dry-run=server", "-o", "json", "-f", "-"];
        wait_until("the webhook is called", || {
            let seen = pair.cluster.kubectl(&ask, &probe.to_string());
            diyadm::workload::is_emptied(&seen)
        });
        Some(pair)
    }

    /// The object as it was made in both.
    #[track_caller]
    pub(crate) fn create(&self, object: &Value) -> (Value, Value) {
        let [made, twin] =
            self.create_all(std::slice::from_ref(object)).map(|mut all| all.remove(0));
        (made, twin)
    }

    /// What `objects` became in both, in their order.
    #[track_caller]
    pub(crate) fn create_all(&self, objects: &[Value]) -> [Vec<Value>; 2] {
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects }).to_string();
        [self.name, self.twin].map(|namespace| {
            let create = ["-n", namespace, "create", "-o", "json", "-f", "-"];
            let text = self.cluster.kubectl(&create, &list);
            // One object after the other.
            let made = diyadm::yaml::objects(diyadm::yaml::parse_documents("-", &text).unwrap());
            assert_eq!(made.len(), objects.len());
            made.into_iter().map(|document| document.value).collect()
        })
    }

    /// kubectl in the first of both.
    #[track_caller]
    pub(crate) fn kubectl(&self, args: &[&str]) -> String {
        self.cluster.kubectl(&[&["-n", self.name], args].concat(), "")
    }

    /// The program in the first of both.
    pub(crate) fn run(&self, args: &[&str]) -> Run {
        self.cluster.diyadm(self.folder.path(), &[args, &["-n", self.name]].concat())
    }

    #[track_caller]
    pub(crate) fn get(&self, what: &str) -> Value {
        self.cluster.get(self.name, what)
    }

    /// Holds what is there against its twin, as far as it was written by somebody; the first of
    /// both may have annotations `but`.
    #[track_caller]
    pub(crate) fn same(&self, what: &str, but: &[&str]) {
        self.same_as(what, what, but);
    }

    /// The same of two whose names the API server may have made.
    #[track_caller]
    pub(crate) fn same_as(&self, what: &str, twin: &str, but: &[&str]) {
        let mut ours = self.get(what);
        if let Some(annotations) = ours["metadata"]["annotations"].as_object_mut() {
            but.iter().for_each(|key| drop(annotations.shift_remove(*key)));
        }
        // Annotations may name the namespace.
        let other = self.cluster.get(self.twin, twin).to_string().replace(self.twin, self.name);
        let other: Value = serde_json::from_str(&other).unwrap();
        let (mut ours, mut other) = (plain(&ours), plain(&other));
        if what != twin {
            // Both names come from one `generateName`.
            for object in [&mut ours, &mut other] {
                object["metadata"].as_object_mut().unwrap().remove("name");
            }
        }
        assert_eq!(ours, other, "{what}\nours: {ours}\ntwin: {other}");
    }

    /// Deletes the objects of each, and does not wait for what they have made.
    pub(crate) fn delete_all(&self, made: &[Vec<Value>; 2]) {
        for (namespace, objects) in [self.name, self.twin].into_iter().zip(made) {
            let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects }).to_string();
            let delete = ["-n", namespace, "delete", "--now", "--wait=false", "--ignore-not-found"];
            let delete = [&delete[..], &["-f", "-"]].concat();
            // A slow API server gives up some of many requests; the next try asks for the rest.
            wait_until("everything is deleted", || {
                self.cluster.try_kubectl(&delete, &list).code == Some(0)
            });
        }
    }
}

/// Makes both, neither with a label.
fn namespaces(cluster: &Cluster, name: &str) -> [&'static str; 2] {
    let names = [cluster.name(name), cluster.name(&format!("{name}-twin"))];
    for name in names {
        cluster.kubectl(&["create", "namespace", name], "");
    }
    names
}

impl Drop for Pair {
    fn drop(&mut self) {
        // As each cleans up after itself.
        drop([self.name, self.twin].map(|name| self.cluster.unmade(name)));
    }
}

/// An object as it was written: without what the API server and the controllers put into it, which
/// is another thing each time.
pub(crate) fn plain(object: &Value) -> Value {
    let text = super::without_token_names(&object.to_string());
    let mut object: Value = serde_json::from_str(&text).unwrap();
    object.as_object_mut().unwrap().remove("status");
    let meta = object["metadata"].as_object_mut().unwrap();
    meta.retain(|key, _| ["name", "labels", "annotations", "finalizers"].contains(&key.as_str()));
    let mut metas = vec!["/metadata"];
    if object["kind"] == "Job" {
        metas.push("/spec/template/metadata");
        metas.push("/spec/selector");
    }
    for meta in metas {
        for list in ["labels", "annotations", "matchLabels"] {
            let Some(all) = object.pointer_mut(&format!("{meta}/{list}")) else { continue };
            let all = all.as_object_mut().unwrap();
            all.retain(|key, _| !ASSIGNED.contains(&key.as_str()));
            if all.is_empty() {
                object.pointer_mut(meta).unwrap().as_object_mut().unwrap().remove(list);
            }
        }
    }
    if object["kind"] == "Service" {
        let spec = object["spec"].as_object_mut().unwrap();
        for field in ["clusterIP", "clusterIPs", "healthCheckNodePort"] {
            if spec.get(field).is_some_and(|value| *value != "None") {
                spec.remove(field);
            }
        }
        for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
            port.as_object_mut().unwrap().remove("nodePort");
        }
    }
    object
}

/// Labels and annotations that controllers write: a Job's own id and name, and how often it was changed.
const ASSIGNED: [&str; 6] = [
    "controller-uid",
    "batch.kubernetes.io/controller-uid",
    "job-name",
    "batch.kubernetes.io/job-name",
    "deployment.kubernetes.io/revision",
    "deprecated.daemonset.template.generation",
];
