//! `diyadm status`: a table of empty workloads, read from the objects only.

use anyhow::Result;

use super::runtime;
use crate::{
    cli::Global,
    exit::Code,
    kubernetes::Cluster,
    operations::{
        flags::status::{StatusArgs, StatusFormat},
        status::{
            applications::{self, Agents},
            printer::{NOTHING, StatusPrinter},
            sources::StatusSources,
            surroundings::Surroundings,
            watched::Watched,
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
        let mut sources = StatusSources::read(&cluster, &args.targets, autoscalers).await?;
        sources.unseen().iter().for_each(|what| terminal.warn(what));
        let is_table = args.output.is_none_or(|output| output == StatusFormat::Wide);
        let mut printer = StatusPrinter::new(args, &cluster);
        if args.watch {
            let show = async |watched: &mut Watched, surroundings: &mut Surroundings<'_>, _| {
                surroundings.read_again(Surroundings::OFTEN, watched).await;
                printer.print_changes(surroundings.rows(watched).await)
            };
            sources.follow(Surroundings::OFTEN, show).await?;
            return Ok(Code::Done);
        }
        let mut rows = sources.rows().await;
        let others = sources.watched.live();
        // Few users may read them, and few need that.
        if args.output == Some(StatusFormat::Wide) && !sources.sees_webhooks && others > 0 {
            terminal.say(&format!(
                "Webhooks and policies may not be read, so whether one would empty the {others} \
                 other workloads is not shown (state missed)."
            ));
        }
        if args.output.is_some_and(|output| output != StatusFormat::Name) {
            let (objects, pods) = sources.watched.objects(&rows);
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
