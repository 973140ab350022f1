//! The cluster: the only user of `kube::Client`.
//!
//! Objects are `serde_json::Value`, so that unknown fields survive.

use std::{
    fmt::Write as _,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use anyhow::{Context, Result};
use kube::{
    Client,
    api::{
        DeleteParams, GetParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy,
    },
    core::Request,
};
use serde_json::Value;

use crate::exit::quoted;

mod change;
mod clock;
mod denied;
pub mod error;
mod evict;
mod exec;
mod flags;
mod kinds;
pub mod kubeconfig;
mod list;
mod rights;
mod scope;
mod send;
pub mod targets;
mod tunnel;
mod upgrade;
mod warning;
mod watch;

pub use change::Changed;
pub use exec::{ContainerRef, End, Ending, Exec, Input, Size};
pub use flags::{ConnectionFlags, DryRun, WriteMode};
pub use kinds::*;
pub use list::{ListQuery, Listed};
pub use rights::{Right, UNKNOWN_USER};
pub use scope::{DEFAULT_NAMESPACE, Scope};
pub(crate) use send::PAUSES;
pub use tunnel::{Over, Tunnel};
pub use watch::ObjectChange;

use kubeconfig::Access;
use send::Verb;

pub use crate::workload::FIELD_MANAGER;

/// Read timeout: a write may take 34 s with all its webhooks.
const SILENCE: Duration = Duration::from_secs(60);
const CONNECT: Duration = Duration::from_secs(10);
/// Maximum number of concurrent reads.
const READS: usize = 8;

/// A connection to one API server, as one user.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    server: String,
    namespace: String,
    flags: String,
    kubectl_flags: String,
    verbose: bool,
    /// Whether the API server has ever answered.
    reached: Arc<AtomicBool>,
    warnings: warning::Warnings,
    clock: clock::Clock,
}

/// How an object is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Apply {
    /// Whether the API server stores it.
    pub mode: WriteMode,
    /// What becomes of fields that another manager owns.
    pub conflicts: FieldConflicts,
}

/// What an apply does with fields that another manager owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldConflicts {
    /// It fails and changes nothing.
    Fail,
    /// It takes them over.
    TakeOver,
}

impl FieldConflicts {
    /// What `--force` says.
    pub fn forced(force: bool) -> Self {
        if force { Self::TakeOver } else { Self::Fail }
    }
}

/// The result of an apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It was created.
    Created,
    /// It was changed.
    Configured,
    /// It was already equal.
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

impl Cluster {
    /// Connects as kubectl would: `--kubeconfig`, else `$KUBECONFIG`, else ~/.kube/config, else
    /// the Pod's own service account.
    ///
    /// # Errors
    /// [`crate::exit::Code::Unreachable`] where no usable kubeconfig is found. No request is made.
    #[allow(clippy::unused_async, reason = "kube's client starts a task: a runtime must be there")]
    pub async fn connect(connection: &ConnectionFlags) -> Result<Self> {
        let mut access =
            Access::find(connection.kubeconfig.as_deref(), connection.context.as_deref())?;
        let config = access.config_mut();
        config.connect_timeout = Some(CONNECT);
        config.read_timeout = Some(SILENCE);
        config.reset_reader_on_write = true;
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let namespace = config.default_namespace.clone();
        let client = access.client()?;
        let mut kubectl_flags = String::new();
        if let Some(context) = &connection.context {
            kubectl_flags = format!(" --context {}", quoted(context));
        }
        if let Some(file) = &connection.kubeconfig {
            let _ = write!(kubectl_flags, " --kubeconfig {}", quoted(&file.display().to_string()));
        }
        let mut flags = kubectl_flags.clone();
        if let Some(file) = &connection.kinds {
            let _ = write!(flags, " --kinds {}", quoted(&file.display().to_string()));
        }
        let (reached, warnings, clock) = Default::default();
        Ok(Self {
            client,
            server,
            namespace,
            flags,
            kubectl_flags,
            verbose: connection.verbose,
            reached,
            warnings,
            clock,
        })
    }

    /// The flags that select this cluster, each after a blank, for commands in hints.
    pub fn flags(&self) -> &str {
        &self.flags
    }

    /// [`Cluster::flags`] without those that kubectl does not have.
    pub fn kubectl_flags(&self) -> &str {
        &self.kubectl_flags
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
        let info = self.version_info().await?;
        Ok(info["gitVersion"].as_str().context("the API server sent no version")?.to_owned())
    }

    /// The answer of `/version`.
    pub async fn version_info(&self) -> Result<Value> {
        Ok(self.raw("/version").await?.unwrap_or_default())
    }

    /// A GET of any path; `None` for 404.
    pub async fn raw(&self, path: &str) -> Result<Option<Value>> {
        // `Request::get` takes a collection and a name; a path is both.
        let (collection, name) = path.rsplit_once('/').unwrap_or(("", path));
        let request = Request::new(collection).get(name, &GetParams::default());
        error::absent(self.send(Verb::Get, path, request).await)
    }

    /// Whether it serves the group and version of a kind, which every user may read.
    pub async fn serves(&self, kind: &Kind) -> Result<bool> {
        let root = if kind.group.is_empty() { "/api" } else { "/apis" };
        match self.raw(&format!("{root}/{}", kind.api_version())).await {
            Err(error) if error::is_absent(&error) => Ok(false),
            list => Ok(list?.is_some()),
        }
    }

    /// One object; `None` if it does not exist.
    pub async fn get(&self, kind: &Kind, namespace: &str, name: &str) -> Result<Option<Value>> {
        self.raw(&format!("{}/{name}", kind.path(namespace))).await
    }

    /// Whether an object of this kind and name exists.
    pub async fn is_there(&self, object: &Value) -> Result<bool> {
        let (kind, namespace, name) = kinds::identify(object)?;
        Ok(self.get(kind, namespace, name).await?.is_some())
    }

    /// Server-side apply as [`FIELD_MANAGER`]; returns the result and the stored object.
    pub async fn apply(&self, object: &Value, how: Apply) -> Result<(Applied, Value)> {
        let (kind, namespace, name) = kinds::identify(object)?;
        let before = self.get(kind, namespace, name).await?;
        let params = PatchParams {
            dry_run: how.mode == WriteMode::DryRun,
            force: how.conflicts == FieldConflicts::TakeOver,
            field_manager: Some(FIELD_MANAGER.to_owned()),
            field_validation: None,
        };
        let path = kind.path(namespace);
        let request = Request::new(&path).patch(name, &params, &Patch::Apply(object));
        let sent = self.send(Verb::Apply, &format!("{path}/{name}"), request).await;
        let target = ObjectRef { kind, namespace, name };
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
        mode: WriteMode,
    ) -> Result<Value> {
        let dry_run = mode == WriteMode::DryRun;
        let patch = Patch::<()>::Json(serde_json::from_value(patch)?);
        let field_manager = Some(FIELD_MANAGER.to_owned());
        let params = PatchParams { dry_run, field_manager, ..PatchParams::default() };
        let path = kind.path(namespace);
        let request = Request::new(&path).patch(name, &params, &patch);
        self.send(Verb::Patch, &format!("{path}/{name}"), request).await
    }

    /// Creates an object and returns it as stored, or as it would be in a dry run.
    pub async fn create(&self, object: &Value, mode: WriteMode) -> Result<Value> {
        let (kind, namespace, _) = kinds::identify(object)?;
        let path = kind.path(namespace);
        let dry_run = mode == WriteMode::DryRun;
        let params = PostParams { dry_run, field_manager: Some(FIELD_MANAGER.to_owned()) };
        let request = Request::new(&path).create(&params, serde_json::to_vec(object)?);
        self.send(Verb::Create, &path, request).await
    }

    /// Deletes an object and its dependents; returns whether it existed.
    pub async fn delete(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
        mode: WriteMode,
    ) -> Result<bool> {
        let path = kind.path(namespace);
        let params = DeleteParams {
            dry_run: mode == WriteMode::DryRun,
            propagation_policy: Some(PropagationPolicy::Background),
            ..DeleteParams::default()
        };
        let request = Request::new(&path).delete(name, &params);
        Ok(error::absent(self.send(Verb::Delete, &format!("{path}/{name}"), request).await)?
            .is_some())
    }

    /// Deletes exactly this version of an object and its dependents; does nothing if it is already
    /// being deleted.
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
        let namespace = text("namespace").unwrap_or_default();
        let path = kind.path(&namespace);
        let name = text("name").unwrap_or_default();
        let request = Request::new(&path).delete(&name, &params);
        let sent = self.send(Verb::Delete, &format!("{path}/{name}"), request).await;
        match error::absent(sent) {
            // If the answer to the first attempt was lost, the deletion has changed the version.
            Err(error) if error::is_conflict(&error) => {
                let place = text("namespace").unwrap_or_default();
                let now = self.get(kind, &place, &name).await?;
                let ends = now.is_none_or(|now| {
                    let (was, now) = (&object["metadata"], &now["metadata"]);
                    now["uid"] != was["uid"] || now["deletionTimestamp"].is_string()
                });
                if ends { Ok(()) } else { Err(error) }
            }
            sent => sent.map(drop),
        }
    }
}

/// An object without the fields that every write changes.
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
