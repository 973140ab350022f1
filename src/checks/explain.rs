//! What the API server says when a webhook fails, and what it means.
//!
//! The texts are those of Kubernetes' webhook client and of Go's net, tls and x509; tests/it
//! provokes each on a real API server.

use super::{Subject, webhook::AS_BEFORE};

/// Why a webhook's call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Stable, kebab-case.
    pub id: &'static str,
    /// One sentence without its full stop.
    pub what: String,
    /// What to do, with the command to type.
    pub hint: String,
}

/// A piece of the API server's text, the cause's id, and what it means. The first that is found
/// counts: what is more special stands before what is more general.
const TEXTS: [(&str, &str, &str, Remedy); 21] = [
    (
        "certificate signed by unknown authority",
        "unknown-ca",
        "the caBundle does not hold the CA that signed the server's certificate",
        Remedy::Install,
    ),
    (
        "certificate has expired or is not yet valid",
        "expired",
        "the server's certificate has expired or is not valid yet",
        Remedy::Rotate,
    ),
    (
        "certificate relies on legacy Common Name field",
        "common-name-only",
        "the server's certificate has a common name only, and no subjectAltName",
        Remedy::Renew,
    ),
    (
        "certificate specifies an incompatible key usage",
        "key-usage",
        "the server's certificate is not for servers (extendedKeyUsage lacks serverAuth)",
        Remedy::Renew,
    ),
    ("certificate is not valid for any names", "wrong-name", WRONG_NAME, Remedy::Renew),
    ("cannot validate certificate for", "wrong-name", WRONG_NAME, Remedy::Renew),
    ("x509: certificate is valid for", "wrong-name", WRONG_NAME, Remedy::Renew),
    (
        "unable to parse bytes as PEM block",
        "ca-bundle-junk",
        "the caBundle is no PEM certificate",
        Remedy::Install,
    ),
    (
        "server gave HTTP response to HTTPS client",
        "plain-http",
        "the server speaks plain HTTP where TLS is expected",
        Remedy::Port,
    ),
    (
        "no endpoints available for service",
        "no-endpoints",
        "no Pod of the webhook is ready behind its Service",
        Remedy::Pods,
    ),
    (
        "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview",
        "no-type-meta",
        "the answer lacks apiVersion admission.k8s.io/v1 and kind AdmissionReview",
        Remedy::Server,
    ),
    (
        "no kind \"AdmissionReview\" is registered for version",
        "unknown-version",
        "server and API server do not know the same version of AdmissionReview",
        Remedy::Server,
    ),
    (
        "invalid webhook response: expected response.uid=",
        "wrong-uid",
        "the answer's uid is not the request's",
        Remedy::Server,
    ),
    (
        "webhook returned response.patch",
        "patch-without-type",
        "the answer has a patch without patchType, or the reverse",
        Remedy::Server,
    ),
    (
        "denied the request",
        "denied",
        "the webhook denied the request, which diyadm never does",
        Remedy::Server,
    ),
    (
        "context deadline exceeded",
        "too-slow",
        "the server did not answer in time, or a firewall stands between the API server and it",
        Remedy::Reach,
    ),
    (
        "connect: connection refused",
        "connection-refused",
        "nothing listens at the webhook's address",
        Remedy::Pods,
    ),
    ("no such host", "no-such-host", "the webhook's name does not resolve", Remedy::Reach),
    ("connection reset by peer", "closed", CLOSED, Remedy::Pods),
    ("write: broken pipe", "closed", CLOSED, Remedy::Pods),
    ("EOF", "closed", CLOSED, Remedy::Pods),
];

const CLOSED: &str = "the server closed the connection without an answer";
const WRONG_NAME: &str = "the server's certificate is for other names";

/// What helps; the command has the names in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remedy {
    Install,
    Rotate,
    Renew,
    Port,
    Pods,
    Server,
    Reach,
}

/// What a text of the API server means, for the webhook that `subject` names; `None` for a text
/// that is not about a webhook that failed, or a failure nobody has seen yet.
pub fn explain(text: &str, subject: &Subject) -> Option<Cause> {
    if !text.contains("calling webhook") && !text.contains("admission webhook") {
        return None;
    }
    let (_, id, what, remedy) = TEXTS.into_iter().find(|(piece, ..)| text.contains(piece))?;
    let Subject { namespace, service, flags, .. } = subject;
    let install = subject.install("");
    let hint = match remedy {
        Remedy::Install => {
            format!("Put the Secret's CA into the webhook: `{install}`, {AS_BEFORE}.")
        }
        Remedy::Rotate => {
            format!("Make a new certificate: `diyadm init --rotate{flags}`.")
        }
        Remedy::Renew => format!(
            "Make one for {service}.{namespace}.svc: `diyadm init --force{flags}`, \
             then `{install}`, {AS_BEFORE}."
        ),
        Remedy::Port => format!(
            "See that the Service's targetPort is the TLS port of `diyadm serve`: \
             `kubectl -n {namespace} get service {service} -o yaml`."
        ),
        Remedy::Pods => {
            format!(
                "See what its Pods do: `kubectl -n {namespace} describe pods -l app={service}`."
            )
        }
        Remedy::Server => format!(
            "See which server answers: `kubectl -n {namespace} get endpointslices \
             -l kubernetes.io/service-name={service}`."
        ),
        Remedy::Reach => format!(
            "See whether the API server reaches the Pods (network policies, firewalls): \
             `kubectl -n {namespace} logs -l app={service}`."
        ),
    };
    Some(Cause { id, what: what.to_owned(), hint })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::webhook::tests::subject;

    #[test]
    fn every_text_is_told_apart() {
        let subject = subject();
        let prefix = "Internal error occurred: failed calling webhook \"w.test.svc\": ";
        for (piece, id, ..) in TEXTS {
            let cause = explain(&format!("{prefix}… {piece} …"), &subject).unwrap();
            assert_eq!(cause.id, id, "{piece}");
            assert!(cause.hint.contains('`'), "{piece}: a command to type");
        }
        assert_eq!(explain("EOF", &subject), None, "no webhook in it");
        assert_eq!(explain(&format!("{prefix}something new"), &subject), None);
    }
}
