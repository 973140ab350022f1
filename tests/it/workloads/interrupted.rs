//! Each request of a command is cut off, refused or left without an answer: every object is
//! unchanged or changed as a whole, the status table is right, and the same command finishes the
//! work.

use std::{collections::HashSet, path::Path, sync::Mutex};

use diyadm::{
    kubernetes::{self as kinds, Kind},
    workload::{self, LABEL, ORIGINAL},
};
use serde_json::{Value, json};

use super::{pod_of, result, with_webhook::WebhookNamespace, workload};
use crate::{
    proxy::{
        Fate::{self, Kill, Lose, Pass, Refuse},
        Proxy,
    },
    rig::{Cluster, Run, TIMEOUT, cluster, wait_until},
};

mod concurrent;
mod pods;
mod recreate;
mod uninstall;
mod webhook;
mod without_controller;

/// The API server by a connection that stays, for what is done between the runs.
struct Direct {
    runtime: tokio::runtime::Runtime,
    client: kinds::Cluster,
    namespace: String,
}

impl Direct {
    fn new(cluster: &Cluster, namespace: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = runtime.block_on(cluster.client());
        Self { runtime, client, namespace: namespace.to_owned() }
    }

    fn get(&self, kind: &'static Kind, name: &str) -> Option<Value> {
        self.runtime.block_on(self.client.get(kind, &self.namespace, name)).unwrap()
    }

    fn create(&self, object: &Value) {
        let mut object = object.clone();
        object["metadata"]["namespace"] = self.namespace.clone().into();
        self.runtime.block_on(self.client.create(&object, kinds::WriteMode::Persist)).unwrap();
    }

    /// Makes it by server-side apply, as one who owns what he has written.
    fn apply(&self, object: &Value) {
        let mut object = object.clone();
        object["metadata"]["namespace"] = self.namespace.clone().into();
        let conflicts = kinds::FieldConflicts::Fail;
        let how = kinds::Apply { mode: kinds::WriteMode::Persist, conflicts };
        self.runtime.block_on(self.client.apply(&object, how)).unwrap();
    }

    /// Deletes it, and waits until it is gone.
    fn delete(&self, kind: &'static Kind, name: &str) {
        self.runtime
            .block_on(self.client.delete(kind, &self.namespace, name, kinds::WriteMode::Persist))
            .unwrap();
        wait_until("the object is gone", || self.get(kind, name).is_none());
    }
}

/// What a client gets over by itself.
const TROUBLE: [Fate; 7] = [
    Refuse(429, Some(1)),
    Refuse(429, None),
    Refuse(500, None),
    Refuse(502, None),
    Refuse(503, Some(0)),
    Refuse(504, None),
    Lose,
];

/// One of each kind of [`TROUBLE`], for commands that wait long by themselves.
const FEW: [Fate; 3] = [Refuse(429, None), Refuse(500, None), Lose];

/// Where a command is tried.
struct Stage<'a> {
    proxy: Proxy,
    folder: &'a Path,
    args: Vec<&'a str>,
}

impl Stage<'_> {
    /// One run in which only request `at` has another fate than to pass.
    fn once(&self, at: usize, fate: Fate) -> (Run, Vec<String>) {
        self.proxy.run(self.folder, &self.args, move |n, _| if n == at { fate } else { Pass })
    }

    /// Runs the command once as it should be; then killed after each of its requests, then with
    /// each request refused or lost the first time it comes, each time from what `prepare` makes. `after` looks at
    /// what that left, and gets what to call it. How many requests there are.
    fn every(&self, prepare: &dyn Fn(), after: &dyn Fn(&str, Fate, &Run)) -> usize {
        self.tried(prepare, after, &|_| true, &TROUBLE)
    }

    /// As [`Stage::every`], but killed after its writes alone, since whatever reads leaves what the
    /// write before it left; and with less trouble. How many writes there are.
    fn writes(&self, prepare: &dyn Fn(), after: &dyn Fn(&str, Fate, &Run)) -> usize {
        let writes = |request: &str| {
            // Who one is and what one may do are asked by POST.
            !request.starts_with("GET ") && !request.contains(".k8s.io/v1/self")
        };
        self.tried(prepare, after, &writes, &FEW)
    }

    fn tried(
        &self,
        prepare: &dyn Fn(),
        after: &dyn Fn(&str, Fate, &Run),
        kills: &dyn Fn(&str) -> bool,
        troubles: &[Fate],
    ) -> usize {
        prepare();
        let (run, requests) = self.once(0, Pass);
        run.code(0);
        let deadly: Vec<_> = (1..=requests.len()).filter(|at| kills(&requests[at - 1])).collect();
        for at in deadly.iter().copied() {
            prepare();
            let (run, seen) = self.once(at, Kill);
            let Some(request) = seen.get(at - 1) else {
                // How often it looks while it waits differs.
                run.code(0);
                continue;
            };
            assert_eq!(run.code, None, "{request}: {}", run.stderr);
            after(&format!("killed at {at}, {request}: {}", run.stderr), Kill, &run);
        }
        for fate in troubles.iter().copied() {
            prepare();
            let heard = Mutex::new(HashSet::new());
            let (run, seen) = self.proxy.run(self.folder, &self.args, move |_, request| {
                if heard.lock().unwrap().insert(request.to_owned()) { fate } else { Pass }
            });
            after(&format!("{fate:?}, {seen:?}: {}", run.stderr), fate, &run);
        }
        // What is asked for twice is written twice: the later one has its own trouble.
        let is_later = |at: &usize| {
            let request = &requests[*at];
            request.starts_with("PATCH") && requests[..*at].contains(request)
        };
        let later = (0..requests.len()).find(is_later);
        let Some(at) = later else { return deadly.len() };
        for fate in troubles.iter().copied() {
            prepare();
            let (run, seen) = self.once(at + 1, fate);
            after(&format!("{fate:?} at {at}, {seen:?}: {}", run.stderr), fate, &run);
        }
        deadly.len()
    }
}

fn scaler() -> Value {
    json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": { "name": "web" },
        "spec": {
            "minReplicas": 1, "maxReplicas": 2,
            "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "web" },
        },
    })
}

fn is_held(scaler: &Value) -> bool {
    workload::autoscaler::is_held(scaler)
}

#[test]
fn empty_and_restore_are_whole_wherever_they_are_cut() {
    let cluster = require!(cluster());
    let name = "cut";
    let watched = WebhookNamespace::new(&cluster, name, &[]);
    let folder = watched.folder.path();
    let direct = Direct::new(&cluster, name);
    let mut original = workload("Deployment", "web");
    // What the webhook leaves alone until the client empties it.
    original["metadata"]["annotations"] = json!({ LABEL: "disabled" });
    let prepare = || {
        direct.delete(&kinds::DEPLOYMENT, "web");
        direct.delete(&kinds::AUTOSCALER, "web");
        direct.apply(&original);
        direct.create(&scaler());
    };
    prepare();
    let web = || direct.get(&kinds::DEPLOYMENT, "web").unwrap();
    let before = web()["spec"].clone();
    // What the applier owns, and what of the spec whoever empties and restores does.
    let owned = |operation: &str| {
        let object = web();
        let mut entries = object["metadata"]["managedFields"].as_array().unwrap().iter();
        let of = |e: &&Value| e["manager"] == kinds::FIELD_MANAGER && e["operation"] == operation;
        entries.find(of).map_or(Value::Null, |entry| entry["fieldsV1"]["f:spec"].clone())
    };
    let applied = owned("Apply");
    assert!(applied.is_object(), "{applied}");
    let args = |command: &'static str, more: &[&'static str]| {
        [&[command, "deploy/web", "-n", name, "--timeout", TIMEOUT], more].concat()
    };
    let plain = |args: &[&str]| cluster.diyadm(folder, args);
    let states = || {
        let board = plain(&["status", "-n", name, "-o", "json"]).code(0);
        let rows = result(&board);
        let rows = rows.as_array().unwrap().iter();
        rows.map(|row| row["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    // As it was, or emptied as a whole; which, and whether the board says the same.
    let whole = |when: &str| {
        let object = web();
        let empty = object["metadata"]["annotations"].get(ORIGINAL).is_some();
        let container = &pod_of(&object)["containers"][0];
        if empty {
            assert_eq!(container["image"], "empty-container:latest", "{when}");
            assert_eq!(container.get("livenessProbe"), None, "{when}");
            assert_eq!(states(), ["empty"], "{when}");
        } else {
            assert_eq!(object["spec"], before, "{when}");
            // What holds back its autoscaler is told until that goes back too.
            let held = is_held(&direct.get(&kinds::AUTOSCALER, "web").unwrap());
            assert_eq!(states(), vec!["held"; usize::from(held)], "{when}");
        }
        empty
    };

    let proxy = Proxy::start(cluster.kubeconfig(), folder);
    let mut stage = Stage { proxy, folder, args: args("empty", &["--hold-autoscalers"]) };
    let emptied = |when: &str, fate: Fate, run: &Run| {
        let empty = whole(when);
        if fate == Kill {
            // The same command goes on from wherever that was.
            plain(&args("empty", &["--hold-autoscalers"])).code(0);
        } else {
            assert!(run.code == Some(0) && empty, "{when}");
            assert_eq!(owned("Apply"), applied, "{when}");
        }
        assert!(whole(when), "{when}");
        assert_eq!(owned("Update"), Value::Null, "{when}");
        assert!(is_held(&direct.get(&kinds::AUTOSCALER, "web").unwrap()), "{when}");
    };
    let requests = stage.every(&prepare, &emptied);
    assert!(requests > 5, "{requests}");

    stage.args = args("restore", &[]);
    let prepare = || {
        prepare();
        plain(&args("empty", &["--hold-autoscalers"])).code(0);
    };
    let restored = |when: &str, fate: Fate, run: &Run| {
        let empty = whole(when);
        if fate == Kill {
            let again = plain(&args("restore", &[]));
            // Where nothing at all was left to do it says so.
            let done = !empty && again.stderr.contains("there is no original");
            assert!(again.code == Some(0) || (again.code == Some(1) && done), "{when}");
        } else {
            assert!(run.code == Some(0), "{when}");
            assert_eq!(owned("Apply"), applied, "{when}");
        }
        assert!(!whole(when), "{when}");
        assert_eq!(owned("Update"), Value::Null, "{when}");
        let object = web();
        assert_eq!(object["metadata"]["annotations"][LABEL], "disabled", "{when}");
        let scaler = direct.get(&kinds::AUTOSCALER, "web").unwrap();
        assert!(!is_held(&scaler), "{when}");
        assert_eq!(scaler["spec"].get("behavior"), None, "{when}");
        let sets = direct.client.list(&kinds::REPLICA_SET, name, "");
        let sets = direct.runtime.block_on(sets).unwrap();
        let left = sets.iter().filter(|set| workload::is_emptied(&set.to_string()));
        assert_eq!(left.count(), 0, "{when}");
    };
    let requests = stage.every(&prepare, &restored);
    assert!(requests > 5, "{requests}");
}
