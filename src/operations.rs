//! What commands do to a cluster: many workloads at once, what became of each, and how that is
//! printed.

use std::cell::RefCell;

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
pub(crate) mod change;
mod confirm;
pub(crate) mod declared_kinds;
mod dropped_fields;
pub(crate) mod empty;
pub(crate) mod emptying_flags;
pub(crate) mod files;
pub mod flags;
pub(crate) mod intercept;
pub(crate) mod namespace_label;
pub(crate) mod outcomes;
pub(crate) mod owner;
mod recreate;
pub(crate) mod replace;
pub(crate) mod restore;
pub(crate) mod server_rules;
pub(crate) mod status;
pub(crate) mod targets;
pub(crate) mod uninstall;
pub(crate) mod wait;
pub mod webhook_names;

/// A command at work.
pub(crate) struct Operation<'a> {
    pub(crate) terminal: &'a Terminal,
    pub(crate) cluster: &'a Cluster,
    pub(crate) targets: &'a Targets,
    pub(crate) work: &'a OperationFlags,
}

/// What became of one workload.
pub(crate) struct OperationResult {
    /// As it is now, or, in a dry run, would be.
    pub(crate) found: LiveObject,
    /// What was sent, without the guard.
    pub(crate) patch: Vec<Value>,
    pub(crate) outcome: Outcome,
}

/// See [`OperationResult`].
pub(crate) enum Outcome {
    Changed,
    /// It was so already.
    Unchanged,
    /// Left as it is, and why.
    PassedOver(String),
    /// The workload is as the command wants it, and its Pods are not ready.
    NotReady(Error),
    Failed(Error),
}

impl OperationResult {
    /// A workload that something went wrong with.
    pub(crate) fn failed(found: LiveObject, error: impl Into<Error>) -> Self {
        Self { found, patch: Vec::new(), outcome: Outcome::Failed(error.into()) }
    }

    /// Whether it is as the command wants it.
    pub(crate) fn is_good(&self) -> bool {
        matches!(self.outcome, Outcome::Changed | Outcome::Unchanged)
    }
}

impl Operation<'_> {
    /// Whether the API server is to store something.
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

    /// `deployment/web`, with its namespace where several are meant.
    pub(crate) fn shown(&self, found: &LiveObject) -> String {
        if self.targets.all_namespaces {
            format!("{} in {}", found.shown(), found.namespace)
        } else {
            found.shown()
        }
    }

    /// Does `work` to each, a bounded number at once, and keeps their order. `word` is what has
    /// been done to those that are through: `emptied`.
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

    /// Prints what `-o` asks for of those that are as they should be.
    pub(crate) fn print(&self, done: &[OperationResult]) -> Result<()> {
        let Some(output) = self.work.output else { return Ok(()) };
        // What was changed is printed, whatever its Pods come to.
        let is_changed =
            |one: &&OperationResult| one.is_good() || matches!(one.outcome, Outcome::NotReady(_));
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

    /// What the command ends with: the error itself where one workload was meant, else a count.
    /// `word` is what it does to workloads: `emptied`.
    pub(crate) fn end(&self, done: Vec<OperationResult>, word: &str) -> Result<Code> {
        let all = done.len();
        let (mut failed, mut not_ready) = (Vec::new(), 0);
        for one in done {
            match one.outcome {
                Outcome::Failed(error) => failed.push((one.found, error)),
                Outcome::NotReady(error) => {
                    not_ready += 1;
                    failed.push((one.found, error));
                }
                Outcome::Changed | Outcome::Unchanged | Outcome::PassedOver(_) => {}
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
            // Most name the workload themselves.
            let what =
                if why.starts_with(&found.shown()) { why } else { format!("{shown}: {why}") };
            self.terminal.failed(&what, None, exit::hint(error).unwrap_or_default());
        }
        let not_done = failed.len() - not_ready;
        let what = match (not_done, not_ready) {
            (count, 0) => format!("{count} of {all} workloads were not {word}."),
            (0, count) => {
                format!("{count} of {all} workloads were {word}, and their Pods are not ready.")
            }
            (count, waiting) => format!(
                "{count} of {all} workloads were not {word}; {waiting} were {word}, and their Pods \
                 are not ready."
            ),
        };
        let hint = if not_done == 0 {
            "What is above says why; `diyadm status` and `kubectl get pods` show them."
        } else {
            "What is above says why; the same command goes on with the rest."
        };
        let code = exit::code(&failed[0].1);
        let same = failed.iter().all(|(_, error)| exit::code(error) == code);
        let failure = Failure::no(what, hint);
        Err(Failure { code: if same { code } else { Code::No }, ..failure }.into())
    }
}
