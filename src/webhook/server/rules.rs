//! rules.yaml: read before a port is bound, and again when the file changes.

use std::{
    fs, io,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use anyhow::{Context, Result};
use prometheus_client::metrics::counter::Counter;

use crate::{
    exit::{Failure, Topic},
    workload::{self, Rules},
};

/// The current rules.
pub(super) struct Live {
    flags: Rules,
    file: Option<PathBuf>,
    current: RwLock<Arc<Rules>>,
    pub(super) reloaded: Counter,
    pub(super) refused: Counter,
}

impl Live {
    /// Reads the file, if it is configured and exists; a missing file means no rules.
    ///
    /// # Errors
    /// What [`workload::parse_rules`] refuses, with the file's name.
    pub(super) fn new(flags: Rules, file: Option<PathBuf>) -> Result<Self> {
        let live = Self {
            current: RwLock::new(Arc::new(flags.clone())),
            flags,
            file,
            reloaded: Counter::default(),
            refused: Counter::default(),
        };
        let text = live.text()?;
        live.take(&text)?;
        if let Some(file) = live.file.as_ref().filter(|file| !file.exists()) {
            let file = file.display().to_string();
            tracing::warn!(
                file,
                "the --rules file does not exist yet; only the flags apply until then"
            );
        }
        Ok(live)
    }

    /// The rules for one review.
    pub(super) fn current(&self) -> Arc<Rules> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Checks the file every second. An invalid or unreadable new file is rejected, and the old
    /// rules stay.
    pub(super) async fn watch(&self) {
        let look = || self.text().map_err(|error| format!("{error:#}"));
        let (mut judged, mut gone) = (look(), false);
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let seen = look();
            // The kubelet deletes the old folder after changing its symlink, so a missing file may
            // have been read in between. If it is still missing at the next check, it was deleted.
            let is_gone = seen.as_ref().is_ok_and(String::is_empty);
            let doubtful = is_gone && !gone;
            gone = is_gone;
            if doubtful || judged == seen {
                continue;
            }
            let taken = seen.as_ref().map_err(Clone::clone);
            match taken.and_then(|text| self.take(text).map_err(|error| format!("{error:#}"))) {
                Ok(()) => {
                    self.reloaded.inc();
                    tracing::info!(rules = self.current().list.len(), "rules reloaded");
                }
                Err(error) => {
                    self.refused.inc();
                    tracing::error!(error, "new rules rejected");
                }
            }
            judged = seen;
        }
    }

    /// Empty if there is no file.
    fn text(&self) -> Result<String> {
        let Some(file) = &self.file else { return Ok(String::new()) };
        match fs::read_to_string(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            text => text.with_context(|| format!("--rules {}", file.display())),
        }
    }

    fn take(&self, text: &str) -> Result<()> {
        let file = self.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
        let list = if text.trim().is_empty() {
            Vec::new()
        } else {
            workload::parse_rules(text).map_err(|error| {
                let hint = "Fix that rule; `diyadm rules check FILE` checks it.";
                Failure::usage(Topic::RulesFile, format!("--rules {file}: {error}."), hint)
                    .with_details(error.snippet())
            })?
        };
        let rules = Arc::new(Rules { list, ..self.flags.clone() });
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = rules;
        Ok(())
    }
}
