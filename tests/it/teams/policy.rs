//! One policy for several namespaces.

use super::{Team, is_there};
use crate::rig::cluster_with_policies;

#[test]
fn second_namespace_of_a_policy_gets_the_label_and_nothing_else() {
    let cluster = require!(cluster_with_policies());
    let (policy, one, two) =
        (cluster.name("policy-teams"), cluster.name("policy-one"), cluster.name("policy-two"));
    let _namespaces = [policy, one, two].map(|name| cluster.unmade(name));
    let team = Team::new(&cluster, policy);
    let mode = |args: &[&str]| team.run(&[args, &["--mode", "policy"]].concat());
    let get = || cluster.get("default", &format!("mutatingadmissionpolicy/{policy}"));
    mode(&["install", "-n", one, "--image", "tools:1"]).code(0);
    let before = get();
    mode(&["install", "-n", two])
        .code(0)
        .stderr_has(&format!("Policy {policy} (installed from namespace {one}) serves it"))
        .stderr_has("start empty");
    mode(&["install", "-n", two, "--webhook-namespace", two])
        .code(1)
        .stderr_has(&format!("it was installed from namespace {one}"));
    assert_eq!(get(), before);
    for place in [&["-n", two][..], &["-n", one], &[]] {
        let image = ["--image", "tools:1"];
        mode(&[&["check"][..], &image, place].concat()).code(0);
        mode(&[&["verify", "--dry-run=server"][..], &image, place].concat()).code(0);
    }
    // Another one of another name empties nothing twice.
    let second = Team::new(&cluster, "policy-second");
    second
        .run(&["install", "--mode", "policy", "-n", two])
        .code(1)
        .stderr_has(&format!("is already emptied by policy {policy}"));

    team.run(&["uninstall", "-n", two]).code(0).stderr_has(&format!("serves namespace {one}"));
    assert_eq!(get()["metadata"]["uid"], before["metadata"]["uid"]);
    // From its own namespace it is changed as before.
    mode(&["install", "-n", one, "--image", "tools:2"]).code(0);
    assert_ne!(get()["spec"], before["spec"]);
    let gone = format!("mutatingadmissionpolicy/{policy} deleted");
    team.run(&["uninstall", "-n", one]).code(0).stderr_has(&gone);
    assert!(!is_there(&cluster, "default", "mutatingadmissionpolicies", policy));
}
