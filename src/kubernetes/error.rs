//! Converts errors of API requests to messages with hints.

use anyhow::{Error, Result};
use kube::core::Status;

use super::{ObjectRef, denied::Denied, kubeconfig::Refused};
use crate::{
    exit::{Failure, Topic},
    ui::text::without_passwords,
};

/// The API server's answer, if there was one.
pub fn status(error: &Error) -> Option<&Status> {
    let failure = error.chain().find_map(|cause| cause.downcast_ref::<Failure>())?;
    failure.cause.as_ref()?.downcast_ref()
}

/// Whether the object already exists.
pub fn exists(error: &Error) -> bool {
    status(error).is_some_and(Status::is_already_exists)
}

/// The fields of another manager that made an apply fail.
pub fn conflicts(error: &Error) -> Vec<&str> {
    status(error).filter(|s| is_apply_conflict(s)).into_iter().flat_map(causes).collect()
}

/// Whether it is 409: the object has another version or uid, or exists already.
pub fn is_conflict(error: &Error) -> bool {
    status(error).is_some_and(|status| status.code == 409)
}

fn is_apply_conflict(status: &Status) -> bool {
    status.code == 409 && status.reason == "Conflict"
}

/// The fields of a `FieldManagerConflict`.
fn causes(status: &Status) -> impl Iterator<Item = &str> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes.filter(|c| c.reason == "FieldManagerConflict").map(|c| c.field.as_str())
}

fn has_cause(status: &Status, reason: &str) -> bool {
    status.details.iter().flat_map(|details| &details.causes).any(|c| c.reason == reason)
}

/// The same, with the command that shows the fields' managers.
pub(super) fn whose(error: Error, target: ObjectRef<'_>) -> Error {
    let ObjectRef { kind, namespace, name } = target;
    let place = if namespace.is_empty() { String::new() } else { format!("-n {namespace} ") };
    match error.downcast::<Failure>() {
        Ok(failure) => {
            let hint = format!(
                "See who owns it: `kubectl {place}get {}/{name} -o yaml --show-managed-fields`; \
                 --force takes it over.",
                kind.resource()
            );
            let status = failure.cause.as_ref().and_then(|cause| cause.downcast_ref::<Status>());
            let owned = status.is_some_and(|s| is_apply_conflict(s) && causes(s).next().is_some());
            if owned { Failure { hint, ..failure }.into() } else { failure.into() }
        }
        Err(error) => error,
    }
}

/// The message of a PodDisruptionBudget that made an eviction fail.
pub fn guarded(error: &Error) -> Option<&str> {
    let details = status(error)?.details.as_ref()?;
    let cause = details.causes.iter().find(|cause| cause.reason == BUDGET)?;
    Some(&cause.message)
}

/// The reason of such a cause in `k8s.io/api/policy/v1`.
const BUDGET: &str = "DisruptionBudget";

pub(super) fn is_guarded(status: &Status) -> bool {
    has_cause(status, BUDGET)
}

/// Whether the result of the request is unknown: the answer was lost, or the server failed.
pub fn is_unknown(error: &Error) -> bool {
    let failure = error.chain().find_map(|cause| cause.downcast_ref::<Failure>());
    failure.is_some_and(|failure| match &failure.cause {
        Some(cause) => {
            cause.downcast_ref::<Lost>().is_some() || status(error).is_some_and(at_fault)
        }
        None => false,
    })
}

fn at_fault(status: &Status) -> bool {
    matches!(status.code, 429 | 500 | 502..=504)
}

/// Whether there was no answer: the API server is not reachable, or not any more.
pub fn is_lost(error: &Error) -> bool {
    let failure = error.chain().find_map(|cause| cause.downcast_ref::<Failure>());
    let cause = failure.and_then(|failure| failure.cause.as_ref());
    cause.is_some_and(|cause| cause.downcast_ref::<Lost>().is_some())
}

/// There was no answer.
#[derive(Debug)]
struct Lost;

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no answer")
    }
}

impl std::error::Error for Lost {}

/// Whether the API server denied the request (403).
pub fn is_forbidden(error: &Error) -> bool {
    status(error).is_some_and(Status::is_forbidden)
}

/// Whether it is 404: for an object or, in plain text without a reason, for its kind.
pub fn is_absent(error: &Error) -> bool {
    status(error).is_some_and(|status| status.code == 404)
}

/// 404 is an answer too.
pub(super) fn absent<T>(outcome: Result<T>) -> Result<Option<T>> {
    match outcome {
        Ok(found) => Ok(Some(found)),
        Err(error) if status(&error).is_some_and(Status::is_not_found) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Why there are no credentials, if that is the cause.
pub(super) fn credentials<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Refused> {
    let mut cause = Some(error);
    let mut chain = std::iter::from_fn(|| {
        let here = cause?;
        cause = here.source();
        Some(here)
    });
    chain.find_map(|cause| cause.downcast_ref())
}

/// OpenSSL's reason why a certificate is not trusted, if that is the cause.
fn distrust(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut outer = error;
    while let Some(inner) = outer.source() {
        if inner.is::<openssl::ssl::Error>() {
            // hyper-openssl adds the result of the verification, and has no type for it.
            let text = outer.to_string();
            return text
                .strip_prefix(&inner.to_string())?
                .strip_prefix(": ")
                .map(ToOwned::to_owned);
        }
        outer = inner;
    }
    None
}

/// The hint for an answer other than 401, 403 and 409.
fn refused_hint(code: u16, message: &str) -> &'static str {
    match code {
        _ if message.contains("calling webhook") => {
            "See which webhook fails, and why: `diyadm check`."
        }
        404 => "See what exists: `kubectl get namespaces` and `kubectl api-resources`.",
        429 | 500.. => {
            "Check it with `kubectl get --raw '/readyz?verbose'`, then run the command again."
        }
        _ => "Fix what the message names, then run the command again; `-v` shows the requests.",
    }
}

/// The error for a failed request.
pub(super) fn request(error: &kube::Error, server: &str) -> Error {
    if let Some(Refused { what, details, hint }) = credentials(error) {
        let what = format!("No credentials for the API server {server}: {what}.");
        return Failure { details: details.clone(), ..Failure::unreachable(what, hint) }.into();
    }
    if let Some(why) = distrust(error) {
        let what = format!("The certificate of the API server {server} is not trusted: {why}.");
        let hint = "Set the cluster's certificate-authority to the CA that signed it, or \
                    tls-server-name to a name in it: `kubectl config set-cluster --help` shows how.";
        return Failure::unreachable(what, hint).because(Lost).into();
    }
    let kube::Error::Api(status) = error else {
        // The outer errors are "ServiceError: client error (Connect)"; the innermost has the
        // reason.
        let mut cause: &dyn std::error::Error = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        // The error of a proxy quotes its address.
        let cause = without_passwords(&cause.to_string());
        return Failure::unreachable(
            format!("The API server {server} could not be reached: {cause}."),
            "Check whether `kubectl version` reaches it, or use another with --context NAME.",
        )
        .because(Lost)
        .into();
    };
    let message = status.message.trim_end_matches('.').to_owned();
    let failure = match status.code {
        401 => Failure::unreachable(
            format!("The API server {server} did not accept your credentials (401): {message}."),
            "Log in again, or use another context: `kubectl config get-contexts`, then --context \
             NAME.",
        ),
        403 if has_cause(status, "NamespaceTerminating") => Failure::no(
            Topic::Rejected,
            format!("The namespace is being deleted (403): {message}."),
            "Wait until `kubectl get namespaces` does not show it any more.",
        ),
        403 if message.contains("exceeded quota") || message.contains("failed quota") => {
            Failure::no(
                Topic::Rejected,
                format!("A quota does not allow it (403): {message}."),
                "Free some of it, or raise it: `kubectl describe resourcequotas`.",
            )
        }
        403 => match Denied::parse(status) {
            Some(denied) => Failure::forbidden(denied.what(), denied.hint()),
            None => Failure::forbidden(
                format!("The API server does not allow it (403): {message}."),
                "Ask for this right; `kubectl auth can-i --list` shows the rights that you have.",
            ),
        },
        409 if is_apply_conflict(status) => Failure::no(
            Topic::ChangedMeanwhile,
            format!("Another client changed it (409): {message}."),
            "Check it with `kubectl get`, then run the command again.",
        ),
        code => Failure::no(
            Topic::Rejected,
            format!("The API server rejected it ({code}): {message}."),
            refused_hint(code, &message),
        ),
    };
    failure.because((**status).clone()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refused_request_has_a_hint() {
        for code in [400, 401, 403, 404, 405, 409, 410, 413, 415, 422, 429, 500, 503, 504] {
            for (message, reason) in [("x", ""), ("failed calling webhook", ""), ("x", "Conflict")]
            {
                let status = Status::failure(message, reason).with_code(code);
                let error = request(&kube::Error::Api(Box::new(status)), "https://x");
                let hint = &error.downcast_ref::<Failure>().unwrap().hint;
                assert!(hint.contains('`'), "{code} {message} {reason}: {hint}");
            }
        }
    }
}
