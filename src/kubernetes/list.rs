//! Lists of objects. They are read page by page and object by object, so that of a large list only
//! what the caller keeps is in memory.

use anyhow::Result;
use futures_util::{StreamExt, stream};
use kube::{api::ListParams, core::Request};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{Cluster, Kind, READS, Scope, error, send::Verb};

/// Maximum number of objects of a page.
const PAGE: u32 = 500;

/// The objects of a list.
#[derive(Clone, Copy, Debug)]
pub struct ListQuery<'a> {
    /// Of which kind.
    pub kind: &'a Kind,
    /// Where.
    pub scope: Scope<'a>,
    /// A label selector.
    pub labels: Option<&'a str>,
    /// A field selector.
    pub fields: Option<&'a str>,
}

/// A list.
#[derive(Debug)]
pub struct Listed<T> {
    /// The objects, as the caller keeps them.
    pub items: Vec<T>,
    /// The version from which to watch them.
    pub version: String,
}

#[derive(Deserialize)]
struct Page<'b> {
    #[serde(default)]
    metadata: PageMetadata,
    /// Go writes an empty list as null.
    #[serde(borrow, default)]
    items: Option<Vec<&'b RawValue>>,
}

#[derive(Default, Deserialize)]
struct PageMetadata {
    #[serde(default, rename = "resourceVersion")]
    version: String,
    #[serde(default, rename = "continue")]
    next: String,
}

impl Cluster {
    /// All objects of a kind in `scope`, with the label `selector` if it is not empty.
    pub async fn list<'a>(
        &self,
        kind: &Kind,
        scope: impl Into<Scope<'a>>,
        selector: &str,
    ) -> Result<Vec<Value>> {
        self.list_where(kind, scope, Some(selector).filter(|s| !s.is_empty()), None).await
    }

    /// All objects of a kind in all namespaces; empty if the API server does not have the kind.
    pub async fn list_served(&self, kind: &Kind) -> Result<Vec<Value>> {
        match self.list(kind, Scope::ALL, "").await {
            Err(error) if error::is_absent(&error) => Ok(Vec::new()),
            list => list,
        }
    }

    /// [`Cluster::list`] for each kind in its scope, with limited concurrency, in order.
    pub async fn lists<'a>(
        &self,
        places: impl IntoIterator<Item = (&'static Kind, Scope<'a>)>,
    ) -> Vec<(&'static Kind, Scope<'a>, Result<Vec<Value>>)> {
        let looks = places.into_iter().map(async |(kind, scope): (&'static Kind, Scope<'a>)| {
            let list = self.list(kind, scope, "").await;
            (kind, scope, list)
        });
        stream::iter(looks).buffered(READS).collect().await
    }

    /// [`Cluster::list`] by labels and fields.
    pub async fn list_where<'a>(
        &self,
        kind: &Kind,
        scope: impl Into<Scope<'a>>,
        labels: Option<&str>,
        fields: Option<&str>,
    ) -> Result<Vec<Value>> {
        let query = ListQuery { kind, scope: scope.into(), labels, fields };
        Ok(self.list_as(query, None, |object| object).await?.items)
    }

    /// What `keep` makes of each object, and the version from which to watch them. With `most`, no
    /// more than that number of objects.
    pub async fn list_as<T>(
        &self,
        query: ListQuery<'_>,
        most: Option<u32>,
        keep: impl Fn(Value) -> T,
    ) -> Result<Listed<T>> {
        let ListQuery { kind, scope, labels, fields } = query;
        let mut params = ListParams {
            label_selector: labels.map(ToOwned::to_owned),
            field_selector: fields.map(ToOwned::to_owned),
            ..ListParams::default().limit(most.unwrap_or(PAGE))
        };
        let parse = |body: &[u8]| {
            let Page { metadata, items } = serde_json::from_slice(body)?;
            let items = items.into_iter().flatten().map(|text| {
                let mut object = serde_json::from_str(text.get())?;
                // The items of a list lack kind and apiVersion.
                kind.name(&mut object);
                Ok(keep(object))
            });
            Ok((metadata, items.collect::<serde_json::Result<Vec<T>>>()?))
        };
        let path = kind.path(scope);
        let mut items = Vec::new();
        loop {
            let request = Request::new(&path).list(&params);
            let sent = Box::pin(self.send_as(Verb::List, &path, request, parse));
            let (metadata, page) = sent.await?;
            items.extend(page);
            if metadata.next.is_empty() || most.is_some() {
                return Ok(Listed { items, version: metadata.version });
            }
            params.continue_token = Some(metadata.next);
        }
    }
}
