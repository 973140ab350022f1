//! What the keys of the screen do to a workload: each is a command that the user could type.

use super::item::Item;
use crate::kinds::Kind;

/// A key that runs a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyAction {
    /// `diyadm empty`
    Empty,
    /// `diyadm restore`
    Restore,
    /// `diyadm run`
    Run,
    /// `diyadm shell`
    Shell,
    /// `diyadm logs`
    Logs,
    /// `diyadm forward`
    Forward,
    /// `diyadm run --take-over`
    TakeOver,
    /// `diyadm extend`
    Extend,
}

impl KeyAction {
    /// In the order of the line of keys.
    pub const ALL: [Self; 8] = [
        Self::Empty,
        Self::Restore,
        Self::Run,
        Self::Shell,
        Self::Logs,
        Self::Forward,
        Self::TakeOver,
        Self::Extend,
    ];

    /// Its key.
    pub fn key(self) -> char {
        match self {
            Self::Empty => 'e',
            Self::Restore => 'r',
            Self::Run => 'x',
            Self::Shell => 's',
            Self::Logs => 'l',
            Self::Forward => 'f',
            Self::TakeOver => 't',
            Self::Extend => '+',
        }
    }

    /// Its subcommand.
    pub fn command(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Restore => "restore",
            Self::Run | Self::TakeOver => "run",
            Self::Shell => "shell",
            Self::Logs => "logs",
            Self::Forward => "forward",
            Self::Extend => "extend",
        }
    }

    /// Its word in the line of keys.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::TakeOver => "take over",
            other => other.command(),
        }
    }

    /// What it does, for the help.
    pub(super) fn help(self) -> &'static str {
        match self {
            Self::Empty => "empty the workload; flags can be added before it starts",
            Self::Restore => "restore the workload; flags can be added before it starts",
            Self::Run => "start an application in it: type the command",
            Self::Shell => "open a terminal in its container",
            Self::Logs => "follow the output of its application, until Ctrl-C",
            Self::Forward => "forward ports to it: type LOCAL:REMOTE or PORT, until Ctrl-C",
            Self::TakeOver => "stop what another person runs, and start an application",
            Self::Extend => "keep the container for longer: type the time, as 2h",
        }
    }

    /// Whether the command line is shown for more words, or for a consent, before it runs.
    pub(super) fn asks(self) -> bool {
        !matches!(self, Self::Shell | Self::Logs)
    }

    /// Why it makes no sense for a workload in this state.
    pub(super) fn refusal(self, item: &Item) -> Option<String> {
        let shown = item.key.shown();
        if item.kind.is_none() {
            return Some(format!("{shown} cannot be changed here: {}", item.note));
        }
        match self {
            Self::Restore if item.state.is_none() => Some(format!("{shown} is not empty")),
            Self::Run | Self::Shell | Self::Logs | Self::TakeOver | Self::Extend
                if !item.is_empty() =>
            {
                Some(format!("{shown} is not empty; press e to empty it"))
            }
            _ => None,
        }
    }

    /// The words after the program's name. `flags` select the cluster, each after a blank.
    pub(super) fn words(self, item: &Item, flags: &str) -> String {
        let kind = item.kind.map_or_else(|| item.key.kind.to_lowercase(), Kind::singular);
        let (command, key) = (self.command(), &item.key);
        let base = format!("{command} {kind}/{} -n {}{flags}", key.name, key.namespace);
        match self {
            Self::Empty | Self::Restore | Self::Shell => base,
            Self::Run => format!("{base} -- "),
            Self::Logs => format!("{base} -f"),
            Self::Forward | Self::Extend => format!("{base} "),
            Self::TakeOver => format!("{base} --take-over -- "),
        }
    }
}
