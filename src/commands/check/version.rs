//! Refuses an API server that is too old.

use anyhow::Result;

use crate::{
    exit::Failure, kubernetes::Cluster, ui::text::capital, webhook::checks::version::unsupported,
};

/// Fails where the API server is older than what is supported, and names both versions. One that
/// may not be asked is taken for supported.
pub(in crate::commands) async fn demand(cluster: &Cluster) -> Result<()> {
    let Ok(info) = cluster.version_info().await else { return Ok(()) };
    let Some((what, hint)) = info["gitVersion"].as_str().and_then(unsupported) else {
        return Ok(());
    };
    Err(Failure::no(capital(&what) + ".", hint).into())
}
