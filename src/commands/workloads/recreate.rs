//! Deletes a Pod or Job and creates it again, changed: nothing else changes what it runs.
//!
//! Between its end and its new beginning there would be nothing of it, and a client that is killed
//! then would lose it. So another object of its kind holds its place, which the next command finds.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;

use super::{Done, Errand, Outcome};
use crate::{
    cli::DryRun,
    cluster::{error, targets::Found},
    exit::Failure,
    workload::{HOLDS, fresh},
};

const PAUSE: Duration = Duration::from_millis(300);
const TRIES: u32 = 5;

impl Errand<'_> {
    /// Creates `new` in the place of `found`, which may be gone already.
    pub(in crate::commands) async fn recreate(&self, found: Found, new: Value) -> Done {
        match self.try_recreate(&found, &new).await {
            Ok(object) => Done {
                found: Found { object, ..found },
                patch: Vec::new(),
                outcome: Outcome::Changed,
            },
            Err(error) => Done::failed(found, error),
        }
    }

    async fn try_recreate(&self, found: &Found, new: &Value) -> Result<Value> {
        if self.work.dry_run == Some(DryRun::Client) {
            return Ok(new.clone());
        }
        let Found { kind, namespace, name, object } = found;
        let holder = fresh::holder_name(name);
        let exists = object["metadata"]["uid"].is_string();
        if exists {
            // Whatever the cluster has against it is said while the old one is still there.
            self.cluster.create(&fresh::holder(new), true).await?;
            if !self.is_real() {
                return Ok(new.clone());
            }
            self.make(kind, namespace, &holder, &fresh::holder(new)).await?;
            self.cluster.delete_exactly(kind, object).await?;
            self.gone(found).await?;
        }
        if !self.is_real() {
            return Ok(new.clone());
        }
        let made = self.make(kind, namespace, name, new).await?;
        self.cluster.delete(kind, namespace, &holder, false).await?;
        Ok(made)
    }

    /// Creates an object; one that is there already counts where it says the same.
    async fn make(
        &self,
        kind: &'static crate::cluster::Kind,
        namespace: &str,
        name: &str,
        object: &Value,
    ) -> Result<Value> {
        let mut tries = 0;
        loop {
            let error = match self.cluster.create(object, false).await {
                Ok(made) => return Ok(made),
                Err(error) => error,
            };
            if !error::exists(&error) && !error::is_unknown(&error) {
                return Err(error);
            }
            let found = self.cluster.get(kind, namespace, name).await?;
            let annotations = |object: &Value| object["metadata"]["annotations"].clone();
            match found {
                Some(found) if annotations(&found) == annotations(object) => return Ok(found),
                // One that an earlier command left, made from what was there then.
                Some(found) if found["metadata"]["annotations"].get(HOLDS).is_some() => {
                    self.cluster.delete_exactly(kind, &found).await?;
                }
                Some(_) => {
                    let what = format!("{}/{name} was created by someone else.", kind.singular());
                    return Err(Failure::no(what, "See whether it is what you want.").into());
                }
                None => {}
            }
            tries += 1;
            if tries == TRIES {
                return Err(error);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Until the old one is gone with its grace period.
    async fn gone(&self, found: &Found) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(self.work.timeout);
        let uid = &found.object["metadata"]["uid"];
        let mut wait = self.terminal.wait();
        loop {
            let now = self.cluster.get(found.kind, &found.namespace, &found.name).await?;
            if now.is_none_or(|now| now["metadata"]["uid"] != *uid) {
                return Ok(());
            }
            if Instant::now() > deadline {
                let what = format!("{} did not end in time.", found.shown());
                let hint = "The same command goes on; --timeout gives it longer.";
                return Err(Failure::no(what, hint).into());
            }
            wait.say(&format!("{}: the old one ends", self.shown(found)));
            tokio::time::sleep(PAUSE).await;
        }
    }
}
