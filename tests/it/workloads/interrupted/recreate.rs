//! `--recreate`, which deletes before it creates.

use diyadm::{
    kubernetes::{self as kinds, Kind},
    workload,
};

use serde_json::{Value, json};

use super::{
    super::{result, workload as object},
    Direct, Stage,
};
use crate::{
    proxy::{
        Fate::{self, Kill},
        Proxy,
    },
    rig::{Cluster, Run, Workspace, cluster},
};

/// Between its end and its new beginning a Pod or Job is never lost.
#[test]
fn recreated_objects_are_never_lost() {
    let cluster = require!(cluster());
    for (kind, of, name) in [("Pod", &kinds::POD, "cut-again"), ("Job", &kinds::JOB, "cut-jobs")] {
        again(&cluster, kind, of, name);
    }
}

fn again(cluster: &Cluster, kind: &str, of: &'static Kind, name: &str) {
    let _namespace = cluster.namespace(name);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let direct = Direct::new(cluster, name);
    let all = ["x", "x-diyadm"];
    let fresh = || {
        all.iter().for_each(|name| direct.delete(of, name));
        let mut object = object(kind, "x");
        object["metadata"]["labels"] = json!({ "app": "x" });
        direct.create(&object);
    };
    let what = format!("{}/x", of.singular());
    let trust = |command| if command == "restore" { &["--trust-original"][..] } else { &[] };
    let args = |command| {
        [&[command, &what[..], "--recreate", "--wait=false", "-n", name], trust(command)].concat()
    };
    let proxy = Proxy::start(cluster.kubeconfig(), folder);
    let mut stage = Stage { proxy, folder, args: args("empty") };
    let tried = |stage: &Stage<'_>, prepare: &dyn Fn(), after: &dyn Fn(&str, Fate, &Run)| {
        let cut = if kind == "Pod" { Stage::every } else { Stage::writes };
        let times = cut(stage, prepare, after);
        assert!(times > 2, "{times}");
    };
    let finished = |command: &'static str, when: &str, fate: Fate, run: &Run| {
        let found: Vec<_> = all.iter().filter_map(|name| direct.get(of, name)).collect();
        let held = found.iter().any(|one| workload::recreation::held(one, "x").is_some());
        assert!(held || found.iter().any(|one| one["metadata"]["name"] == "x"), "{when}");
        if fate == Kill {
            let board = cluster.diyadm(folder, &["status", "-n", name, "-o", "json"]).code(0);
            let board = result(&board);
            let rows: Vec<_> = board.as_array().unwrap().iter().collect();
            let is_there = direct.get(of, "x").is_some();
            let is_held = |row: &&&Value| row["name"] == "x" && row["state"] == "held";
            assert_eq!(rows.iter().any(|row| is_held(&row)), !is_there, "{when}: {board}");
            // Whoever finds it need not know its name.
            let by = if kind == "Pod" { "--all" } else { "-l=app=x" };
            let all = [command, by, "--recreate", "--wait=false", "-n", name];
            cluster.diyadm(folder, &[&all[..], trust(command)].concat()).code(0);
        } else {
            assert_eq!(run.code, Some(0), "{when}");
        }
        let Some(one) = direct.get(of, "x") else { panic!("{command}, {when}: it is gone") };
        assert_eq!(workload::is_emptied(&one.to_string()), command == "empty", "{when}");
        assert!(direct.get(of, "x-diyadm").is_none(), "{when}");
    };
    tried(&stage, &fresh, &|when, fate, run| finished("empty", when, fate, run));
    stage.args = args("restore");
    let emptied = || {
        fresh();
        cluster.diyadm(folder, &args("empty")).code(0);
    };
    tried(&stage, &emptied, &|when, fate, run| {
        let gone = run.stderr.contains("no original");
        if fate == Kill && direct.get(of, "x-diyadm").is_none() {
            let one = direct.get(of, "x").unwrap();
            if !workload::is_emptied(&one.to_string()) {
                return;
            }
        }
        assert!(!gone, "{when}");
        finished("restore", when, fate, run);
    });
}

/// Names of which no more than the beginning fits into their holders'.
#[test]
fn recreate_placeholder_names_do_not_collide() {
    let cluster = require!(Workspace::new("cut-alike"));
    let (name, folder) = (cluster.name, cluster.folder());
    let direct = Direct::new(&cluster, name);
    let [one, two] = ["1", "2"].map(|end| format!("{}{end}", "a".repeat(60)));
    for pod in [&one, &two] {
        direct.create(&object("Pod", pod));
    }
    let args = |command: &str, pod: &str| {
        let args = [command, pod, "--recreate", "--wait=false", "-n", name];
        args.map(ToOwned::to_owned)
    };
    let proxy = Proxy::start(cluster.kubeconfig(), folder);
    let cut = args("empty", &format!("pod/{one}"));
    let cut = cut.each_ref().map(String::as_str);
    let (run, _) =
        proxy.run(
            folder,
            &cut,
            |_, request| {
                if request.starts_with("DELETE") { Kill } else { Fate::Pass }
            },
        );
    assert_eq!(run.code, None, "{}", run.stderr);
    assert!(direct.get(&kinds::POD, &one).is_none());
    for pod in [&two, &one] {
        let again = args("empty", &format!("pod/{pod}"));
        cluster.diyadm(folder, &again.each_ref().map(String::as_str)).code(0);
        let made = direct.get(&kinds::POD, pod).unwrap();
        assert!(workload::is_emptied(&made.to_string()), "{pod}");
    }
    let left = direct.runtime.block_on(direct.client.list(&kinds::POD, name, "")).unwrap();
    assert_eq!(left.len(), 2, "no holder is left");
}
