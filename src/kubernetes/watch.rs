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

/// The server ends a watch after so many seconds, before the silence of an idle one is taken for
/// its death.
const SECONDS: u32 = 45;
const PAUSE: Duration = Duration::from_secs(1);

/// What was seen.
#[derive(Clone, Debug)]
pub enum Sight {
    /// All that there are: whatever was seen before is not counted any more.
    All(Vec<Value>),
    /// One is there, or is another one now.
    Set(Value),
    /// One is gone.
    Gone(Value),
}

impl Cluster {
    /// Tells every change of the objects of a kind, from how they are now, as `tag`; ends when
    /// nobody listens any more, or with what the API server says for good.
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
                    // An API server that is just being restarted is asked again; one that refuses
                    // is not.
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
                // One that breaks off goes on from the version that was seen last.
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
                        // Too old a version (410): everything is read again.
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

    /// All objects, and the version from which changes are to be told.
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
