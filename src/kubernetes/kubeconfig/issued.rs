//! Credentials that were issued, or why there are none.

use std::{fmt, sync::Arc};

use http::HeaderValue;
use jiff::Timestamp;

use super::trust::Identity;

/// Why there are no credentials. Contains no secret.
#[derive(Clone, Debug)]
pub(in crate::kubernetes) struct Refused {
    /// Without a full stop.
    pub(in crate::kubernetes) what: String,
    /// Lines to print below.
    pub(in crate::kubernetes) details: String,
    pub(in crate::kubernetes) hint: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Refused {}

/// The credentials of one request.
#[derive(Default)]
pub(super) struct Current {
    pub(super) authorization: Option<HeaderValue>,
    pub(super) identity: Option<Arc<Identity>>,
}

impl Refused {
    pub(super) fn new(what: impl Into<String>) -> Self {
        let hint = "Log in again, or set the user in the kubeconfig: `kubectl config view`.";
        Self { what: what.into(), details: String::new(), hint: hint.to_owned() }
    }
}

/// The result of a plugin.
pub(super) struct Issued {
    pub(super) current: Arc<Current>,
    pub(super) expires: Option<Timestamp>,
}

/// The value of an `Authorization` header; `Err` describes an invalid token.
pub(super) fn bearer(token: &str) -> Result<HeaderValue, &'static str> {
    let token = token.trim();
    if token.is_empty() {
        return Err("its token is empty");
    }
    let value = HeaderValue::from_bytes(format!("Bearer {token}").as_bytes());
    let mut value = value.map_err(|_| {
        "its token contains a line break or another control \
                                       character"
    })?;
    value.set_sensitive(true);
    Ok(value)
}
