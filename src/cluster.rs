//! The cluster: the only user of `kube::Client`.
//!
//! Objects travel as `serde_json::Value`, so that fields this diyadm does not know survive.

use std::{
    fmt::{self, Write as _},
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use kube::{
    Client, Config,
    api::{
        DeleteParams, GetParams, ListParams, Patch, PatchParams, PostParams, Preconditions,
        PropagationPolicy,
    },
    config::{KubeConfigOptions, Kubeconfig},
    core::Request,
};
use serde_json::{Value, json};

use crate::{
    cli::Global,
    exit::{Failure, quoted},
};

mod change;
pub mod error;
mod exec;
mod kinds;
mod send;
pub mod targets;
mod tunnel;

pub use change::Changed;
pub use exec::{End, Ending, Exec, Place, Size};
pub use kinds::*;
pub use tunnel::{Over, Tunnel};

/// Our name in `managedFields`.
pub const FIELD_MANAGER: &str = "diyadm";

/// A write may take 34 s with all its webhooks; an API server that is silent for longer is gone.
const SILENCE: Duration = Duration::from_secs(60);
const CONNECT: Duration = Duration::from_secs(10);

/// A connection to one API server, as one user.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    server: String,
    namespace: String,
    flags: String,
    verbose: bool,
    /// Whether it has answered anything yet.
    reached: Arc<AtomicBool>,
}

/// How an object is applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Apply {
    /// The API server goes through everything but storing.
    pub dry_run: bool,
    /// Takes over fields that another manager owns.
    pub force: bool,
}

/// What an apply came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It was not there.
    Created,
    /// It is another one now.
    Configured,
    /// It is as it was.
    Unchanged,
}

impl Applied {
    /// kubectl's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
        }
    }
}

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
    /// Connects as kubectl would: `--kubeconfig`, else `$KUBECONFIG`, else ~/.kube/config, else
    /// the Pod's own service account.
    ///
    /// # Errors
    /// [`crate::exit::Code::Unreachable`] where no usable kubeconfig is found. No request is made.
    pub async fn connect(global: &Global) -> Result<Self> {
        let options =
            KubeConfigOptions { context: global.context.clone(), ..KubeConfigOptions::default() };
        let config = match &global.kubeconfig {
            Some(file) => match Kubeconfig::read_from(file) {
                Ok(kubeconfig) => Config::from_custom_kubeconfig(kubeconfig, &options).await,
                Err(error) => Err(error),
            },
            None => match Config::from_kubeconfig(&options).await {
                Err(_) if global.context.is_none() && std::env::var_os("KUBECONFIG").is_none() => {
                    // In a Pod there is no kubeconfig; outside one, its absence is what to tell.
                    match Config::incluster() {
                        Ok(config) => Ok(config),
                        Err(_) => Config::from_kubeconfig(&options).await,
                    }
                }
                other => other,
            },
        };
        let mut config = config.map_err(|error| error::kubeconfig(&error))?;
        config.connect_timeout = Some(CONNECT);
        config.read_timeout = Some(SILENCE);
        config.reset_reader_on_write = true;
        // kube's own would wait for as long as any Retry-After says; `send` has bounds.
        config.default_retry = false;
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let namespace = config.default_namespace.clone();
        let client = Client::try_from(config).map_err(|error| error::request(&error, &server))?;
        let mut flags = String::new();
        if let Some(context) = &global.context {
            flags = format!(" --context {}", quoted(context));
        }
        if let Some(file) = &global.kubeconfig {
            let _ = write!(flags, " --kubeconfig {}", quoted(&file.display().to_string()));
        }
        let reached = Arc::default();
        Ok(Self { client, server, namespace, flags, verbose: global.verbose, reached })
    }

    /// The flags that lead to this cluster again, each after a blank: for commands in hints.
    pub fn flags(&self) -> &str {
        &self.flags
    }

    /// The API server's address.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The context's own namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// `gitVersion`: `v1.36.3`.
    pub async fn version(&self) -> Result<String> {
        let info = self.raw("/version").await?.unwrap_or_default();
        Ok(info["gitVersion"].as_str().context("the API server told no version")?.to_owned())
    }

    /// Any GET; `None` where there is nothing.
    pub async fn raw(&self, path: &str) -> Result<Option<Value>> {
        // `Request::get` wants a collection and a name; a path is both.
        let (collection, name) = path.rsplit_once('/').unwrap_or(("", path));
        let request = Request::new(collection).get(name, &GetParams::default());
        error::absent(self.send("GET", path, request).await)
    }

    /// One object; `None` where there is none.
    pub async fn get(&self, kind: &Kind, namespace: &str, name: &str) -> Result<Option<Value>> {
        self.raw(&format!("{}/{name}", kind.path(namespace))).await
    }

    /// Every object of a kind in `namespace`, with `selector` (labels) where it is not empty.
    pub async fn list(&self, kind: &Kind, namespace: &str, selector: &str) -> Result<Vec<Value>> {
        self.list_where(kind, namespace, Some(selector).filter(|s| !s.is_empty()), None).await
    }

    /// [`Cluster::list`] by labels and fields.
    pub async fn list_where(
        &self,
        kind: &Kind,
        namespace: &str,
        labels: Option<&str>,
        fields: Option<&str>,
    ) -> Result<Vec<Value>> {
        let mut params = ListParams::default().limit(500);
        if let Some(labels) = labels {
            params = params.labels(labels);
        }
        if let Some(fields) = fields {
            params = params.fields(fields);
        }
        let path = kind.path(namespace);
        let mut items = Vec::new();
        loop {
            let request = Request::new(&path).list(&params);
            let mut page = self.send("LIST", &path, request).await?;
            if let Value::Array(page) = page["items"].take() {
                items.extend(page);
            }
            match page["metadata"]["continue"].as_str() {
                Some(token) if !token.is_empty() => params.continue_token = Some(token.to_owned()),
                _ => break,
            }
        }
        // The items of a list come without what the list itself says.
        for item in &mut items {
            item["apiVersion"] = kind.api_version().into();
            item["kind"] = kind.kind.into();
        }
        Ok(items)
    }

    /// Server-side apply as [`FIELD_MANAGER`]; tells what it came to, and the object as stored.
    pub async fn apply(&self, object: &Value, how: Apply) -> Result<(Applied, Value)> {
        let (kind, namespace, name) = kinds::identify(object)?;
        let before = self.get(kind, namespace, name).await?;
        let params = PatchParams {
            dry_run: how.dry_run,
            force: how.force,
            field_manager: Some(FIELD_MANAGER.to_owned()),
            field_validation: None,
        };
        let path = kind.path(namespace);
        let request = Request::new(&path).patch(name, &params, &Patch::Apply(object));
        let sent = self.send("APPLY", &format!("{path}/{name}"), request).await;
        let target = Target { kind, namespace, name };
        let after = sent.map_err(|failure| error::whose(failure, target))?;
        let applied = match before {
            None => Applied::Created,
            Some(before) if content(&before) == content(&after) => Applied::Unchanged,
            Some(_) => Applied::Configured,
        };
        Ok((applied, after))
    }

    /// Applies a JSON Patch (an array of operations) as [`FIELD_MANAGER`].
    pub async fn json_patch(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
        patch: Value,
        dry_run: bool,
    ) -> Result<Value> {
        let patch = Patch::<()>::Json(serde_json::from_value(patch)?);
        let field_manager = Some(FIELD_MANAGER.to_owned());
        let params = PatchParams { dry_run, field_manager, ..PatchParams::default() };
        let path = kind.path(namespace);
        let request = Request::new(&path).patch(name, &params, &patch);
        self.send("PATCH", &format!("{path}/{name}"), request).await
    }

    /// Creates an object and returns it as it was stored, or, in a dry run, would be.
    pub async fn create(&self, object: &Value, dry_run: bool) -> Result<Value> {
        let (kind, namespace, _) = kinds::identify(object)?;
        let path = kind.path(namespace);
        let params = PostParams { dry_run, field_manager: Some(FIELD_MANAGER.to_owned()) };
        let request = Request::new(&path).create(&params, serde_json::to_vec(object)?);
        self.send("CREATE", &path, request).await
    }

    /// Deletes an object with what it owns; whether it was there.
    pub async fn delete(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
        dry_run: bool,
    ) -> Result<bool> {
        let path = kind.path(namespace);
        let params = DeleteParams {
            dry_run,
            propagation_policy: Some(PropagationPolicy::Background),
            ..DeleteParams::default()
        };
        let request = Request::new(&path).delete(name, &params);
        Ok(error::absent(self.send("DELETE", &format!("{path}/{name}"), request).await)?.is_some())
    }

    /// Deletes this very version of an object, with what it owns.
    pub async fn delete_exactly(&self, kind: &Kind, object: &Value) -> Result<()> {
        let text = |field: &str| object["metadata"][field].as_str().map(ToOwned::to_owned);
        let params = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            preconditions: Some(Preconditions {
                resource_version: text("resourceVersion"),
                uid: text("uid"),
            }),
            ..DeleteParams::default()
        };
        let path = kind.path(&text("namespace").unwrap_or_default());
        let name = text("name").unwrap_or_default();
        let request = Request::new(&path).delete(&name, &params);
        error::absent(self.send("DELETE", &format!("{path}/{name}"), request).await).map(drop)
    }

    /// Asks for a Pod to go, as far as its PodDisruptionBudgets allow it (429 while they do not).
    pub async fn evict(&self, namespace: &str, name: &str) -> Result<()> {
        let path = POD.path(namespace);
        let eviction = json!({
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": { "name": name, "namespace": namespace },
        });
        let body = serde_json::to_vec(&eviction)?;
        let request =
            Request::new(&path).create_subresource("eviction", name, &PostParams::default(), body);
        let sent = self.send("EVICT", &format!("{path}/{name}"), request).await;
        error::absent(sent).map(drop)
    }

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

/// An object without what every write changes.
fn content(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(meta) = object["metadata"].as_object_mut() {
        for field in ["managedFields", "resourceVersion", "generation", "uid", "creationTimestamp"]
        {
            meta.remove(field);
        }
    }
    object
}
