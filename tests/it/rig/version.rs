//! What the version of the API server that tests use lacks.

use std::{env, sync::LazyLock};

use diyadm::webhook::checks::version::minor;

use super::{Cluster, cluster, record, skip};

/// `gitVersion` of the API server.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let cluster = cluster().expect("whoever asks has a cluster");
    let info = cluster.kubectl(&["get", "--raw", "/version"], "");
    let info: serde_json::Value = serde_json::from_str(&info).unwrap();
    info["gitVersion"].as_str().unwrap().to_owned()
});

/// The version of `cargo xtask test --kubernetes`.
pub(crate) fn asked_for() -> Option<String> {
    env::var("DIYADM_TEST_KUBERNETES").ok()
}

/// The API server, if it has `what`, which Kubernetes has from 1.`since` on; else skips. Under
/// `CI=true` that is a failure, unless an older version was asked for.
pub(crate) fn cluster_with(what: &str, since: u32) -> Option<Cluster> {
    let cluster = cluster()?;
    if minor(&VERSION).is_none_or(|minor| minor >= since) {
        return Some(cluster);
    }
    let why = format!("Kubernetes {} lacks {what}: v1.{since} has it", *VERSION);
    if asked_for().is_some() {
        record(&why);
    } else {
        skip(&why);
    }
    None
}

/// The minor version of the API server.
pub(crate) fn minor_version() -> u32 {
    minor(&VERSION).expect("a version of Kubernetes 1")
}

/// An API server with MutatingAdmissionPolicy.
pub(crate) fn cluster_with_policies() -> Option<Cluster> {
    cluster_with("MutatingAdmissionPolicy", 36)
}
