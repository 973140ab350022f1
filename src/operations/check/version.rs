//! Rejects an API server that is too old.

use anyhow::Result;

use crate::{
    exit::{Failure, Topic},
    kubernetes::Cluster,
    ui::text::capital,
    webhook::checks::version::unsupported,
};

/// Fails if the API server is older than the supported versions, and names both. If its version may
/// not be read, it is assumed to be supported.
pub(crate) async fn demand(cluster: &Cluster) -> Result<()> {
    let Ok(info) = cluster.version_info().await else { return Ok(()) };
    let Some((what, hint)) = info["gitVersion"].as_str().and_then(unsupported) else {
        return Ok(());
    };
    Err(Failure::no(Topic::Installation, capital(&what) + ".", hint).into())
}
