//! Restoring returns the newest form after every kind of update. Each update goes to a twin in a
//! namespace without a webhook, and to the workload that a webhook has emptied: once restored, both
//! are equal.

use std::fs;

use diyadm::workload::{LABEL, is_emptied};
use serde_json::{Value, json};

use super::{pod_of, stored, with_webhook::WebhookNamespace, workload};
use crate::rig::{Cluster, cluster};

/// A workload and its twin.
pub(super) struct Pair<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) watched: &'a WebhookNamespace,
    /// The namespace with the webhook, and the other.
    pub(super) places: [&'a str; 2],
    /// `deployment/web`
    pub(super) what: String,
}

impl Pair<'_> {
    /// kubectl on both.
    pub(super) fn both(&self, args: &[&str], stdin: &str) {
        for place in self.places {
            self.cluster.kubectl(&[&["-n", place][..], args].concat(), stdin);
        }
    }

    pub(super) fn here(&self) -> Value {
        stored(self.cluster, self.places[0], &self.what)
    }

    pub(super) fn twin(&self) -> Value {
        stored(self.cluster, self.places[1], &self.what)
    }

    pub(super) fn diyadm(&self, args: &[&str]) {
        let args = [args, &[&self.what, "-n", self.places[0], "--wait=false"]].concat();
        self.cluster.diyadm(self.watched.folder.path(), &args).code(0);
    }

    /// It is empty, and restored it is as its twin: spec, labels, and annotations but for the
    /// refusal; nothing of ours is in what kubectl takes for applied.
    #[track_caller]
    pub(super) fn settle(&self) {
        let emptied = self.here();
        assert!(is_emptied(&emptied.to_string()), "{emptied}");
        let applied = |object: &Value| {
            let key = "kubectl.kubernetes.io/last-applied-configuration";
            object["metadata"]["annotations"][key].as_str().unwrap_or_default().to_owned()
        };
        for ours in ["diyadm.io", "empty-container", LABEL] {
            assert!(!applied(&emptied).contains(ours), "{}", applied(&emptied));
        }
        self.diyadm(&["restore"]);
        self.equal();
        assert_eq!(applied(&self.here()), applied(&emptied), "restoring applies nothing");
    }

    #[track_caller]
    pub(super) fn equal(&self) {
        let comparable = |mut object: Value| {
            let place = object["metadata"]["namespace"].as_str().unwrap().to_owned();
            let meta = object["metadata"].as_object_mut().unwrap();
            let annotations = meta.remove("annotations").unwrap_or_else(|| json!({}));
            let text = annotations.to_string();
            let text = text.replace(&format!("\\\"namespace\\\":\\\"{place}\\\""), "");
            let mut annotations: Value = serde_json::from_str(&text).unwrap();
            annotations.as_object_mut().unwrap().remove(LABEL);
            meta.insert("annotations".to_owned(), annotations);
            object["metadata"]["namespace"] = "".into();
            object
        };
        assert_eq!(comparable(self.here()), comparable(self.twin()));
    }

    /// A new beginning: both are made from `object` by `how`.
    pub(super) fn renew(&self, how: &[&str], object: &Value) {
        self.both(&["delete", &self.what, "--ignore-not-found", "--wait"], "");
        self.both(how, &object.to_string());
    }
}

pub(super) fn container(object: &mut Value) -> &mut Value {
    &mut object["spec"]["template"]["spec"]["containers"][0]
}

pub(super) const APPLY: [&str; 3] = ["apply", "-f", "-"];
const SERVER_SIDE: [&str; 5] = ["apply", "--server-side", "--field-manager=argo", "-f", "-"];

#[test]
fn every_update_equals_its_twin_after_restore() {
    let cluster = require!(cluster());
    let places = ["updates", "updates-twin"];
    let watched = WebhookNamespace::new(&cluster, places[0], &[]);
    let _twins = cluster.namespace(places[1]);
    for kind in ["Deployment", "StatefulSet", "DaemonSet"] {
        let what = format!("{}/web", kind.to_lowercase());
        let pair = Pair { cluster: &cluster, watched: &watched, places, what };
        let first = workload(kind, "web");
        let mut second = first.clone();
        container(&mut second)["image"] = "app:2".into();
        container(&mut second)["args"] = json!(["--port", "81"]);
        container(&mut second)["env"] = json!([{ "name": "B", "value": "2" }]);
        container(&mut second)["startupProbe"] = json!({ "exec": { "command": ["x"] } });
        let mut fewer = second.clone();
        for field in ["livenessProbe", "lifecycle", "command", "startupProbe"] {
            container(&mut fewer).as_object_mut().unwrap().remove(field);
        }
        fewer["spec"]["template"]["spec"]
            .as_object_mut()
            .unwrap()
            .remove("terminationGracePeriodSeconds");

        // Both ways of applying: a change, then what is taken away while it is away already.
        for how in [&APPLY[..], &SERVER_SIDE[..]] {
            pair.renew(how, &first);
            pair.settle();
            pair.renew(how, &first);
            pair.both(how, &second.to_string());
            pair.settle();
            pair.renew(how, &first);
            pair.both(how, &second.to_string());
            pair.both(how, &fewer.to_string());
            pair.settle();
            // A restored one goes on with its updates.
            pair.both(how, &second.to_string());
            pair.equal();
        }

        pair.renew(&APPLY, &first);
        pair.both(&["set", "image", &pair.what, "app=app:3"], "");
        pair.both(&["set", "env", &pair.what, "-c", "app", "C=3"], "");
        pair.settle();

        let replaced = |object: &Value| {
            pair.renew(&APPLY, &first);
            pair.both(&["replace", "-f", "-"], &object.to_string());
        };
        replaced(&fewer);
        pair.settle();

        if kind != "DaemonSet" {
            pair.renew(&APPLY, &first);
            pair.both(&["scale", &pair.what, "--replicas=0"], "");
            pair.settle();
            pair.renew(&APPLY, &first);
            pair.diyadm(&["empty", "--replicas", "0"]);
            pair.both(&["patch", &pair.what, "-p", "{\"spec\":{\"replicas\":0}}"], "");
            pair.settle();
        }
    }
}

/// The editor shows the empty form; what is typed over it counts.
#[test]
fn kubectl_edit_of_the_empty_form_is_kept() {
    let cluster = require!(cluster());
    let places = ["edits", "edits-twin"];
    let watched = WebhookNamespace::new(&cluster, places[0], &[]);
    let _twins = cluster.namespace(places[1]);
    let script = watched.folder.path().join("edit.sed");
    fs::write(
        &script,
        "s/^( *- |  *)image: (app:1|empty-container:latest)$/\\1image: app:9/\n\
         s/^( *)value: \"1\"$/\\1value: \"9\"/\n",
    )
    .unwrap();
    for kind in ["Deployment", "StatefulSet", "DaemonSet", "CronJob"] {
        let what = format!("{}/web", kind.to_lowercase());
        let pair = Pair { cluster: &cluster, watched: &watched, places, what };
        pair.renew(&APPLY, &workload(kind, "web"));
        for place in places {
            let mut edit = cluster.kubectl_command(&["-n", place, "edit", &pair.what]);
            edit.env("KUBE_EDITOR", format!("sed -E -i -f {}", script.display()));
            assert!(edit.output().unwrap().status.success());
        }
        let twin = pair.twin();
        assert_eq!(pod_of(&twin)["containers"][0]["image"], "app:9");
        assert_eq!(pod_of(&twin)["containers"][0]["env"][0]["value"], "9");
        pair.settle();
    }
}

/// `kubectl rollout undo` of a Deployment takes template and annotations of a revision.
#[test]
fn rollout_undo_of_a_deployment_equals_its_twin() {
    let cluster = require!(cluster());
    let places = ["undone", "undone-twin"];
    let watched = WebhookNamespace::new(&cluster, places[0], &[]);
    let _twins = cluster.namespace(places[1]);
    let what = "deployment/web".to_owned();
    let pair = Pair { cluster: &cluster, watched: &watched, places, what };
    let revision = |place: &str, number: &str| {
        crate::rig::wait_until("the revision is there", || {
            let object = cluster.get(place, "deployment/web");
            let annotations = &object["metadata"]["annotations"];
            annotations["deployment.kubernetes.io/revision"] == number
        });
    };
    let revisions = |number: &str| places.iter().for_each(|place| revision(place, number));
    let mut second = workload("Deployment", "web");
    container(&mut second)["image"] = "app:2".into();
    container(&mut second)["env"] = json!([{ "name": "B", "value": "2" }]);

    // While it is empty: both revisions are of the empty form, each with its own original.
    pair.renew(&APPLY, &workload("Deployment", "web"));
    revisions("1");
    pair.both(&APPLY, &second.to_string());
    revisions("2");
    pair.both(&["rollout", "undo", &pair.what], "");
    revisions("3");
    let here = pair.here();
    assert!(is_emptied(&here.to_string()));
    pair.diyadm(&["restore"]);
    assert_eq!(pair.here()["spec"], pair.twin()["spec"]);

    // Once restored, to a revision from before it was emptied: it is not emptied again.
    let label = |yes: bool| {
        let pair = if yes { "undone=enabled" } else { "undone-" };
        cluster.kubectl(&["label", "namespace", places[0], pair], "");
    };
    label(false);
    crate::rig::wait_until("the namespace is not looked after", || {
        pair.renew(&APPLY, &workload("Deployment", "web"));
        !is_emptied(&pair.here().to_string())
    });
    revisions("1");
    label(true);
    crate::rig::wait_until("the namespace is looked after", || {
        pair.both(&APPLY, &second.to_string());
        cluster.kubectl(&["-n", places[0], "annotate", "--overwrite", &pair.what, "x=y"], "");
        cluster.kubectl(&["-n", places[0], "annotate", &pair.what, "x-"], "");
        is_emptied(&pair.here().to_string())
    });
    pair.diyadm(&["restore"]);
    assert_eq!(pair.here()["spec"], pair.twin()["spec"]);
    pair.both(&["rollout", "undo", &pair.what, "--to-revision=1"], "");
    assert_eq!(pair.here()["spec"], pair.twin()["spec"]);
    assert_eq!(pair.here()["metadata"]["annotations"][LABEL], "disabled");
    // It stays so through the next update.
    pair.both(&["set", "env", &pair.what, "D=4"], "");
    assert_eq!(pair.here()["spec"], pair.twin()["spec"]);
}
