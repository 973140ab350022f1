//! `diyadm plan`: shows what `diyadm empty` would do, or why not. Only reads.

use anyhow::Result;

use super::runtime;
use crate::{
    cli::{Global, plan, rules::Format},
    exit::{Code, Failure},
    explain::is_workload,
    kinds::CRON_JOB,
    kubernetes::{Cluster, targets::Selection},
    operations::{empty::decision as empty, emptying_flags, files},
    plan::{Decided, Does, Plan, plan},
    ui::terminal::{self, Terminal},
    workload::{
        Context, Decision, LABEL, Level, RequestedAnnotation, Rules, SUSPEND, Settled, Subject,
        Warning,
    },
    yaml,
};

mod judged;
mod rights;
mod workload;

pub(super) fn run(global: &Global, args: &plan::Plan) -> Result<Code> {
    let terminal = Terminal::new(&global.terminal);
    let (plans, selection) = if args.manifests.filename.is_empty() {
        empty::check(&args.ways, args.scale)?;
        let rules = emptying_flags::rules(&args.ways, None)?;
        runtime::run("", async {
            let cluster = Cluster::connect(&global.connection).await?;
            workload::plans(&terminal, &cluster, args, &rules).await
        })?
    } else {
        (
            manifests(args, &emptying_flags::rules(&args.ways, args.scale.replicas)?)?,
            Selection::Together,
        )
    };
    terminal::print(&match args.output {
        Format::Text => plans.iter().map(Plan::text).collect::<Vec<_>>().join("\n"),
        Format::Json => serde_json::to_string_pretty(&plans)? + "\n",
        Format::Yaml => yaml::write(&serde_json::to_value(&plans)?)?,
    })?;
    let stays =
        selection == Selection::Named && plans.iter().any(|plan| plan.does == Does::Nothing);
    Ok(if stays { Code::No } else { Code::Done })
}

/// Plans for workloads in manifests: nothing is known about other objects.
fn manifests(args: &plan::Plan, rules: &Rules) -> Result<Vec<Plan>> {
    let mut plans = Vec::new();
    for document in files::read(&args.manifests.filename)?.into_iter().flat_map(|file| file.objects)
    {
        let object = document.value;
        let text = object.to_string();
        let Some(subject) = Subject::parse(&text).filter(|_| is_workload(&object)) else {
            continue;
        };
        let namespace = object["metadata"]["namespace"].as_str();
        let namespace = namespace.or(args.targets.namespace.as_deref()).unwrap_or_default();
        let suspends = args.scale.suspend_cronjobs && subject.workload() == Some(&CRON_JOB);
        let suspend =
            RequestedAnnotation { key: SUSPEND, value: Some("true".to_owned()), forget: false };
        let requested_annotations: Vec<_> = suspends.then_some(suspend).into_iter().collect();
        let context = Context {
            namespace,
            requested_annotations: &requested_annotations,
            ..Context::default()
        };
        let decided = offline(&subject, rules, &context)?;
        plans.push(plan(rules, &object, &context, decided, &[]));
    }
    if plans.is_empty() {
        let hint = "Use manifests with Deployments, StatefulSets or another kind of workload.";
        return Err(Failure::usage("These files contain no workload.", hint).into());
    }
    Ok(plans)
}

/// The result of `diyadm mutate`.
fn offline(subject: &Subject<'_>, rules: &Rules, context: &Context<'_>) -> Result<Decided> {
    let (settled, change) = subject.settle(rules, context);
    let mut decided = Decided {
        does: Does::Template,
        why: String::new(),
        hint: String::new(),
        operations: serde_json::from_str(&change.patch)?,
        warnings: change.warnings.iter().map(Warning::message).collect(),
    };
    if !decided.operations.is_empty() && settled == Settled::Emptied {
        return Ok(decided);
    }
    let way = subject.decide(rules, context);
    (decided.does, decided.why) = match way {
        Err(why) => (Does::Nothing, why),
        Ok(_) if subject.declines() => (Does::Nothing, format!("{LABEL} there opts it out")),
        Ok(Decision { way, rule, .. }) if !way.empty => {
            let rule = rule.map(|rule| format!("rule {rule}")).unwrap_or_default();
            (Does::Nothing, format!("{rule} opts it out"))
        }
        Ok(Decision { way, .. }) if way.level == Level::Pod && subject.kind() != "Pod" => {
            (Does::Pods, "a webhook or policy empties them when they are created".to_owned())
        }
        Ok(_) if subject.is_emptied() => (Does::Already, String::new()),
        Ok(_) => {
            let why = change
                .warnings
                .first()
                .map_or_else(|| "there is nothing to empty in it".to_owned(), ToString::to_string);
            (Does::Nothing, why)
        }
    };
    Ok(decided)
}
