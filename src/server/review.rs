//! One review over HTTP: the body in, bounded, and the answer out.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web,
};
use futures_util::StreamExt;

use super::Shared;
use crate::admission::{self, Answer};

/// An UPDATE carries an object twice, and etcd takes objects of at most 1.5 MiB (3 MiB in the
/// API server's own request limit).
const BODY_CAP: usize = 7 * 1024 * 1024;
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// `POST /mutating-pods` and `/mutating-service`.
pub(super) async fn handle(
    request: HttpRequest,
    payload: web::Payload,
    shared: web::Data<Shared>,
) -> HttpResponse {
    let flight = Flight::begin(&shared);
    let response = if flight.is_none() {
        shared.metrics.rejected();
        refuse(503, "ServiceUnavailable", "diyadm: too many reviews at once")
    } else {
        match body(&request, payload).await {
            Ok(body) => answer(&body, &shared),
            Err((code, reason, message)) => refuse(code, reason, message),
        }
    };
    close_if_draining(response, &shared)
}

fn answer(body: &[u8], shared: &Shared) -> HttpResponse {
    let began = Instant::now();
    // `review` is total; a bug in it must still not take the process, or the user's write.
    let now = format!("{:.0}", jiff::Timestamp::now());
    let Ok(Answer { status, body, record }) =
        catch_unwind(AssertUnwindSafe(|| admission::review(body, &shared.rules, &now)))
    else {
        return refuse(500, "InternalError", "diyadm: a bug kept the review from being answered");
    };
    let took = began.elapsed();
    shared.metrics.answered(&record, took);
    tracing::info!(
        uid = record.uid,
        kind = record.kind,
        namespace = record.namespace,
        name = record.name,
        user = record.user,
        operation = record.operation,
        dryRun = record.dry_run,
        outcome = record.outcome.as_str(),
        reason = record.reason,
        micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        "review"
    );
    json(status, body)
}

/// Status, reason and message of what is no review.
type Refusal = (u16, &'static str, &'static str);

/// The whole body in one buffer, or why not.
async fn body(request: &HttpRequest, mut payload: web::Payload) -> Result<Vec<u8>, Refusal> {
    let text =
        |name| request.headers().get(name).and_then(|v: &header::HeaderValue| v.to_str().ok());
    let media = text(header::CONTENT_TYPE).and_then(|t| t.split(';').next()).map(str::trim);
    let plain = matches!(text(header::CONTENT_ENCODING), None | Some("identity"));
    if !plain || !media.is_some_and(|m| m.eq_ignore_ascii_case("application/json")) {
        let what = "diyadm: expected Content-Type application/json without Content-Encoding";
        return Err((415, "UnsupportedMediaType", what));
    }
    let length = text(header::CONTENT_LENGTH).and_then(|l| l.parse().ok()).unwrap_or(0);
    let too_large = (413, "RequestEntityTooLarge", "diyadm: the body is over 7 MiB");
    if length > BODY_CAP {
        return Err(too_large);
    }
    let read = async {
        let mut body = Vec::with_capacity(length);
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|_| (400, "BadRequest", "diyadm: the body broke off"))?;
            if body.len() + chunk.len() > BODY_CAP {
                return Err(too_large);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    };
    tokio::time::timeout(BODY_TIMEOUT, read).await.unwrap_or(Err((
        408,
        "Timeout",
        "diyadm: the body did not come in time",
    )))
}

/// Any method but POST.
pub(super) async fn not_allowed() -> HttpResponse {
    refuse(405, "MethodNotAllowed", "diyadm: reviews are posted")
}

/// Any other path.
pub(super) async fn not_found() -> HttpResponse {
    refuse(404, "NotFound", "diyadm: reviews go to /mutating-pods or /mutating-service")
}

fn refuse(code: u16, reason: &str, message: &str) -> HttpResponse {
    let mut response = json(code, admission::status(code, reason, message));
    let headers = response.headers_mut();
    if code == 503 {
        // The API server retries after this many seconds.
        headers.insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    }
    if matches!(code, 408 | 413 | 415) {
        // What is left of the body is not read.
        response.head_mut().set_connection_type(actix_web::http::ConnectionType::Close);
    }
    response
}

fn json(code: u16, body: Vec<u8>) -> HttpResponse {
    let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    HttpResponse::build(code).content_type("application/json").body(body)
}

fn close_if_draining(mut response: HttpResponse, shared: &Shared) -> HttpResponse {
    if shared.draining.load(Relaxed) {
        response.head_mut().set_connection_type(actix_web::http::ConnectionType::Close);
    }
    response
}

/// A place among the reviews in flight, given back when dropped.
struct Flight<'a>(&'a Shared);

impl<'a> Flight<'a> {
    fn begin(shared: &'a Shared) -> Option<Self> {
        let flight = Self(shared);
        let before = shared.in_flight.fetch_add(1, Relaxed);
        (before < shared.max_in_flight).then_some(flight)
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}
