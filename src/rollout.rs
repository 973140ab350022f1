//! (workload, its Pods, events) → the progress of its Pods, and what blocks them: pure.

use serde_json::Value;

use crate::{
    kinds::{self, Controller, Kind, Rollout},
    ui::text::counted,
    workload::pods::{belongs_to, is_over, is_ready},
};

mod cause;
mod ended;
mod left;
mod pods;
mod refused;

pub use left::{left_empty, looks_empty};
pub use pods::{is_new, is_up, pod_trouble};
pub use refused::trouble as refused;

/// The progress of a workload's Pods towards its current template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// There is nothing to wait for.
    pub done: bool,
    /// `1 of 3 Pods are ready`
    pub message: String,
    /// What blocks it.
    pub trouble: Option<RolloutProblem>,
}

/// Why a Pod does not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutProblem {
    /// One sentence without its full stop.
    pub what: String,
    /// The hint, one or two sentences.
    pub hint: String,
    /// The hint for emptied Pods, where flags of `diyadm empty` may help.
    emptied: Option<String>,
    /// Whether waiting does not fix it.
    pub lasting: bool,
}

impl RolloutProblem {
    /// One that may pass.
    fn passing(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: what.into(), hint: hint.into(), emptied: None, lasting: false }
    }

    /// One that waiting alone does not fix.
    fn lasting(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { lasting: true, ..Self::passing(what, hint) }
    }

    /// Adds another hint for emptied Pods.
    fn or_emptied(self, hint: impl Into<String>) -> Self {
        Self { emptied: Some(hint.into()), ..self }
    }

    /// The hint for Pods of this form.
    #[must_use]
    pub fn advice(self, form: Form) -> String {
        match (form, self.emptied) {
            (Form::Emptied, Some(hint)) => hint,
            _ => self.hint,
        }
    }
}

/// The form of the Pods to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Emptied.
    Emptied,
    /// As in the original of their workload.
    Original,
}

/// Additional observations. Parts that may not be read are empty.
#[derive(Clone, Copy, Default)]
pub struct Observations<'a> {
    /// Pods of its namespace.
    pub pods: &'a [Value],
    /// Events of its namespace.
    pub events: &'a [Value],
    /// When the workload was changed, as RFC 3339 by the API server's clock; earlier events are
    /// ignored.
    pub since: &'a str,
}

/// Judges a workload of any kind, as returned by the API server.
pub fn progress(workload: &Value, seen: &Observations<'_>) -> Progress {
    let kind = kinds::of_object(workload);
    let generation = workload["metadata"]["generation"].as_i64().unwrap_or(0);
    let fresh = observed(workload).unwrap_or(0) >= generation;
    let is_custom = kind.is_some_and(Kind::is_custom);
    let mut progress = match kind.map(|kind| (kind, kind.rollout)) {
        _ if is_custom && !has_controller(workload, seen) => {
            done("it has no status and no Pods: no controller for it seems to run in this cluster")
        }
        Some((_, Rollout::Next)) => done("its next Job starts in this form"),
        Some((kind, Rollout::Never)) if kind.controller == Controller::Itself => {
            ended::pod(workload).unwrap_or_else(|| one(is_up(workload)))
        }
        Some((_, Rollout::Never)) if workload["spec"]["suspend"] == true => done("it is suspended"),
        Some((kind, Rollout::Never)) => {
            ended::job(workload).unwrap_or_else(|| one(up(workload, seen, kind).count > 0))
        }
        Some((_, Rollout::Unknown)) if fresh || observed(workload).is_none() => {
            if seen.pods.iter().any(|pod| belongs_to(pod, workload)) {
                by_hand(workload, seen)
            } else {
                done("it has no Pods")
            }
        }
        _ if !fresh => waiting("its controller has not processed the change yet"),
        Some((kind, Rollout::Surge)) => surge(kind, workload, seen),
        Some((kind, Rollout::InOrder)) => in_order(kind, workload, seen),
        Some((kind, Rollout::PerNode)) if !is_on_delete(workload) => {
            let updated = status(workload, kind.count.updated);
            pace(count(workload), updated, updated, up(workload, seen, kind))
        }
        _ => by_hand(workload, seen),
    };
    if !progress.done {
        if let Some(doing) = pods::doing(workload, seen) {
            progress.message = format!("{}, {doing}", progress.message);
        }
        let found = pods::trouble(workload, seen).or_else(|| refused::trouble(workload, seen));
        // Permanent problems are reported before temporary ones.
        let own = progress.trouble.take();
        progress.trouble = match found {
            Some(found) if found.lasting || own.is_none() => Some(found),
            _ => own,
        };
    }
    progress
}

/// When the spec of an object was last written, by the API server's clock; empty if unknown.
pub fn changed_at(object: &Value) -> String {
    let entries = object["metadata"]["managedFields"].as_array();
    let of_spec = entries.into_iter().flatten().filter(|entry| {
        entry["subresource"].is_null() && entry["fieldsV1"].get("f:spec").is_some()
    });
    of_spec.filter_map(|entry| entry["time"].as_str()).max().unwrap_or_default().to_owned()
}

/// Number of Pods that a workload wants, for kinds with a permanent number of Pods.
pub fn wanted(workload: &Value) -> usize {
    let wants = kinds::of_object(workload).is_some_and(Kind::is_lasting);
    if wants { usize::try_from(count(workload)).unwrap_or(0) } else { 0 }
}

/// Number of Pods that a workload wants; one if its kind has no such number.
fn count(workload: &Value) -> i64 {
    kinds::of_object(workload).and_then(|kind| kind.wanted(workload)).unwrap_or(1)
}

fn status(workload: &Value, field: &str) -> i64 {
    workload["status"][field].as_i64().unwrap_or(0)
}

/// Whether the workload's controller does not replace Pods of an old template.
pub fn is_by_hand(workload: &Value) -> bool {
    match kinds::of_object(workload).map(|kind| kind.rollout) {
        Some(Rollout::ByHand) => true,
        Some(Rollout::InOrder | Rollout::PerNode) => is_on_delete(workload),
        _ => false,
    }
}

/// The generation that its controller has observed; Argo Rollouts writes it as text.
fn observed(workload: &Value) -> Option<i64> {
    let observed = &workload["status"]["observedGeneration"];
    observed.as_i64().or_else(|| observed.as_str()?.parse().ok())
}

/// Whether a controller has left a trace of itself: a status, or Pods.
fn has_controller(workload: &Value, seen: &Observations<'_>) -> bool {
    let is_silent = workload["status"].as_object().is_none_or(serde_json::Map::is_empty);
    !is_silent || seen.pods.iter().any(|pod| belongs_to(pod, workload))
}

fn is_on_delete(workload: &Value) -> bool {
    workload["spec"]["updateStrategy"]["type"] == "OnDelete"
}

fn done(message: impl Into<String>) -> Progress {
    Progress { done: true, message: message.into(), trouble: None }
}

fn waiting(message: impl Into<String>) -> Progress {
    Progress { done: false, message: message.into(), trouble: None }
}

fn one(ready: bool) -> Progress {
    if ready { done("its Pod is ready") } else { waiting("its Pod is not ready yet") }
}

/// The Pods for which there is nothing to wait.
#[derive(Clone, Copy)]
struct Up {
    count: i64,
    /// How many of them are Ready. The others wait for their application (`--ready app`).
    ready: i64,
}

impl Up {
    fn at_most(self, most: i64) -> Self {
        Self { count: self.count.min(most), ready: self.ready.min(most) }
    }
}

/// `all` is the number of old and new Pods, `new` that of new Pods.
fn pace(wanted: i64, all: i64, new: i64, Up { count, ready }: Up) -> Progress {
    if wanted == 0 {
        done("it has no Pods")
    } else if new < wanted {
        waiting(format!("{new} of {wanted} Pods are replaced"))
    } else if all > new {
        waiting(old_pods(all - new))
    } else if count < wanted {
        waiting(format!("{count} of {wanted} Pods are ready"))
    } else if ready < wanted {
        let idle = counted(wanted - ready, "is", "are");
        done(format!(
            "{wanted} of {wanted} Pods run; {idle} not ready, and not called by Services, until an \
             application is started there"
        ))
    } else {
        done(format!("{wanted} of {wanted} Pods are ready"))
    }
}

fn old_pods(count: i64) -> String {
    counted(count, "old Pod is still terminating", "old Pods are still terminating")
}

/// The ready Pods by the status. If idle Pods are not Ready, Pods that only wait for their
/// application are up as well, which is seen from the Pods alone.
fn up(workload: &Value, seen: &Observations<'_>, kind: &Kind) -> Up {
    let ready = status(workload, kind.count.available);
    if !pods::idles_unready(workload) {
        return Up { count: ready, ready };
    }
    let own = seen.pods.iter().filter(|pod| belongs_to(pod, workload) && is_new(workload, pod));
    let up = own.filter(|pod| is_up(pod)).count();
    Up { count: ready.max(i64::try_from(up).unwrap_or(i64::MAX)), ready }
}

/// As in `kubectl rollout status`.
fn surge(kind: &Kind, workload: &Value, seen: &Observations<'_>) -> Progress {
    let wanted = count(workload);
    let all = status(workload, kind.count.total);
    let new = status(workload, kind.count.updated);
    let kept = kept(&workload["spec"]["updateStrategy"]["partition"], wanted);
    let mut progress = if kept > 0 {
        let meant = (wanted - kept).max(0);
        pace(meant, new.max(meant), new, up(workload, seen, kind).at_most(meant))
    } else {
        pace(wanted, all, new, up(workload, seen, kind))
    };
    if wanted == 0 && all > 0 {
        progress = waiting(old_pods(all));
    } else if all > new
        && new >= wanted
        && let Some(coming) = pods::coming(workload, seen)
    {
        // Old Pods serve until the new ones are ready.
        progress = waiting(coming);
    }
    let spec = &workload["spec"];
    let is_paused = spec["paused"] == true || spec["updateStrategy"]["paused"] == true;
    let name = workload["metadata"]["name"].as_str().unwrap_or_default();
    let at_step =
        workload["status"]["pauseConditions"].as_array().is_some_and(|all| !all.is_empty());
    let hint = if !kind.is_custom() {
        format!("Resume it: `kubectl rollout resume deployment/{name}`.")
    } else if at_step {
        format!("Let it go on: `kubectl argo rollouts promote {name}`.")
    } else {
        "Let it go on: set `paused` to false in its spec.".to_owned()
    };
    if (is_paused || at_step) && !progress.done {
        let what = "its rollout is paused, so no Pod is replaced";
        progress.trouble = Some(RolloutProblem::lasting(what, hint));
    }
    progress
}

/// How many Pods a CloneSet leaves at an older revision: a number, or a part like `30%`, rounded up.
fn kept(partition: &Value, wanted: i64) -> i64 {
    let percent = partition.as_str().and_then(|text| text.strip_suffix('%')?.parse::<i64>().ok());
    let part = percent.map(|percent| (wanted.saturating_mul(percent.clamp(0, 100)) + 99) / 100);
    partition.as_i64().or(part).unwrap_or(0).max(0)
}

fn in_order(kind: &Kind, workload: &Value, seen: &Observations<'_>) -> Progress {
    let wanted = count(workload);
    let strategy = &workload["spec"]["updateStrategy"];
    let partition = strategy["rollingUpdate"]["partition"].as_i64().unwrap_or(0);
    let whole = workload["status"]["updateRevision"] == workload["status"]["currentRevision"];
    // Once all are new, only the current ones are counted.
    let updated = if whole { "currentReplicas" } else { kind.count.updated };
    let new = status(workload, updated);
    let up = up(workload, seen, kind);
    if is_on_delete(workload) && !whole {
        return pace(wanted, wanted, new, up);
    }
    let meant = (wanted - partition).max(0);
    let mut progress = pace(meant, new.max(meant), new.max(0), up.at_most(meant));
    if !progress.done && new > 0 && new < meant && pods::idles_unready(workload) && up.count >= new
    {
        progress.trouble = Some(RolloutProblem::lasting(
            "a StatefulSet replaces its next Pod only when the last one is Ready, and with \
             `ready: app` that needs a running application",
            "Run the application in the new Pod, or empty with `--replicas 1`.",
        ));
    }
    if partition > 0 && progress.done {
        progress.message =
            format!("Pods from {partition} on are ready; those below stay as they are");
    }
    progress
}

/// Pods that no controller replaces are counted one by one.
fn by_hand(workload: &Value, seen: &Observations<'_>) -> Progress {
    let own = seen.pods.iter().filter(|pod| belongs_to(pod, workload) && !is_over(pod));
    let (new, old): (Vec<_>, Vec<_>) = own.partition(|pod| is_new(workload, pod));
    let count = |pods: usize| i64::try_from(pods).unwrap_or(i64::MAX);
    let up = new.iter().filter(|pod| is_up(pod)).count();
    let ready = new.iter().filter(|pod| is_ready(pod)).count();
    let up = Up { count: count(up), ready: count(ready) };
    pace(self::count(workload), count(new.len() + old.len()), count(new.len()), up)
}

#[cfg(test)]
mod tests;
