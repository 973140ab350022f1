//! Asks the API server whether the cluster's policies allow the emptied form. Dry runs: nothing is
//! stored.

use anyhow::Error;
use serde_json::Value;

use crate::{
    kubernetes::{Cluster, WriteMode, error, targets::LiveObject},
    plan::{Decided, Does},
    webhook::checks::{Denial, Finding},
    workload::pod_from_template,
};

/// Checks one plan: a denied workload stays as it is; denied Pods become a finding. `may_create`:
/// whether dry runs with Pods are allowed.
pub(super) async fn judge(
    cluster: &Cluster,
    found: &LiveObject,
    decided: &mut Decided,
    may_create: bool,
) -> Option<Finding> {
    let mut object = Value::clone(&found.object);
    if decided.does == Does::Template {
        let patch = Value::from(decided.operations.clone());
        let made = cluster
            .json_patch(found.kind, &found.namespace, &found.name, patch, WriteMode::DryRun)
            .await;
        object = match made {
            Ok(object) => object,
            Err(error) => {
                let denial = denial(&error)?;
                (decided.does, decided.why) = (Does::Nothing, denial.denies("the emptied form"));
                decided.hint = denial.hint();
                decided.operations.clear();
                return None;
            }
        };
    }
    let is_new = matches!(decided.does, Does::Template | Does::Pods) && object["kind"] != "Pod";
    let pod = pod_from_template::pod(&object).filter(|_| is_new)?;
    if !may_create {
        let seen = "diyadm cannot tell whether policies allow its emptied Pods: you may not \
                    create Pods";
        let hint = format!(
            "Ask for this right: `kubectl -n {} auth can-i create pods` shows whether you have it.",
            found.namespace
        );
        return Some(Finding::unknown("denied", seen, hint));
    }
    let pod = pod_from_template::with_claims(&object, pod);
    let error = cluster.create(&pod, WriteMode::DryRun).await.err()?;
    Some(denial(&error)?.finding("its emptied Pods"))
}

fn denial(error: &Error) -> Option<Denial> {
    Denial::parse(&error::status(error)?.message)
}
