//! From what was seen of a cluster to findings about its policy.

use serde_json::Value;

use super::{
    Finding, Look, Subject, is_emptied_to,
    webhook::{namespace, refused_hint, select::selects, unseen, version},
};

/// Everything that was looked at.
pub struct Observed {
    /// `gitVersion`
    pub version: Look<String>,
    /// What admissionregistration.k8s.io/v1 serves: an APIResourceList.
    pub registration: Look<Option<Value>>,
    /// The Namespace.
    pub namespace: Look<Option<Value>>,
    /// The MutatingAdmissionPolicy.
    pub policy: Look<Option<Value>>,
    /// Its binding.
    pub binding: Look<Option<Value>>,
    /// What a dry-run create of a Pod came to: the Pod, or what the API server said.
    pub dry_create: Look<Result<Value, String>>,
}

/// Whether an API server that serves these of admissionregistration.k8s.io/v1 has policies.
pub fn is_served(registration: Option<&Value>) -> bool {
    let resources = registration.and_then(|list| list["resources"].as_array());
    resources.is_some_and(|all| all.iter().any(|one| one["name"] == "mutatingadmissionpolicies"))
}

/// What an API server of `version` (`v1.36.3`) that has no policies says of itself; what to do.
pub fn lacking(version: &str, flags: &str) -> (String, String) {
    let minor = version.split('.').nth(1).and_then(|minor| {
        let digits = minor.find(|c: char| !c.is_ascii_digit()).unwrap_or(minor.len());
        minor[..digits].parse::<u32>().ok()
    });
    let api = "MutatingAdmissionPolicy of admissionregistration.k8s.io/v1";
    let what = match minor {
        Some(36..) => format!(
            "the API server ({version}) has {api} switched off: its flag --runtime-config says so"
        ),
        Some(34..) => format!(
            "the API server ({version}) has no {api}: Kubernetes 1.36 has it; in 1.34 and 1.35 it \
             is a beta that is off"
        ),
        _ => format!("the API server ({version}) has no {api}: Kubernetes 1.36 has it"),
    };
    (what, format!("Take the webhook, which every version has: `diyadm install{flags}`."))
}

/// Every finding, in the order in which a request meets what they are about.
pub fn findings(observed: &Observed, subject: &Subject) -> Vec<Finding> {
    let mut all = vec![version(&observed.version)];
    match &observed.registration {
        Ok(registration) if !is_served(registration.as_ref()) => {
            let version = observed.version.as_deref().unwrap_or("version unknown");
            let (what, hint) = lacking(version, &subject.flags);
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

fn again(subject: &Subject) -> String {
    subject.owner_hint(" --mode policy", || {
        format!("Install it as it should be: `diyadm install --mode policy{}`.", subject.flags)
    })
}

/// The labels of the namespace, as far as they were seen.
fn labels(observed: &Observed) -> &Value {
    let found = observed.namespace.as_ref().ok().and_then(Option::as_ref);
    found.map_or(&Value::Null, |namespace| &namespace["metadata"]["labels"])
}

fn policy(observed: &Observed, subject: &Subject) -> Finding {
    let (id, Subject { service, namespace, label: (key, value), .. }) = ("policy", subject);
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
        let what = format!("MutatingAdmissionPolicy {service} is not about Pods of {namespace}");
        let hint = if pods && labels(observed)[key] != value.as_str() {
            format!("Label the namespace: `diyadm install --mode policy{}`.", subject.label_flags)
        } else {
            again(subject)
        };
        return Finding::failed(id, what, hint);
    }
    let failure = found["failurePolicy"].as_str().unwrap_or("Fail");
    let what = format!(
        "MutatingAdmissionPolicy {service} is about Pods of {namespace}, failurePolicy {failure}"
    );
    Finding::ok(id, what)
}

fn binding(observed: &Observed, subject: &Subject) -> Finding {
    let (id, Subject { service, namespace, .. }) = ("binding", subject);
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
    Finding::ok(id, format!("the binding puts policy {service} to work"))
}

fn dry_create(observed: &Observed, subject: &Subject) -> Finding {
    let (id, Subject { image, flags, .. }) = ("dry-run", subject);
    match &observed.dry_create {
        Ok(Ok(pod)) if is_emptied_to(pod, image) => {
            Finding::ok(id, format!("a Pod created here would get {image}"))
        }
        Ok(Ok(_)) => Finding::failed(
            id,
            format!("a Pod created here would not be emptied to {image}"),
            subject.owner_hint(" --mode policy", || {
                format!(
                    "A policy that was changed counts after a moment. Under failurePolicy Ignore \
                     the API server tells no reason: \
                     `diyadm install --mode policy --failure-policy Fail{flags}` makes it tell."
                )
            }),
        ),
        Ok(Err(text)) => Finding::failed(
            id,
            format!("a Pod created here is refused: {text}"),
            refused_hint(&observed.namespace, subject),
        ),
        Err(why) => unseen(id, "a dry-run create", why),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_version_that_has_policies_is_said() {
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
            let (what, hint) = lacking(version, " -n x");
            assert!(what.contains(word) && what.contains(version), "{version}: {what}");
            assert!(hint.contains("`diyadm install -n x`"), "{hint}");
        }
    }
}
