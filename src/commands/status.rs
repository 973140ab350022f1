//! `diyadm status`: a table of empty workloads, read from the objects only.

use anyhow::Result;
use serde_json::Value;

use super::runtime;
use crate::{
    cli::{
        Global,
        status::{Output, Status},
    },
    exit::Code,
    kubernetes::{
        Cluster, POD,
        targets::{self, Unnamed},
    },
    operations::status::{applications, follow::Follow, surroundings::Surroundings},
    status::{self, Columns, Row, State},
    ui::{
        Redraw,
        terminal::{self, Terminal},
    },
    yaml,
};

pub(super) fn run(global: &Global, args: &Status) -> Result<Code> {
    let terminal = Terminal::new(&global.terminal);
    runtime::run_interruptible("", async {
        let cluster = Cluster::connect(&global.connection).await?;
        let targeted = targets::find(&cluster, &args.targets, Unnamed::All).await?;
        targeted.unseen.iter().for_each(|what| terminal.warn(what));
        let scope = cluster.scope(&args.targets);
        let is_table = args.output.is_none_or(|output| output == Output::Wide);
        let redraw = (args.watch && is_table).then(Redraw::new).flatten();
        let mut shown = Shown { args, before: Vec::new(), titled: false, redraw };
        let pods = cluster.list(&POD, scope, "").await.ok();
        if pods.is_none() {
            terminal.warn(
                "Pods may not be listed, so workloads that are empty at level pod are missing here",
            );
        }
        // Whether unreadable workloads are empty is unknown.
        let sees_all = targeted.everything && pods.is_some() && targeted.unseen.is_empty();
        let scalers = sees_all && args.output != Some(Output::Name);
        let (mut around, errors) =
            Surroundings::fetch(&cluster, scope, targeted.everything, scalers).await;
        let sees_webhooks = errors.is_empty();
        if args.watch {
            let sees_pods = pods.is_some();
            let follow = Follow { cluster: &cluster, scope, targeted: &targeted, sees_pods };
            let show = async |objects: &[Value], pods: &[Value]| {
                around.look_again().await;
                shown.news(around.rows(objects, pods).await)
            };
            follow.follow(&args.targets, Surroundings::OFTEN, show).await?;
            return Ok(Code::Done);
        }
        let pods = pods.unwrap_or_default();
        let objects = targeted.found.into_iter().map(|found| found.object.into_value());
        let objects: Vec<_> = objects.collect();
        let mut rows = around.rows(&objects, &pods).await;
        let others = objects.iter().filter(|object| !rows.iter().any(|row| row.is_of(object)));
        let others = others.count();
        if is_table && !sees_webhooks && others > 0 {
            terminal.warn(&format!(
                "you may not read webhooks and policies, so whether one would empty the {others} \
                 other workloads is not shown (state missed)"
            ));
        }
        if args.output.is_some_and(|output| output != Output::Name) {
            applications::ask(&cluster, &mut rows, &objects, &pods).await;
        }
        if rows.is_empty() && is_table {
            terminal.say(NOTHING);
        }
        if args.output.is_none() {
            for row in rows.iter().filter(|row| row.state == State::Stuck) {
                let (kind, name) = (row.kind.to_lowercase(), &row.name);
                terminal.warn(&format!("{kind}/{name} does not start: {}", row.note));
            }
        }
        shown.whole(&rows)
    })
}

/// Instead of a table without rows.
const NOTHING: &str = "Nothing is empty here.";

/// The rows that were printed.
struct Shown<'a> {
    args: &'a Status,
    before: Vec<Row>,
    titled: bool,
    /// For `--watch` on a terminal.
    redraw: Option<Redraw>,
}

impl Shown<'_> {
    /// Prints the whole table once.
    fn whole(&mut self, rows: &[Row]) -> Result<Code> {
        let text = match self.args.output {
            Some(Output::Json) => format!("{}\n", serde_json::to_string_pretty(rows)?),
            Some(Output::Yaml) => yaml::write(&serde_json::to_value(rows)?)?,
            _ => self.lines(rows),
        };
        terminal::print(&text)?;
        Ok(Code::Done)
    }

    /// Prints new and changed rows; rows of workloads that are no longer empty are printed as such.
    /// On a terminal the whole table is drawn again.
    fn news(&mut self, rows: Vec<Row>) -> Result<()> {
        if let Some(mut redraw) = self.redraw.take() {
            self.titled = false;
            let text = if rows.is_empty() { NOTHING.to_owned() } else { self.lines(&rows) };
            redraw.draw(&text)?;
            self.redraw = Some(redraw);
            return Ok(());
        }
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
        terminal::stream(&text)
    }

    fn lines(&mut self, rows: &[Row]) -> String {
        if self.args.output == Some(Output::Name) {
            let line = |row: &Row| {
                let dot = if row.group.is_empty() { "" } else { "." };
                format!("{}{dot}{}/{}\n", row.kind.to_lowercase(), row.group, row.name)
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
            most: terminal::table_width().filter(|_| self.args.output != Some(Output::Wide)),
        };
        let now = jiff::Timestamp::now().as_second();
        status::table(rows, columns, now)
    }
}
