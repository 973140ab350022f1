//! Operations on a cluster: many workloads at once, their results, and printing.

use std::{cell::RefCell, time::Instant};

use anyhow::{Error, Result};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use crate::{
    exit::{self, Code, Failure},
    kubernetes::{
        Cluster, DryRun,
        targets::{LiveObject, Targets},
    },
    operations::flags::{ObjectFormat, OperationFlags},
    ui::terminal::{self, Terminal},
    yaml,
};

mod applications;
pub(crate) mod applier;
pub(crate) mod autoscalers;
pub(crate) mod certificates;
pub(crate) mod change;
pub(crate) mod check;
mod confirm;
pub(crate) mod declared_kinds;
mod dropped_fields;
pub(crate) mod empty;
pub(crate) mod emptying_flags;
pub(crate) mod explain;
pub(crate) mod files;
pub(crate) mod first_project;
pub mod flags;
pub mod images;
pub(crate) mod install;
pub(crate) mod intercept;
pub(crate) mod namespace_label;
pub(crate) mod outcomes;
pub(crate) mod owner;
pub(crate) mod plan;
pub(crate) mod project_flags;
mod recreate;
pub(crate) mod replace;
pub(crate) mod restore;
pub(crate) mod screen;
pub(crate) mod server_rules;
pub(crate) mod staged_files;
pub(crate) mod status;
pub(crate) mod targets;
pub(crate) mod uninstall;
pub(crate) mod verify;
pub(crate) mod versions;
pub(crate) mod wait;
pub mod webhook_names;
pub(crate) mod webhook_secret;
pub(crate) mod webhook_settings;

/// A running command.
pub(crate) struct Operation<'a> {
    pub(crate) terminal: &'a Terminal,
    pub(crate) cluster: &'a Cluster,
    pub(crate) targets: &'a Targets,
    pub(crate) work: &'a OperationFlags,
}

/// Whether the time of `--timeout` has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deadline {
    Ahead,
    Passed,
}

impl Deadline {
    fn check(deadline: Instant) -> Self {
        if Instant::now() >= deadline { Self::Passed } else { Self::Ahead }
    }
}

/// The result for one workload.
pub(crate) struct OperationResult {
    /// The current object, or in a dry run the expected one.
    pub(crate) found: LiveObject,
    /// The sent patch, without its guard.
    pub(crate) patch: Vec<Value>,
    pub(crate) outcome: WorkloadOutcome,
}

/// See [`OperationResult`].
pub(crate) enum WorkloadOutcome {
    Changed,
    /// It was already in this state.
    Unchanged,
    /// Left as it is, with the reason.
    PassedOver(String),
    /// The workload has the wanted state, but its Pods are not ready.
    NotReady(Error),
    Failed(Error),
}

impl OperationResult {
    /// A failed workload.
    pub(crate) fn failed(found: LiveObject, error: impl Into<Error>) -> Self {
        Self { found, patch: Vec::new(), outcome: WorkloadOutcome::Failed(error.into()) }
    }

    /// Whether it has the wanted state.
    pub(crate) fn is_good(&self) -> bool {
        matches!(self.outcome, WorkloadOutcome::Changed | WorkloadOutcome::Unchanged)
    }
}

impl Operation<'_> {
    /// Whether the API server stores changes.
    pub(crate) fn is_real(&self) -> bool {
        self.work.dry_run.mode.is_none()
    }

    /// ` (dry run)` and the like, for the end of a line.
    pub(crate) fn dry(&self) -> &'static str {
        match self.work.dry_run.mode {
            None => "",
            Some(DryRun::Client) => " (dry run)",
            Some(DryRun::Server) => " (server dry run)",
        }
    }

    /// `would be ` in a dry run, before a participle.
    pub(crate) fn would(&self) -> &'static str {
        if self.is_real() { "" } else { "would be " }
    }

    /// `deployment/web`, with its namespace if there are several.
    pub(crate) fn shown(&self, found: &LiveObject) -> String {
        if self.targets.all_namespaces {
            format!("{} in {}", found.shown(), found.namespace)
        } else {
            found.shown()
        }
    }

    /// Runs `work` for each, with limited concurrency, in stable order. `word` is the participle
    /// for progress: `emptied`.
    pub(crate) async fn each<T, O>(
        &self,
        word: &str,
        items: Vec<T>,
        work: impl AsyncFn(T) -> O,
    ) -> Vec<O> {
        let (all, work) = (items.len(), &work);
        let wait = RefCell::new((self.terminal.wait(), 0));
        let one = async |item| {
            let outcome = work(item).await;
            let (wait, through) = &mut *wait.borrow_mut();
            *through += 1;
            wait.count(word, *through, all);
            outcome
        };
        let flow = stream::iter(items.into_iter().map(one));
        flow.buffered(self.work.concurrency.into()).collect().await
    }

    /// Prints the output of `-o` for successful workloads.
    pub(crate) fn print(&self, done: &[OperationResult]) -> Result<()> {
        let Some(output) = self.work.output else { return Ok(()) };
        // Changed workloads are printed even if their Pods are not ready.
        let is_changed = |one: &&OperationResult| {
            one.is_good() || matches!(one.outcome, WorkloadOutcome::NotReady(_))
        };
        let good: Vec<_> = done.iter().filter(is_changed).collect();
        let object = || match good.as_slice() {
            [one] => Value::clone(&one.found.object),
            all => {
                let items: Vec<_> = all.iter().map(|one| &*one.found.object).collect();
                json!({ "apiVersion": "v1", "kind": "List", "items": items })
            }
        };
        let text = match output {
            ObjectFormat::Name => {
                let line = |one: &&OperationResult| {
                    let LiveObject { kind, name, .. } = &one.found;
                    let group = if kind.group.is_empty() { "" } else { "." };
                    format!("{}{group}{}/{name}\n", kind.singular(), kind.group)
                };
                good.iter().map(line).collect()
            }
            ObjectFormat::Json => format!("{:#}\n", object()),
            ObjectFormat::Yaml => yaml::write(&object())?,
            ObjectFormat::Patch => {
                good.iter().map(|one| format!("{}\n", json!(one.patch))).collect()
            }
        };
        terminal::print(&text)
    }

    /// The final result: the error itself for one workload, else a count. `word` is the participle
    /// for workloads: `emptied`.
    pub(crate) fn end(&self, done: Vec<OperationResult>, word: &str) -> Result<Code> {
        let all = done.len();
        let (mut failed, mut not_ready) = (Vec::new(), 0);
        for one in done {
            match one.outcome {
                WorkloadOutcome::Failed(error) => failed.push((one.found, error)),
                WorkloadOutcome::NotReady(error) => {
                    not_ready += 1;
                    failed.push((one.found, error));
                }
                WorkloadOutcome::Changed
                | WorkloadOutcome::Unchanged
                | WorkloadOutcome::PassedOver(_) => {}
            }
        }
        if failed.is_empty() {
            return Ok(Code::Done);
        }
        if all == 1 {
            return Err(failed.remove(0).1);
        }
        for (found, error) in &failed {
            let (shown, why) = (self.shown(found), format!("{error:#}"));
            // Most errors already name the workload.
            let what =
                if why.starts_with(&found.shown()) { why } else { format!("{shown}: {why}") };
            self.terminal.failed(&what, None, exit::hint(error).unwrap_or_default());
        }
        let topics = failed.iter().filter_map(|(_, error)| exit::topic(error));
        let page = exit::page(topics.map(exit::Topic::anchor));
        if !page.is_empty() {
            self.terminal.say(&page);
        }
        let not_done = failed.len() - not_ready;
        let what = match (not_done, not_ready) {
            (count, 0) => format!("{count} of {all} workloads were not {word}."),
            (0, count) => {
                format!("{count} of {all} workloads were {word}, but their Pods are not ready.")
            }
            (count, waiting) => format!(
                "{count} of {all} workloads were not {word}; {waiting} were {word}, but their \
                 Pods are not ready."
            ),
        };
        let hint = if not_done == 0 {
            "The messages above say why; `diyadm status` and `kubectl get pods` show the workloads."
        } else {
            "The messages above say why; run the same command again for the rest."
        };
        let code = exit::code(&failed[0].1);
        let same = failed.iter().all(|(_, error)| exit::code(error) == code);
        let code = if same { code } else { Code::No };
        // The topics are printed above.
        Err(Failure::made_of(code, None, what, hint).into())
    }
}
