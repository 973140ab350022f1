//! Finds the workloads of the cluster that the user selected. Only reads.

use anyhow::Result;
use clap::{Args, builder::Resettable};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::Value;

use self::words::TargetWords;
use super::{Cluster, JOB, Kind, ListQuery, NAMESPACE, POD, READS, Scope, error};
use crate::{
    exit::{Failure, Topic},
    kinds,
    workload::{ParsedObject, pods::is_controlled, recreation},
};

mod words;

/// Maximum number of suggested names after a typing error.
const NAMES: usize = 12;

/// Workloads, as kubectl takes them.
#[derive(Args, Debug, Clone, Default)]
#[command(next_help_heading = "Workloads")]
pub struct Targets {
    /// KIND/NAME … or KIND NAME …; with -l, --field-selector or --all, KIND[,KIND …] or nothing for
    /// every kind: deploy/web, statefulset/db, cronjobs.batch/report, ds agent probe
    #[arg(value_name = "KIND/NAME", help_heading = Resettable::Reset)]
    pub workloads: Vec<String>,
    /// Select by labels: `app=web`, `tier in (a,b)`
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Select by fields: `metadata.name=web`
    #[arg(long, value_name = "SELECTOR")]
    pub field_selector: Option<String>,
    /// Select all
    #[arg(long)]
    pub all: bool,
    /// Namespace of the workloads [default: the context's]
    #[arg(short, long, value_name = "NAMESPACE", conflicts_with = "all_namespaces")]
    pub namespace: Option<String>,
    /// Select in every namespace
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
}

impl Targets {
    /// Whether workloads are selected otherwise than by their names.
    fn selects(&self) -> bool {
        self.all || self.selector.is_some() || self.field_selector.is_some()
    }

    /// Refuses a command line without workloads, before a cluster is contacted.
    ///
    /// # Errors
    /// There are none.
    pub fn require(&self, unnamed: Unnamed) -> Result<(), Failure> {
        let is_empty = self.workloads.is_empty() && !self.selects();
        if is_empty && self.needs_names(unnamed) { Err(nothing_given()) } else { Ok(()) }
    }

    /// Whether kinds alone select nothing.
    fn needs_names(&self, unnamed: Unnamed) -> bool {
        match unnamed {
            Unnamed::All => false,
            Unnamed::WithAll => !self.all_namespaces,
            Unnamed::Refused => true,
        }
    }
}

fn nothing_given() -> Failure {
    let hint = "Use KIND/NAME, like deploy/web, or -l SELECTOR, or --all.";
    Failure::usage(Topic::CommandLine, "No workloads are given.", hint)
}

impl Cluster {
    /// What `-n` and `-A` say.
    pub fn scope<'a>(&'a self, targets: &'a Targets) -> Scope<'a> {
        if targets.all_namespaces {
            Scope::ALL
        } else {
            Scope::new(self.namespace_of(targets.namespace.as_deref()))
        }
    }
}

/// A workload of the cluster, as it was read.
#[derive(Clone, Debug)]
pub struct LiveObject {
    /// A kind of workload.
    pub kind: &'static Kind,
    /// Where it is.
    pub namespace: String,
    /// `metadata.name`
    pub name: String,
    /// As the API server returned it; without a `uid` where it is to be created again.
    pub object: ParsedObject,
}

impl LiveObject {
    /// `deployment/web`
    pub fn shown(&self) -> String {
        format!("{}/{}", self.kind.singular(), self.name)
    }

    /// Its name on a command line: `deployment/web -n shop`, with the flags that select this
    /// cluster.
    pub fn typed(&self, cluster: &Cluster) -> String {
        format!("{} -n {}{}", self.shown(), self.namespace, cluster.flags())
    }

    fn new(kind: &'static Kind, object: Value) -> Self {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        Self { kind, namespace: text("namespace"), name: text("name"), object: object.into() }
    }
}

/// The default selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unnamed {
    /// Everything: for read-only commands.
    All,
    /// Everything of all namespaces with -A, else nothing.
    WithAll,
    /// Nothing: a changing command requires --all.
    Refused,
}

/// How workloads were meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Selection {
    /// Each by its name: what cannot be done with one is a failure.
    Named,
    /// Together, by a selector or as all of a kind: one that cannot be changed is passed over.
    #[default]
    Together,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Targeted {
    /// In the order of the arguments, without duplicates.
    pub found: Vec<LiveObject>,
    /// Whether everything is selected: all workloads of the namespace, or of all namespaces.
    pub everything: bool,
    /// How they were meant.
    pub selection: Selection,
    /// The selected and readable kinds.
    pub kinds: Vec<&'static Kind>,
    /// Warnings about unnamed kinds that may not be read.
    pub unseen: Vec<String>,
}

/// Finds the selected workloads. Objects with a controller are found by name only, since they
/// change with their owner.
///
/// # Errors
/// Words that make no sense, names that are not there (with what is), and whatever the API server
/// says.
pub async fn find(cluster: &Cluster, targets: &Targets, unnamed: Unnamed) -> Result<Targeted> {
    select(cluster, targets, unnamed, None, |_| true).await
}

/// The kinds of the selected workloads that may be listed. Of each kind only one object is read;
/// workloads that are named, or may be read by name only, are all found.
///
/// # Errors
/// See [`find`].
pub async fn listable(cluster: &Cluster, targets: &Targets) -> Result<Targeted> {
    let mut targeted = select(cluster, targets, Unnamed::All, Some(1), |_| true).await?;
    if targeted.selection == Selection::Together {
        targeted.found.retain(|found| !targeted.kinds.contains(&found.kind));
    }
    Ok(targeted)
}

/// [`find`] for a read-only selection of the workloads for which `is_wanted` holds. Of listed kinds,
/// other objects are dropped as they are read.
///
/// # Errors
/// See [`find`].
pub async fn find_where(
    cluster: &Cluster,
    targets: &Targets,
    is_wanted: impl Fn(&Value) -> bool,
) -> Result<Targeted> {
    select(cluster, targets, Unnamed::All, None, is_wanted).await
}

/// [`find`], with at most that number of objects of each listed kind.
async fn select(
    cluster: &Cluster,
    targets: &Targets,
    unnamed: Unnamed,
    most: Option<u32>,
    is_wanted: impl Fn(&Value) -> bool,
) -> Result<Targeted> {
    let everything = targets.selects();
    let kinds = match words::parse(&targets.workloads)? {
        TargetWords::Named(_) if everything || targets.all_namespaces => {
            let what = "Names cannot be combined with -l, --field-selector, --all or -A.";
            return Err(Failure::usage(
                Topic::CommandLine,
                what,
                "Use either names or a selector.",
            )
            .into());
        }
        TargetWords::Named(named) => {
            let namespace = cluster.namespace_of(targets.namespace.as_deref());
            return by_name(cluster, namespace, named).await;
        }
        TargetWords::Kinds(_) | TargetWords::Nothing
            if !everything && targets.needs_names(unnamed) =>
        {
            return Err(nothing_given().into());
        }
        TargetWords::Kinds(kinds) => (kinds, true),
        TargetWords::Nothing => (kinds::workloads().collect(), false),
    };
    by_kind(cluster, targets, kinds, most, is_wanted).await
}

async fn by_name(
    cluster: &Cluster,
    namespace: &str,
    mut named: Vec<(&'static Kind, String)>,
) -> Result<Targeted> {
    let mut seen = Vec::new();
    named.retain(|one| !seen.contains(one) && (seen.push(one.clone()), true).1);
    let looks = named.iter().map(async |(kind, name)| {
        let mut object = cluster.get(kind, namespace, name).await?;
        if object.is_none() && (*kind == &POD || *kind == &JOB) {
            // An object that an interrupted command was recreating.
            let holder = cluster.get(kind, namespace, &recreation::placeholder_name(name)).await?;
            object = holder.and_then(|holder| recreation::held(&holder, name));
        }
        anyhow::Ok((*kind, name, object))
    });
    let looked: Vec<_> = stream::iter(looks).buffered(READS).try_collect().await?;
    let absent = looked.iter().find(|(_, _, object)| object.is_none());
    if let Some((kind, name, _)) = absent {
        return Err(missing(cluster, kind, namespace, name).await.into());
    }
    let found =
        looked.into_iter().filter_map(|(kind, _, object)| Some(LiveObject::new(kind, object?)));
    let found: Vec<_> = found.collect();
    let is_meant = |kind: &&Kind| found.iter().any(|found| found.kind == *kind);
    let kinds = kinds::workloads().filter(is_meant).collect();
    Ok(Targeted { found, selection: Selection::Named, kinds, ..Targeted::default() })
}

async fn by_kind(
    cluster: &Cluster,
    targets: &Targets,
    (kinds, chosen): (Vec<&'static Kind>, bool),
    most: Option<u32>,
    is_wanted: impl Fn(&Value) -> bool,
) -> Result<Targeted> {
    let scope = cluster.scope(targets);
    let (labels, fields) = (targets.selector.as_deref(), targets.field_selector.as_deref());
    let looks = kinds.into_iter().map(async |kind| {
        let query = ListQuery { kind, scope, labels, fields };
        let keep = |object| Some(object).filter(&is_wanted);
        let list = cluster.list_as(query, most, keep).await;
        (kind, list.map(|list| list.items.into_iter().flatten().collect::<Vec<_>>()))
    });
    let looked: Vec<_> = stream::iter(looks).buffered(READS).collect().await;
    let everything = !chosen && labels.is_none() && fields.is_none();
    let mut targeted = Targeted { everything, ..Targeted::default() };
    let mut refused = Vec::new();
    for (kind, list) in looked {
        match list {
            Ok(list) => {
                // It has the labels of the object that it contains, but not its fields.
                let list = if fields.is_none() { recreation::as_held(list) } else { list };
                let own = list.into_iter().filter(|object| !is_controlled(object));
                targeted.found.extend(own.map(|object| LiveObject::new(kind, object)));
                targeted.kinds.push(kind);
            }
            // Its CustomResourceDefinition is not installed.
            Err(error) if kind.is_custom() && !chosen && error::is_absent(&error) => {}
            Err(error) if error::is_forbidden(&error) => {
                if chosen || !kind.is_custom() || cluster.serves(kind).await.unwrap_or(true) {
                    refused.push((kind, error));
                }
            }
            Err(error) => return Err(error),
        }
    }
    let kinds: Vec<_> = refused.iter().map(|(kind, _)| *kind).collect();
    // Kinds that may not be listed cannot be selected.
    let by_name = match scope.namespace() {
        Some(namespace) if labels.is_none() && fields.is_none() && !kinds.is_empty() => {
            readable_by_name(cluster, namespace, &kinds).await
        }
        _ => Vec::new(),
    };
    let is_seen = |kind: &Kind| by_name.iter().any(|found| found.kind == kind);
    // A requested kind must be readable; of all kinds, at least one.
    let blind = if chosen {
        refused.iter().position(|(kind, _)| !is_seen(kind))
    } else {
        (!refused.is_empty() && targeted.kinds.is_empty() && by_name.is_empty())
            .then(|| refused.len() - 1)
    };
    if let Some(at) = blind {
        return Err(refused.swap_remove(at).1);
    }
    let (partly, hidden): (Vec<_>, Vec<_>) = kinds.into_iter().partition(|kind| is_seen(kind));
    let partly = partly.iter().map(|kind| {
        let resource = kind.resource();
        format!("{resource} may not be listed, so only those that you may get by name are found")
    });
    // One line: without rights for them, there may be many.
    let hidden: Vec<_> = hidden.iter().map(|kind| kind.resource()).collect();
    let hidden = (!hidden.is_empty()).then(|| format!("{} may not be listed", hidden.join(", ")));
    targeted.unseen = partly.chain(hidden).collect();
    targeted.found.extend(by_name);
    if targeted.found.is_empty()
        && let Some(namespace) = scope.namespace()
        && let Some(failure) = nowhere(cluster, namespace, "nothing in it").await
    {
        return Err(failure.into());
    }
    Ok(targeted)
}

/// Objects of these kinds that may be read by name but not listed.
async fn readable_by_name(
    cluster: &Cluster,
    namespace: &str,
    kinds: &[&'static Kind],
) -> Vec<LiveObject> {
    let mut named = cluster.readable_by_name(namespace).await.unwrap_or_default();
    named.retain(|(kind, _)| kinds.contains(kind));
    let looks = named.into_iter().map(async |(kind, name)| {
        let object = cluster.get(kind, namespace, &name).await.ok().flatten()?;
        (!is_controlled(&object)).then(|| LiveObject::new(kind, object))
    });
    stream::iter(looks).buffered(READS).filter_map(async |found| found).collect().await
}

/// Whether the namespace itself does not exist, so that there is `nothing`; without the right to
/// check, the answer is short.
async fn nowhere(cluster: &Cluster, namespace: &str, nothing: &str) -> Option<Failure> {
    let Ok(None) = cluster.get(&NAMESPACE, "", namespace).await else { return None };
    let what = format!("There is no namespace {namespace}, so there is {nothing}.");
    let hint = "Use another with -n; `kubectl get namespaces` lists them.";
    Some(Failure::no(Topic::NotFound, what, hint))
}

/// The error for a missing object, with existing ones.
async fn missing(cluster: &Cluster, kind: &'static Kind, namespace: &str, name: &str) -> Failure {
    let shown = kind.singular();
    if let Some(failure) = nowhere(cluster, namespace, &format!("no {shown} {name}")).await {
        return failure;
    }
    let what = format!("There is no {shown} {name} in namespace {namespace}.");
    for other in kinds::workloads().filter(|other| *other != kind) {
        if let Ok(Some(_)) = cluster.get(other, namespace, name).await {
            let there = format!("{}/{name}", other.singular());
            return Failure::no(Topic::NotFound, what, format!("There is {there}: use that."));
        }
    }
    let there = cluster.list_where(kind, namespace, None, None).await.unwrap_or_default();
    let mut names: Vec<_> = there.iter().filter_map(|o| o["metadata"]["name"].as_str()).collect();
    let more = names.len().saturating_sub(NAMES);
    names.truncate(NAMES);
    let hint = match (names.len(), more) {
        (0, _) => format!("List them: `kubectl get {} -A`.", kind.plural),
        (_, 0) => format!("There is: {}.", names.join(", ")),
        (..) => format!("There is: {} and {more} more.", names.join(", ")),
    };
    Failure::no(Topic::NotFound, what, hint)
}
