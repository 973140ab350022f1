//! From what went wrong on the way to the API server to a sentence and what to do next.

use anyhow::{Error, Result};
use kube::{config::KubeconfigError, core::Status};

use crate::exit::Failure;

/// What the API server answered, where it did.
pub fn status(error: &Error) -> Option<&Status> {
    let failure = error.chain().find_map(|cause| cause.downcast_ref::<Failure>())?;
    failure.cause.as_ref()?.downcast_ref()
}

/// Whether the API server says that there is one already.
pub fn exists(error: &Error) -> bool {
    status(error).is_some_and(Status::is_already_exists)
}

/// Whether no answer came: the API server is not reached, or not any more.
pub fn is_lost(error: &Error) -> bool {
    let failure = error.chain().find_map(|cause| cause.downcast_ref::<Failure>());
    let cause = failure.and_then(|failure| failure.cause.as_ref());
    cause.is_some_and(|cause| cause.downcast_ref::<Lost>().is_some())
}

/// No answer came.
#[derive(Debug)]
struct Lost;

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no answer came")
    }
}

impl std::error::Error for Lost {}

/// Whether the API server says that the user may not.
pub fn is_forbidden(error: &Error) -> bool {
    status(error).is_some_and(Status::is_forbidden)
}

/// 404 is an answer too.
pub(super) fn absent<T>(outcome: Result<T>) -> Result<Option<T>> {
    match outcome {
        Ok(found) => Ok(Some(found)),
        Err(error) if status(&error).is_some_and(Status::is_not_found) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A kubeconfig that cannot be used. Never quotes the file: tokens are in it.
pub(super) fn kubeconfig(error: &KubeconfigError) -> Error {
    let what = match error {
        KubeconfigError::Parse(_) => "The kubeconfig is not YAML of kind Config.".to_owned(),
        KubeconfigError::ReadConfig(error, path) if path.as_os_str().is_empty() => {
            format!("There is no kubeconfig: {error}.")
        }
        KubeconfigError::ReadConfig(error, path) => {
            format!("The kubeconfig {} could not be read: {error}.", path.display())
        }
        KubeconfigError::LoadContext(name) => {
            return Failure::unreachable(
                format!("The kubeconfig has no context {name}."),
                "List them with `kubectl config get-contexts`, then name one with --context NAME.",
            )
            .into();
        }
        other => format!("The kubeconfig cannot be used: {other}."),
    };
    Failure::unreachable(
        what,
        "Name one with --kubeconfig FILE or $KUBECONFIG; without a cluster there is \
         `diyadm verify --offline`.",
    )
    .into()
}

/// A request that did not succeed.
pub(super) fn request(error: &kube::Error, server: &str) -> Error {
    let kube::Error::Api(status) = error else {
        // The outer errors say "ServiceError: client error (Connect)"; the innermost says why.
        let mut cause: &dyn std::error::Error = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        return Failure::unreachable(
            format!("The API server {server} could not be reached: {cause}."),
            "See whether `kubectl version` reaches it, or name another with --context NAME.",
        )
        .because(Lost)
        .into();
    };
    let message = status.message.trim_end_matches('.').to_owned();
    let failure = match status.code {
        401 => Failure::unreachable(
            format!("The API server {server} does not know who you are (401): {message}."),
            "Log in again, or name another context: `kubectl config get-contexts`, \
             then --context NAME.",
        ),
        403 => Failure::unreachable(
            format!("The API server does not allow it (403): {message}."),
            "Ask for this right; `kubectl auth can-i --list` shows those you have.",
        ),
        409 if status.reason == "Conflict" => Failure::no(
            format!("Another manager owns what is to be changed (409): {message}."),
            "Look at it with `kubectl get … -o yaml --show-managed-fields`; --force takes it over.",
        ),
        code => Failure::no(format!("The API server refused it ({code}): {message}."), ""),
    };
    failure.because((**status).clone()).into()
}
