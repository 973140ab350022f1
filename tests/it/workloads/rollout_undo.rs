//! `kubectl rollout undo` of a StatefulSet and a DaemonSet, which takes the template alone from a
//! ControllerRevision and leaves the annotations as they are.

use diyadm::workload::{LABEL, Subject, is_emptied};
use serde_json::{Value, json};

use super::{
    pod_of, result, stored,
    updates::{APPLY, Pair, container},
    with_webhook::WebhookNamespace,
    workload,
};
use crate::rig::{Cluster, Workspace, cluster, wait_until};

const KINDS: [&str; 2] = ["StatefulSet", "DaemonSet"];

/// Waits until the controller has noted that many changes of the template.
fn revised(cluster: &Cluster, place: &str, number: i64) {
    wait_until("the revision is there", || {
        let list = cluster.get(place, "controllerrevisions");
        let revisions = list["items"].as_array().unwrap().iter();
        revisions.filter_map(|one| one["revision"].as_i64()).max() == Some(number)
    });
}

fn second(kind: &str) -> Value {
    let mut second = workload(kind, "web");
    container(&mut second)["image"] = "app:2".into();
    container(&mut second)["env"] = json!([{ "name": "B", "value": "2" }]);
    container(&mut second).as_object_mut().unwrap().remove("livenessProbe");
    second
}

#[test]
fn undone_template_is_restored_as_its_twin() {
    let cluster = require!(cluster());
    let places = ["back", "back-twin"];
    let watched = WebhookNamespace::new(&cluster, places[0], &[]);
    let _twins = cluster.namespace(places[1]);
    for kind in KINDS {
        let what = format!("{}/web", kind.to_lowercase());
        let pair = Pair { cluster: &cluster, watched: &watched, places, what };
        let revisions = |number| places.iter().for_each(|place| revised(&cluster, place, number));
        let begin = || {
            // Where the last one's are still there its successor takes them for its own.
            pair.both(&["delete", "sts,ds", "--all"], "");
            places.iter().for_each(|place| revised_none(&cluster, place));
            pair.renew(&APPLY, &workload(kind, "web"));
            revisions(1);
            pair.both(&APPLY, &second(kind).to_string());
            revisions(2);
        };

        // While it is empty: the older template comes beside the newer one's original.
        begin();
        pair.both(&["rollout", "undo", &pair.what], "");
        let get = ["-n", places[0], "get", &pair.what, "-o", "json", "--show-managed-fields"];
        let undone = cluster.kubectl(&get, "");
        let writers = Subject::parse(&undone).unwrap().template_writers();
        assert!(writers.contains(&"kubectl".to_owned()), "{writers:?}");
        pair.settle();

        // Once restored, with the emptied revisions still there: nothing empty comes back.
        begin();
        let refuse = format!("{LABEL}=disabled");
        cluster.kubectl(&["-n", places[0], "annotate", &pair.what, &refuse], "");
        pair.equal();
        revised(&cluster, places[0], 3);
        let before = pair.here();
        let undo = ["-n", places[0], "rollout", "undo", &pair.what];
        let told = cluster.try_kubectl(&undo, "");
        assert!(told.stderr.contains("what it runs stays as it was"), "{}", told.stderr);
        assert_eq!(pair.here(), before);
        cluster.kubectl(&[&undo[..], &["--to-revision=1"]].concat(), "");
        let mut here = pair.here();
        assert_eq!(here["metadata"]["annotations"][LABEL], "disabled");
        let older = container(&mut workload(kind, "web"))["env"].take();
        assert_eq!(container(&mut here)["env"], older, "what emptying leaves alone comes back");
        container(&mut here)["env"] = container(&mut before.clone())["env"].take();
        assert_eq!(pod_of(&here), pod_of(&before));
    }
}

/// Without a webhook the emptied template does come back: `status` shows it, and its revision has
/// the original.
#[test]
fn empty_template_without_original_is_found_in_revisions() {
    let cluster = require!(Workspace::new("lost"));
    let name = cluster.name;
    let run = |args: &[&str]| cluster.run(args);
    for kind in KINDS {
        let what = format!("{}/web", kind.to_lowercase());
        let kubectl = |args: &[&str], stdin: &str| {
            cluster.kubectl(&[&["-n", name][..], args].concat(), stdin);
        };
        let lose = || {
            kubectl(&APPLY, &workload(kind, "web").to_string());
            revised(&cluster, name, 1);
            let before = stored(&cluster, name, &what);
            run(&["empty", &what, "--wait=false"]).code(0);
            revised(&cluster, name, 2);
            run(&["restore", &what, "--wait=false"]).code(0);
            assert_eq!(stored(&cluster, name, &what), before);
            revised(&cluster, name, 3);
            kubectl(&["rollout", "undo", &what], "");
            revised(&cluster, name, 4);
            let lost = stored(&cluster, name, &what);
            assert_eq!(pod_of(&lost)["containers"][0]["image"], "empty-container:latest");
            assert!(!is_emptied(&lost.to_string()));
            before
        };
        let before = lose();
        let board = result(&run(&["status", "-o", "json"]).code(0));
        assert_eq!(board[0]["state"], "untrusted", "{board}");
        assert!(board[0]["note"].as_str().unwrap().contains("has no original"), "{board}");
        for dry in ["client", "server"] {
            run(&["restore", &what, &format!("--dry-run={dry}")])
                .code(0)
                .stderr_has("would be restored (");
        }
        run(&["restore", "--all"]).code(0).stderr_has("older revision").stderr_has("was deleted");
        assert_eq!(stored(&cluster, name, &what), before);
        assert_eq!(result(&run(&["status", "-o", "json"]).code(0)), json!([]));
        kubectl(&["delete", &what], "");
        revised_none(&cluster, name);

        // Where its revisions tell nothing, it says so; who named nothing passes it by.
        lose();
        kubectl(&["delete", &what, "--cascade=orphan"], "");
        let mut bare = workload(kind, "web");
        *container(&mut bare) = json!({
            "name": "app", "image": "empty-container:latest", "imagePullPolicy": "IfNotPresent",
        });
        kubectl(&["delete", "controllerrevisions", "--all"], "");
        kubectl(&APPLY, &bare.to_string());
        run(&["restore", &what]).code(1).stderr_has("none of its revisions").stderr_has("apply -f");
        run(&["restore", "--all"]).code(0);
        kubectl(&["delete", &what], "");
        revised_none(&cluster, name);
    }
}

fn revised_none(cluster: &Cluster, place: &str) {
    wait_until("its revisions are gone", || {
        cluster.get(place, "controllerrevisions")["items"] == json!([])
    });
}
