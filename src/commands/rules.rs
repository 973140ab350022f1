//! `diyadm rules`: checks rules.yaml, explains its decisions, and lists annotations.

use std::path::Path;

use anyhow::Result;

use super::runtime;
use crate::{
    cli::{
        Global,
        rules::{Explain, Format, Rules},
    },
    doc_tables,
    exit::{Code, Failure, Topic},
    explain::{Explained, explain_object, is_workload},
    kubernetes::Cluster,
    operations::{emptying_flags, explain::explain_workloads, files},
    ui::terminal::{self, Terminal},
    workload::{self, Context},
    yaml,
};

pub(super) fn run(global: &Global, args: &Rules) -> Result<Code> {
    match args {
        Rules::Check { file } => check(&Terminal::new(&global.terminal), file),
        Rules::Explain(args) => explained(global, args),
        Rules::Annotations => {
            terminal::print(&doc_tables::annotations())?;
            Ok(Code::Done)
        }
    }
}

fn check(terminal: &Terminal, file: &Path) -> Result<Code> {
    let shown = file.display();
    let text = files::text(file).map_err(|error| {
        let hint = "Use a rules.yaml, or - for the standard input: `diyadm rules check FILE`.";
        Failure::usage(Topic::RulesFile, format!("{shown} could not be read: {error}."), hint)
    })?;
    let rules = workload::parse_rules(&text).map_err(|error| {
        let hint = "Fix that rule: docs/en/rules.md has the format, and `diyadm rules annotations` \
                    lists annotations of workloads.";
        Failure::usage(Topic::RulesFile, format!("{shown}: {error}."), hint)
            .with_details(error.snippet())
    })?;
    for sentence in workload::lint_rules(&rules) {
        terminal.warn(&format!("{shown}: {sentence}"));
    }
    terminal.done(&format!("{shown} is valid: {} rules", rules.len()), None);
    Ok(Code::Done)
}

fn explained(global: &Global, args: &Explain) -> Result<Code> {
    let all = if args.manifests.filename.is_empty() {
        runtime::run_interruptible("", async {
            let cluster = Cluster::connect(&global.connection).await?;
            let terminal = Terminal::new(&global.terminal);
            let webhook = args.webhook.as_deref();
            explain_workloads(&terminal, &cluster, &args.targets, &args.ways, webhook).await
        })?
    } else {
        manifests(args)?
    };
    terminal::print(&shown(&all, args.output)?)?;
    Ok(Code::Done)
}

fn manifests(args: &Explain) -> Result<Vec<Explained>> {
    let rules = emptying_flags::rules(&args.ways, None)?;
    let mut all = Vec::new();
    for document in
        files::read_manifests(&args.manifests.filename)?.into_iter().flat_map(|file| file.objects)
    {
        let object = document.value;
        let word = |key: &str| object["metadata"][key].as_str();
        let namespace = word("namespace").or(args.targets.namespace.as_deref()).unwrap_or_default();
        let context = Context { namespace, ..Context::default() };
        let name = word("name").or(word("generateName")).unwrap_or_default();
        if is_workload(&object) {
            all.extend(explain_object(&rules, &object, &context, name));
        }
    }
    if all.is_empty() {
        let hint = "Use manifests with Deployments, StatefulSets or another kind of workload.";
        return Err(
            Failure::usage(Topic::Manifest, "These files contain no workload.", hint).into()
        );
    }
    Ok(all)
}

fn shown(all: &[Explained], format: Format) -> Result<String> {
    Ok(match format {
        Format::Text => all.iter().map(Explained::text).collect::<Vec<_>>().join("\n"),
        Format::Json => serde_json::to_string_pretty(all)? + "\n",
        Format::Yaml => yaml::write(&serde_json::to_value(all)?)?,
    })
}
