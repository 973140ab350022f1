//! Waits until the Pods of many workloads match their templates, and finds what blocks them.
//!
//! Needs only `get` on the workload; other readable objects improve its messages.

use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::future::join_all;
use serde_json::Value;

use super::{Deadline, Operation};
use crate::{
    exit::{Failure, Topic},
    kubernetes::{EVENT, FIELD_MANAGER, Kind, POD, targets::LiveObject},
    rollout::{self, Form, Observations, Progress, RolloutProblem},
    ui::terminal::Wait,
    workload::pods::{belongs_to, label_selector},
};

mod namespaces;

use namespaces::NamespaceIndex;

const FIRST_PAUSE: Duration = Duration::from_millis(400);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
/// Up to this number, workloads, their Pods and events are read one by one; otherwise whole
/// namespaces are listed.
const FEW: usize = 4;

/// How waiting for one workload ended.
#[derive(Clone, Debug)]
pub(crate) enum Waited {
    /// Its Pods are ready; a short description.
    Ready(String),
    /// Waiting longer does not help, or was not requested: the last observation.
    Stuck { message: String, trouble: Option<RolloutProblem> },
    /// It cannot be read any more.
    Lost(String),
}

/// Why a workload's Pods are not ready.
#[derive(Debug)]
pub(crate) enum NotReady {
    /// They do not start, or not in time.
    Stuck(Failure),
    /// Unknown: it cannot be read any more.
    Unknown(Failure),
}

impl Waited {
    /// A short description of ready Pods. `what` is the state of the workload before the wait:
    /// `deployment/web is empty`; `form` is the form of its Pods.
    pub(crate) fn into_result(self, what: &str, form: Form) -> Result<String, NotReady> {
        let (message, trouble) = match self {
            Self::Ready(message) => return Ok(message),
            Self::Lost(why) => {
                let what = format!("{what}; diyadm cannot tell whether its Pods started: {why}.");
                return Err(NotReady::Unknown(Failure::no(Topic::Waiting, what, "")));
            }
            Self::Stuck { message, trouble } => (message, trouble),
        };
        let (why, hint) = match trouble {
            None => (message, String::new()),
            Some(trouble) => (trouble.what.clone(), trouble.advice(form)),
        };
        let are = match form {
            Form::Emptied => "do not start",
            Form::Original => "are not ready",
        };
        let what = format!("{what}, and its Pods {are}: {why}.");
        Err(NotReady::Stuck(Failure::no(Topic::Waiting, what, hint)))
    }
}

struct Pending<'a> {
    at: usize,
    found: &'a LiveObject,
    last: Progress,
}

impl Operation<'_> {
    /// Waits for all of them together, until `--timeout`.
    pub(crate) async fn wait(&self, all: &[&LiveObject]) -> Vec<Waited> {
        let deadline = Instant::now() + Duration::from_secs(self.work.pods.timeout);
        let mut waited: Vec<_> = all.iter().map(|_| None).collect();
        let mut pending: Vec<_> = (0..)
            .zip(all)
            .map(|(at, found)| Pending { at, found, last: Progress::default() })
            .collect();
        let mut pause = FIRST_PAUSE;
        let mut wait = self.terminal.wait();
        loop {
            let time = Deadline::check(deadline);
            let looked = self.read_progress(&pending, time).await;
            let mut left = Vec::new();
            for (mut one, progress) in pending.into_iter().zip(looked) {
                let at = one.at;
                waited[at] = match progress {
                    Err(error) => Some(Waited::Lost(format!("{error:#}"))),
                    Ok(Progress { done: true, message, .. }) => Some(Waited::Ready(message)),
                    Ok(Progress { message, trouble, .. })
                        if time == Deadline::Passed
                            || trouble.as_ref().is_some_and(|trouble| trouble.lasting) =>
                    {
                        Some(Waited::Stuck { message, trouble })
                    }
                    Ok(progress) => {
                        one.last = progress;
                        left.push(one);
                        None
                    }
                };
            }
            pending = left;
            if pending.is_empty() {
                break;
            }
            self.tell(&mut wait, all.len(), &pending);
            let rest = deadline.saturating_duration_since(Instant::now());
            tokio::time::sleep(pause.min(rest)).await;
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        }
        let lost = || Waited::Lost("it was not checked".to_owned());
        waited.into_iter().map(|one| one.unwrap_or_else(lost)).collect()
    }

    fn tell(&self, wait: &mut Wait<'_>, all: usize, pending: &[Pending<'_>]) {
        let Some(Pending { found, last, .. }) = pending.first() else { return };
        let why = last.trouble.as_ref().map_or(last.message.as_str(), |trouble| &trouble.what);
        let ready = all - pending.len();
        let count = if all > 1 { format!("{ready} of {all} ready; ") } else { String::new() };
        wait.say(&format!("{count}{}: {why}", self.shown(found)));
    }

    async fn read_progress(
        &self,
        pending: &[Pending<'_>],
        time: Deadline,
    ) -> Vec<Result<Progress>> {
        let objects = self.objects(pending).await;
        let alone = |object: &Value| rollout::progress(object, &Observations::default());
        let open: Vec<_> = objects.iter().flatten().filter(|object| !alone(object).done).collect();
        let around = if open.len() > FEW {
            Some(NamespaceIndex::list(self, &open, time).await)
        } else {
            None
        };
        let around = around.as_ref();
        let looks = pending.iter().zip(objects).map(async |(one, object)| {
            let object = object?;
            let progress = alone(&object);
            if progress.done {
                return Ok(progress);
            }
            let (pods, events) = if let Some(around) = around {
                let pods = around.pods(&object);
                let events = around.events(&object, &pods);
                (pods, events)
            } else {
                // Without them the messages are shorter.
                let pods = self.pods(&object).await.unwrap_or_default();
                let events = self.events(one.found, &pods).await;
                (pods, events)
            };
            let since = written(&object);
            let seen = Observations { pods: &pods, events: &events, since: &since };
            Ok(rollout::progress(&object, &seen))
        });
        join_all(looks).await
    }

    /// The current objects. Many of one kind in one namespace are read by one request, if allowed.
    async fn objects(&self, pending: &[Pending<'_>]) -> Vec<Result<Value>> {
        let mut places: Vec<(&'static Kind, &str)> = Vec::new();
        for Pending { found, .. } in pending {
            let place = (found.kind, found.namespace.as_str());
            if !places.contains(&place) {
                places.push(place);
            }
        }
        let mut objects: Vec<Option<Result<Value>>> = pending.iter().map(|_| None).collect();
        for (kind, namespace) in places {
            let here = |found: &LiveObject| found.kind == kind && found.namespace == namespace;
            let of_place = || (0..).zip(pending).filter(|(_, one)| here(one.found));
            let listed = if of_place().count() > FEW {
                self.cluster.list(kind, namespace, "").await.ok()
            } else {
                None
            };
            if let Some(listed) = listed {
                for (at, one) in of_place() {
                    let name = one.found.name.as_str();
                    let object = listed.iter().find(|o| o["metadata"]["name"] == name);
                    let gone = || anyhow::anyhow!("{} is gone", one.found.shown());
                    objects[at] = Some(object.cloned().ok_or_else(gone));
                }
                continue;
            }
            let of_place: Vec<_> = of_place().map(|(at, one)| (at, one.found)).collect();
            let got = self
                .each("looked at", of_place, async |(at, found): (usize, &LiveObject)| {
                    let got = self.cluster.get(kind, namespace, &found.name).await;
                    let gone = || anyhow::anyhow!("{} is gone", found.shown());
                    (at, got.and_then(|object| object.ok_or_else(gone)))
                })
                .await;
            for (at, object) in got {
                objects[at] = Some(object);
            }
        }
        let unseen = || Err(anyhow::anyhow!("it was not checked"));
        objects.into_iter().map(|object| object.unwrap_or_else(unseen)).collect()
    }

    /// The workload's Pods.
    pub(crate) async fn pods(&self, workload: &Value) -> Result<Vec<Value>> {
        let namespace = workload["metadata"]["namespace"].as_str().unwrap_or_default();
        if workload["kind"] == "Pod" {
            return Ok(vec![workload.clone()]);
        }
        let selector = label_selector(&workload["spec"]["selector"]);
        let mut pods = self.cluster.list(&POD, namespace, &selector).await?;
        pods.retain(|pod| belongs_to(pod, workload));
        Ok(pods)
    }

    /// Events about the workload's Pods, and about Pods that could not be created.
    pub(crate) async fn events(&self, found: &LiveObject, pods: &[Value]) -> Vec<Value> {
        let mut selectors = vec!["reason=FailedCreate".to_owned()];
        let waiting = pods.iter().filter(|pod| !rollout::is_up(pod)).take(FEW);
        let uids = waiting.filter_map(|pod| pod["metadata"]["uid"].as_str());
        selectors.extend(uids.map(|uid| format!("involvedObject.uid={uid}")));
        let lists = selectors.iter().map(|selector| {
            self.cluster.list_where(&EVENT, &found.namespace, None, Some(selector))
        });
        join_all(lists).await.into_iter().flatten().flatten().collect()
    }
}

/// When diyadm last changed the object, by the API server's clock; empty if never.
fn written(object: &Value) -> String {
    let entries = object["metadata"]["managedFields"].as_array();
    let ours = entries.into_iter().flatten().filter(|e| e["manager"] == FIELD_MANAGER);
    let times = ours.filter_map(|entry| entry["time"].as_str());
    times.max().unwrap_or_default().to_owned()
}
