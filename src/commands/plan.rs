//! `diyadm plan`: shows what `diyadm empty` would do, or why not. Only reads.

use anyhow::Result;

use super::runtime;
use crate::{
    cli::{Global, plan, rules::Format},
    exit::Code,
    kubernetes::{Cluster, targets::Selection},
    operations::{
        empty::requested,
        emptying_flags,
        plan::{manifests, plans},
    },
    plan::{Does, WorkloadPlan},
    ui::terminal::{self, Terminal},
    yaml,
};

pub(super) fn run(global: &Global, args: &plan::Plan) -> Result<Code> {
    let terminal = Terminal::new(&global.terminal);
    let (plans, selection) = if args.manifests.filename.is_empty() {
        requested::check(&args.ways, args.scale, None)?;
        let rules = emptying_flags::rules(&args.ways, None)?;
        let how =
            requested::annotations(&args.ways, args.scale, args.stand_in.command.as_deref(), None);
        runtime::run_interruptible("", async {
            let cluster = Cluster::connect(&global.connection).await?;
            plans(&terminal, &cluster, &args.targets, (how, args.ways.level), &rules).await
        })?
    } else {
        let rules = emptying_flags::rules(&args.ways, args.scale.replicas)?;
        let namespace = args.targets.namespace.as_deref();
        let how = (args.scale, args.stand_in.command.as_deref());
        let plans = manifests::plans(&args.manifests.filename, namespace, how, &rules)?;
        (plans, Selection::Together)
    };
    terminal::print(&match args.output {
        Format::Text if args.targets.all_namespaces => {
            let lines = plans.iter().map(WorkloadPlan::summary).collect::<String>();
            terminal.say("For all details of one: `diyadm plan KIND/NAME -n NAMESPACE`.");
            lines
        }
        Format::Text => plans.iter().map(WorkloadPlan::text).collect::<Vec<_>>().join("\n"),
        Format::Json => serde_json::to_string_pretty(&plans)? + "\n",
        Format::Yaml => yaml::write(&serde_json::to_value(&plans)?)?,
    })?;
    let stays =
        selection == Selection::Named && plans.iter().any(|plan| plan.does == Does::Nothing);
    Ok(if stays { Code::No } else { Code::Done })
}
