//! AdmissionReview bytes in, AdmissionReview bytes out; total: no input makes it panic.
//!
//! It never denies: an internal error is a 500, which failurePolicy Ignore admits, while `allowed:
//! false` and a patch that does not apply always reject the user's request.
//!
//! A review with duplicate member names is invalid (400) where diyadm reads that name, and in
//! labels and annotations: parsers differ in which one they use, so a patch for one might be
//! applied to the other. Duplicates where no patch goes are skipped. The API server writes none.
//! `oldObject` is checked when it is read: with duplicates it counts as absent.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    json::{self, Node, ParsePlan, Tree},
    workload::{Change, Context, OBJECT, Rules, Settled, Stamp, Subject, TOO_LONG, Warning},
};

/// The server's answer, and its record for log and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status: 200 with an AdmissionReview, 4xx with a `metav1.Status`.
    pub status: u16,
    /// JSON.
    pub body: Vec<u8>,
    /// The log record, without the object.
    pub record: Record,
}

/// One line of the log. Fields that the review lacks are empty.
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
    pub outcome: ReviewOutcome,
    /// A short reason, if it adds to the outcome.
    pub reason: String,
}

/// The outcome of a review, and the label of the metric.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReviewOutcome {
    /// Not a review: 4xx.
    #[default]
    Refused,
    /// Allowed unchanged.
    Unchanged,
    /// Allowed with the emptying patch.
    Emptied,
    /// Allowed with the restoring patch.
    Restored,
}

impl ReviewOutcome {
    /// Its name in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unchanged => "unchanged",
            Self::Emptied => "emptied",
            Self::Restored => "restored",
        }
    }
}

/// The parts of a review that are read, including the object, in one pass.
static REVIEW: ParsePlan = ParsePlan::Members(&[("request", &REQUEST)], &["apiVersion", "kind"]);
static REQUEST: ParsePlan = ParsePlan::Members(
    &[("kind", &KIND), ("userInfo", &USER), ("object", &OBJECT)],
    &["uid", "subResource", "name", "namespace", "operation", "dryRun", "oldObject"],
);
static KIND: ParsePlan = ParsePlan::Members(&[], &["kind"]);
static USER: ParsePlan = ParsePlan::Members(&[], &["username"]);

/// Answers one review: `body` was posted by the API server, `now` is the time as
/// `2026-11-24T22:05:35Z`, saved in emptied objects. The kind in the review decides what is done,
/// not the request's path.
pub fn review(body: &[u8], rules: &Rules, now: &str) -> Answer {
    let (tree, mut record) = match parse_request(body) {
        Ok(read) => read,
        Err(why) => return refuse(&why),
    };
    let change = decide(tree, rules, now, &mut record);
    if change.is_empty() {
        record.outcome = ReviewOutcome::Unchanged;
    }
    Answer { status: 200, body: allow(&record.uid, &change), record }
}

/// Decides what to do with the object, and sets the outcome in `record`.
fn decide(review: Tree<'_>, rules: &Rules, now: &str, record: &mut Record) -> Change {
    let nothing = Change { patch: "[]".to_owned(), warnings: Vec::new() };
    let warned = |warning| Change { warnings: vec![warning], ..nothing.clone() };
    let request = review.root().get("request");
    let member = |name| request.and_then(|request| request.get(name));
    let is_part =
        member("subResource").is_some_and(|part| !["null", "\"\""].contains(&part.text()));
    let writes = ["CREATE", "UPDATE"].contains(&record.operation.as_str());
    if !writes || is_part || own(rules, record) {
        return nothing;
    }
    let Some(object) = member("object").filter(|object| !object.is_null()) else {
        return warned(Warning::NoObject);
    };
    // An UPDATE without the old object is still an UPDATE.
    let old = (record.operation == "UPDATE")
        .then(|| member("oldObject").map_or("null", |old: Node<'_, '_>| old.text()));
    let place = object.place();
    let subject = match Subject::from_tree(review, place) {
        Ok(subject) => subject,
        Err((odd, review)) => {
            // Not an object of a known kind.
            let kind = review.node(place).get("kind").and_then(Node::string);
            let known = kind.is_some_and(|kind| kind == record.kind);
            return match odd {
                _ if !known => warned(Warning::KindMismatch),
                TOO_LONG => warned(Warning::TooLong(TOO_LONG)),
                _ => nothing,
            };
        }
    };
    if subject.kind() != record.kind {
        return warned(Warning::KindMismatch);
    }
    let stamp = Stamp { at: now.to_owned(), by: record.user.clone() };
    let namespace = record.namespace.as_str();
    let created = record.operation == "CREATE";
    let context = Context { namespace, old, stamp: Some(&stamp), created, ..Context::default() };
    let (settled, mut change) = subject.settle(rules, &context);
    record.outcome = match settled {
        Settled::Unchanged => ReviewOutcome::Unchanged,
        Settled::Emptied => ReviewOutcome::Emptied,
        Settled::Restored => ReviewOutcome::Restored,
    };
    let reasons: Vec<_> = change.warnings.iter().map(Warning::message).collect();
    record.reason = reasons.join("; ");
    // A patch that does not apply would reject the user's request.
    if subject.takes(&change) {
        if settled == Settled::Emptied {
            let announcement = subject.announcement(rules, &context, &change);
            change.warnings.extend(announcement);
        }
        return change;
    }
    record.reason = "the patch did not apply to its own object: a bug of diyadm".to_owned();
    warned(Warning::Bug)
}

/// Whether it is in kube-system or one of the webhook's own objects. The request's namespace is
/// used, since an object may be posted without one.
fn own(rules: &Rules, record: &Record) -> bool {
    record.namespace == "kube-system"
        || (record.namespace == rules.own.0 && record.name == rules.own.1)
}

/// Parses an AdmissionReview and its log record; or returns why it is invalid.
fn parse_request(body: &[u8]) -> Result<(Tree<'_>, Record), String> {
    let text = simdutf8::compat::from_utf8(body);
    let text = text.map_err(|e| format!("the body is not UTF-8: {e}"))?;
    let review = json::parse(text, &REVIEW).map_err(|broken| {
        let (line, column) = broken.place(text);
        format!("the body is {} at line {line} column {column}", broken.fault)
    })?;
    let root = review.root();
    let is = |name, wanted: &str| {
        root.get(name).and_then(Node::string).is_some_and(|found| found == wanted)
    };
    if !is("apiVersion", "admission.k8s.io/v1") || !is("kind", "AdmissionReview") {
        return Err("expected apiVersion admission.k8s.io/v1 and kind AdmissionReview".to_owned());
    }
    let request = root.get("request").filter(|request| !request.is_null());
    let request = request.ok_or("expected a request in the AdmissionReview")?;
    let uid = request.get("uid").and_then(Node::string).filter(|uid| !uid.is_empty());
    let uid = uid.ok_or("expected request.uid to be a string that is not empty")?;
    let member = |parent: &str, name| match parent {
        "" => request.get(name),
        parent => request.get(parent)?.get(name),
    };
    let text = |parent, name| match member(parent, name).filter(|text| !text.is_null()) {
        None => Ok(String::new()),
        Some(node) => node
            .string()
            .map(Cow::into_owned)
            .ok_or_else(|| format!("expected {name} of the request to be a string")),
    };
    let dry_run = match member("", "dryRun").map(Node::text) {
        None | Some("null" | "false") => false,
        Some("true") => true,
        Some(_) => return Err("expected request.dryRun to be true or false".to_owned()),
    };
    let record = Record {
        kind: text("kind", "kind")?,
        namespace: text("", "namespace")?,
        name: text("", "name")?,
        user: text("userInfo", "username")?,
        operation: text("", "operation")?,
        dry_run,
        outcome: ReviewOutcome::Unchanged,
        uid: uid.into_owned(),
        reason: String::new(),
    };
    Ok((review, record))
}

/// The answer that allows the request, written into one buffer; `patchType` is present only with a
/// patch, as the API server requires.
fn allow(uid: &str, change: &Change) -> Vec<u8> {
    let patch = if change.is_empty() { "" } else { &change.patch };
    let mut body = String::with_capacity(256 + uid.len() + patch.len() / 3 * 4);
    body.push_str(
        "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"response\":{\"uid\":",
    );
    json::quote(uid, &mut body);
    body.push_str(",\"allowed\":true");
    if !patch.is_empty() {
        body.push_str(",\"patchType\":\"JSONPatch\",\"patch\":\"");
        STANDARD.encode_string(patch, &mut body);
        body.push('"');
    }
    if !change.warnings.is_empty() {
        body.push_str(",\"warnings\":");
        let messages: Vec<_> = change.warnings.iter().map(Warning::message).collect();
        body.push_str(&serde_json::json!(messages).to_string());
    }
    body.push_str("}}");
    body.into_bytes()
}

fn refuse(why: &str) -> Answer {
    let record = Record { reason: why.to_owned(), ..Record::default() };
    Answer { status: 400, body: status(400, "BadRequest", &format!("diyadm: {why}")), record }
}

/// The answer to a path that takes no reviews.
pub(crate) const WRONG_PATH: &str = "diyadm: reviews go to /mutating-pods or /mutating-service";
/// The answer where the server has a fault.
pub(crate) const FAULT: &str = "diyadm: a bug kept the review from being answered";

/// A `metav1.Status` as JSON: the API server shows its message, and hides plain text.
pub fn status(code: u16, reason: &str, message: &str) -> Vec<u8> {
    let status = serde_json::json!({
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
