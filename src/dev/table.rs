//! The output of `ps` as text. Pure: the time is passed in.

use schemars::JsonSchema;
use serde::Serialize;

use crate::ui::text::{columns_within, size};
use diyadm_agent::protocol::{App, Apps, Lease, SentContent, State, Supervisor};

/// A Pod's container and its agent's answer.
#[derive(Clone, Debug)]
pub(crate) struct ContainerApps {
    /// The Pod.
    pub(crate) pod: String,
    /// The container.
    pub(crate) container: String,
    /// Its agent's answer.
    pub(crate) apps: Apps,
}

/// What `ps -o json` prints.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Pods {
    /// The Pods of the workload.
    pods: Vec<PodApplications>,
}

/// A Pod and the applications in its container.
#[derive(JsonSchema, Serialize)]
struct PodApplications {
    /// Its name.
    pod: String,
    /// The container.
    container: String,
    /// The agent that started the applications; null if none runs.
    supervisor: Option<Supervisor>,
    /// The applications that run or have run.
    apps: Vec<App>,
    /// Protocols of other agents there, which this diyadm cannot ask.
    others: Vec<u32>,
    /// Who has the container.
    leases: Vec<Lease>,
    /// What was sent to the container, the newest last.
    sent: Vec<SentContent>,
}

impl Pods {
    /// The same as data.
    pub(crate) fn of(seen: &[ContainerApps]) -> Self {
        let pod = |ContainerApps { pod, container, apps }: &ContainerApps| {
            let Apps { supervisor, apps, others, leases, sent } = apps.clone();
            PodApplications {
                pod: pod.clone(),
                container: container.clone(),
                supervisor,
                apps,
                others,
                leases,
                sent,
            }
        };
        Self { pods: seen.iter().map(pod).collect() }
    }
}

/// The table: a header, then one line for each application. `wide` adds who has it, the folder and the command;
/// without it, cells are cut to `most`, the width of a terminal.
pub(crate) fn table(
    seen: &[ContainerApps],
    wide: bool,
    most: Option<usize>,
    now_ms: u64,
) -> String {
    let pods = wide || seen.len() > 1;
    let mut titles =
        vec!["NAME", "PID", "STATUS", "SINCE", "CPU", "RSS", "RESTARTS", "LAST EXIT", "CONTENT"];
    if pods {
        titles.insert(0, "POD");
    }
    if wide {
        titles.extend(["REVISION", "SENT", "WHO", "LEFT", "FOLDER", "COMMAND"]);
    }
    let mut rows: Vec<Vec<String>> = vec![titles.into_iter().map(ToOwned::to_owned).collect()];
    for ContainerApps { pod, apps, .. } in seen {
        for app in &apps.apps {
            let mut row = row(app, now_ms);
            if pods {
                row.insert(0, pod.clone());
            }
            if wide {
                let words: Vec<_> = app.command.iter().map(super::words::quoted).collect();
                let lease = lease_of(&apps.leases, &app.name);
                let who = lease.map_or_else(|| "-".to_owned(), |lease| lease.who.clone());
                let left =
                    lease.and_then(|lease| lease.left_ms).map_or_else(|| "-".to_owned(), span);
                row.extend(origin(&app.content, now_ms));
                row.extend([who, left, app.cwd.show(), words.join(" ")]);
            }
            rows.push(row);
        }
    }
    columns_within(&rows, most.filter(|_| !wide))
}

/// The lease that covers an application.
pub(crate) fn lease_of<'a>(leases: &'a [Lease], app: &str) -> Option<&'a Lease> {
    leases.iter().find(|lease| lease.apps.iter().any(|own| own == app))
}

fn row(app: &App, now_ms: u64) -> Vec<String> {
    let (status, pid, last) = match &app.state {
        State::Running => ("Running", app.pid.to_string(), "-".to_owned()),
        State::Stopping => ("Stopping", app.pid.to_string(), "-".to_owned()),
        State::Ended(end) => {
            let ago = span(now_ms.saturating_sub(end.at_ms));
            // Processes that outlived the first one still count for CPU and memory.
            let status = if app.processes > 0 { "Ended, children run" } else { "Ended" };
            (status, "-".to_owned(), format!("{end}, {ago} ago"))
        }
    };
    vec![
        app.name.clone(),
        pid,
        status.to_owned(),
        span(now_ms.saturating_sub(app.since_ms)),
        span(app.cpu_ms),
        size(app.rss),
        app.restarts.to_string(),
        last,
        content(&app.content),
    ]
}

/// `a1b2c3d4e5 (dirty), 1 more`: the newest of what was sent for an application.
fn content(sent: &[SentContent]) -> String {
    let Some((newest, others)) = sent.split_last() else { return "-".to_owned() };
    let dirty = if newest.dirty { " (dirty)" } else { "" };
    let more = if others.is_empty() { String::new() } else { format!(", {} more", others.len()) };
    format!("{}{dirty}{more}", short(&newest.hash.to_string()))
}

/// The git revision of the newest, and who sent it when.
fn origin(sent: &[SentContent], now_ms: u64) -> [String; 2] {
    let Some(newest) = sent.last() else { return ["-", "-"].map(ToOwned::to_owned) };
    let revision = newest.revision.as_deref().map_or("-", short).to_owned();
    [revision, sent_by(newest, now_ms)]
}

/// `ann, 5m ago`
pub(crate) fn sent_by(sent: &SentContent, now_ms: u64) -> String {
    format!("{}, {} ago", sent.who, span(now_ms.saturating_sub(sent.at_ms)))
}

/// The first digits of a hash or a commit.
pub(crate) fn short(hash: &str) -> &str {
    hash.get(..10).unwrap_or(hash)
}

/// `0s`, `45s`, `3m12s`, `5h3m`, `2d4h`: as kubectl shows ages.
pub(crate) fn span(ms: u64) -> String {
    let s = ms / 1000;
    let (big, small) = match s {
        0..60 => return format!("{s}s"),
        60..3600 => ((s / 60, 'm'), (s % 60, 's')),
        3600..86400 => ((s / 3600, 'h'), (s % 3600 / 60, 'm')),
        _ => ((s / 86400, 'd'), (s % 86400 / 3600, 'h')),
    };
    match small.0 {
        0 => format!("{}{}", big.0, big.1),
        _ => format!("{}{}{}{}", big.0, big.1, small.0, small.1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diyadm_agent::protocol::{Bytes, End, Hash, Termination};

    #[test]
    fn ps_table_distinguishes_signals_and_out_of_memory() {
        let app = |name: &str, state| App {
            name: name.to_owned(),
            command: vec!["java".into(), "-jar".into(), Bytes(b"a b\xff.jar".to_vec())],
            cwd: "/".into(),
            state,
            pid: 42,
            since_ms: 1000,
            restarts: 1,
            processes: 1,
            cpu_ms: 61_500,
            rss: 320 << 20,
            lines: 3,
            debug_port: None,
            stand_in: false,
            ended_by: None,
            content: Vec::new(),
        };
        let ended = |how, oom| State::Ended(End { at_ms: 181_000, how, asked: false, oom });
        let killed = Termination::Signal { signal: 9, core: false };
        let one = |dirty| SentContent {
            path: "/app.jar".into(),
            hash: Hash([0xa1; 32]),
            files: None,
            revision: Some("0123456789abcdef".to_owned()),
            dirty,
            who: "ann".to_owned(),
            at_ms: 61_000,
        };
        let sent = vec![one(false), one(true)];
        let apps = vec![
            App { content: sent, ..app("a", State::Running) },
            App { processes: 0, rss: 0, ..app("b", ended(killed, true)) },
            App { processes: 0, rss: 0, ..app("c", ended(Termination::Exit { code: 1 }, false)) },
        ];
        let lease = Lease {
            who: "ben".to_owned(),
            apps: vec!["a".to_owned()],
            left_ms: Some(7_380_000),
            ..Lease::default()
        };
        let apps = Apps { apps, leases: vec![lease], ..Apps::default() };
        let seen = ContainerApps { pod: "web-1".to_owned(), container: "app".to_owned(), apps };
        let text = table(std::slice::from_ref(&seen), false, None, 241_000);
        assert_eq!(
            text,
            "NAME   PID   STATUS    SINCE   CPU    RSS     RESTARTS   LAST EXIT                         \
             CONTENT\n\
             a      42    Running   4m      1m1s   320Mi   1          -                                 \
             a1a1a1a1a1 (dirty), 1 more\n\
             b      -     Ended     4m      1m1s   0       1          SIGKILL (out of memory), 1m ago   \
             -\n\
             c      -     Ended     4m      1m1s   0       1          exit 1, 1m ago                    \
             -\n"
        );
        let wide = table(&[seen], true, Some(9), 241_000);
        assert!(wide.contains("web-1"), "{wide}");
        assert!(
            wide.contains("   0123456789   ann, 3m ago   ben   2h3m   /        java"),
            "{wide}"
        );
        let last = "-            -             -     -      /        java -jar 'a b\u{fffd}.jar'\n";
        assert!(wide.ends_with(last), "{wide}");
    }

    #[test]
    fn ps_durations_and_sizes_are_short() {
        let spans: Vec<_> = [0, 59_999, 60_000, 3_725_000, 97_200_000].map(span).into();
        assert_eq!(spans, ["0s", "59s", "1m", "1h2m", "1d3h"]);
        let sizes: Vec<_> = [0, 1, 1 << 20, 5 << 29].map(size).into();
        assert_eq!(sizes, ["0", "1Ki", "1Mi", "2.5Gi"]);
    }
}
