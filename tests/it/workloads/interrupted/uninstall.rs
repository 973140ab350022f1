//! `uninstall --restore`: wherever it is cut off, empty workloads still have their webhook.

use diyadm::{
    kubernetes as kinds,
    workload::{is_emptied, recreation::without_server_fields},
};

use super::{
    super::{
        pod_of,
        with_webhook::{WebhookNamespace, twin},
        workload,
    },
    Direct, Stage,
};
use crate::{
    proxy::{
        Fate::{self, Kill},
        Proxy,
    },
    rig::{Run, TIMEOUT, cluster, wait_until},
};

#[test]
fn uninstall_with_restore_continues_wherever_it_was_cut() {
    let cluster = require!(cluster());
    let (name, elsewhere) = ("cut-uninstall", "cut-uninstall-not");
    let watched = WebhookNamespace::new(&cluster, name, &[]);
    let _elsewhere = cluster.namespace(elsewhere);
    let folder = watched.folder.path();
    let direct = Direct::new(&cluster, name);
    let spec = twin(&cluster, elsewhere, &workload("Deployment", "web"));
    let configuration = || direct.get(&kinds::CONFIGURATION, name);
    let installed = without_server_fields(&configuration().unwrap());
    let label = format!("{name}=enabled");
    let web = || direct.get(&kinds::DEPLOYMENT, "web").unwrap();
    let labelled = || {
        let namespace = direct.get(&kinds::NAMESPACE, name).unwrap();
        namespace["metadata"]["labels"].get(name).is_some()
    };
    let prepare = || {
        if configuration().is_none() {
            direct
                .runtime
                .block_on(direct.client.create(&installed, kinds::WriteMode::Persist))
                .unwrap();
        }
        cluster.kubectl(&["label", "--overwrite", "namespace", name, &label], "");
        wait_until("the webhook empties it", || {
            direct.delete(&kinds::DEPLOYMENT, "web");
            direct.create(&workload("Deployment", "web"));
            is_emptied(&web().to_string())
        });
    };
    let args = [
        "uninstall",
        "--restore",
        "-n",
        name,
        "--service",
        name,
        "--label",
        &label,
        "--timeout",
        TIMEOUT,
    ];
    let proxy = Proxy::start(cluster.kubeconfig(), folder);
    let stage = Stage { proxy, folder, args: args.to_vec() };
    let after = |when: &str, fate: Fate, run: &Run| {
        let object = web();
        let board = cluster.diyadm(folder, &["status", "-n", name, "-o", "name"]).code(0).stdout;
        if is_emptied(&object.to_string()) {
            assert!(configuration().is_some(), "{when}");
            assert_eq!(pod_of(&object)["containers"][0]["image"], "empty-container:latest");
            assert_eq!(board, "deployment.apps/web\n", "{when}");
        } else {
            assert_eq!(object["spec"], spec, "{when}");
            assert!(!labelled() && board.is_empty(), "{when}: {board}");
        }
        if fate == Kill {
            cluster.diyadm(folder, &args).code(0);
        } else {
            assert_eq!(run.code, Some(0), "{when}");
        }
        let object = web();
        assert_eq!(object["spec"], spec, "{when}");
        let annotations = object["metadata"]["annotations"].to_string();
        assert!(!annotations.contains("diyadm.io") && !annotations.contains("inject"), "{when}");
        assert!(configuration().is_none() && !labelled(), "{when}");
    };
    let writes = stage.writes(&prepare, &after);
    assert!(writes > 3, "{writes}");
}
