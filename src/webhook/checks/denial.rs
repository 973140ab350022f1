//! Finds the policy behind a write that the API server rejected.

use super::Finding;

/// The policy that denies a write, and its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// `ValidatingAdmissionPolicy probes`
    pub by: String,
    /// The policy's message.
    pub why: String,
    /// The whole message of the API server.
    pub message: String,
    /// The name of the admission webhook that denies it, if it is one.
    pub webhook: Option<String>,
    /// The command that shows the policy.
    show: String,
}

impl Denial {
    /// Parses messages of the admission plugins in k8s.io/apiserver and
    /// k8s.io/pod-security-admission; `None` for any other rejection, including a quota's, since
    /// replaced Pods count twice there.
    pub fn parse(message: &str) -> Option<Self> {
        if let Some((_, rest)) = message.split_once("ValidatingAdmissionPolicy '") {
            let (policy, rest) = rest.split_once("' with binding '")?;
            let (_, why) = rest.split_once("' denied request: ")?;
            return Some(Self {
                by: format!("ValidatingAdmissionPolicy {policy}"),
                why: why.to_owned(),
                message: message.to_owned(),
                webhook: None,
                show: format!("kubectl get validatingadmissionpolicy {policy} -o yaml"),
            });
        }
        if let Some((_, rest)) = message.split_once("admission webhook \"") {
            let (webhook, why) = rest.split_once("\" denied the request")?;
            return Some(Self {
                by: format!("admission webhook {webhook}"),
                why: why.trim_start_matches([':', ' ']).to_owned(),
                message: message.to_owned(),
                webhook: Some(webhook.to_owned()),
                show: "kubectl get validatingwebhookconfigurations".to_owned(),
            });
        }
        let (_, rest) = message.split_once("violates PodSecurity \"")?;
        let (level, why) = rest.split_once("\": ")?;
        Some(Self {
            by: format!("Pod Security ({level})"),
            why: why.to_owned(),
            message: message.to_owned(),
            webhook: None,
            show: "kubectl get namespaces --show-labels".to_owned(),
        })
    }

    /// `ValidatingAdmissionPolicy probes denies it: no readinessProbe`
    pub fn denies(&self, what: &str) -> String {
        format!("{} denies {what}: {}", self.by, self.why)
    }

    /// The hint.
    pub fn hint(&self) -> String {
        format!(
            "See what it asks for: `{}`. Use --image for another image, --image keep for the \
             workload's own, or --ready app to keep a readiness probe.",
            self.show
        )
    }

    /// A finding of a dry run: `what` is denied.
    pub fn finding(&self, what: &str) -> Finding {
        Finding::failed("denied", self.denies(what), self.hint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn denials_by_policies_and_webhooks_are_parsed() {
        for (message, said) in [
            (
                "deployments.apps \"web\" is forbidden: ValidatingAdmissionPolicy 'probes' with \
                 binding 'all' denied request: no readinessProbe",
                Some("ValidatingAdmissionPolicy probes denies it: no readinessProbe"),
            ),
            (
                "admission webhook \"validate.kyverno.svc-fail\" denied the request: no tag",
                Some("admission webhook validate.kyverno.svc-fail denies it: no tag"),
            ),
            (
                "pods \"web-x\" is forbidden: violates PodSecurity \"restricted:latest\": runAsNonRoot",
                Some("Pod Security (restricted:latest) denies it: runAsNonRoot"),
            ),
            ("pods \"x\" is forbidden: exceeded quota: q", None),
            ("failed calling webhook \"x\": connection refused", None),
        ] {
            let found = Denial::parse(message).map(|denial| denial.denies("it"));
            assert_eq!(found.as_deref(), said, "{message}");
        }
    }
}
