//! The events of `-o json`: what `run`, `sync`, `logs` and `dev` do, as one JSON object for each line
//! of stdout. All other output of these commands goes to stderr.

use std::time::Duration;

use anyhow::Result;
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    flags::EventFormat,
    pods::Pick,
    sync::{Progress, SyncOutcome},
};
use crate::ui::terminal;
use diyadm_agent::protocol::{self, App, End, State, Termination};

/// One event.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum Event {
    /// A build begins.
    Building {
        /// The shell command of diyadm.yaml.
        command: String,
    },
    /// A build has ended.
    Built {
        /// Whether it succeeded.
        success: bool,
        /// How long it took, in milliseconds.
        millis: u64,
    },
    /// A container has the local files. All counts are 0 if it had them before.
    Synced {
        /// The Pod.
        pod: String,
        /// The container.
        container: String,
        /// Number of files that were sent.
        files: u64,
        /// Number of changed folders, links, modes and times.
        others: u64,
        /// Number of deleted files, folders and links.
        deleted: u64,
        /// Bytes that were sent to the network.
        bytes: u64,
        /// How long it took, in milliseconds.
        millis: u64,
        /// What was not done, and why.
        refused: Vec<String>,
    },
    /// With `--dry-run`: what a sync would do.
    Planned {
        /// What would be done.
        action: Action,
        /// The path below the target.
        path: String,
    },
    /// An application was started.
    Started {
        /// Its name.
        application: String,
        /// Its process id in the container.
        pid: u32,
        /// The Pod.
        pod: String,
        /// The container.
        container: String,
    },
    /// A line that an application has printed.
    Line {
        /// Its name.
        application: String,
        /// The number of the line, from 1.
        number: u64,
        /// When it was printed, RFC 3339.
        time: String,
        /// Where it was printed.
        stream: Stream,
        /// The line without its end. Bytes that are not UTF-8 are U+FFFD.
        text: String,
        /// Whether the next line of this stream continues this one, which is long.
        continues: bool,
    },
    /// Lines came faster than they could be stored.
    Dropped {
        /// The application.
        application: String,
        /// Number of lines.
        lines: u64,
    },
    /// An application has ended.
    Ended {
        /// Its name.
        application: String,
        /// Its exit status, or 128 plus the signal.
        code: i32,
        /// The signal that ended it.
        #[serde(skip_serializing_if = "Option::is_none")]
        signal: Option<i32>,
        /// Whether it was killed because memory was used up.
        out_of_memory: bool,
        /// Whether a command stopped it.
        requested: bool,
        /// When, RFC 3339.
        time: String,
    },
    /// A local port leads to a Pod.
    Forwarding {
        /// The local address.
        local: String,
        /// The Pod.
        pod: String,
        /// The port in the Pod: a number or a name.
        remote: String,
    },
    /// The loop goes on in another container.
    Continuing {
        /// The Pod.
        pod: String,
        /// The container.
        container: String,
    },
    /// Something failed, and the command goes on. The error that ends a command is on stderr.
    Failed {
        /// What failed, and why.
        message: String,
        /// What to do; may be empty.
        hint: String,
    },
}

/// A change that a sync would make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Action {
    /// Send a file.
    File,
    /// Create a folder.
    Folder,
    /// Create a link.
    Link,
    /// Delete it.
    Delete,
    /// None: something of another type is there.
    Blocked,
}

impl Action {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Folder => "folder",
            Self::Link => "link",
            Self::Delete => "delete",
            Self::Blocked => "blocked",
        }
    }
}

/// Where an application has printed a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Event {
    pub(crate) fn synced(pick: &Pick, outcome: &SyncOutcome, progress: &Progress) -> Self {
        let SyncOutcome { plan, report } = outcome;
        let blocked = plan.blocked.iter();
        let blocked = blocked.map(|path| format!("{} is of another type there", path.show()));
        Self::Synced {
            pod: pick.pod.clone(),
            container: pick.container.clone(),
            files: report.files,
            others: report.others,
            deleted: report.deleted,
            bytes: progress.sent(),
            millis: millis(progress.took()),
            refused: report.refused.iter().cloned().chain(blocked).collect(),
        }
    }

    pub(crate) fn started(pick: &Pick, app: &App) -> Self {
        Self::Started {
            application: app.name.clone(),
            pid: app.pid,
            pod: pick.pod.clone(),
            container: pick.container.clone(),
        }
    }

    pub(crate) fn continuing(pick: &Pick) -> Self {
        Self::Continuing { pod: pick.pod.clone(), container: pick.container.clone() }
    }

    pub(crate) fn line(application: &str, line: &protocol::Line<'_>) -> Self {
        Self::Line {
            application: application.to_owned(),
            number: line.number,
            time: time(line.at_ms),
            stream: match line.stream {
                protocol::Stream::Out => Stream::Stdout,
                protocol::Stream::Err => Stream::Stderr,
            },
            text: String::from_utf8_lossy(line.text).into_owned(),
            continues: line.cut,
        }
    }

    /// `None` for one that runs.
    pub(crate) fn ended(app: &App) -> Option<Self> {
        let State::Ended(End { at_ms, how, asked, oom }) = app.state else { return None };
        Some(Self::Ended {
            application: app.name.clone(),
            code: how.code(),
            signal: match how {
                Termination::Exit { .. } => None,
                Termination::Signal { signal, .. } => Some(signal),
            },
            out_of_memory: oom,
            requested: asked,
            time: time(at_ms),
        })
    }
}

/// Whole milliseconds.
pub(crate) fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds since 1970 as `2026-11-24T22:19:03.120Z`.
fn time(ms: u64) -> String {
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    format!("{:.3}", jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX))
}

/// Where events go: to stdout with `-o json`, else nowhere.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Events {
    on: bool,
}

impl Events {
    /// Those of the flag.
    pub(crate) fn new(output: Option<EventFormat>) -> Self {
        Self { on: output == Some(EventFormat::Json) }
    }

    /// Whether they are printed, so that nothing else may be printed to stdout.
    pub(crate) fn are_on(self) -> bool {
        self.on
    }

    /// Prints one.
    ///
    /// # Errors
    /// See [`terminal::stream`].
    pub(crate) fn send(self, event: &Event) -> Result<()> {
        if !self.on {
            return Ok(());
        }
        terminal::stream(&format!("{}\n", serde_json::to_string(event)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_line_with_its_name() {
        let line = protocol::Line {
            stream: protocol::Stream::Err,
            cut: false,
            number: 3,
            at_ms: 1500,
            text: b"a \"b\"\n\xff",
        };
        assert_eq!(
            serde_json::to_string(&Event::line("app", &line)).unwrap(),
            "{\"event\":\"line\",\"application\":\"app\",\"number\":3,\
             \"time\":\"1970-01-01T00:00:01.500Z\",\"stream\":\"stderr\",\
             \"text\":\"a \\\"b\\\"\\n\u{fffd}\",\"continues\":false}"
        );
    }
}
