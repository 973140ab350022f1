//! One request to the API server, and again where that is sensible: a server that asks for
//! patience gets it, an answer that was lost is asked for once more, and neither for ever.

use std::{
    io::ErrorKind,
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use anyhow::Result;
use http::{HeaderMap, Request, header::RETRY_AFTER};
use kube::{client::Body, core::Status};
use serde_json::Value;

use super::{Cluster, error};
use crate::ui;

/// Tries of one request in all. With the pauses between them about 20 s pass before the last.
const TRIES: u32 = 8;
/// A server that fails inside (500, 502, 504) or does not answer at all gets fewer: it is seldom
/// better a moment later, and someone waits for the message.
const TRIES_AT_FAULT: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// A Retry-After that is longer is told of instead.
const LONGEST_WISH: Duration = Duration::from_secs(30);

/// What a try came to, where it was no success.
struct Refused {
    error: kube::Error,
    /// What the server asked for.
    wish: Option<Duration>,
}

impl Cluster {
    /// Sends a request; `verb` says in the log what it is, and here whether it may be sent twice.
    pub(super) async fn send(
        &self,
        verb: &str,
        path: &str,
        request: Result<Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<Value> {
        let request = request?;
        // What such a request does a second time it did the first time. A guarded patch is not
        // among them: whoever sends it must read again to know what became of it.
        let repeatable = ["GET", "LIST", "APPLY", "DELETE", "EVICT", "REVIEW"].contains(&verb);
        let mut tries = 0;
        loop {
            let began = Instant::now();
            let outcome = self.once(request.clone()).await;
            tries += 1;
            if self.verbose {
                let code = match &outcome {
                    Ok(_) => "ok".to_owned(),
                    Err(Refused { error: kube::Error::Api(status), .. }) => status.code.to_string(),
                    Err(_) => "no answer".to_owned(),
                };
                let took = began.elapsed().as_millis();
                ui::line(&format!("{verb} {path} {code} {took} ms"));
            }
            let Refused { error, wish } = match outcome {
                Ok(value) => return Ok(value),
                Err(refused) => refused,
            };
            let most = match &error {
                // That may last: whoever evicts says so meanwhile.
                kube::Error::Api(status) if error::is_guarded(status) => 1,
                // These say that nothing was done.
                kube::Error::Api(status) if matches!(status.code, 429 | 503) => TRIES,
                _ if !repeatable => 1,
                kube::Error::Api(status) if matches!(status.code, 500 | 502 | 504) => {
                    TRIES_AT_FAULT
                }
                kube::Error::Api(_) => 1,
                // A plugin that failed has told why, and may have asked its user.
                other if error::credentials(other).is_some() => 1,
                // A server that was never there is not waited for.
                other if self.reached.load(Relaxed) || broke_off(other) => TRIES_AT_FAULT,
                _ => 1,
            };
            if tries >= most || wish.is_some_and(|wish| wish > LONGEST_WISH) {
                return Err(error::request(&error, &self.server));
            }
            tokio::time::sleep(pause(tries).max(wish.unwrap_or_default())).await;
        }
    }

    async fn once(&self, request: Request<Vec<u8>>) -> Result<Value, Refused> {
        let failed = |error| Refused { error, wish: None };
        let response = self.client.send(request.map(Body::from)).await.map_err(failed)?;
        let (parts, body) = response.into_parts();
        let bytes = body.collect_bytes().await.map_err(failed)?;
        self.reached.store(true, Relaxed);
        self.warnings.print(&parts.headers);
        let code = parts.status.as_u16();
        if code < 400 {
            return serde_json::from_slice(&bytes).map_err(|e| failed(kube::Error::SerdeError(e)));
        }
        let status = serde_json::from_slice(&bytes).unwrap_or_else(|_| {
            // The API server's own limits, and what stands before it, answer in plain text.
            let text = String::from_utf8_lossy(&bytes);
            Status::failure(text.trim(), "").with_code(code)
        });
        let wish = wish(&parts.headers, &status);
        Err(Refused { error: kube::Error::Api(status.boxed()), wish })
    }
}

/// Whether a connection that was there has ended without an answer.
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
    // OpenSSL's way to say that the other side went away in the handshake.
    let hung_up = |error: &openssl::ssl::Error| {
        error.code() == openssl::ssl::ErrorCode::SYSCALL && error.io_error().is_none()
    };
    // The last is hyper's own, which has no kind that could be asked.
    cause.downcast_ref::<std::io::Error>().is_some_and(|error| ends.contains(&error.kind()))
        || cause.downcast_ref().is_some_and(hung_up)
        || cause.to_string() == "connection closed before message completed"
}

fn wish(headers: &HeaderMap, status: &Status) -> Option<Duration> {
    let header = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let inside = status.details.as_ref().map(|details| u64::from(details.retry_after_seconds));
    header.or(inside.filter(|seconds| *seconds > 0)).map(Duration::from_secs)
}

/// How long to wait after so many tries: doubled each time, less up to a half at random, so that
/// those who were refused together do not come back together.
pub(super) fn pause(tries: u32) -> Duration {
    let whole = FIRST_PAUSE.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
    let mut byte = [0];
    // Without chance everyone waits the whole time.
    let _ = openssl::rand::rand_bytes(&mut byte);
    whole.mul_f64(1.0 - f64::from(byte[0]) / 512.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_are_never_nothing() {
        for tries in 1..100 {
            let pause = pause(tries);
            assert!(pause >= FIRST_PAUSE / 2 && pause <= LONGEST_PAUSE, "{tries}: {pause:?}");
        }
    }

    #[test]
    fn the_header_counts_before_the_body() {
        let status: Status =
            serde_json::from_str(r#"{"details":{"retryAfterSeconds":7}}"#).unwrap();
        let mut headers = HeaderMap::new();
        assert_eq!(wish(&headers, &status), Some(Duration::from_secs(7)));
        headers.insert(RETRY_AFTER, "2".parse().unwrap());
        assert_eq!(wish(&headers, &status), Some(Duration::from_secs(2)));
        assert_eq!(wish(&HeaderMap::new(), &Status::failure("x", "")), None);
    }
}
