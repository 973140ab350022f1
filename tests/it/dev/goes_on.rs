//! `diyadm dev` where its Pod is replaced and its container restarted under it.

use super::project::{Dev, Project};
use crate::rig::{get, node, processes, wait_until};

#[test]
fn it_goes_on_by_itself() {
    let Some(node) = node() else { return };
    let name = node.name("dev-goes-on");
    let _namespace = node.namespace(name);
    Project::deploy(&node, name);
    let project = Project::new(name);
    let mut dev = Dev::plain(&node, project.folder.path());
    let at = dev.address();
    dev.until("version one");
    let answers =
        |version: &str| wait_until(version, || get(&at).is_ok_and(|a| a.ends_with(version)));
    answers("one\n");
    let pod = || {
        let pods = node.get(name, "pods");
        let mut pods = pods["items"].as_array().unwrap().clone();
        pods.retain(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        pods.pop().unwrap()
    };

    let gone = pod()["metadata"]["name"].as_str().unwrap().to_owned();
    node.kubectl(&["-n", name, "delete", "pod", &gone, "--wait=false"], "");
    dev.until(&format!("Pod {gone} is gone"));
    dev.until("going on in shop-");
    dev.until("version one");
    answers("one\n");

    // PID 1 killed as nothing in its container could: the container restarts.
    processes(&pod())[0].kill();
    dev.until("was restarted, and what ran in it is gone");
    dev.until("going on in shop-");
    dev.until("version one");
    answers("one\n");
    let pod = pod();
    assert_eq!(pod["status"]["containerStatuses"][0]["restartCount"], 1, "{pod}");

    // And a change is heard as before.
    project.version("two");
    dev.until("version two");
    answers("two\n");
}
