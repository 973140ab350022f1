//! Whether the API server reaches servers that tests start on this machine: always that of
//! `cargo xtask test`; of a user's cluster (`DIYADM_TEST_CONTEXT`) only one on this very host.

use std::{env, net::TcpListener, sync::LazyLock, thread, time::Duration};

use serde_json::json;

use super::{Cluster, cluster, skip};

/// A cluster whose API server calls webhooks on this machine's loopback and networks.
pub(crate) fn reaching_cluster() -> Option<Cluster> {
    static REACHES: LazyLock<bool> = LazyLock::new(|| cluster().is_some_and(|c| reaches(&c)));
    let found = cluster()?;
    if env::var_os("DIYADM_TEST_CONTEXT").is_some() && !*REACHES {
        skip("the API server of DIYADM_TEST_CONTEXT does not reach this machine's loopback");
        return None;
    }
    Some(found)
}

/// Has the API server call a webhook here, for a ConfigMap that is created in a dry run.
fn reaches(cluster: &Cluster) -> bool {
    let name = cluster.name("reach");
    let _namespace = cluster.namespace(name);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let configuration = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": { "name": name },
        "webhooks": [{
            "name": format!("{name}.test.svc"),
            "admissionReviewVersions": ["v1"],
            "clientConfig": { "url": format!("https://{}/", listener.local_addr().unwrap()) },
            "rules": [{
                "apiGroups": [""], "apiVersions": ["v1"],
                "operations": ["CREATE"], "resources": ["configmaps"],
            }],
            "namespaceSelector": { "matchLabels": { name: "enabled" } },
            "failurePolicy": "Ignore",
            "sideEffects": "None",
            "timeoutSeconds": 1,
        }],
    });
    cluster.kubectl(&["create", "-f", "-"], &configuration.to_string());
    // A new configuration is known to the API server after a moment.
    (0..20).any(|_| {
        let create = ["-n", name, "create", "configmap", "reach", "--dry-run=server"];
        cluster.kubectl(&create, "");
        thread::sleep(Duration::from_millis(100));
        listener.accept().is_ok()
    })
}
