//! The errors that the documentation explains, in one table.

/// A kind of error that docs/en/troubleshooting.md explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// The agent in the container has another version.
    AgentVersion,
    /// The build command of diyadm.yaml failed.
    BuildFailed,
    /// Another client changed or deleted the object at the same time.
    ChangedMeanwhile,
    /// Something undid the emptying.
    Drifted,
    /// The user lacks a right.
    Forbidden,
    /// Another user has the container.
    Held,
    /// The container runs the workload's own application.
    Live,
    /// No agent can be started in the container.
    NoAgent,
    /// The workload has no Pods.
    NoPods,
    /// The container's image lacks the program.
    NoProgram,
    /// There is nothing to restore.
    NotEmpty,
    /// The object, or its namespace, does not exist.
    NotFound,
    /// No application was started in the container.
    NothingStarted,
    /// The local port is in use.
    PortInUse,
    /// A Pod or a Job cannot be changed in place.
    Recreate,
    /// The API server rejected the request.
    Rejected,
    /// The Pod, or the processes in its container, are gone.
    Replaced,
    /// The cluster could not be reached.
    Unreachable,
    /// The saved original is not trusted.
    Untrusted,
    /// The Pods do not become ready.
    Waiting,
}

impl Topic {
    /// All of them. A test compares the anchors with the page.
    pub const ALL: [Self; 20] = [
        Self::AgentVersion,
        Self::BuildFailed,
        Self::ChangedMeanwhile,
        Self::Drifted,
        Self::Forbidden,
        Self::Held,
        Self::Live,
        Self::NoAgent,
        Self::NoPods,
        Self::NoProgram,
        Self::NotEmpty,
        Self::NotFound,
        Self::NothingStarted,
        Self::PortInUse,
        Self::Recreate,
        Self::Rejected,
        Self::Replaced,
        Self::Unreachable,
        Self::Untrusted,
        Self::Waiting,
    ];

    /// Its anchor on the page.
    pub const fn anchor(self) -> &'static str {
        match self {
            Self::AgentVersion => "agent-version",
            Self::BuildFailed => "build-failed",
            Self::ChangedMeanwhile => "changed-meanwhile",
            Self::Drifted => "drifted",
            Self::Forbidden => "forbidden",
            Self::Held => "held",
            Self::Live => "live",
            Self::NoAgent => "no-agent-in-container",
            Self::NoPods => "no-pods",
            Self::NoProgram => "no-program",
            Self::NotEmpty => "not-empty",
            Self::NotFound => "not-found",
            Self::NothingStarted => "nothing-started",
            Self::PortInUse => "port-in-use",
            Self::Recreate => "recreate",
            Self::Rejected => "rejected",
            Self::Replaced => "replaced",
            Self::Unreachable => "unreachable-cluster",
            Self::Untrusted => "untrusted",
            Self::Waiting => "waiting",
        }
    }
}

/// The line that names the page with these anchors, each once; empty without anchors.
pub fn page<'a>(anchors: impl IntoIterator<Item = &'a str>) -> String {
    let mut links: Vec<_> = Vec::new();
    for anchor in anchors {
        let link = format!("#{anchor}");
        if !links.contains(&link) {
            links.push(link);
        }
    }
    if links.is_empty() {
        return String::new();
    }
    format!("docs/en/troubleshooting.md explains: {}", links.join(", "))
}
