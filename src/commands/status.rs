//! `diyadm status`: one board of what is empty, read from the objects alone.

use std::collections::BTreeMap;

use anyhow::Result;
use futures_util::{FutureExt, future::try_join_all};
use serde_json::Value;
use tokio::sync::mpsc;

use self::watchers::Watchers;
use super::{
    runtime,
    terminal::{self, Terminal},
};
use crate::{
    board::{self, Columns, Row},
    cli::{
        Global,
        status::{Output, Status},
    },
    cluster::{
        Cluster, Kind, POD, Sight, WORKLOADS,
        targets::{self, Targeted, Unnamed},
    },
    exit::Code,
    yaml,
};

mod watchers;

/// Changes that come closer together than this are shown together.
const QUIET: std::time::Duration = std::time::Duration::from_millis(200);

pub(super) fn run(global: &Global, args: &Status) -> Result<Code> {
    let terminal = Terminal::new(global);
    runtime::run("", async {
        let cluster = Cluster::connect(global).await?;
        let targeted = targets::find(&cluster, &args.targets, Unnamed::All).await?;
        targeted.unseen.iter().for_each(|what| terminal.warn(what));
        let namespace = args.targets.namespace.as_deref().unwrap_or(cluster.namespace());
        let namespace = if args.targets.all_namespaces { "" } else { namespace };
        let watchers = Watchers::look(&terminal, &cluster, namespace).await;
        let mut shown = Shown { args, before: Vec::new(), titled: false };
        if args.watch {
            return follow(&cluster, args, namespace, &targeted, &watchers, &mut shown).await;
        }
        let pods = cluster.list(&POD, namespace, "").await.unwrap_or_else(|_| {
            terminal
                .warn("Pods may not be listed, so those that are empty at level pod are not seen");
            Vec::new()
        });
        let objects: Vec<_> = targeted.found.into_iter().map(|found| found.object).collect();
        let rows = board::rows(&objects, &pods, |object| watchers.would_empty(object));
        if rows.is_empty() && args.output.is_none_or(|output| output == Output::Wide) {
            terminal.say("Nothing is empty here.");
        }
        shown.whole(&rows)
    })
}

/// Prints each line again as it changes, until Ctrl-C.
async fn follow(
    cluster: &Cluster,
    args: &Status,
    namespace: &str,
    targeted: &Targeted,
    watchers: &Watchers,
    shown: &mut Shown<'_>,
) -> Result<Code> {
    let (tell, mut hear) = mpsc::unbounded_channel();
    let named: Vec<_> =
        targeted.found.iter().map(|found| (found.kind, found.name.clone())).collect();
    let is_meant = |kind: &'static Kind, object: &Value| {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        !targeted.named || named.iter().any(|(k, n)| *k == kind && n == name)
    };
    let (labels, fields) =
        (args.targets.selector.as_deref(), args.targets.field_selector.as_deref());
    // Pods are followed whole, for level pod: a selector is about the workloads.
    let follows = WORKLOADS.map(|kind| {
        let (labels, fields) = if kind == &POD { (None, None) } else { (labels, fields) };
        cluster.follow(kind, namespace, labels, fields, &tell).boxed_local()
    });
    let listen = async {
        let mut seen: BTreeMap<(&'static str, String, String), Value> = BTreeMap::new();
        let key = |kind: &'static Kind, object: &Value| {
            let text =
                |name: &str| object["metadata"][name].as_str().unwrap_or_default().to_owned();
            (kind.kind, text("namespace"), text("name"))
        };
        let mut lists = 0;
        while let Some(first) = hear.recv().await {
            let mut next = Some(first);
            while let Some((kind, sight)) = next {
                match sight {
                    Sight::All(all) => {
                        lists += 1;
                        seen.retain(|(of, ..), _| *of != kind.kind);
                        seen.extend(all.into_iter().map(|object| (key(kind, &object), object)));
                    }
                    Sight::Set(object) => drop(seen.insert(key(kind, &object), object)),
                    Sight::Gone(object) => drop(seen.remove(&key(kind, &object))),
                }
                next = tokio::time::timeout(QUIET, hear.recv()).await.ok().flatten();
            }
            if lists < WORKLOADS.len() {
                continue;
            }
            let kinds = WORKLOADS.iter().copied();
            let meant = kinds.flat_map(|kind| {
                let of_kind = seen.iter().filter(move |((of, ..), _)| *of == kind.kind);
                of_kind.map(move |(_, object)| (kind, object))
            });
            let meant = meant.filter(|(kind, object)| is_meant(kind, object));
            let objects: Vec<_> = meant.map(|(_, object)| object.clone()).collect();
            let pods = seen.iter().filter(|((of, ..), _)| *of == POD.kind);
            let pods: Vec<_> = pods.map(|(_, pod)| pod.clone()).collect();
            shown.news(board::rows(&objects, &pods, |object| watchers.would_empty(object)))?;
        }
        anyhow::Ok(())
    };
    tokio::select! {
        ended = try_join_all(follows) => drop(ended?),
        ended = listen => ended?,
    }
    Ok(Code::Done)
}

/// What is on the board already.
struct Shown<'a> {
    args: &'a Status,
    before: Vec<Row>,
    titled: bool,
}

impl Shown<'_> {
    /// Prints all of it, once.
    fn whole(&mut self, rows: &[Row]) -> Result<Code> {
        let text = match self.args.output {
            Some(Output::Json) => format!("{}\n", serde_json::to_string_pretty(rows)?),
            Some(Output::Yaml) => yaml::write(&serde_json::to_value(rows)?)?,
            _ => self.lines(rows),
        };
        terminal::print(&text)?;
        Ok(Code::Done)
    }

    /// Prints the lines that are new, or others than before; those that are gone are told as
    /// such.
    fn news(&mut self, rows: Vec<Row>) -> Result<()> {
        let same = |one: &Row, other: &Row| {
            (&one.namespace, &one.kind, &one.name) == (&other.namespace, &other.kind, &other.name)
        };
        let mut news: Vec<_> =
            rows.iter().filter(|row| !self.before.contains(row)).cloned().collect();
        let gone = self.before.iter().filter(|row| !rows.iter().any(|other| same(row, other)));
        news.extend(gone.map(|row| row.clone().gone()));
        self.before = rows;
        let text = match self.args.output {
            Some(Output::Json) => {
                let lines = news.iter().map(|row| Ok(format!("{}\n", serde_json::to_string(row)?)));
                lines.collect::<Result<String>>()?
            }
            Some(Output::Yaml) => {
                let documents = news
                    .iter()
                    .map(|row| Ok(format!("---\n{}", yaml::write(&serde_json::to_value(row)?)?)));
                documents.collect::<Result<String>>()?
            }
            _ => self.lines(&news),
        };
        terminal::print(&text)
    }

    fn lines(&mut self, rows: &[Row]) -> String {
        if self.args.output == Some(Output::Name) {
            let line = |row: &Row| {
                let kind = WORKLOADS.iter().find(|kind| kind.kind == row.kind);
                let group = kind.map_or("", |kind| kind.group);
                let dot = if group.is_empty() { "" } else { "." };
                format!("{}{dot}{group}/{}\n", row.kind.to_lowercase(), row.name)
            };
            return rows.iter().map(line).collect();
        }
        if rows.is_empty() {
            return String::new();
        }
        let columns = Columns {
            namespace: self.args.targets.all_namespaces,
            wide: self.args.output == Some(Output::Wide),
            titles: !std::mem::replace(&mut self.titled, true),
        };
        let now = jiff::Timestamp::now().as_second();
        board::table(rows, columns, now)
    }
}
