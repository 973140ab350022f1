//! Findings about the policy, from observations of a cluster.

use serde_json::Value;

use super::{
    CheckSubject, Denial, Finding, Look, is_emptied_by_policy, is_emptied_to,
    version::minor,
    webhook::{namespace, refused_hint, select::selects, unseen, version},
};

/// All observations.
pub struct Observed {
    /// `gitVersion`
    pub version: Look<String>,
    /// The minor version that it emulates, if any.
    pub emulated: Option<u32>,
    /// The resources of admissionregistration.k8s.io/v1: an APIResourceList.
    pub registration: Look<Option<Value>>,
    /// Whether v1beta1 serves policies.
    pub beta: bool,
    /// The Namespace.
    pub namespace: Look<Option<Value>>,
    /// The MutatingAdmissionPolicy.
    pub policy: Look<Option<Value>>,
    /// Its binding.
    pub binding: Look<Option<Value>>,
    /// The result of a dry-run create of a Pod: the Pod, or the API server's error.
    pub dry_create: Look<Result<Value, String>>,
}

/// Whether an API server with these resources of admissionregistration.k8s.io/v1 has policies.
pub fn is_served(registration: Option<&Value>) -> bool {
    let resources = registration.and_then(|list| list["resources"].as_array());
    resources.is_some_and(|all| all.iter().any(|one| one["name"] == "mutatingadmissionpolicies"))
}

/// Information about an API server without policies.
#[derive(Clone, Copy, Debug)]
pub struct Without<'a> {
    /// `gitVersion`
    pub version: &'a str,
    /// The minor version that it emulates (`--emulated-version`), if any.
    pub emulated: Option<u32>,
    /// Whether it serves policies as v1beta1.
    pub beta: bool,
}

impl<'a> Without<'a> {
    /// From the answer of `/version`, and v1beta1's list of resources.
    pub fn from_versions(version: &'a str, info: &Value, beta: Option<&Value>) -> Self {
        let emulated = info["emulationMinor"].as_str().and_then(|minor| minor.parse().ok());
        Self { version, emulated, beta: is_served(beta) }
    }
}

/// Why an API server has no policies, with a hint.
pub fn lacking(without: Without<'_>, flags: &str) -> (String, String) {
    let Without { version, emulated, beta } = without;
    let api = "MutatingAdmissionPolicy of admissionregistration.k8s.io/v1";
    let own = minor(version);
    let what = match (own, emulated) {
        (Some(36..), Some(emulated @ ..=35)) => format!(
            "the API server ({version}) emulates Kubernetes 1.{emulated} (its flag \
             --emulated-version), which has no {api}: Kubernetes 1.36 has it"
        ),
        _ if beta => format!(
            "the API server ({version}) has MutatingAdmissionPolicy as v1beta1 only. The policy is \
             of v1 and uses `lists.range`, which the CEL of 1.34 lacks: Kubernetes 1.36 has both"
        ),
        (Some(36..), _) => format!(
            "the API server ({version}) has {api} switched off: its flag --runtime-config says so"
        ),
        (Some(34..), _) => format!(
            "the API server ({version}) has no {api}: Kubernetes 1.36 has it; in 1.34 and 1.35 it \
             is a beta that is off"
        ),
        _ => format!("the API server ({version}) has no {api}: Kubernetes 1.36 has it"),
    };
    (what, format!("Use the webhook, which every version supports: `diyadm install{flags}`."))
}

/// All findings, in the order of a request's path.
pub fn findings(observed: &Observed, subject: &CheckSubject) -> Vec<Finding> {
    let mut all = vec![version(&observed.version)];
    match &observed.registration {
        Ok(registration) if !is_served(registration.as_ref()) => {
            let version = observed.version.as_deref().unwrap_or("version unknown");
            let without = Without { version, emulated: observed.emulated, beta: observed.beta };
            let (what, hint) = lacking(without, &subject.flags);
            all.push(Finding::failed("policy", what, hint));
            return all;
        }
        Ok(_) => {}
        Err(why) => all.push(unseen("policy", "admissionregistration.k8s.io", why)),
    }
    all.push(namespace(&observed.namespace, subject));
    all.push(policy(observed, subject));
    all.push(binding(observed, subject));
    all.push(dry_create(observed, subject));
    all
}

fn again(subject: &CheckSubject) -> String {
    subject.owner_hint(" --mode policy", || {
        format!("Install it again: `diyadm install --mode policy{}`.", subject.flags)
    })
}

/// The known labels of the namespace.
fn labels(observed: &Observed) -> &Value {
    let found = observed.namespace.as_ref().ok().and_then(Option::as_ref);
    found.map_or(&Value::Null, |namespace| &namespace["metadata"]["labels"])
}

fn policy(observed: &Observed, subject: &CheckSubject) -> Finding {
    let (id, CheckSubject { service, namespace, label: (key, value), .. }) = ("policy", subject);
    let found = match &observed.policy {
        Ok(Some(found)) => &found["spec"],
        Ok(None) => {
            return Finding::failed(
                id,
                format!("there is no MutatingAdmissionPolicy {service}"),
                again(subject),
            );
        }
        Err(why) => return unseen(id, "the policy", why),
    };
    let pods = found["matchConstraints"]["resourceRules"].to_string().contains("\"pods\"");
    let selected = selects(&found["matchConstraints"]["namespaceSelector"], labels(observed));
    if !pods || !selected {
        let what = format!("MutatingAdmissionPolicy {service} does not match Pods of {namespace}");
        let hint = if pods && labels(observed)[key] != value.as_str() {
            format!("Label the namespace: `diyadm install --mode policy{}`.", subject.label_flags)
        } else {
            again(subject)
        };
        return Finding::failed(id, what, hint);
    }
    let failure = found["failurePolicy"].as_str().unwrap_or("Fail");
    let what = format!(
        "MutatingAdmissionPolicy {service} matches Pods of {namespace}, failurePolicy {failure}"
    );
    Finding::ok(id, what)
}

fn binding(observed: &Observed, subject: &CheckSubject) -> Finding {
    let (id, CheckSubject { service, namespace, .. }) = ("binding", subject);
    let found = match &observed.binding {
        Ok(Some(found)) => &found["spec"],
        Ok(None) => {
            let what = format!(
                "there is no MutatingAdmissionPolicyBinding {service}: the policy does nothing"
            );
            return Finding::failed(id, what, again(subject));
        }
        Err(why) => return unseen(id, "the policy's binding", why),
    };
    let chosen = selects(&found["matchResources"]["namespaceSelector"], labels(observed));
    if found["policyName"] != service.as_str() || !chosen {
        let what = format!("the binding does not bind policy {service} in {namespace}");
        return Finding::failed(id, what, again(subject));
    }
    Finding::ok(id, format!("the binding activates policy {service}"))
}

fn dry_create(observed: &Observed, subject: &CheckSubject) -> Finding {
    let (id, CheckSubject { image, flags, .. }) = ("dry-run", subject);
    match &observed.dry_create {
        Ok(Ok(pod)) if is_emptied_to(pod, image) && !is_emptied_by_policy(pod) => Finding::failed(
            id,
            "a Pod created here would be emptied by a webhook, not by the policy",
            "See which: `kubectl get mutatingwebhookconfigurations`; a policy leaves alone what \
             the webhook has emptied.",
        ),
        Ok(Ok(pod)) if is_emptied_to(pod, image) => {
            Finding::ok(id, format!("a Pod created here would get {image}"))
        }
        Ok(Ok(_)) => Finding::failed(
            id,
            format!("a Pod created here would not be emptied to {image}"),
            subject.owner_hint(" --mode policy", || {
                format!(
                    "A changed policy takes effect after a moment. Under failurePolicy Ignore the \
                     API server gives no reason; `diyadm install --mode policy --failure-policy \
                     Fail{flags}` makes it report one."
                )
            }),
        ),
        Ok(Err(text)) => match Denial::parse(text) {
            Some(denial) => denial.finding("a Pod that is emptied here"),
            None => Finding::failed(
                id,
                format!("a Pod created here is refused: {text}"),
                refused_hint(&observed.namespace, subject),
            ),
        },
        Err(why) => unseen(id, "a dry-run create", why),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn required_version_for_policies_is_named() {
        let list = |name: &str| json!({ "resources": [{ "name": name }] });
        assert!(is_served(Some(&list("mutatingadmissionpolicies"))));
        assert!(!is_served(Some(&list("mutatingwebhookconfigurations"))));
        assert!(!is_served(None));
        for (version, word) in [
            ("v1.36.3", "switched off"),
            ("v1.37.0-alpha.1", "switched off"),
            ("v1.35.1+k3s1", "a beta that is off"),
            ("v1.34+", "a beta that is off"),
            ("v1.30.2-gke.1", "Kubernetes 1.36 has it"),
            ("odd", "Kubernetes 1.36 has it"),
        ] {
            let info = json!({ "gitVersion": version });
            let (what, hint) = lacking(Without::from_versions(version, &info, None), " -n x");
            assert!(what.contains(word) && what.contains(version), "{version}: {what}");
            assert!(hint.contains("`diyadm install -n x`"), "{hint}");
        }
        let beta = list("mutatingadmissionpolicies");
        for (version, info, beta, word) in [
            ("v1.34.4", json!({}), Some(&beta), "as v1beta1 only"),
            ("v1.36.3", json!({ "emulationMinor": "35" }), None, "emulates Kubernetes 1.35"),
            ("v1.36.3", json!({ "emulationMinor": "35" }), Some(&beta), "emulates Kubernetes 1.35"),
            ("v1.36.3", json!({ "emulationMinor": "36" }), None, "switched off"),
        ] {
            let (what, _) = lacking(Without::from_versions(version, &info, beta), "");
            assert!(what.contains(word) && what.contains(version), "{version}: {what}");
        }
    }
}
