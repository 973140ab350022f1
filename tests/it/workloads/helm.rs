//! Restoring returns the newest form after `helm upgrade`, with the real Helm: by Helm 3's merge,
//! and by server-side apply as in Helm 4.

use std::{fs, path::Path, process::Command};

use diyadm::workload::is_emptied;
use serde_json::{Value, json};

use super::{pod_of, updates::Pair, with_webhook::WebhookNamespace, workload};
use crate::rig::{Run, helm, reaching_cluster};

/// Whether the API server merges, or Helm: what its old chart says, its new one, and the cluster.
const WAYS: [&str; 2] = ["--server-side=true", MERGED];
const MERGED: &str = "--server-side=false";

const KINDS: [&str; 3] = ["Deployment", "StatefulSet", "DaemonSet"];

/// The fields that the smaller chart drops, and emptying takes away.
const DROPPED: [&str; 4] = ["command", "args", "livenessProbe", "lifecycle"];

/// Releases of one chart, in both namespaces.
struct Releases<'a> {
    pair: Pair<'a>,
    helm: String,
    chart: String,
    way: &'static str,
}

impl Releases<'_> {
    /// `helm VERB` in both namespaces, with the container as the chart's values.
    #[track_caller]
    fn helm(&self, verb: &str, container: &Value) {
        for place in self.pair.places {
            self.run(place, verb, container).code(0);
        }
    }

    fn run(&self, place: &str, verb: &str, container: &Value) -> Run {
        let mut values = container.clone();
        let image = values.as_object_mut().unwrap().remove("image").unwrap();
        let image = format!("app.image={}", image.as_str().unwrap());
        let values = json!({ "app": values }).to_string();
        let args = [verb, self.name(), &self.chart, self.way, "-n", place, "--values", "-"];
        Run::of(self.command(&args).args(["--set", &image]), &values)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut helm = Command::new(&self.helm);
        // Nothing of the user's own Helm is read or written.
        helm.env("HOME", self.pair.watched.folder.path());
        for home in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            helm.env(home, self.pair.watched.folder.path().join(home));
        }
        helm.arg("--kubeconfig").arg(self.pair.cluster.kubeconfig()).args(args);
        helm
    }

    fn name(&self) -> &str {
        self.pair.what.split_once('/').unwrap().1
    }

    /// Restored, it is as the twin; but for these fields of its container, which are still as they
    /// were in `before`.
    #[track_caller]
    fn restored_but(&self, before: &Value, kept: &[&str]) {
        self.pair.diyadm(&["restore"]);
        let mut wanted = self.pair.twin()["spec"].take();
        let container = &mut wanted["template"]["spec"]["containers"][0];
        for field in kept {
            assert_eq!(container.get(field), None, "the chart drops {field}");
            container[*field] = pod_of(before)["containers"][0][*field].clone();
        }
        assert_eq!(self.pair.here()["spec"], wanted);
    }

    #[track_caller]
    fn restored(&self) {
        self.restored_but(&Value::Null, &[]);
    }

    /// Helm's own record instead of the original.
    #[track_caller]
    fn restored_from_helms_manifest(&self) {
        let place = self.pair.places[0];
        let get = Run::of(&mut self.command(&["get", "manifest", self.name(), "-n", place]), "");
        let file = self.pair.watched.folder.path().join("manifest.yaml");
        fs::write(&file, get.code(0).stdout).unwrap();
        self.pair.diyadm(&["restore", "--force-from", file.to_str().unwrap()]);
        assert_eq!(self.pair.here()["spec"], self.pair.twin()["spec"]);
    }

    #[track_caller]
    fn is_emptied(&self) {
        let here = self.pair.here();
        assert!(is_emptied(&here.to_string()), "{here}");
        let image = &pod_of(&here)["containers"][0]["image"];
        assert_eq!(image, "empty-container:latest");
    }
}

/// A chart whose one workload, of `kind`, has the container of its values.
fn chart(folder: &Path, kind: &str) -> String {
    let chart = folder.join(kind);
    fs::create_dir_all(chart.join("templates")).unwrap();
    let about = json!({ "apiVersion": "v2", "name": "web", "version": "1.0.0" });
    fs::write(chart.join("Chart.yaml"), about.to_string()).unwrap();
    let mut object = workload(kind, "NAME");
    object["spec"]["template"]["spec"]["containers"][0] = "APP".into();
    let template = object.to_string();
    let template = template.replace("NAME", "{{ .Release.Name }}");
    let template = template.replace("\"APP\"", "{{ toJson .Values.app }}");
    fs::write(chart.join("templates/web.yaml"), template).unwrap();
    chart.to_str().unwrap().to_owned()
}

/// The container at first, after a change, and with less in it.
fn containers() -> [Value; 3] {
    let first = pod_of(&workload("Deployment", "web"))["containers"][0].clone();
    let mut second = first.clone();
    second["image"] = "app:2".into();
    second["args"] = json!(["--port", "81"]);
    second["env"] = json!([{ "name": "A", "value": "2" }, { "name": "B", "value": "2" }]);
    second["startupProbe"] = json!({ "exec": { "command": ["x"] } });
    second["livenessProbe"]["httpGet"]["port"] = 81.into();
    let mut fewer = second.clone();
    fewer["env"] = json!([{ "name": "B", "value": "2" }]);
    for field in DROPPED {
        fewer.as_object_mut().unwrap().remove(field);
    }
    [first, second, fewer]
}

#[test]
fn helm_release_equals_its_twin_after_restore() {
    let cluster = require!(reaching_cluster());
    let helm = require!(helm());
    let names = ["helm", "helm-client", "helm-twin"].map(|name| cluster.name(name));
    let watched = WebhookNamespace::new(&cluster, names[0], &[]);
    let _others = [cluster.namespace(names[1]), cluster.namespace(names[2])];
    let [first, second, fewer] = containers();
    let mut third = second.clone();
    third["image"] = "app:3".into();
    third["command"] = json!(["serve", "again"]);
    let release = |place: &'static str, kind: &str, way: &'static str, name: &str| {
        let what = kind.to_lowercase();
        let what = format!("{what}/{name}-{what}-{}", if way == MERGED { 3 } else { 4 });
        let pair = Pair { cluster: &cluster, watched: &watched, places: [place, names[2]], what };
        let chart = chart(watched.folder.path(), kind);
        let release = Releases { pair, helm: helm.clone(), chart, way };
        release.helm("install", &first);
        release
    };
    for (kind, way) in KINDS.into_iter().flat_map(|kind| WAYS.map(|way| (kind, way))) {
        let changed = release(names[0], kind, way, "changed");
        changed.is_emptied();
        changed.helm("upgrade", &second);
        changed.is_emptied();
        changed.restored();
        // It goes on with its updates.
        changed.helm("upgrade", &third);
        assert_eq!(changed.pair.here()["spec"], changed.pair.twin()["spec"]);

        let smaller = release(names[0], kind, way, "smaller");
        let before = smaller.pair.twin();
        smaller.helm("upgrade", &fewer);
        smaller.is_emptied();
        if way == MERGED {
            // Nothing on the cluster says that the chart had them: they had been away already.
            smaller.restored_but(&before, &DROPPED);
            smaller.pair.diyadm(&["empty"]);
            smaller.restored_from_helms_manifest();
        } else {
            smaller.restored();
        }
    }

    // Without a webhook an upgrade ends the emptying, with no conflict, and what it takes away is
    // always such a hole.
    for way in WAYS {
        let kind = "Deployment";
        let changed = release(names[1], kind, way, "client-changed");
        changed.pair.diyadm(&["empty"]);
        changed.is_emptied();
        changed.helm("upgrade", &second);
        assert_eq!(pod_of(&changed.pair.here())["containers"][0]["image"], "app:2");
        changed.restored();
        changed.helm("upgrade", &third);
        assert_eq!(changed.pair.here()["spec"], changed.pair.twin()["spec"]);

        for with_manifest in [false, true] {
            let name = if with_manifest { "client-manifest" } else { "client-smaller" };
            let smaller = release(names[1], kind, way, name);
            let before = smaller.pair.twin();
            smaller.pair.diyadm(&["empty"]);
            smaller.helm("upgrade", &fewer);
            if with_manifest {
                smaller.restored_from_helms_manifest();
            } else {
                smaller.restored_but(&before, &DROPPED);
            }
        }
    }
}
