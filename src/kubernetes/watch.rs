//! Follows the objects of a kind as they change.

use std::{pin::pin, time::Duration};

use anyhow::Result;
use futures_util::TryStreamExt;
use kube::{
    api::WatchParams,
    core::{Request, WatchEvent},
};
use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;

use super::{Cluster, ListQuery, error};

/// The server ends a watch after this number of seconds, before an idle watch would count as dead.
const SECONDS: u32 = 45;
const PAUSE: Duration = Duration::from_secs(1);

/// A change of objects, as the caller keeps them.
#[derive(Clone, Debug)]
pub enum ObjectChange<T> {
    /// All objects: replaces everything seen before.
    Listed(Vec<T>),
    /// An object was created or changed.
    Stored(T),
    /// One was deleted.
    Deleted(T),
}

impl Cluster {
    /// Sends every change of a list's objects as `tag`, beginning after the version `from`, or with
    /// the current state; ends when the receiver is dropped, or with a permanent error of the API
    /// server.
    pub async fn follow<T: Copy, O>(
        &self,
        query: ListQuery<'_>,
        mut from: Option<String>,
        keep: impl Fn(Value) -> O,
        (tag, sender): (T, &UnboundedSender<(T, ObjectChange<O>)>),
    ) -> Result<()> {
        loop {
            let mut version = if let Some(version) = from.take() {
                version
            } else {
                let all = self.list_as(query, None, &keep).await?;
                if sender.send((tag, ObjectChange::Listed(all.items))).is_err() {
                    return Ok(());
                }
                all.version
            };
            while !version.is_empty() {
                let params = WatchParams {
                    label_selector: query.labels.map(ToOwned::to_owned),
                    field_selector: query.fields.map(ToOwned::to_owned),
                    timeout: Some(SECONDS),
                    bookmarks: true,
                    send_initial_events: false,
                };
                let request =
                    Request::new(query.kind.path(query.scope)).watch(&params, &version)?;
                let events = match self.client.request_events::<Value>(request).await {
                    Ok(events) => events,
                    // A restarting API server is retried; a rejection is not.
                    Err(error) => {
                        let error = error::request(&error, &self.server);
                        if !error::is_lost(&error) {
                            return Err(error);
                        }
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    }
                };
                let mut events = pin!(events);
                // A broken watch continues from the last seen version.
                while let Ok(Some(event)) = events.try_next().await {
                    let seen = |object: &Value| {
                        object["metadata"]["resourceVersion"].as_str().map(ToOwned::to_owned)
                    };
                    let (new, change) = match event {
                        WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                            (seen(&object), Some(ObjectChange::Stored(keep(object))))
                        }
                        WatchEvent::Deleted(object) => {
                            (seen(&object), Some(ObjectChange::Deleted(keep(object))))
                        }
                        WatchEvent::Bookmark(mark) => (Some(mark.metadata.resource_version), None),
                        // The version is too old (410): read everything again.
                        WatchEvent::Error(_) => (Some(String::new()), None),
                    };
                    version = new.unwrap_or(version);
                    if let Some(change) = change
                        && sender.send((tag, change)).is_err()
                    {
                        return Ok(());
                    }
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
