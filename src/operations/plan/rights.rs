//! Whether the user may execute a plan.

use anyhow::Result;

use crate::{
    kubernetes::{CRON_JOB, Cluster, JOB, Kind, POD, POD_EVICTION, Right, targets::LiveObject},
    operations::empty::decision::EmptyMethod,
};

/// The user's known rights; rights for a whole namespace are requested once.
pub(super) struct Allowed<'a> {
    cluster: &'a Cluster,
    known: Vec<(&'static str, &'static Kind, String, bool)>,
}

impl<'a> Allowed<'a> {
    pub(super) fn new(cluster: &'a Cluster) -> Self {
        Self { cluster, known: Vec::new() }
    }

    /// The right that is missing for emptying a workload this way: `patch deployments.apps/web in
    /// namespace shop`.
    pub(super) async fn missing(
        &mut self,
        found: &LiveObject,
        settled: EmptyMethod,
    ) -> Result<Option<String>> {
        let own =
            |verb| Right { verb, kind: found.kind, namespace: &found.namespace, name: &found.name };
        // Each needs one of these.
        let needed = match settled {
            EmptyMethod::Patch => vec![vec![own("patch")]],
            EmptyMethod::Recreate => vec![vec![own("delete")], vec![own("create")]],
            // Pods of later Jobs are not changed.
            EmptyMethod::Pods if [&JOB, &CRON_JOB].contains(&found.kind) => Vec::new(),
            EmptyMethod::Pods => {
                let pod = |verb, kind| Right { verb, kind, namespace: &found.namespace, name: "" };
                vec![
                    vec![pod("list", &POD)],
                    vec![pod("create", &POD_EVICTION), pod("delete", &POD)],
                ]
            }
        };
        for any in needed {
            let mut is_allowed = false;
            for right in &any {
                is_allowed = is_allowed || self.may(right).await?;
            }
            if !is_allowed {
                return Ok(any.first().map(ToString::to_string));
            }
        }
        Ok(None)
    }

    /// Whether Pods may be created in a namespace.
    pub(super) async fn may_create_pods(&mut self, namespace: &str) -> Result<bool> {
        self.may(&Right { verb: "create", kind: &POD, namespace, name: "" }).await
    }

    async fn may(&mut self, right: &Right<'_>) -> Result<bool> {
        let Right { verb, kind, namespace, name } = *right;
        let known =
            self.known.iter().find(|(v, k, n, _)| *v == verb && *k == kind && n == namespace);
        let for_all = if let Some((.., allowed)) = known {
            *allowed
        } else {
            let missing = self.cluster.missing(&[Right { name: "", ..*right }]).await?;
            self.known.push((verb, kind, namespace.to_owned(), missing.is_empty()));
            missing.is_empty()
        };
        // RBAC cannot restrict create by name.
        if for_all || name.is_empty() || verb == "create" {
            return Ok(for_all);
        }
        Ok(self.cluster.missing(&[*right]).await?.is_empty())
    }
}
