//! Warnings of emptying and restoring. Code branches on the value; only this module has the texts.

use thiserror::Error;

use super::{
    CONTAINERS, DEBUG_PORT, LABEL, ORIGINAL, SERVICE_TYPE, STAND_IN_COMMAND,
    annotations::{DEBUG_PORT_NAME, SERVICE_TYPES},
};

/// Identifies the sender: the API server passes on the warnings of all webhooks.
pub const WARNING_PREFIX: &str = "diyadm: ";

/// Maximum length of a warning that the API server passes on.
const LONGEST: usize = 120;

/// A warning for the user about one object. Displays as a sentence without its full stop.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Warning {
    /// The decision for the object cannot be executed.
    #[error("not emptied: {0}")]
    NotEmptied(String),
    /// Nothing says what the stand-in of a container runs.
    #[error("not emptied: {STAND_IN_COMMAND} is missing, and so is the command of container {0}")]
    NoStandInCommand(String),
    /// It has the emptied form, but no original.
    #[error("it runs the empty container already, without an original")]
    AlreadyEmpty,
    /// One of the named containers cannot be emptied.
    #[error("{named_by} names {fault}: {name}")]
    Containers {
        /// Where the containers are named.
        named_by: NamedBy,
        /// The problem.
        fault: ContainerFault,
        /// The container's name.
        name: String,
    },
    /// Windows has no suitable shell.
    #[error("a Windows pod stays as it is")]
    Windows,
    /// The agent cannot be added.
    #[error("volumes or initContainers are not lists")]
    NoLists,
    /// The original does not fit.
    #[error("left as it is: its original does not fit into the 256 KiB limit of annotations")]
    TooLarge,
    /// The original was changed or is damaged.
    #[error("{ORIGINAL} is not trusted: {0}")]
    Untrusted(String),
    /// An emptied revision was rolled back to.
    #[error(
        "an emptied revision was rolled back to without its original: what it runs stays as \
             it was"
    )]
    UndoneWithoutOriginal,
    /// Restored by the user's own update.
    #[error("restored; removing {LABEL} empties it again")]
    Restored,
    /// Opted out by an earlier restore.
    #[error("it is still opted out; removing {LABEL} empties it again")]
    StillOptedOut,
    /// A Job or Pod.
    #[error("its pod cannot change any more; delete it and create it again")]
    Immutable,
    /// A Service without a cluster address of its own.
    #[error("a Service that is headless or an ExternalName stays as it is")]
    ServiceWithoutAddress,
    /// The annotation's value.
    #[error("{DEBUG_PORT} is not a port: {0}")]
    DebugPort(String),
    /// The Service has the port.
    #[error("the Service already has port {0}")]
    PortTaken(u16),
    /// The Service has a port of the name.
    #[error("another port of the Service is called {DEBUG_PORT_NAME}")]
    PortNameTaken,
    /// The annotation's value.
    #[error("{SERVICE_TYPE} is none of {}: {kind}", SERVICE_TYPES.join(", "))]
    ServiceType {
        /// It.
        kind: String,
    },
    /// The effect of a write, and how to check or change it.
    #[error("{0}")]
    Announcement(String),
    /// The API server would not accept the object.
    #[error("left as it is: the API server would reject it: {0}")]
    Invalid(String),
    /// A part of the object is longer than the limit.
    #[error("left as it is: {0}")]
    TooLong(&'static str),
    /// A bug: nothing is changed.
    #[error("left as it is: the patch does not apply")]
    PatchFails,
    /// A bug, as the webhook reports it.
    #[error("a bug kept this object from being changed; please report it")]
    Bug,
    /// A document of a file, such as the values of a chart.
    #[error("passed on as it is: this is not a Kubernetes object, without apiVersion or kind")]
    NoKind,
    /// A review without an object.
    #[error("the review has no object")]
    NoObject,
    /// A review whose parts contradict each other.
    #[error("the kind of the review differs from its object's; left as it is")]
    KindMismatch,
}

/// Where the containers to empty are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NamedBy {
    /// The annotation of the object.
    #[error("{CONTAINERS}")]
    Annotation,
    /// The rule of this number.
    #[error("`containers` of rule {0}")]
    Rule(usize),
    /// The command line.
    #[error("--containers")]
    Flag,
}

/// Why a named container cannot be emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ContainerFault {
    /// A service mesh or another controller has added it.
    #[error("an injected container")]
    Injected,
    /// There is no container of this name.
    #[error("no container")]
    Missing,
}

impl Warning {
    /// The text that the API server passes on to the user: it names the sender, and is cut to 120
    /// characters, as the API server requires.
    pub fn message(&self) -> String {
        let mut message = format!("{WARNING_PREFIX}{self}");
        if let Some((end, _)) = message.char_indices().nth(LONGEST) {
            message.truncate(end);
        }
        message
    }

    /// Whether the API server passes on the whole text.
    pub(super) fn fits(&self) -> bool {
        format!("{WARNING_PREFIX}{self}").chars().count() <= LONGEST
    }

    /// Why the object was not emptied.
    pub fn reason(&self) -> String {
        let text = self.to_string();
        text.strip_prefix("not emptied: ").map_or_else(|| text.clone(), ToOwned::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warning_fits_the_api_servers_limit() {
        let warning = Warning::NotEmptied("é".repeat(200));
        assert_eq!(warning.message().chars().count(), LONGEST);
        assert_eq!(warning.reason().chars().count(), 200);
    }
}
