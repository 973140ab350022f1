//! CronJobs that are suspended while they are empty, and volumes that a number of replicas deletes.

use serde_json::{Value, json};

use crate::{
    rig::Workspace,
    workloads::{stored, workload},
};

#[test]
fn suspended_cron_job_is_restored_to_its_own_value() {
    let cluster = require!(Workspace::new("plan-jobs"));
    let name = cluster.name;
    let run = |args: &[&str]| cluster.run(args);
    let mut object = workload("CronJob", "tick");
    object["spec"]["schedule"] = "* * * * *".into();
    object["spec"]["jobTemplate"]["spec"]["activeDeadlineSeconds"] = 600.into();
    object["spec"].as_object_mut().unwrap().remove("suspend");
    cluster.create(name, &object);
    let spec = || stored(&cluster, name, "cronjob/tick")["spec"].clone();
    let before = spec();
    let plan = run(&["plan", "cj/tick"]).code(0).stdout;
    for said in
        ["(* * * * *) idles until", "concurrencyPolicy Allow", "--suspend-cronjobs", "ends 600 s"]
    {
        assert!(plan.contains(said), "{said}: {plan}");
    }
    let plan = run(&["plan", "cj/tick", "--suspend-cronjobs"]).code(0).stdout;
    assert!(plan.contains("kubectl create job tick-dev --from=cronjob/tick"), "{plan}");
    let empty = run(&["empty", "cj/tick", "--suspend-cronjobs", "--wait=false"]).code(0);
    let empty = empty.stderr_has("--from=cronjob/tick").stderr_has("ends 600 s");
    assert!(!empty.stderr.contains("concurrencyPolicy"), "{}", empty.stderr);
    assert_eq!(spec()["suspend"], true);
    run(&["restore", "cj/tick", "--wait=false"]).code(0);
    assert_eq!(spec(), before);
    // Others have no such field.
    cluster.create(name, &workload("Deployment", "web"));
    run(&["empty", "deploy/web", "--suspend-cronjobs", "--wait=false"]).code(0);
    assert_eq!(stored(&cluster, name, "deployment/web")["spec"].get("suspend"), None);
}

#[test]
fn empty_refuses_replicas_that_would_delete_volumes() {
    let cluster = require!(Workspace::new("plan-volumes"));
    let name = cluster.name;
    let run = |args: &[&str]| cluster.run(args);
    let mut object = workload("StatefulSet", "db");
    object["spec"]["replicas"] = 3.into();
    object["spec"]["persistentVolumeClaimRetentionPolicy"] =
        json!({ "whenScaled": "Delete", "whenDeleted": "Retain" });
    cluster.create(name, &object);
    let refused = run(&["empty", "sts/db", "--replicas", "1", "--wait=false"]).code(1);
    refused.stderr_has("deletes volumes").stderr_has("Retain");
    let plan: Vec<Value> = serde_json::from_str(
        &run(&["plan", "sts/db", "--replicas", "1", "-o", "json"]).code(1).stdout,
    )
    .unwrap();
    assert_eq!(plan[0]["does"], "nothing", "{plan:?}");
    assert_eq!(stored(&cluster, name, "statefulset/db")["spec"]["replicas"], 3);
    run(&["empty", "sts/db", "--replicas", "3", "--wait=false"]).code(0);
}
