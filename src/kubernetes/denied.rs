//! Parses the API server's message about a missing right: verb, resource and namespace.

use kube::core::Status;

/// A missing right.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Denied<'a> {
    verb: &'a str,
    /// `deployments.apps/web`, `pods/exec`
    what: String,
    /// The same, in the form of `kubectl auth can-i`.
    typed: String,
    /// Empty for cluster-scoped resources.
    namespace: &'a str,
}

impl<'a> Denied<'a> {
    /// Parses `forbiddenMessage` of k8s.io/apiserver, pkg/endpoints/handlers/responsewriters;
    /// `None` for a rejection by admission.
    pub(super) fn parse(status: &'a Status) -> Option<Self> {
        let (_, right) = status.message.split_once(" cannot ")?;
        let (verb, right) = right.split_once(" resource \"")?;
        let (resource, right) = right.split_once("\" in API group \"")?;
        let (group, place) = right.split_once('"')?;
        let namespace = place.strip_prefix(" in the namespace \"");
        let namespace =
            namespace.and_then(|rest| rest.split_once('"')).map_or("", |(name, _)| name);
        let name = status.details.as_ref().map_or("", |details| details.name.as_str());
        let dot = if group.is_empty() { "" } else { "." };
        // RBAC cannot restrict create by name.
        let named =
            if name.is_empty() || verb == "create" { String::new() } else { format!("/{name}") };
        let (resource, sub) = resource.split_once('/').unwrap_or((resource, ""));
        let slash = if sub.is_empty() { "" } else { "/" };
        let what = format!("{resource}{dot}{group}{slash}{sub}{named}");
        let flag = if sub.is_empty() { String::new() } else { format!(" --subresource={sub}") };
        let typed = format!("{resource}{dot}{group}{named}{flag}");
        Some(Self { verb, what, typed, namespace })
    }

    /// One sentence.
    pub(super) fn what(&self) -> String {
        let Self { verb, what, namespace, .. } = self;
        let place =
            if namespace.is_empty() { String::new() } else { format!(" in namespace {namespace}") };
        format!("You may not {verb} {what}{place} (403).")
    }

    /// The command that checks whether it is allowed.
    pub(super) fn hint(&self) -> String {
        let Self { verb, typed, namespace, .. } = self;
        let place = if namespace.is_empty() { String::new() } else { format!(" -n {namespace}") };
        format!(
            "Ask for this right; `kubectl auth can-i {verb} {typed}{place}` shows whether you \
                 have it."
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(message: &str, name: &str) -> Status {
        let status = json!({
            "status": "Failure", "reason": "Forbidden", "code": 403, "message": message,
            "details": { "name": name },
        });
        serde_json::from_value(status).unwrap()
    }

    #[test]
    fn missing_right_is_parsed_from_the_forbidden_message() {
        let user = "User \"system:serviceaccount:a:b\" cannot";
        let secret = format!(
            "secrets \"tls\" is forbidden: {user} get resource \"secrets\" in API group \"\" \
             in the namespace \"shop\""
        );
        let said = status(&secret, "tls");
        let denied = Denied::parse(&said).unwrap();
        assert_eq!(denied.what(), "You may not get secrets/tls in namespace shop (403).");
        assert!(denied.hint().contains("`kubectl auth can-i get secrets/tls -n shop`"));
        let list = format!(
            "deployments.apps is forbidden: {user} list resource \"deployments\" in API group \
             \"apps\" at the cluster scope"
        );
        let said = status(&list, "");
        let denied = Denied::parse(&said).unwrap();
        assert_eq!(denied.what(), "You may not list deployments.apps (403).");
        let exec = format!(
            "pods \"a\" is forbidden: {user} create resource \"pods/exec\" in API group \"\" in \
             the namespace \"shop\""
        );
        let said = status(&exec, "a");
        let denied = Denied::parse(&said).unwrap();
        assert_eq!(denied.what(), "You may not create pods/exec in namespace shop (403).");
        assert!(denied.hint().contains("can-i create pods --subresource=exec -n shop`"));
        let admission = "pods \"a\" is forbidden: violates PodSecurity \"restricted:latest\"";
        assert_eq!(Denied::parse(&status(admission, "a")), None);
    }
}
