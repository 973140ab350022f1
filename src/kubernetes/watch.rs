//! Follows the objects of a kind as they change.

use std::{pin::pin, time::Duration};

use anyhow::Result;
use futures_util::TryStreamExt;
use kube::{
    api::{ListParams, WatchParams},
    core::{Request, WatchEvent},
};
use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;

use super::{Cluster, Kind, Scope, error, send::Verb};

/// The server ends a watch after this number of seconds, before an idle watch would count as dead.
const SECONDS: u32 = 45;
const PAUSE: Duration = Duration::from_secs(1);

/// A change.
#[derive(Clone, Debug)]
pub enum Sight {
    /// All objects: replaces everything seen before.
    All(Vec<Value>),
    /// An object was created or changed.
    Set(Value),
    /// One is gone.
    Gone(Value),
}

impl Cluster {
    /// Sends every change of a kind's objects, beginning with the current state, as `tag`; ends
    /// when nobody listens any more, or with a permanent error of the API server.
    pub async fn follow<T: Copy>(
        &self,
        (kind, scope): (&Kind, Scope<'_>),
        labels: Option<&str>,
        fields: Option<&str>,
        (tag, tell): (T, &UnboundedSender<(T, Sight)>),
    ) -> Result<()> {
        loop {
            let (all, mut version) = self.page(kind, scope, labels, fields).await?;
            if tell.send((tag, Sight::All(all))).is_err() {
                return Ok(());
            }
            while !version.is_empty() {
                let params = WatchParams {
                    label_selector: labels.map(ToOwned::to_owned),
                    field_selector: fields.map(ToOwned::to_owned),
                    timeout: Some(SECONDS),
                    bookmarks: true,
                    send_initial_events: false,
                };
                let request = Request::new(kind.path(scope)).watch(&params, &version)?;
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
                    let (new, sight) = match event {
                        WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                            (seen(&object), Some(Sight::Set(object)))
                        }
                        WatchEvent::Deleted(object) => (seen(&object), Some(Sight::Gone(object))),
                        WatchEvent::Bookmark(mark) => (Some(mark.metadata.resource_version), None),
                        // The version is too old (410): read everything again.
                        WatchEvent::Error(_) => (Some(String::new()), None),
                    };
                    version = new.unwrap_or(version);
                    if let Some(sight) = sight
                        && tell.send((tag, sight)).is_err()
                    {
                        return Ok(());
                    }
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// All objects, and the version from which to watch.
    async fn page(
        &self,
        kind: &Kind,
        scope: Scope<'_>,
        labels: Option<&str>,
        fields: Option<&str>,
    ) -> Result<(Vec<Value>, String)> {
        let params = ListParams {
            label_selector: labels.map(ToOwned::to_owned),
            field_selector: fields.map(ToOwned::to_owned),
            ..ListParams::default()
        };
        let path = kind.path(scope);
        let mut list = self.send(Verb::List, &path, Request::new(&path).list(&params)).await?;
        let version = list["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
        let mut items = match list["items"].take() {
            Value::Array(items) => items,
            _ => Vec::new(),
        };
        items.iter_mut().for_each(|item| kind.name(item));
        Ok((items, version))
    }
}
