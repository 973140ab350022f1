//! What a user may do, asked before anything is changed.

use std::fmt;

use anyhow::Result;
use futures_util::future::try_join_all;
use kube::{api::PostParams, core::Request};
use serde_json::json;

use super::{Cluster, Kind, error};
use crate::exit::Failure;

/// Something that one must be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Right<'a> {
    /// `get`, `create`, `patch`, …
    pub verb: &'static str,
    /// On what.
    pub kind: &'static Kind,
    /// Where; empty for what has no namespace.
    pub namespace: &'a str,
    /// The one object that is meant; empty for any.
    pub name: &'a str,
}

/// One object, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// What it is.
    pub kind: &'static Kind,
    /// Where; empty for what has no namespace.
    pub namespace: &'a str,
    /// `metadata.name`
    pub name: &'a str,
}

impl<'a> Target<'a> {
    /// The right to do `verb` with it.
    pub fn right(self, verb: &'static str) -> Right<'a> {
        let Self { kind, namespace, name } = self;
        Right { verb, kind, namespace, name }
    }
}

impl Cluster {
    /// The user's name, as the API server knows it; empty where it does not tell (before 1.28).
    pub async fn whoami(&self) -> Result<String> {
        let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
        let review =
            json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview" });
        let request =
            Request::new(path).create(&PostParams::default(), serde_json::to_vec(&review)?);
        match self.send("REVIEW", path, request).await {
            Ok(answer) => {
                let name = answer["status"]["userInfo"]["username"].as_str();
                Ok(name.unwrap_or_default().to_owned())
            }
            Err(error) if error::status(&error).is_some_and(|s| [403, 404].contains(&s.code)) => {
                Ok(String::new())
            }
            Err(error) => Err(error),
        }
    }

    /// The rights that are missing among `rights`, in their order (SelfSubjectAccessReview).
    pub async fn missing<'a>(&self, rights: &[Right<'a>]) -> Result<Vec<Right<'a>>> {
        let allowed = try_join_all(rights.iter().map(|right| async move {
            let plural = right.kind.plural;
            let (resource, subresource) = plural.split_once('/').unwrap_or((plural, ""));
            let review = json!({
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": { "resourceAttributes": {
                    "namespace": right.namespace,
                    "verb": right.verb,
                    "group": right.kind.group,
                    "resource": resource,
                    "subresource": subresource,
                    "name": right.name,
                }},
            });
            let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
            let body = serde_json::to_vec(&review)?;
            let request = Request::new(path).create(&PostParams::default(), body);
            let answer = self.send("REVIEW", path, request).await?;
            anyhow::Ok(answer["status"]["allowed"] == true)
        }))
        .await?;
        Ok(rights.iter().zip(allowed).filter(|(_, yes)| !yes).map(|(right, _)| *right).collect())
    }

    /// Fails with every missing right by name, before anything is changed.
    pub async fn demand(&self, rights: &[Right<'_>]) -> Result<()> {
        refuse(&self.missing(rights).await?)
    }

    /// [`Cluster::demand`] for server-side apply of `targets`, and `more`: it takes `get` and
    /// `patch`, and `create` only for what is not there.
    pub async fn demand_apply(&self, targets: &[Target<'_>], more: &[Right<'_>]) -> Result<()> {
        let seen = targets.iter().map(|target| target.right("get"));
        let rights: Vec<_> =
            seen.chain(targets.iter().map(|t| t.right("patch"))).chain(more.to_vec()).collect();
        let mut missing = self.missing(&rights).await?;
        let mut absent = Vec::new();
        for target in targets {
            // What may not be looked at may be absent: whoever asks for rights asks once.
            let Target { kind, namespace, name } = *target;
            if missing.contains(&target.right("get"))
                || self.get(kind, namespace, name).await?.is_none()
            {
                absent.push(target.right("create"));
            }
        }
        missing.extend(self.missing(&absent).await?);
        refuse(&missing)
    }
}

fn refuse(missing: &[Right<'_>]) -> Result<()> {
    let Some(first) = missing.first() else { return Ok(()) };
    let words: Vec<_> = missing.iter().map(ToString::to_string).collect();
    let place = match first.namespace {
        "" => String::new(),
        namespace => format!(" -n {namespace}"),
    };
    Err(Failure::unreachable(
        format!("You may not {}; nothing was changed.", words.join(", nor ")),
        format!(
            "Ask for these rights; then `kubectl auth can-i {} {}{place}` says yes.",
            first.verb,
            first.what()
        ),
    )
    .into())
}

impl Right<'_> {
    /// `secrets/webhook-secret`; a role that lets create has no names in it.
    fn what(&self) -> String {
        let resource = self.kind.resource();
        if self.name.is_empty() || self.verb == "create" {
            resource
        } else {
            format!("{resource}/{}", self.name)
        }
    }
}

impl fmt::Display for Right<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.what())?;
        if self.namespace.is_empty() {
            return Ok(());
        }
        write!(f, " in namespace {}", self.namespace)
    }
}
