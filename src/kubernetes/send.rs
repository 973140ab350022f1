//! Sends one request to the API server, and retries where sensible: after the pause that the server
//! requests, or after a lost answer. The number of attempts is limited.

use std::{
    cell::Cell,
    io::ErrorKind,
    pin::pin,
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use anyhow::Result;
use backon::{ExponentialBuilder, Retryable};
use http::{HeaderMap, Request, header::RETRY_AFTER};
use kube::{client::Body, core::Status};
use serde_json::Value;

use super::{Cluster, error};
use crate::ui::{self, notice};

/// Maximum attempts for one request. With pauses, about 15 s pass before the last.
const TRIES: usize = 8;
/// Fewer attempts for a server that fails (500, 502, 504) or does not answer: it seldom recovers
/// quickly, and the user waits for the message.
const TRIES_AT_FAULT: usize = 4;
/// The pauses between attempts: doubled each time, from 100 ms to 4 s, plus a random part of up to
/// the same length, so that clients that were rejected together do not return together.
pub(crate) const PAUSES: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(100))
    .with_max_delay(Duration::from_secs(4))
    .with_max_times(TRIES - 1)
    .with_jitter();
/// After this time a user wants to know what a command waits for.
const SLOW: Duration = Duration::from_secs(1);
/// A longer Retry-After is reported instead.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(30);

/// The action of a request, for `--verbose`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    List,
    /// Asks the API server a question, such as which rights the user has.
    Review,
    Apply,
    Create,
    Patch,
    Delete,
    Evict,
}

impl Verb {
    fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::List => "LIST",
            Self::Review => "REVIEW",
            Self::Apply => "APPLY",
            Self::Create => "CREATE",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Evict => "EVICT",
        }
    }

    /// Whether such a request can be repeated. A guarded patch cannot: its sender must read the
    /// object again to see the result.
    fn is_repeatable(self) -> bool {
        !matches!(self, Self::Create | Self::Patch)
    }
}

/// The result of a failed attempt.
struct Refused {
    error: kube::Error,
    /// The pause that the server requested.
    retry_after: Option<Duration>,
}

impl Cluster {
    /// Sends a request, with retries where sensible.
    pub(super) async fn send(
        &self,
        verb: Verb,
        path: &str,
        request: Result<Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<Value> {
        let parse = |body: &[u8]| serde_json::from_slice(body);
        Box::pin(self.send_as(verb, path, request, parse)).await
    }

    /// [`Cluster::send`], with the answer's body as `parse` reads it.
    pub(super) async fn send_as<T>(
        &self,
        verb: Verb,
        path: &str,
        request: Result<Request<Vec<u8>>, kube::core::request::Error>,
        parse: impl Fn(&[u8]) -> serde_json::Result<T>,
    ) -> Result<T> {
        let request = request?;
        let tries = Cell::new(0);
        let attempt = || async {
            let began = Instant::now();
            let outcome = self.once(request.clone(), &parse).await;
            tries.set(tries.get() + 1);
            if self.verbose {
                let code = match &outcome {
                    Ok(_) => "ok".to_owned(),
                    Err(Refused { error: kube::Error::Api(status), .. }) => status.code.to_string(),
                    Err(_) => "no answer".to_owned(),
                };
                let took = began.elapsed().as_millis();
                ui::line(&format!("{} {path} {code} {took} ms", verb.as_str()));
            }
            outcome
        };
        let answer = attempt
            .retry(PAUSES)
            .when(|Refused { error, retry_after }| {
                tries.get() < self.most_tries(error, verb)
                    && retry_after.is_none_or(|retry_after| retry_after <= LONGEST_RETRY_AFTER)
            })
            .adjust(|refused, pause| Some(pause?.max(refused.retry_after.unwrap_or_default())));
        let outcome = with_notice(answer.into_future()).await;
        outcome.map_err(|refused| error::request(&refused.error, &self.server))
    }

    /// Maximum attempts for a request that failed with `error`.
    fn most_tries(&self, error: &kube::Error, verb: Verb) -> usize {
        match error {
            // This may take long: the caller reports the blocked eviction.
            kube::Error::Api(status) if error::is_guarded(status) => 1,
            // These mean that nothing was done.
            kube::Error::Api(status) if matches!(status.code, 429 | 503) => TRIES,
            _ if !verb.is_repeatable() => 1,
            kube::Error::Api(status) if matches!(status.code, 500 | 502 | 504) => TRIES_AT_FAULT,
            kube::Error::Api(_) => 1,
            // A failed plugin has printed why, and may have asked its user.
            other if error::credentials(other).is_some() => 1,
            // No waiting for a server that was never reached.
            other if self.reached.load(Relaxed) || broke_off(other) => TRIES_AT_FAULT,
            _ => 1,
        }
    }

    async fn once<T>(
        &self,
        request: Request<Vec<u8>>,
        parse: impl Fn(&[u8]) -> serde_json::Result<T>,
    ) -> Result<T, Refused> {
        let failed = |error| Refused { error, retry_after: None };
        let response = self.client.send(request.map(Body::from)).await.map_err(failed)?;
        let (parts, body) = response.into_parts();
        // Before the body, which may take long.
        self.clock.set(&parts.headers);
        let bytes = body.collect_bytes().await.map_err(failed)?;
        self.reached.store(true, Relaxed);
        self.warnings.print(&parts.headers);
        let code = parts.status.as_u16();
        if code < 400 {
            return parse(&bytes).map_err(|error| failed(kube::Error::SerdeError(error)));
        }
        let status = serde_json::from_slice(&bytes).unwrap_or_else(|_| {
            // The API server's own limits, and proxies before it, answer in plain text.
            let text = String::from_utf8_lossy(&bytes);
            Status::failure(text.trim(), "").with_code(code)
        });
        let retry_after = retry_after(&parts.headers, &status);
        Err(Refused { error: kube::Error::Api(status.boxed()), retry_after })
    }
}

/// Waits, and says so on a terminal if it takes long.
async fn with_notice<T>(answer: impl Future<Output = T>) -> T {
    let mut answer = pin!(answer);
    if let Ok(outcome) = tokio::time::timeout(SLOW, &mut answer).await {
        return outcome;
    }
    notice::show();
    let outcome = answer.await;
    notice::hide();
    outcome
}

/// Whether an existing connection ended without an answer.
fn broke_off(error: &kube::Error) -> bool {
    let mut cause: &(dyn std::error::Error + 'static) = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let ends = [
        ErrorKind::ConnectionReset,
        ErrorKind::ConnectionAborted,
        ErrorKind::BrokenPipe,
        ErrorKind::UnexpectedEof,
    ];
    // OpenSSL's error if the peer closes the connection during the handshake.
    let hung_up = |error: &openssl::ssl::Error| {
        error.code() == openssl::ssl::ErrorCode::SYSCALL && error.io_error().is_none()
    };
    // The last one is hyper's own, which has no error kind.
    cause.downcast_ref::<std::io::Error>().is_some_and(|error| ends.contains(&error.kind()))
        || cause.downcast_ref().is_some_and(hung_up)
        || cause.to_string() == "connection closed before message completed"
}

fn retry_after(headers: &HeaderMap, status: &Status) -> Option<Duration> {
    let header = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let inside = status.details.as_ref().map(|details| u64::from(details.retry_after_seconds));
    header.or(inside.filter(|seconds| *seconds > 0)).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_header_takes_precedence_over_the_body() {
        let status: Status =
            serde_json::from_str(r#"{"details":{"retryAfterSeconds":7}}"#).unwrap();
        let mut headers = HeaderMap::new();
        assert_eq!(retry_after(&headers, &status), Some(Duration::from_secs(7)));
        headers.insert(RETRY_AFTER, "2".parse().unwrap());
        assert_eq!(retry_after(&headers, &status), Some(Duration::from_secs(2)));
        assert_eq!(retry_after(&HeaderMap::new(), &Status::failure("x", "")), None);
    }
}
