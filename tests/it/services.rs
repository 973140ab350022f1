//! `/mutating-service`: a Service opened for a debugger and restored.

use diyadm::workload::{self, DEBUG_PORT, Rules, SERVICE_TYPE};
use proptest::{collection::vec, option, prelude::*};
use serde_json::{Value, json};

use super::{
    generated::{anything, applied, cases, restored},
    rig::{TIMEOUT, reaching_cluster},
    serve::LocalWebhook,
};

fn service() -> impl Strategy<Value = Value> {
    let port = (option::of("[a-c]|debug"), 1..5_u16, any::<bool>(), anything()).prop_map(
        |(name, port, udp, unknown)| {
            let mut entry = json!({ "port": port, "x": unknown });
            if let Some(name) = name {
                entry["name"] = name.into();
            }
            if udp {
                entry["protocol"] = "UDP".into();
            }
            entry
        },
    );
    (
        prop_oneof![
            Just(None),
            Just(Some(Value::Null)),
            vec(port, 0..4).prop_map(|p| Some(p.into()))
        ],
        option::of(prop_oneof![Just("ClusterIP"), Just("NodePort"), Just("ExternalName")]),
        option::of(prop_oneof![Just("None"), Just("10.0.0.1")]),
        option::of(prop_oneof![Just("1"), Just("4"), Just("5005"), Just("0"), Just("x")]),
        option::of(prop_oneof![Just("NodePort"), Just("LoadBalancer"), Just("Odd")]),
        anything(),
    )
        .prop_map(|(ports, kind, ip, debug, wanted, unknown)| {
            let mut object = json!({
                "apiVersion": "v1", "kind": "Service",
                "metadata": { "name": "x", "namespace": "n" },
                "spec": { "selector": unknown },
            });
            let mut set = |pointer: &str, key: &str, value: Option<Value>| {
                if let Some(value) = value {
                    object.pointer_mut(pointer).unwrap()[key] = value;
                }
            };
            set("/spec", "ports", ports);
            set("/spec", "type", kind.map(Value::from));
            set("/spec", "clusterIP", ip.map(Value::from));
            if debug.is_some() || wanted.is_some() {
                set("/metadata", "annotations", Some(json!({})));
            }
            set("/metadata/annotations", DEBUG_PORT, debug.map(Value::from));
            set("/metadata/annotations", SERVICE_TYPE, wanted.map(Value::from));
            object
        })
}

fn opened(object: &Value) -> Value {
    applied(object, &workload::empty(&Rules::default(), &object.to_string()))
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn service_is_opened_and_restored(object in service()) {
        let open = opened(&object);
        prop_assert_eq!(&opened(&open), &open, "twice is once");
        prop_assert_eq!(&restored(&open), &object);
        // The annotations gone, the next write takes it back too.
        let mut asks_no_more = open.clone();
        let mut plain = object;
        for object in [&mut asks_no_more, &mut plain] {
            if let Some(annotations) = object["metadata"]["annotations"].as_object_mut() {
                annotations.shift_remove(DEBUG_PORT);
                annotations.shift_remove(SERVICE_TYPE);
            }
        }
        prop_assert_eq!(opened(&asks_no_more), plain);
    }

    #[test]
    fn another_debug_port_replaces_the_first(object in service(), port in 1..9_u16) {
        let mut twin = object.clone();
        let mut live = opened(&object);
        for object in [&mut twin, &mut live] {
            if object["metadata"]["annotations"].is_null() {
                object["metadata"]["annotations"] = json!({});
            }
            object["metadata"]["annotations"][DEBUG_PORT] = port.to_string().into();
        }
        prop_assert_eq!(restored(&opened(&live)), twin);
    }
}

#[test]
fn service_that_cannot_be_opened_gets_a_warning() {
    let row = |annotations: Value, spec: Value| {
        let object = json!({
            "apiVersion": "v1", "kind": "Service", "spec": spec,
            "metadata": { "name": "x", "annotations": annotations },
        });
        workload::empty(&Rules::default(), &object.to_string())
    };
    let port = || json!({ DEBUG_PORT: "5005" });
    for (change, warning) in [
        (row(port(), json!({ "clusterIP": "None" })), "headless"),
        (row(port(), json!({ "type": "ExternalName" })), "ExternalName"),
        (row(port(), json!({ "ports": [{ "port": 5005 }] })), "already has port 5005"),
        (row(port(), json!({ "ports": [{ "port": 1, "name": "debug" }] })), "called debug"),
        (row(json!({ DEBUG_PORT: "http" }), json!({})), "not a port: http"),
        (row(json!({ DEBUG_PORT: "70000" }), json!({})), "not a port: 70000"),
        (row(json!({ SERVICE_TYPE: "Odd" }), json!({})), "none of ClusterIP"),
    ] {
        assert!(change.is_empty(), "{warning}");
        assert!(change.warnings[0].message().contains(warning), "{:?}", change.warnings);
    }
    assert!(row(json!({}), json!({})).warnings.is_empty());
}

#[test]
fn api_server_accepts_opened_and_restored_services() {
    let cluster = require!(reaching_cluster());
    let name = cluster.name("debugged-service");
    let _namespace = cluster.namespace(name);
    let webhook = LocalWebhook::start(name, &[]);
    let certs = webhook.certs.path();
    let install = [&["install", "--force", "--timeout", TIMEOUT], &webhook.flags()[..]].concat();
    // The Secret of this namespace is the one that the server has.
    let files = ["ca.crt", "server.crt", "server.key"];
    let files: Vec<_> =
        files.iter().map(|f| format!("--from-file={}/{f}", certs.display())).collect();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let secret =
        [&["-n", name, "create", "secret", "generic", "webhook-secret"], &files[..]].concat();
    cluster.kubectl(&secret, "");
    cluster.diyadm(certs, &install).code(0);

    let object = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": "web", "namespace": name },
        "spec": { "selector": { "app": "web" }, "ports": [{ "port": 80 }] },
    });
    cluster.kubectl(&["create", "-f", "-"], &object.to_string());
    let before = cluster.get(name, "service/web");
    let annotate = |what: &[&str]| {
        cluster
            .kubectl(&[&["-n", name, "annotate", "service/web", "--overwrite"], what].concat(), "")
    };
    annotate(&["diyadm.io/debug-port=5005", "diyadm.io/service-type=NodePort"]);
    let open = cluster.get(name, "service/web");
    assert_eq!(open["spec"]["type"], "NodePort", "{open}");
    assert_eq!(open["spec"]["ports"][1]["port"], 5005, "{open}");
    assert!(open["spec"]["ports"][0]["nodePort"].is_number(), "{open}");
    annotate(&["diyadm.io/debug-port=5006"]);
    assert_eq!(cluster.get(name, "service/web")["spec"]["ports"][1]["port"], 5006);
    annotate(&["inject-empty-container=disabled"]);
    assert_eq!(cluster.get(name, "service/web")["spec"], before["spec"]);
    annotate(&["inject-empty-container-"]);
    assert_eq!(cluster.get(name, "service/web")["spec"]["ports"][1]["port"], 5006);
    annotate(&["diyadm.io/debug-port-", "diyadm.io/service-type-"]);
    let after = cluster.get(name, "service/web");
    assert_eq!(after["spec"], before["spec"]);
    assert!(after["metadata"]["annotations"].get("diyadm.io/original").is_none(), "{after}");
}
