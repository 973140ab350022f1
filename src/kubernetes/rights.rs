//! The user's rights, checked before anything is changed.

use std::fmt;

use anyhow::Result;
use futures_util::{StreamExt, TryStreamExt, stream};
use kube::{api::PostParams, core::Request};
use serde_json::{Value, json};

use super::{Cluster, DEPLOYMENT, Kind, ObjectRef, READS, error, send::Verb};
use crate::kinds;
use crate::{exit::Failure, ui::text};

/// A needed right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Right<'a> {
    /// `get`, `create`, `patch`, …
    pub verb: &'static str,
    /// On what.
    pub kind: &'static Kind,
    /// The namespace; empty for cluster-scoped resources.
    pub namespace: &'a str,
    /// The name of one object; empty for any.
    pub name: &'a str,
}

impl<'a> ObjectRef<'a> {
    /// The right to `verb` it.
    pub fn right(self, verb: &'static str) -> Right<'a> {
        let Self { kind, namespace, name } = self;
        Right { verb, kind, namespace, name }
    }
}

/// Placeholder for an unknown user name.
pub const UNKNOWN_USER: &str = "unknown";

impl Cluster {
    /// The user's name for the API server; [`UNKNOWN_USER`] without SelfSubjectReview, which exists
    /// from 1.28 on, and in 1.27 (beta) and 1.26 (alpha) if enabled.
    pub async fn whoami(&self) -> Result<String> {
        for version in ["v1", "v1beta1", "v1alpha1"] {
            let version = format!("authentication.k8s.io/{version}");
            let path = format!("/apis/{version}/selfsubjectreviews");
            let review = json!({ "apiVersion": version, "kind": "SelfSubjectReview" });
            let body = serde_json::to_vec(&review)?;
            let request = Request::new(&path).create(&PostParams::default(), body);
            match self.send(Verb::Review, &path, request).await {
                Ok(answer) => {
                    let name = answer["status"]["userInfo"]["username"].as_str();
                    return Ok(name.unwrap_or(UNKNOWN_USER).to_owned());
                }
                Err(error) if error::is_absent(&error) => {}
                Err(error) if error::is_forbidden(&error) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(UNKNOWN_USER.to_owned())
    }

    /// The rights that are missing among `rights`, in their order (SelfSubjectAccessReview).
    pub async fn missing<'a>(&self, rights: &[Right<'a>]) -> Result<Vec<Right<'a>>> {
        let reviews = rights.iter().map(async |right| {
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
            let answer = self.send(Verb::Review, path, request).await?;
            anyhow::Ok(answer["status"]["allowed"] == true)
        });
        let allowed: Vec<_> = stream::iter(reviews).buffered(READS).try_collect().await?;
        Ok(rights.iter().zip(allowed).filter(|(_, yes)| !yes).map(|(right, _)| *right).collect())
    }

    /// Workloads of a namespace that the user may get only by name, as far as the authorizer lists
    /// them (SelfSubjectRulesReview).
    pub async fn readable_by_name(&self, namespace: &str) -> Result<Vec<(&'static Kind, String)>> {
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "spec": { "namespace": namespace },
        });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
        let body = serde_json::to_vec(&review)?;
        let request = Request::new(path).create(&PostParams::default(), body);
        let answer = self.send(Verb::Review, path, request).await?;
        let has = |list: &Value, word: &str| {
            list.as_array().is_some_and(|all| all.iter().any(|one| one == word || one == "*"))
        };
        let mut named = Vec::new();
        let rules = answer["status"]["resourceRules"].as_array();
        for rule in rules.into_iter().flatten().filter(|rule| has(&rule["verbs"], "get")) {
            let names = rule["resourceNames"].as_array().into_iter().flatten();
            let names: Vec<_> = names.filter_map(Value::as_str).collect();
            let kinds = kinds::workloads().filter(|kind| {
                has(&rule["apiGroups"], kind.group) && has(&rule["resources"], kind.plural)
            });
            named.extend(
                kinds.flat_map(|kind| names.iter().map(move |name| (kind, (*name).to_owned()))),
            );
        }
        Ok(named)
    }

    /// Fails with a list of all missing rights, before anything is changed.
    pub async fn demand(&self, rights: &[Right<'_>]) -> Result<()> {
        refuse(&self.missing(rights).await?)
    }

    /// [`Cluster::demand`] for server-side apply of `targets`, and `more`: needs `get` and `patch`,
    /// and `create` only for new objects.
    pub async fn demand_apply(&self, targets: &[ObjectRef<'_>], more: &[Right<'_>]) -> Result<()> {
        let seen = targets.iter().map(|target| target.right("get"));
        let rights: Vec<_> =
            seen.chain(targets.iter().map(|t| t.right("patch"))).chain(more.to_vec()).collect();
        let mut missing = self.missing(&rights).await?;
        let mut absent = Vec::new();
        for target in targets {
            // An unreadable object may be absent: all needed rights are requested together.
            let ObjectRef { kind, namespace, name } = *target;
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

/// Up to this number, missing rights are one sentence; more are a table.
const FEW: usize = 2;

fn refuse(missing: &[Right<'_>]) -> Result<()> {
    let Some(first) = missing.first() else { return Ok(()) };
    let words: Vec<_> = missing.iter().map(ToString::to_string).collect();
    let (what, details) = if missing.len() <= FEW {
        (format!("You may not {}; nothing was changed.", words.join(", nor ")), String::new())
    } else {
        (format!("You lack {} rights; nothing was changed.", missing.len()), table(missing))
    };
    let place = match first.namespace {
        "" => String::new(),
        namespace => format!(" -n {namespace}"),
    };
    let can_i = format!("`kubectl auth can-i {} {}{place}`", first.verb, first.what());
    let namespace = missing.iter().map(|right| right.namespace).find(|name| !name.is_empty());
    let place = namespace.map(|name| format!(" -n {name}")).unwrap_or_default();
    let audience = if missing.iter().any(Right::is_installers) { "installer" } else { "developer" };
    let hint = format!(
        "Ask an administrator: `diyadm rights --for {audience}{place} -o yaml` prints the roles \
         that you need; {can_i} checks them."
    );
    Err(Failure::forbidden(what, hint).with_details(details).into())
}

/// A line for each resource.
fn table(missing: &[Right<'_>]) -> String {
    let mut rows: Vec<(String, &str, Vec<&str>)> = Vec::new();
    for right in missing {
        let what = right.what();
        let same = rows.iter_mut().find(|row| row.0 == what && row.1 == right.namespace);
        match same {
            Some(row) if row.2.contains(&right.verb) => {}
            Some(row) => row.2.push(right.verb),
            None => rows.push((what, right.namespace, vec![right.verb])),
        }
    }
    let head = ["  RESOURCE", "NAMESPACE", "MISSING VERBS"].map(ToOwned::to_owned);
    let rows = rows.into_iter().map(|(what, namespace, verbs)| {
        let namespace = if namespace.is_empty() { "-" } else { namespace };
        vec![format!("  {what}"), namespace.to_owned(), verbs.join(",")]
    });
    let lines: Vec<_> = [head.to_vec()].into_iter().chain(rows).collect();
    text::columns(&lines)
}

impl Right<'_> {
    /// Whether it is not needed by developers.
    fn is_installers(&self) -> bool {
        let is_workload = !self.kind.pod.is_empty() || self.kind.plural.starts_with("pods/");
        !is_workload || (self.verb == "create" && self.kind == &DEPLOYMENT)
    }

    /// `secrets/webhook-secret`; RBAC cannot restrict create by name.
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
