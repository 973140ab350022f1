//! `diyadm status`: a table of empty workloads, read from the objects only.

use anyhow::Result;
use serde_json::Value;

use super::runtime;
use crate::{
    cli::Global,
    exit::Code,
    kubernetes::Cluster,
    operations::{
        flags::status::{StatusArgs, StatusFormat},
        status::{
            applications::{self, Agents},
            follow::Follow,
            printer::{NOTHING, StatusPrinter},
            sources::StatusSources,
            surroundings::Surroundings,
        },
    },
    status::State,
    ui::terminal::Terminal,
};

pub(super) fn run(global: &Global, args: &StatusArgs) -> Result<Code> {
    let terminal = Terminal::new(&global.terminal);
    runtime::run_interruptible("", async {
        let cluster = Cluster::connect(&global.connection).await?;
        let autoscalers = args.output != Some(StatusFormat::Name);
        let sources = StatusSources::read(&cluster, &args.targets, autoscalers).await?;
        sources.unseen(sources.pods.is_some()).iter().for_each(|what| terminal.warn(what));
        let StatusSources { scope, targeted, pods, mut around, sees_webhooks } = sources;
        let is_table = args.output.is_none_or(|output| output == StatusFormat::Wide);
        let mut printer = StatusPrinter::new(args);
        if args.watch {
            let sees_pods = pods.is_some();
            let follow = Follow { cluster: &cluster, scope, targeted: &targeted, sees_pods };
            let show = async |objects: &[Value], pods: &[Value], _| {
                around.look_again(Surroundings::OFTEN).await;
                printer.print_changes(around.rows(objects, pods).await)
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
        // Few users may read them, and few need that.
        if args.output == Some(StatusFormat::Wide) && !sees_webhooks && others > 0 {
            terminal.say(&format!(
                "Webhooks and policies may not be read, so whether one would empty the {others} \
                 other workloads is not shown (state missed)."
            ));
        }
        if args.output.is_some_and(|output| output != StatusFormat::Name) {
            let answers = Agents::new(&cluster).ask(&rows, &objects, &pods).await;
            applications::add(&mut rows, answers);
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
        printer.print_all(&rows)?;
        Ok(Code::Done)
    })
}
