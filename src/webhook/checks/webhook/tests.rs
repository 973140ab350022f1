//! Each finding from what would be seen of a cluster; the real API server is tests/it's.

use serde_json::{Value, json};

use super::*;
use crate::{
    pki::{self, Bundle, KeyKind, Request, Terms},
    webhook::{
        checks::Level,
        manifests::{self, Settings},
    },
    workload,
};

const NOW: i64 = 1_800_000_000;
const DAY: i64 = 24 * 60 * 60;

pub(crate) fn subject() -> CheckSubject {
    CheckSubject {
        namespace: "test".to_owned(),
        webhook_namespace: "test".to_owned(),
        is_own: true,
        is_foreign: false,
        service: "hook".to_owned(),
        secret: "webhook-secret".to_owned(),
        label: ("inject-empty-container".to_owned(), "enabled".to_owned()),
        image: "empty-container:latest".to_owned(),
        flags: " --service hook".to_owned(),
        label_flags: " --service hook".to_owned(),
    }
}

fn bundle(days: u32, ca_days: u32) -> Bundle {
    let conf = manifests::csr_conf("hook", "test");
    let terms =
        Terms { now: NOW, days, ca_days, service: "hook".to_owned(), namespace: "test".to_owned() };
    let key = || pki::generate_key(KeyKind::P256).unwrap();
    pki::issue(&Request::parse("csr.conf", &conf).unwrap(), &terms, &key(), &key()).unwrap()
}

fn configuration(ca_pem: &str) -> Value {
    let settings = Settings {
        namespace: "test".to_owned(),
        service: "hook".to_owned(),
        secret: "webhook-secret".to_owned(),
        webhook_image: "admissionwebhook:latest".to_owned(),
        pull_secrets: Vec::new(),
        run_as_user: None,
        serve: Vec::new(),
        level: crate::workload::Level::Workload,
        rules: None,
        replicas: 1,
        failure_policy: "Ignore".to_owned(),
        service_type: "ClusterIP".to_owned(),
        port: 80,
        container_port: 8443,
        timeout_seconds: 5,
        label: subject().label,
        cert_dir: "/etc/webhook/certs".to_owned(),
        url: None,
        ca_pem: ca_pem.to_owned(),
    };
    manifests::webhook(&settings).unwrap().pop().unwrap()
}

fn well() -> Observed {
    well_for(365, 3650)
}

/// The same, with a certificate of so many days and its CA of so many.
fn well_for(days: u32, ca_days: u32) -> Observed {
    let Bundle { ca_crt, server_crt, server_key } = bundle(days, ca_days);
    let slice = json!({
        "ports": [{ "name": "webhook", "port": 8443 }],
        "endpoints": [{ "addresses": ["10.0.0.1"] }],
    });
    Observed {
        version: Ok("v1.36.3".to_owned()),
        registration: Ok(true),
        namespace: Ok(Some(
            json!({ "metadata": { "labels": { "inject-empty-container": "enabled" } } }),
        )),
        configurations: Ok(vec![configuration(&ca_crt)]),
        secret: Ok(Some(Secret {
            ca_crt: ca_crt.into(),
            server_crt: server_crt.into(),
            server_key: server_key.into(),
        })),
        service: Ok(Some(json!({ "spec": { "ports": [{ "name": "webhook", "port": 80 }] } }))),
        slices: Ok(vec![slice]),
        connections: Ok(vec![Connection::Trusted("10.0.0.1:8443".to_owned())]),
        dry_create: Ok(created(&["empty-container:latest"])),
        workloads: Ok(Vec::new()),
        events: Ok(Vec::new()),
    }
}

/// templates/test.yaml as it would be stored: with that image, emptied; without one, untouched.
fn created(image: &[&str]) -> DryCreate {
    let mut object = manifests::test_deployment("test").unwrap();
    for image in image {
        object["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
        object["metadata"]["annotations"] = json!({ workload::ORIGINAL: "{}" });
    }
    DryCreate::Created(object)
}

fn own(observed: &mut Observed) -> &mut Value {
    &mut observed.configurations.as_mut().unwrap()[0]
}

/// The findings that are not as they should be.
fn wrong(observed: &Observed, now: i64) -> Vec<Finding> {
    let all = findings(observed, &subject(), now);
    all.into_iter().filter(|finding| finding.level != Level::Ok).collect()
}

/// The one finding that is not as it should be.
#[track_caller]
fn only(observed: &Observed) -> Finding {
    let mut wrong = wrong(observed, NOW);
    assert_eq!(wrong.len(), 1, "{wrong:#?}");
    wrong.remove(0)
}

#[test]
fn installed_manifests_pass_every_check() {
    assert_eq!(wrong(&well(), NOW), []);
    let all = findings(&well(), &subject(), NOW);
    assert!(all.iter().all(|f| f.title != super::super::titles::title("")), "each has a title");
}

#[test]
fn check_warns_of_a_certificate_that_expires_soon() {
    let found = wrong(&well(), NOW + 340 * DAY);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!((found[0].id, found[0].level), ("certificate", Level::Warning));
    assert!(found[0].seen.contains("for 25 more days"), "{}", found[0].seen);
    assert!(found[0].hint.contains("`diyadm init --rotate --service hook`"), "{}", found[0].hint);
    // A CA that ends first takes its certificates with it.
    let ends = ["certificate", "certificate"];
    let observed = well_for(365, 370);
    let found = wrong(&observed, NOW + 350 * DAY);
    assert_eq!(found.iter().map(|f| f.id).collect::<Vec<_>>(), ends, "{found:#?}");
    assert!(found[1].seen.contains("CA of Secret webhook-secret ends in 20 days"), "{found:#?}");
    assert!(found[1].hint.contains("`diyadm init --rotate --service hook`"), "{found:#?}");
    let expired = wrong(&well(), NOW + 366 * DAY);
    assert!(expired.iter().any(|f| f.id == "certificate" && f.level == Level::Failed));
}

#[test]
fn check_covers_every_webhook_of_the_configuration() {
    let mut observed = well();
    own(&mut observed)["webhooks"][1]["clientConfig"]["caBundle"] = json!("anVuaw==");
    let found = only(&observed);
    assert_eq!((found.id, found.level), ("ca-bundle", Level::Failed));
    assert!(found.seen.starts_with("services.hook.test.svc: "), "{}", found.seen);

    let mut observed = well();
    own(&mut observed)["webhooks"][1]["clientConfig"]["service"]["name"] = json!("else");
    let found = only(&observed);
    assert_eq!((found.id, found.level), ("client", Level::Failed));

    let mut observed = well();
    own(&mut observed)["webhooks"][1]["clientConfig"]["service"]["port"] = json!(81);
    let found = only(&observed);
    assert_eq!((found.id, found.level), ("service", Level::Failed));
    assert!(found.hint.contains("--force"), "someone has changed it: {}", found.hint);

    // A URL there asks the certificate for another name.
    let mut observed = well();
    own(&mut observed)["webhooks"][1]["clientConfig"] = json!({
        "url": "https://else.example.org/mutating-service",
        "caBundle": own(&mut observed)["webhooks"][0]["clientConfig"]["caBundle"].clone(),
    });
    let found = only(&observed);
    assert_eq!((found.id, found.level), ("certificate", Level::Failed));
    assert!(found.seen.contains("not for else.example.org"), "{}", found.seen);

    let mut observed = well();
    own(&mut observed)["webhooks"][1]["sideEffects"] = json!("Some");
    let found = only(&observed);
    assert_eq!((found.id, found.level), ("side-effects", Level::Failed));
}

#[test]
fn check_covers_the_rules_of_every_kind() {
    let mut observed = well();
    own(&mut observed)["webhooks"][0]["rules"][0]["resources"] = json!(["deployments"]);
    let found = only(&observed);
    assert_eq!((found.id, found.level), ("rules", Level::Warning));
    assert!(
        found.seen.contains("StatefulSets, DaemonSets and ReplicaSets are not"),
        "{}",
        found.seen
    );

    // At level pod it is Pods alone, and nothing is amiss.
    let mut observed = well();
    own(&mut observed)["webhooks"][0]["rules"] = json!([{
        "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"],
    }]);
    assert_eq!(wrong(&observed, NOW), []);
    assert_eq!(level(own(&mut observed)), workload::Level::Pod);

    // The blog's rule for Services matches nothing.
    let mut observed = well();
    own(&mut observed)["webhooks"][1]["rules"][0]["apiGroups"] = json!(["apps"]);
    let found = wrong(&observed, NOW);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found.iter().all(|f| (f.id, f.level) == ("rules-services", Level::Warning)));

    let mut observed = well();
    observed.namespace = Ok(Some(json!({ "metadata": { "labels": {} } })));
    let ids: Vec<_> = wrong(&observed, NOW).into_iter().map(|f| (f.id, f.level)).collect();
    let expected = [
        ("namespace", Level::Failed),
        ("rules", Level::Failed),
        ("rules-services", Level::Warning),
    ];
    assert_eq!(ids, expected);
}

#[test]
fn unreadable_objects_are_reported_as_unknown() {
    let mut observed = well();
    observed.namespace = Err("not reached".into());
    assert!(wrong(&observed, NOW).iter().all(|f| f.level == Level::Unknown));
    let blind = Observed {
        version: Err("".into()),
        registration: Err("".into()),
        namespace: Err("".into()),
        secret: Err("".into()),
        configurations: Err("".into()),
        service: Err("".into()),
        slices: Err("".into()),
        connections: Err("".into()),
        dry_create: Err("".into()),
        workloads: Err("".into()),
        events: Err("".into()),
    };
    let blind = findings(&blind, &subject(), NOW);
    assert!(blind.iter().all(|f| f.level == Level::Unknown && f.hint.contains('`')), "{blind:#?}");

    // What hangs on something else that was not seen, or not understood, says what to do as well.
    let mut observed = well();
    observed.namespace = Err(super::Unseen::Forbidden("no right".to_owned()));
    observed.secret = Ok(None);
    observed.dry_create = Ok(DryCreate::Refused("exceeded quota".to_owned()));
    let wrong = wrong(&observed, NOW);
    let ids = ["namespace", "secret", "ca-bundle", "rules", "other-webhooks", "dry-run"];
    assert_eq!(wrong.iter().map(|f| f.id).collect::<Vec<_>>(), ids, "{wrong:#?}");
    assert!(wrong.iter().all(|f| f.hint.contains('`')), "{wrong:#?}");
    assert!(wrong[0].hint.contains("can-i --list"), "{}", wrong[0].hint);
}

#[test]
fn denying_policy_is_named() {
    let text =
        "x is forbidden: ValidatingAdmissionPolicy 'tags' with binding 'b' denied request: no";
    for (anyway, id, level) in [(false, "denied", Level::Failed), (true, "dry-run", Level::Unknown)]
    {
        let denial = Denial::parse(text).unwrap();
        let mut observed = well();
        observed.dry_create = Ok(DryCreate::Denied { denial, anyway });
        let found = findings(&observed, &subject(), NOW);
        let found = found.iter().find(|finding| finding.level == level).unwrap();
        assert_eq!(found.id, id);
        assert!(found.seen.starts_with("ValidatingAdmissionPolicy tags denies "), "{found:?}");
        assert!(found.hint.contains('`'), "{found:?}");
    }
}

#[test]
fn other_webhooks_are_listed_in_call_order() {
    let mut observed = well();
    let all = observed.configurations.as_mut().unwrap();
    for (name, group) in [("aaa", "apps"), ("zzz", "*"), ("else", "policy")] {
        all.push(json!({
            "metadata": { "name": name },
            "webhooks": [{ "rules": [{
                "apiGroups": [group], "apiVersions": ["*"],
                "operations": ["*"], "resources": ["*"],
            }] }],
        }));
    }
    let found = only(&observed);
    assert_eq!((found.id, found.level), ("other-webhooks", Level::Warning));
    assert!(found.seen.ends_with("before it aaa; after it zzz"), "{}", found.seen);
}

#[test]
fn workloads_created_before_the_webhook_are_reported() {
    let mut observed = well();
    let test = manifests::test_deployment("test").unwrap();
    let mut declines = test.clone();
    declines["metadata"]["annotations"] = json!({ "inject-empty-container": "disabled" });
    let mut itself = test.clone();
    itself["metadata"]["name"] = json!("hook");
    let mut other = test.clone();
    other["kind"] = json!("StatefulSet");
    observed.workloads = Ok(vec![test, declines, itself, other]);
    let found = only(&observed);
    assert_eq!((found.id, found.level), ("missed", Level::Warning));
    assert!(found.seen.ends_with(": deployment/test, statefulset/test"), "{}", found.seen);
    let all = "rollout restart deployment/test statefulset/test`";
    assert!(found.hint.contains(all), "{}", found.hint);

    // At level pod: those that nobody makes anew are not to be deleted.
    let bare = manifests::test_pod("test").unwrap();
    let mut owned = bare.clone();
    owned["metadata"]["name"] = json!("test-1");
    owned["metadata"]["ownerReferences"] = json!([{ "kind": "ReplicaSet", "controller": true }]);
    let mut server = owned.clone();
    server["metadata"]["labels"] = json!({ "app": "hook" });
    observed.workloads = Ok(vec![bare.clone(), owned, server]);
    let found = only(&observed);
    assert!(found.seen.ends_with(": pod/test, pod/test-1"), "{}", found.seen);
    assert!(found.hint.contains("delete pod/test-1`"), "{}", found.hint);
    observed.workloads = Ok(vec![bare]);
    assert!(only(&observed).hint.contains("replace --force -f FILE`"));
}

#[test]
fn events_of_failed_webhook_calls_are_reported() {
    let mut observed = well();
    let message = "Internal error occurred: failed calling webhook \"hook.test.svc\": failed to \
                   call webhook: Post \"https://hook.test.svc:443/x\": EOF";
    let event = |name: &str| {
        let about = json!({ "kind": "ReplicaSet", "name": name });
        json!({ "message": message, "involvedObject": about })
    };
    let other = json!({ "message": "Back-off pulling image", "involvedObject": {} });
    observed.events = Ok(vec![event("a"), other, event("a"), event("b")]);
    let found = wrong(&observed, NOW);
    assert_eq!(found.len(), 2, "each once: {found:#?}");
    assert!(found[0].seen.contains("replicaset/a"), "{}", found[0].seen);
}

#[test]
fn unexpected_image_is_not_reported_as_a_failure_to_empty() {
    let mut observed = well();
    observed.dry_create = Ok(created(&["tools:1"]));
    assert!(only(&observed).hint.contains("--image tools:1"));
    observed.dry_create = Ok(created(&["knative:latest"]));
    assert!(only(&observed).hint.contains("--image keep"));
    let keep = CheckSubject { image: "keep".to_owned(), ..subject() };
    let of_keep = |observed: &Observed| {
        let all = findings(observed, &keep, NOW).into_iter();
        all.filter(|f| f.level != Level::Ok).map(|f| f.id).collect::<Vec<_>>()
    };
    assert!(of_keep(&observed).is_empty());
    observed.dry_create = Ok(created(&[]));
    assert!(only(&observed).hint.contains("--probe"));
    assert_eq!(of_keep(&observed), ["dry-run"]);
}

/// A server of another namespace, and a configuration of another Service, are changed by their
/// owners.
#[test]
fn hints_do_not_touch_the_webhook_of_another_namespace() {
    let mut observed = well();
    observed.namespace = Ok(Some(json!({ "metadata": { "labels": {} } })));
    own(&mut observed)["webhooks"][0]["sideEffects"] = json!("Some");
    own(&mut observed)["webhooks"][1]["clientConfig"]["caBundle"] = json!("anVuaw==");
    observed.service = Ok(None);
    let elsewhere = CheckSubject {
        namespace: "shop".to_owned(),
        is_own: false,
        flags: " -n shop --webhook-namespace test --service hook".to_owned(),
        label_flags: " -n shop --service hook".to_owned(),
        ..subject()
    };
    let found = findings(&observed, &elsewhere, NOW);
    let failed: Vec<_> = found.into_iter().filter(|f| f.level == Level::Failed).collect();
    assert!(failed.len() >= 5, "{failed:#?}");
    for finding in failed {
        let (id, hint) = (finding.id, finding.hint);
        assert!(!hint.contains("diyadm install") && !hint.contains("--force"), "{id}: {hint}");
        match id {
            "namespace" | "rules" => {
                assert!(hint.contains("`diyadm init -n shop --service hook`"), "{id}: {hint}");
            }
            _ => {
                let owner = "installed from namespace test";
                assert!(hint.contains(owner) && hint.contains("`diyadm check"), "{id}: {hint}");
            }
        }
    }

    let mut observed = well();
    for at in 0..2 {
        let service = &mut own(&mut observed)["webhooks"][at]["clientConfig"]["service"];
        service["namespace"] = json!("team1");
    }
    let found = wrong(&observed, NOW);
    let client = found.iter().find(|finding| finding.id == "client").unwrap();
    assert!(client.seen.contains("calls Service hook in namespace team1"), "{}", client.seen);
    assert!(!client.hint.contains("--force"), "{}", client.hint);
}
