//! Reads the settings of one workload from its annotations.

use serde::de::DeserializeOwned;

use super::{Choice, Image, RuleInput, StandIn, image_name};
use crate::workload::{
    Shape,
    annotations::{
        CONTAINERS, IDLE, IMAGE, LEVEL, READY, REPLICAS, SHAPE, STAND_IN, STAND_IN_COMMAND, SUSPEND,
    },
};

/// The annotation's value, read by `read`.
fn value<T>(
    about: &RuleInput<'_>,
    key: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, String> {
    let found = about.annotations.iter().find(|(known, _)| *known == key);
    let read =
        |text: &str| read(text).ok_or_else(|| format!("annotation {key} has the value {text:?}"));
    found.map(|(_, text)| read(text)).transpose()
}

/// Parses a value of an enum.
fn word<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_value(text.into()).ok()
}

/// The settings that a rule or a flag can set too.
pub(super) fn choice(about: &RuleInput<'_>) -> Result<Choice, String> {
    Ok(Choice {
        empty: None,
        containers: value(about, CONTAINERS, |text| Some(text.to_owned()))?,
        image: value(about, IMAGE, |text| image_name(text).ok())?.map(Image::from),
        idle: value(about, IDLE, word)?,
        level: value(about, LEVEL, word)?,
        replicas: value(about, REPLICAS, |text| text.parse().ok())?,
        ready: value(about, READY, word)?,
        stand_in: value(about, STAND_IN, |text| text.parse().ok())?,
        // The time itself is an annotation, and not how long it is.
        time: None,
        shape: shape(about)?,
    })
}

/// The Pod's shape.
fn shape(about: &RuleInput<'_>) -> Result<Shape, String> {
    let found = about.annotations.iter().find(|(known, _)| *known == SHAPE);
    let read = |text: &str| {
        Shape::from_annotation(text).map_err(|why| format!("annotation {SHAPE}: {why}"))
    };
    found.map_or_else(|| Ok(Shape::default()), |(_, text)| read(text))
}

/// Whether a CronJob is suspended.
pub(super) fn suspends(about: &RuleInput<'_>) -> Result<bool, String> {
    Ok(value(about, SUSPEND, |text| text.parse().ok())?.unwrap_or_default())
}

/// The stand-in's own settings.
pub(super) fn stand_in(about: &RuleInput<'_>) -> Result<StandIn, String> {
    Ok(StandIn { command: value(about, STAND_IN_COMMAND, stand_in_command)? })
}

/// A command line that a container can have, from a JSON list.
pub fn stand_in_command(text: &str) -> Option<Vec<String>> {
    let words: Vec<String> = serde_json::from_str(text).ok()?;
    let is_named = words.first().is_some_and(|program| !program.is_empty());
    (is_named && !words.iter().any(|word| word.contains('\0'))).then_some(words)
}
