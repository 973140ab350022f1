//! Explains the API server's messages about failed webhook calls.
//!
//! The texts are those of Kubernetes' webhook client and of Go's net, tls and x509; the integration
//! tests provoke each on a real API server.

use super::CheckSubject;
use crate::webhook::admission;

/// Why the call of a webhook failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Stable, kebab-case.
    pub id: &'static str,
    /// One sentence without its full stop.
    pub what: String,
    /// The hint, with the command to run.
    pub hint: String,
}

/// A part of the API server's text, the cause's id, and its meaning. The first match is used, so
/// specific texts come before general ones.
const TEXTS: [(&str, &str, &str, Remedy); 43] = [
    (
        admission::WRONG_PATH,
        "wrong-path",
        "the server does not know the path in the webhook's configuration",
        Remedy::Install,
    ),
    (admission::FAULT, "server-bug", "the server has a bug", Remedy::Logs),
    (
        "cannot verify signature: insecure algorithm",
        "insecure-signature",
        "the server's certificate is signed with an algorithm that the API server refuses (SHA-1)",
        Remedy::Renew,
    ),
    (
        "failed to parse certificate from server",
        "unreadable-certificate",
        "the API server cannot parse the server's certificate",
        Remedy::Renew,
    ),
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
    ("x509: ", "bad-certificate", "the API server refuses the server's certificate", Remedy::Renew),
    ("tls: ", "no-tls", "the TLS handshake failed", Remedy::Server),
    (
        "unable to parse bytes as PEM block",
        "ca-bundle-junk",
        "the caBundle is not a PEM certificate",
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
    // The API server's route to the Pod: proxies first, since they wrap the other errors.
    (
        "No agent available",
        "no-agent",
        "the konnectivity server has no agent: the control plane cannot reach the cluster",
        Remedy::Konnectivity,
    ),
    (
        "proxyconnect tcp",
        "proxy",
        "the API server calls webhooks through an HTTP proxy, and cannot reach it",
        Remedy::Proxy,
    ),
    ("Proxy Authentication Required", "proxy", PROXY, Remedy::Proxy),
    ("Service Unavailable", "proxy", PROXY, Remedy::Proxy),
    ("Gateway Timeout", "proxy", PROXY, Remedy::Proxy),
    ("Bad Gateway", "proxy", PROXY, Remedy::Proxy),
    ("Forbidden", "proxy", PROXY, Remedy::Proxy),
    (
        "Address is not allowed",
        "address-not-allowed",
        "the control plane may not call the Pod's address, which is outside of its network",
        Remedy::HostNetwork,
    ),
    (
        "request canceled while waiting for connection",
        "unreachable",
        "the API server got no connection in time",
        Remedy::Reach,
    ),
    ("TLS handshake timeout", "too-slow", "the server did not finish TLS in time", Remedy::Reach),
    // A context that ends while Go connects has the same text.
    ("i/o timeout", "unreachable", DROPPED, Remedy::Reach),
    ("dial timeout", "unreachable", DROPPED, Remedy::Reach),
    ("connection timed out", "unreachable", DROPPED, Remedy::Reach),
    ("no route to host", "unreachable", NO_ROUTE, Remedy::Reach),
    ("network is unreachable", "unreachable", NO_ROUTE, Remedy::Reach),
    ("host is down", "unreachable", NO_ROUTE, Remedy::Reach),
    (
        "context deadline exceeded",
        "too-slow",
        "the server did not answer in time: it is overloaded, or a firewall drops the connection",
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

const PROXY: &str = "an HTTP proxy between API server and webhook refused the connection";
const DROPPED: &str =
    "nothing answers at the webhook's address: a firewall or network policy drops it";
const NO_ROUTE: &str = "the API server's machine has no route to the webhook's address";
const CLOSED: &str = "the server closed the connection without an answer";
const WRONG_NAME: &str = "the server's certificate is for other names";

/// The types of hints; their commands contain the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remedy {
    Install,
    Logs,
    Rotate,
    Renew,
    Port,
    Pods,
    Server,
    Reach,
    Proxy,
    Konnectivity,
    HostNetwork,
}

/// The cause in a message of the API server, for the webhook of `subject`; `None` if the message is
/// not about a failed webhook, or if the failure is unknown.
pub fn explain(text: &str, subject: &CheckSubject) -> Option<Cause> {
    let name = webhook(text)?;
    if !subject.is_named_after(name) {
        return Some(foreign(text, name));
    }
    let (_, id, what, remedy) = TEXTS.into_iter().find(|(piece, ..)| text.contains(piece))?;
    Some(cause(id, what, remedy, subject))
}

/// The known texts, each with its cause for the webhook of `subject`.
pub fn causes(subject: &CheckSubject) -> impl Iterator<Item = (&'static str, Cause)> {
    TEXTS.into_iter().map(|(text, id, what, remedy)| (text, cause(id, what, remedy, subject)))
}

fn cause(id: &'static str, what: &str, remedy: Remedy, subject: &CheckSubject) -> Cause {
    let CheckSubject { webhook_namespace: namespace, service, flags, .. } = subject;
    let hint = match remedy {
        Remedy::Install => subject.install_hint("Put the Secret's CA into the webhook", ""),
        Remedy::Logs => {
            format!("See its log: `kubectl -n {namespace} logs -l app={service}`.")
        }
        Remedy::Rotate => {
            format!("Create a new certificate: `diyadm init --rotate{flags}`.")
        }
        Remedy::Renew => subject.install_hint(
            &format!(
                "Create one for {service}.{namespace}.svc with `diyadm init --force{flags}`, then \
                 put its CA into the webhook"
            ),
            "",
        ),
        Remedy::Port => format!(
            "Check that the Service's targetPort is the TLS port of `diyadm serve`: \
             `kubectl -n {namespace} get service {service} -o yaml`."
        ),
        Remedy::Pods => {
            format!("Check its Pods: `kubectl -n {namespace} describe pods -l app={service}`.")
        }
        Remedy::Server => format!(
            "Check which server answers: `kubectl -n {namespace} get endpointslices \
             -l kubernetes.io/service-name={service}`."
        ),
        Remedy::Proxy => "Add .svc to NO_PROXY of the API server; on its machine, run `diyadm \
                          check --manifest /etc/kubernetes/manifests/kube-apiserver.yaml`."
            .to_owned(),
        Remedy::Konnectivity => {
            "Check whether its agents run: `kubectl -n kube-system get pods -l \
             k8s-app=konnectivity-agent`."
                .to_owned()
        }
        Remedy::HostNetwork => format!(
            "If the control plane reaches only nodes, run the server in the node's network \
             (`hostNetwork: true`): `kubectl -n {namespace} edit deployment {service}`."
        ),
        Remedy::Reach => format!(
            "Check whether the API server reaches the Pods (network policies, firewalls): \
             `kubectl -n {namespace} logs -l app={service}`."
        ),
    };
    Cause { id, what: what.to_owned(), hint }
}

/// The name of the webhook in a message.
fn webhook(text: &str) -> Option<&str> {
    let names = ["calling webhook \"", "admission webhook \""];
    let after = names.iter().find_map(|before| Some(text.split_once(before)?.1))?;
    Some(after.split_once('"')?.0)
}

/// Another owner's webhook, which diyadm cannot fix.
fn foreign(text: &str, name: &str) -> Cause {
    let known = TEXTS.iter().find(|(piece, ..)| text.contains(piece));
    let what = match known {
        Some((_, "denied", ..)) => format!("another webhook, {name}, denied the request"),
        Some((_, _, what, _)) => format!("another webhook, {name}, could not be called: {what}"),
        None => format!("another webhook, {name}, could not be called"),
    };
    let hint = "See whose it is: `kubectl get mutatingwebhookconfigurations,\
                validatingwebhookconfigurations -o yaml`.";
    Cause { id: "other-webhook", what, hint: hint.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::checks::webhook::tests::subject;

    #[test]
    fn each_call_error_has_its_own_explanation() {
        let subject = subject();
        let prefix = |name: &str| {
            let host = format!("{}.{}.svc", subject.service, subject.webhook_namespace);
            format!("Internal error occurred: failed calling webhook \"{name}{host}\": ")
        };
        for (piece, id, ..) in TEXTS {
            for name in ["", "services."] {
                let cause = explain(&format!("{}… {piece} …", prefix(name)), &subject).unwrap();
                assert_eq!(cause.id, id, "{piece}");
                assert!(cause.hint.contains('`'), "{piece}: a command to type");
            }
            let other = explain(&format!("{}… {piece} …", prefix("not-")), &subject).unwrap();
            assert_eq!(other.id, "other-webhook", "{piece}");
            assert!(!other.hint.contains("diyadm"), "{other:?}");
        }
        // Complete messages of Go 1.26, kube-apiserver, konnectivity and EKS.
        let post = "failed to call webhook: Post \"https://web.test.svc:443/mutating-pods\": ";
        for (text, id) in [
            ("dial tcp 10.96.0.7:443: i/o timeout", "unreachable"),
            ("dial tcp 10.96.0.7:443: connect: connection timed out", "unreachable"),
            ("dial tcp 10.96.0.7:443: connect: no route to host", "unreachable"),
            ("dial tcp 10.96.0.7:443: connect: network is unreachable", "unreachable"),
            ("dial tcp 10.96.0.7:443: connect: connection refused", "connection-refused"),
            ("Address is not allowed", "address-not-allowed"),
            ("No agent available", "no-agent"),
            ("dial timeout, backstop", "unreachable"),
            ("Service Unavailable", "proxy"),
            ("Gateway Timeout", "proxy"),
            ("proxyconnect tcp: dial tcp 10.0.0.9:3128: connect: connection refused", "proxy"),
            ("proxyconnect tcp: dial tcp: lookup proxy: no such host", "proxy"),
            (
                "net/http: request canceled while waiting for connection (Client.Timeout exceeded \
                 while awaiting headers)",
                "unreachable",
            ),
            ("net/http: TLS handshake timeout", "too-slow"),
            ("context deadline exceeded", "too-slow"),
            (
                "tls: failed to parse certificate from server: x509: negative serial number",
                "unreadable-certificate",
            ),
            (
                "tls: failed to verify certificate: x509: certificate signed by unknown authority \
                 (possibly because of \"x509: cannot verify signature: insecure algorithm \
                 SHA1-RSA\" while trying to verify candidate authority certificate \"CA\")",
                "insecure-signature",
            ),
            (
                "tls: failed to verify certificate: x509: unhandled critical extension",
                "bad-certificate",
            ),
            ("remote error: tls: handshake failure", "no-tls"),
        ] {
            let cause = explain(&format!("{}{post}{text}", prefix("")), &subject);
            assert_eq!(cause.map(|cause| cause.id), Some(id), "{text}");
        }
        assert_eq!(explain("EOF", &subject), None, "no webhook in it");
        assert_eq!(explain(&format!("{}something new", prefix("")), &subject), None);
    }
}
