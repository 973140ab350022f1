//! AdmissionReview bytes in, AdmissionReview bytes out; total: no input makes it panic.
//!
//! It never denies: the server's own fault is a 500, which failurePolicy Ignore admits, while
//! `allowed: false` and a patch that does not apply reject the user's request even then.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{json, value::RawValue};

use crate::workload::{Change, Context, Rules, Settled, Stamp, Subject};

mod json;

/// What the server sends back, and what it logs and counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status: 200 with an AdmissionReview, 4xx with a `metav1.Status`.
    pub status: u16,
    /// JSON.
    pub body: Vec<u8>,
    /// What to log: never the object.
    pub record: Record,
}

/// One line of the log. What the review did not have is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// `request.uid`
    pub uid: String,
    /// `request.kind.kind`
    pub kind: String,
    /// `request.namespace`
    pub namespace: String,
    /// `request.name`; empty under generateName.
    pub name: String,
    /// `request.userInfo.username`
    pub user: String,
    /// `CREATE`, `UPDATE`, …
    pub operation: String,
    /// `request.dryRun`
    pub dry_run: bool,
    /// What was decided.
    pub outcome: Outcome,
    /// Why, in a few words, where there is more to say than the outcome.
    pub reason: String,
}

/// What a review came to; the metric's label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// Not a review: 4xx.
    #[default]
    Refused,
    /// Allowed as it is.
    Unchanged,
    /// Allowed with the emptying patch.
    Emptied,
    /// Allowed with the restoring patch.
    Restored,
}

impl Outcome {
    /// The word in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unchanged => "unchanged",
            Self::Emptied => "emptied",
            Self::Restored => "restored",
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review<'a> {
    #[serde(borrow, default)]
    api_version: Option<&'a RawValue>,
    #[serde(borrow, default)]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    request: Option<Request<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    #[serde(borrow, default)]
    uid: Option<&'a RawValue>,
    #[serde(borrow, default)]
    kind: Kind<'a>,
    #[serde(borrow, default)]
    sub_resource: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    namespace: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    operation: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    user_info: Option<User<'a>>,
    #[serde(default)]
    dry_run: Option<bool>,
    #[serde(borrow, default)]
    object: Option<&'a RawValue>,
    #[serde(borrow, default)]
    old_object: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
struct Kind<'a> {
    #[serde(borrow, default)]
    kind: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct User<'a> {
    #[serde(borrow, default)]
    username: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct TypeMeta<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
}

/// Answers one review: `body` is what the API server posted, `now` the time as
/// `2026-11-24T22:05:35Z`, for what is emptied now. The kind in the review decides what is done,
/// not the path that it came to.
pub fn review(body: &[u8], rules: &Rules, now: &str) -> Answer {
    let (uid, request) = match read(body) {
        Ok(read) => read,
        Err(why) => return refuse(&why),
    };
    let text = |field: &Option<Cow<'_, str>>| field.as_deref().unwrap_or_default().to_owned();
    let mut record = Record {
        kind: text(&request.kind.kind),
        namespace: text(&request.namespace),
        name: text(&request.name),
        user: request.user_info.as_ref().map(|u| text(&u.username)).unwrap_or_default(),
        operation: text(&request.operation),
        dry_run: request.dry_run.unwrap_or_default(),
        outcome: Outcome::Unchanged,
        uid,
        reason: String::new(),
    };
    let change = match decide(&request, rules, now, &mut record) {
        Ok(change) => change,
        Err(why) => return refuse(&why),
    };
    if change.is_empty() {
        record.outcome = Outcome::Unchanged;
    }
    Answer { status: 200, body: allow(&record.uid, &change), record }
}

/// What to do with the object, and in `record` how to call it; an error where the object is
/// something that no API server could have sent.
fn decide(
    request: &Request<'_>,
    rules: &Rules,
    now: &str,
    record: &mut Record,
) -> Result<Change, String> {
    let nothing = Change { patch: "[]".to_owned(), warnings: Vec::new() };
    let warned = |warning: &str| Change { warnings: vec![warning.to_owned()], ..nothing.clone() };
    let writes = ["CREATE", "UPDATE"].contains(&record.operation.as_str());
    let whole = request.sub_resource.as_deref().unwrap_or_default().is_empty();
    if !writes || !whole || own(rules, record) {
        return Ok(nothing);
    }
    let Some(object) = request.object.map(RawValue::get) else {
        return Ok(warned("diyadm: the review has no object to look at"));
    };
    let mismatch = "diyadm: the review's kind is not its object's; left as it is";
    let subject = match Subject::read(object) {
        Ok(subject) => subject,
        Err(error) if error.to_string().starts_with("duplicate field") => {
            return Err("the object has two members of one name".to_owned());
        }
        Err(_) => {
            // No object of a kind that is known here.
            let kind = serde_json::from_str::<TypeMeta<'_>>(object).ok().map(|meta| meta.kind);
            let known = kind == Some(record.kind.as_str().into());
            return Ok(if known { nothing } else { warned(mismatch) });
        }
    };
    if subject.kind() != record.kind {
        return Ok(warned(mismatch));
    }
    let old = request.old_object.and_then(|old| Subject::parse(old.get()));
    // An UPDATE that does not show the object before it is still one.
    let old = (record.operation == "UPDATE").then(|| old.as_ref().unwrap_or(&subject));
    let stamp = Stamp { at: now.to_owned(), by: record.user.clone() };
    let context = Context { namespace: &record.namespace, old, stamp: Some(&stamp), wishes: &[] };
    let (settled, change) = subject.settle(rules, &context);
    record.outcome = match settled {
        Settled::Unchanged => Outcome::Unchanged,
        Settled::Emptied => Outcome::Emptied,
        Settled::Restored => Outcome::Restored,
    };
    record.reason = change.warnings.join("; ");
    // One that does not apply would reject the user's request.
    if subject.takes(&change) {
        return Ok(change);
    }
    record.reason = "the patch did not apply to its own object: a bug of diyadm".to_owned();
    Ok(warned("diyadm: a bug kept this object from being changed; please report it"))
}

/// kube-system and the webhook's own objects; the request's namespace counts, since an object
/// may be posted without one.
fn own(rules: &Rules, record: &Record) -> bool {
    record.namespace == "kube-system"
        || (record.namespace == rules.own.0 && record.name == rules.own.1)
}

/// The uid and the request of a body that is an AdmissionReview, or what is wrong with it.
fn read(body: &[u8]) -> Result<(String, Request<'_>), String> {
    let text = std::str::from_utf8(body).map_err(|e| format!("the body is not UTF-8: {e}"))?;
    json::scan(text)?;
    // serde's own words may quote the object.
    let not_json = |e: serde_json::Error| {
        let (line, column) = (e.line(), e.column());
        format!("the body is no AdmissionReview in JSON, at line {line} column {column}")
    };
    let review: Review<'_> = serde_json::from_str(text).map_err(not_json)?;
    let is = |field: Option<&RawValue>, wanted: &str| {
        field.and_then(|f| serde_json::from_str::<Cow<'_, str>>(f.get()).ok()).as_deref()
            == Some(wanted)
    };
    if !is(review.api_version, "admission.k8s.io/v1") || !is(review.kind, "AdmissionReview") {
        return Err("expected apiVersion admission.k8s.io/v1 and kind AdmissionReview".to_owned());
    }
    let request = review.request.ok_or("expected a request in the AdmissionReview")?;
    let uid = request.uid.and_then(|uid| serde_json::from_str::<String>(uid.get()).ok());
    match uid {
        Some(uid) if !uid.is_empty() => Ok((uid, request)),
        _ => Err("expected request.uid to be a string that is not empty".to_owned()),
    }
}

/// The allowing answer, written once into one buffer; `patchType` goes with a patch only, as the
/// API server demands.
fn allow(uid: &str, change: &Change) -> Vec<u8> {
    let uid = serde_json::Value::from(uid).to_string();
    let patch = if change.is_empty() { "" } else { &change.patch };
    let mut body = String::with_capacity(256 + uid.len() + patch.len() / 3 * 4);
    body.push_str(
        "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"response\":{\"uid\":",
    );
    body.push_str(&uid);
    body.push_str(",\"allowed\":true");
    if !patch.is_empty() {
        body.push_str(",\"patchType\":\"JSONPatch\",\"patch\":\"");
        STANDARD.encode_string(patch, &mut body);
        body.push('"');
    }
    if !change.warnings.is_empty() {
        body.push_str(",\"warnings\":");
        body.push_str(&json!(change.warnings).to_string());
    }
    body.push_str("}}");
    body.into_bytes()
}

fn refuse(why: &str) -> Answer {
    let record = Record { reason: why.to_owned(), ..Record::default() };
    Answer { status: 400, body: status(400, "BadRequest", &format!("diyadm: {why}")), record }
}

/// A `metav1.Status` as JSON: the API server shows its message, and hides plain text.
pub fn status(code: u16, reason: &str, message: &str) -> Vec<u8> {
    let status = json!({
        "apiVersion": "v1",
        "kind": "Status",
        "metadata": {},
        "status": "Failure",
        "reason": reason,
        "message": message,
        "code": code,
    });
    status.to_string().into_bytes()
}
