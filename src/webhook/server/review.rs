//! One review over HTTP: reads the limited body, and writes the answer.

use std::{
    borrow::Cow,
    convert::Infallible,
    future::ready,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use actix_web::{
    HttpRequest, HttpResponse,
    body::{BodySize, BoxBody, MessageBody, SizedStream},
    http::{ConnectionType, StatusCode, header},
    web::{self, Bytes, ServiceConfig},
};
use futures_util::{StreamExt, stream};
use prometheus_client::metrics::gauge::Gauge;
use tokio::task::yield_now;

use super::{
    Shared,
    peers::{Connection, Hold, Resource, Stage},
};
use crate::{
    platform::process::thread_nanos,
    ui::text::escaped,
    webhook::admission::{self, Answer},
    workload::Rules,
};

/// Maximum size of a body: an UPDATE contains an object twice, and etcd stores objects of at most
/// 1.5 MiB (3 MiB in the API server's request limit).
const BODY_CAP: usize = 7 * 1024 * 1024;
pub(super) const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Longer bodies are decided on another thread, so that small reviews do not wait.
const LARGE: usize = 512 * 1024;

/// Of a longer body, reading, deciding and answering are three pieces of work, between which the worker
/// looks at its other connections.
const LONG: usize = 64 * 1024;

/// Bytes of an answer to write at a time; the rest stays counted.
const PIECE: usize = 32 * 1024;

/// The function from a review's body to its answer: [`admission::review`].
pub(super) type Review = fn(&[u8], &Rules, &str) -> Answer;

/// The routes of the review port: `POST /mutating-pods` and `/mutating-service`, both answered by
/// `review`.
pub(super) fn routes(
    shared: web::Data<Shared>,
    review: Review,
) -> impl Fn(&mut ServiceConfig) + Clone {
    type Own = web::Data<Shared>;
    let handle = move |request: HttpRequest, payload: web::Payload, shared: Own| async move {
        let mut payload = payload;
        let response = handle(&request, &mut payload, &shared, review).await;
        finish(response, &request, payload, &shared)
    };
    let always = |code, reason: &'static str, message: &'static str| {
        move |request: HttpRequest, payload: web::Payload, shared: Own| async move {
            finish(refuse(code, reason, message), &request, payload, &shared)
        }
    };
    move |config| {
        config.app_data(shared.clone());
        for path in ["/mutating-pods", "/mutating-service"] {
            let other = always(405, "MethodNotAllowed", "diyadm: reviews must be sent by POST");
            let resource = web::resource(path).route(web::post().to(handle));
            config.service(resource.default_service(web::to(other)));
        }
        config.default_service(web::to(always(404, "NotFound", admission::WRONG_PATH)));
    }
}

const CROWDED: Refusal = (503, "ServiceUnavailable", "diyadm: too many reviews at once");

async fn handle(
    request: &HttpRequest,
    payload: &mut web::Payload,
    shared: &web::Data<Shared>,
    review: Review,
) -> HttpResponse {
    let refuse = |(code, reason, message): Refusal| refuse(code, reason, message);
    let Some(connection) = connection(request) else {
        return refuse((500, "InternalError", "diyadm: the connection is unknown"));
    };
    connection.enter(Stage::Body);
    let body = match body(request, payload, connection, &shared.metrics.arriving).await {
        Ok(body) => body,
        Err(refusal) => return refuse(refusal),
    };
    let Some(place) = connection.hold(Resource::Reviews, 1) else { return refuse(CROWDED) };
    let is_large = body.bytes.len() >= LARGE;
    let turn = tokio::select! {
        biased;
        () = connection.refused() => return refuse(CROWDED),
        turn = async { if is_large { shared.large.acquire().await.ok() } else { None } } => turn,
    };
    connection.enter(Stage::Review);
    if !is_large {
        if body.bytes.len() < LONG {
            return send(decide(&body.bytes, shared, review), body, place, connection);
        }
        yield_now().await;
        let decided = decide(&body.bytes, shared, review);
        yield_now().await;
        return send(decided, body, place, connection);
    }
    let (connection, shared) = (connection.clone(), shared.clone());
    let large = move || {
        let began = thread_nanos();
        let response = decide(&body.bytes, &shared, review);
        connection.spend(thread_nanos().saturating_sub(began), None);
        (response, body, place, connection)
    };
    let done = tokio::task::spawn_blocking(large).await;
    drop(turn);
    match done {
        Ok((decided, body, place, connection)) => send(decided, body, place, &connection),
        Err(_) => refuse(BUG),
    }
}

const BUG: Refusal = (500, "InternalError", admission::FAULT);

/// The connection of a request.
fn connection(request: &HttpRequest) -> Option<&Arc<Connection>> {
    request.conn_data::<Arc<Connection>>()
}

/// Status and body of the answer.
fn decide(body: &[u8], shared: &Shared, review: Review) -> Result<(u16, Vec<u8>), Refusal> {
    let began = Instant::now();
    // `review` does not panic; even a bug in it must not stop the process or the user's write.
    let rules = shared.rules.current();
    let now = format!("{:.0}", jiff::Timestamp::now());
    let Ok(Answer { status, body, record }) =
        catch_unwind(AssertUnwindSafe(|| review(body, &rules, &now)))
    else {
        return Err(BUG);
    };
    let took = began.elapsed();
    shared.metrics.answered(&record, took);
    if status == 200 {
        // Not `record.reason`, which may quote the object. The sender of the review gets it as a
        // warning.
        tracing::info!(
            uid = &*loggable(&record.uid),
            kind = &*loggable(&record.kind),
            namespace = &*loggable(&record.namespace),
            name = &*loggable(&record.name),
            user = &*loggable(&record.user),
            operation = &*loggable(&record.operation),
            dryRun = record.dry_run,
            outcome = record.outcome.as_str(),
            micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            "review"
        );
    }
    Ok((status, body))
}

fn send(
    decided: Result<(u16, Vec<u8>), Refusal>,
    body: Body,
    place: Hold,
    connection: &Arc<Connection>,
) -> HttpResponse {
    match decided {
        Ok((200, answer)) => {
            // The answer replaces the body in memory.
            let Body { bytes, mut held } = body;
            held.set(answer.len());
            drop(bytes);
            connection.enter(Stage::Answer);
            let (left, connection) = (answer.into(), connection.clone());
            let unsent = Unsent { left, holds: vec![held, place], connection };
            HttpResponse::Ok().content_type("application/json").body(unsent)
        }
        Ok((status, refusal)) => json(status, refusal),
        Err((code, reason, message)) => refuse(code, reason, message),
    }
}

/// An answer that is written piece by piece as the peer reads it. It is in flight until the last
/// piece is written.
struct Unsent {
    left: Bytes,
    holds: Vec<Hold>,
    connection: Arc<Connection>,
}

impl MessageBody for Unsent {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.left.len() as u64)
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        let piece = self.left.len().min(PIECE);
        let piece = self.left.split_to(piece);
        if self.left.is_empty() && !piece.is_empty() {
            let holds = std::mem::take(&mut self.holds);
            self.connection.finish(holds);
        }
        Poll::Ready((!piece.is_empty()).then_some(Ok(piece)))
    }
}

/// Text of a review for the log. A sender that is not an API server can neither fill the log, as names
/// in Kubernetes have at most 253 characters, nor send control characters to the terminal that shows it.
fn loggable(text: &str) -> Cow<'_, str> {
    escaped(text.char_indices().nth(253).map_or(text, |(at, _)| &text[..at]))
}

/// Applies to every answer: rejections are counted and logged, and a draining server closes the
/// connection after its answer.
fn finish(
    mut response: HttpResponse,
    request: &HttpRequest,
    payload: web::Payload,
    shared: &Shared,
) -> HttpResponse {
    let status = response.status();
    let connection = connection(request);
    // These are sent before the whole body has arrived.
    let unread_body = [408, 413, 415, 503].contains(&status.as_u16());
    if !status.is_success() {
        shared.metrics.refused(status.as_u16());
        tracing::warn!(code = status.as_u16(), "refused");
        response = response.map_body(|_, body| unread(body, payload));
        if let Some(connection) = connection {
            connection.finish(Vec::new());
            if unread_body {
                connection.discard();
            }
        }
    }
    if unread_body || shared.draining.load(Relaxed) {
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    response
}

/// Keeps the unread rest of a request until its rejection is written: actix then closes the
/// connection. It would read a dropped chunked body to its end, possibly for ever.
fn unread(refusal: BoxBody, payload: web::Payload) -> BoxBody {
    let text = refusal.try_into_bytes().unwrap_or_default();
    let length = text.len() as u64;
    let once = stream::once(ready(Ok::<_, Infallible>(text)));
    let keeps = once.inspect(move |_| {
        let _payload = &payload;
    });
    BoxBody::new(SizedStream::new(length, keeps))
}

/// Status, reason and message of an invalid review.
type Refusal = (u16, &'static str, &'static str);

/// A complete body, and its counted memory.
struct Body {
    bytes: Bytes,
    held: Hold,
}

/// Reads the complete body, or returns why not. Only received bytes are counted.
async fn body(
    request: &HttpRequest,
    payload: &mut web::Payload,
    connection: &Arc<Connection>,
    arriving: &Gauge,
) -> Result<Body, Refusal> {
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
    let no_room = (503, "ServiceUnavailable", "diyadm: too many bytes in flight");
    if !connection.fits(length) {
        return Err(no_room);
    }
    let _arriving = Arriving::begin(arriving);
    connection.taken();
    let mut held = connection.hold(Resource::Bytes, 0).ok_or(no_room)?;
    let mut left = BODY_CAP;
    let mut chunk = async || {
        let Some(chunk) = payload.next().await else { return Ok(None) };
        let chunk = chunk.map_err(|_| (400, "BadRequest", "diyadm: the body is incomplete"))?;
        left = left.checked_sub(chunk.len()).ok_or(too_large)?;
        connection.taken();
        if !held.grow(chunk.len()) {
            return Err(no_room);
        }
        Ok(Some(chunk))
    };
    let read = async {
        // Most bodies arrive as one chunk, which is not copied.
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
    let bytes = tokio::select! {
        // A received body is not rejected.
        biased;
        read = tokio::time::timeout(BODY_TIMEOUT, read) => read.unwrap_or(Err((
            408,
            "Timeout",
            "diyadm: the body did not come in time",
        )))?,
        () = connection.refused() => return Err(no_room),
    };
    Ok(Body { bytes, held })
}

/// A body that is being received.
struct Arriving<'a>(&'a Gauge);

impl<'a> Arriving<'a> {
    fn begin(count: &'a Gauge) -> Self {
        count.inc();
        Self(count)
    }
}

impl Drop for Arriving<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
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
