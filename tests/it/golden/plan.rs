//! `plan` of workloads with every conflict, and of manifests.

use std::fs;

use super::{Golden, hold};
use crate::{
    plan::{Scene, WORKLOADS},
    rig::{cluster_with_policies, diyadm},
};

#[test]
fn plan_matches_golden() {
    let cluster = require!(cluster_with_policies());
    let name = cluster.name("golden-plan");
    let scene = Scene::new(&cluster, name);
    let mut made = Golden::new();
    let mut look = |case: &str, args: &[&str], code| {
        let run = scene.plan(args).code(code);
        assert_eq!(run.stderr, "", "{args:?}");
        let text = run.stdout.replace(&cluster.flags(), "").replace(name, "golden-plan");
        made.insert(case.to_owned(), text);
    };
    look("namespace.txt", &[], 0);
    look("namespace.json", &["-o", "json"], 0);
    look("one-replica.txt", &["deploy/web", "--replicas", "1"], 1);
    look("keep.txt", &["deploy,sts", "--image", "keep", "--idle", "agent", "--containers", "*"], 0);
    look("pods.txt", &["deploy/shop", "--level", "pod"], 1);

    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("all.yaml"), WORKLOADS).unwrap();
    let offline = diyadm(folder.path(), &["plan", "-f", "all.yaml", "-n", "shop"]).code(0).stdout;
    made.insert("manifests.txt".to_owned(), offline.replace(name, "golden-plan"));
    hold("golden/plan", &made);
}
