//! One review over HTTP: the body in, bounded, and the answer out.

use std::{
    convert::Infallible,
    future::ready,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use actix_web::{
    HttpRequest, HttpResponse,
    body::{BoxBody, MessageBody, SizedStream},
    http::{ConnectionType, StatusCode, header},
    web::{self, Bytes, ServiceConfig},
};
use futures_util::{StreamExt, stream};

use super::Shared;
use crate::{
    admission::{self, Answer},
    workload::Rules,
};

/// An UPDATE carries an object twice, and etcd takes objects of at most 1.5 MiB (3 MiB in the
/// API server's own request limit).
const BODY_CAP: usize = 7 * 1024 * 1024;
pub(super) const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// From a review's body to its answer; [`admission::review`].
pub(super) type Review = fn(&[u8], &Rules, &str) -> Answer;

/// What the port of the reviews knows: `POST /mutating-pods` and `/mutating-service`, both
/// answered by `review`.
pub(super) fn routes(shared: web::Data<Shared>, review: Review) -> impl FnOnce(&mut ServiceConfig) {
    type Own = web::Data<Shared>;
    let handle = move |request: HttpRequest, payload: web::Payload, shared: Own| async move {
        let mut payload = payload;
        let response = handle(&request, &mut payload, &shared, review).await;
        told(response, payload, &shared)
    };
    let always = |code, reason: &'static str, message: &'static str| {
        move |payload: web::Payload, shared: web::Data<Shared>| async move {
            told(refuse(code, reason, message), payload, &shared)
        }
    };
    move |config| {
        config.app_data(shared);
        for path in ["/mutating-pods", "/mutating-service"] {
            let other = always(405, "MethodNotAllowed", "diyadm: reviews are posted");
            let resource = web::resource(path).route(web::post().to(handle));
            config.service(resource.default_service(web::to(other)));
        }
        let what = "diyadm: reviews go to /mutating-pods or /mutating-service";
        config.default_service(web::to(always(404, "NotFound", what)));
    }
}

async fn handle(
    request: &HttpRequest,
    payload: &mut web::Payload,
    shared: &Shared,
    review: Review,
) -> HttpResponse {
    let Some(_flight) = Flight::begin(shared) else {
        return refuse(503, "ServiceUnavailable", "diyadm: too many reviews at once");
    };
    match body(request, payload).await {
        Ok(body) => answer(&body, shared, review),
        Err((code, reason, message)) => refuse(code, reason, message),
    }
}

fn answer(body: &[u8], shared: &Shared, review: Review) -> HttpResponse {
    let began = Instant::now();
    // `review` is total; a bug in it must still not take the process, or the user's write.
    let rules = shared.rules.current();
    let now = format!("{:.0}", jiff::Timestamp::now());
    let Ok(Answer { status, body, record }) =
        catch_unwind(AssertUnwindSafe(|| review(body, &rules, &now)))
    else {
        return refuse(500, "InternalError", "diyadm: a bug kept the review from being answered");
    };
    let took = began.elapsed();
    shared.metrics.answered(&record, took);
    if status == 200 {
        // Not `record.reason`: it may quote the object, which is nobody's business here. Whoever
        // sent the review has it as a warning.
        tracing::info!(
            uid = short(&record.uid),
            kind = short(&record.kind),
            namespace = short(&record.namespace),
            name = short(&record.name),
            user = short(&record.user),
            operation = short(&record.operation),
            dryRun = record.dry_run,
            outcome = record.outcome.as_str(),
            micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            "review"
        );
    }
    json(status, body)
}

/// No longer than a name may be in Kubernetes, 253: a sender that is no API server cannot fill
/// the log.
fn short(text: &str) -> &str {
    text.char_indices().nth(253).map_or(text, |(at, _)| &text[..at])
}

/// What holds for every answer: refusals are counted and logged, and a server that drains has the
/// connection closed behind its answer.
fn told(mut response: HttpResponse, payload: web::Payload, shared: &Shared) -> HttpResponse {
    let status = response.status();
    if !status.is_success() {
        shared.metrics.refused(status.as_u16());
        tracing::warn!(code = status.as_u16(), "refused");
        response = response.map_body(|_, body| unread(body, payload));
    }
    if shared.draining.load(Relaxed) {
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    response
}

/// Keeps what was not read of a request until its refusal is written: actix then closes the
/// connection. It would read a chunked body that was dropped to its end, for ever where there is
/// none.
fn unread(refusal: BoxBody, payload: web::Payload) -> BoxBody {
    let text = refusal.try_into_bytes().unwrap_or_default();
    let length = text.len() as u64;
    let once = stream::once(ready(Ok::<_, Infallible>(text)));
    let keeps = once.inspect(move |_| {
        let _payload = &payload;
    });
    BoxBody::new(SizedStream::new(length, keeps))
}

/// Status, reason and message of what is no review.
type Refusal = (u16, &'static str, &'static str);

/// The whole body in one piece, or why not.
async fn body(request: &HttpRequest, payload: &mut web::Payload) -> Result<Bytes, Refusal> {
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
    let mut left = BODY_CAP;
    let mut chunk = async || {
        let Some(chunk) = payload.next().await else { return Ok(None) };
        let chunk = chunk.map_err(|_| (400, "BadRequest", "diyadm: the body broke off"))?;
        left = left.checked_sub(chunk.len()).ok_or(too_large)?;
        Ok(Some(chunk))
    };
    let read = async {
        // Most bodies come as one chunk: that is not copied.
        let first = chunk().await?.unwrap_or_default();
        let Some(mut next) = chunk().await? else { return Ok(first) };
        let mut body = Vec::with_capacity(length.max(first.len()));
        body.extend_from_slice(&first);
        drop(first);
        loop {
            body.extend_from_slice(&next);
            next = match chunk().await? {
                Some(next) => next,
                None => return Ok(body.into()),
            };
        }
    };
    tokio::time::timeout(BODY_TIMEOUT, read).await.unwrap_or(Err((
        408,
        "Timeout",
        "diyadm: the body did not come in time",
    )))
}

fn refuse(code: u16, reason: &str, message: &str) -> HttpResponse {
    let mut response = json(code, admission::status(code, reason, message));
    let headers = response.headers_mut();
    if code == 503 {
        // The API server retries after this many seconds.
        headers.insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    }
    response
}

fn json(code: u16, body: Vec<u8>) -> HttpResponse {
    let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    HttpResponse::build(code).content_type("application/json").body(body)
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
