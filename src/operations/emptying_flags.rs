//! Converts the emptying flags to rules, and to flags of `diyadm serve`.

use anyhow::Result;
use clap::ValueEnum;

use super::files;
use crate::{
    exit::{Failure, Topic},
    operations::flags::{self, EmptyingFlags},
    workload::{
        self, AGENT_IMAGE, Choice, EMPTY_IMAGE, Idle, Image, KEEP, Level, Ready, Rule, Rules,
    },
    yaml::ConfigError,
};

/// The text of --rules, and the rules in it.
pub(crate) fn read_rules(ways: &EmptyingFlags) -> Result<Option<(String, Vec<Rule>)>> {
    let Some(file) = &ways.rules else { return Ok(None) };
    let shown = file.display();
    let text = files::text(file).map_err(|error| {
        let what = format!("--rules {shown} could not be read: {error}.");
        let hint = "Use a readable file, or - for the standard input: `--rules FILE`.";
        Failure::usage(Topic::RulesFile, what, hint)
    })?;
    match workload::parse_rules(&text) {
        Ok(list) => Ok(Some((text, list))),
        Err(error) => Err(unusable(&shown.to_string(), &error).into()),
    }
}

/// The rules from the flags only.
pub(crate) fn flags(ways: &EmptyingFlags, (namespace, name): (&str, &str)) -> Rules {
    let idle = ways.idle.map(|idle| match idle {
        flags::Idle::Entrypoint => Idle::Entrypoint,
        flags::Idle::Shell => Idle::Shell,
        flags::Idle::Agent => Idle::Agent,
    });
    let level = ways.level.map(|level| match level {
        flags::Level::Workload => Level::Workload,
        flags::Level::Pod => Level::Pod,
    });
    let ready = ways.ready.map(|ready| match ready {
        flags::Ready::Container => Ready::Container,
        flags::Ready::App => Ready::App,
    });
    Rules {
        flags: Choice {
            empty: None,
            containers: ways.containers.clone(),
            image: ways.image.clone().map(Image::from),
            idle,
            level,
            replicas: None,
            ready,
            stand_in: ways.stand_in,
            time: None,
            shape: ways.shape.shape(),
        },
        list: Vec::new(),
        empty_image: ways.registry.image(EMPTY_IMAGE),
        agent_image: (ways.agent_image.clone()).unwrap_or_else(|| ways.registry.image(AGENT_IMAGE)),
        pull_secrets: ways.pull_secrets.image_pull_secrets.clone(),
        own: (namespace.to_owned(), name.to_owned()),
    }
}

/// The rules from all flags including --rules, for commands without a server.
pub(crate) fn rules(ways: &EmptyingFlags, replicas: Option<u32>) -> Result<Rules> {
    let own = Rules::default().own;
    let mut rules = flags(ways, (&own.0, &own.1));
    rules.flags.replicas = replicas;
    rules.list = read_rules(ways)?.map(|(_, list)| list).unwrap_or_default();
    Ok(rules)
}

/// The error for an invalid rules.yaml.
pub(crate) fn unusable(file: &str, error: &ConfigError) -> Failure {
    let hint = "Fix that rule; `diyadm rules check FILE` checks it.";
    Failure::usage(Topic::RulesFile, format!("{file}: {error}."), hint)
        .with_details(error.snippet())
}

/// The equivalent flags for `diyadm serve`, without --rules, which the server reads itself.
pub(crate) fn arguments(ways: &EmptyingFlags) -> Vec<String> {
    let word = |value: Option<clap::builder::PossibleValue>| value.map(|v| v.get_name().to_owned());
    let flags = [
        ("image", ways.image.clone()),
        ("idle", word(ways.idle.and_then(|idle| idle.to_possible_value()))),
        ("containers", ways.containers.clone()),
        ("level", word(ways.level.and_then(|level| level.to_possible_value()))),
        ("ready", word(ways.ready.and_then(|ready| ready.to_possible_value()))),
        ("stand-in", ways.stand_in.map(|stand_in| stand_in.to_string())),
        ("registry", ways.registry.registry.clone()),
        ("agent-image", ways.agent_image.clone()),
    ];
    let said = flags.into_iter().filter_map(|(name, value)| Some(format!("--{name}={}", value?)));
    let secrets = ways.pull_secrets.image_pull_secrets.iter();
    let said = said.chain(secrets.map(|name| format!("--image-pull-secret={name}")));
    said.chain(ways.shape.arguments()).collect()
}

/// The image of emptied workloads without a rule or annotation.
pub(crate) fn image(ways: &EmptyingFlags) -> String {
    let keeps = ways.stand_in == Some(true);
    let image = || if keeps { KEEP.to_owned() } else { ways.registry.image(EMPTY_IMAGE) };
    ways.image.clone().unwrap_or_else(image)
}
