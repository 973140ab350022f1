//! The errors that the documentation explains, in one table.

/// A topic for each row, `ALL` of them, and their anchors.
macro_rules! topics {
    ($($(#[$doc:meta])* $topic:ident: $anchor:literal),* $(,)?) => {
        /// A kind of error that docs/en/troubleshooting.md explains.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Topic {
            $($(#[$doc])* $topic,)*
        }

        impl Topic {
            /// All of them. A test compares the anchors with the page.
            pub const ALL: &'static [Self] = &[$(Self::$topic),*];

            /// Its anchor on the page.
            pub const fn anchor(self) -> &'static str {
                match self {
                    $(Self::$topic => $anchor,)*
                }
            }
        }
    };
}

topics! {
    /// The agent in the container has another version.
    AgentVersion: "agent-version",
    /// An application of this name runs, or a request for it does.
    AlreadyRuns: "already-runs",
    /// The build command of diyadm.yaml failed.
    BuildFailed: "build-failed",
    /// A certificate, its key, its CA or csr.conf cannot be used.
    Certificates: "certificate-files",
    /// Another client changed or deleted the object at the same time.
    ChangedMeanwhile: "changed-meanwhile",
    /// An argument or a flag is invalid, or does not fit the others.
    CommandLine: "command-line",
    /// The user did not confirm the change.
    Confirmation: "confirmation",
    /// A copy of the workload cannot be made.
    Copy: "copy",
    /// Something undid the emptying.
    Drifted: "drifted",
    /// Something emptied the restored object again.
    EmptiedAgain: "emptied-again",
    /// Changes of local files cannot be watched.
    FileWatch: "file-watch",
    /// The user lacks a right.
    Forbidden: "forbidden",
    /// Another user has the container.
    Held: "held",
    /// The webhook or the policy is not installed as the command needs it.
    Installation: "installation",
    /// The lease of the container cannot be kept.
    Lease: "lease",
    /// The workload cannot be emptied, or opts out.
    LeftAlone: "left-alone",
    /// The container runs the workload's own application.
    Live: "live",
    /// A local file cannot be read or written.
    LocalFile: "local-file",
    /// A manifest cannot be used.
    Manifest: "manifest",
    /// No agent can be started in the container.
    NoAgent: "no-agent-in-container",
    /// The workload has no Pods.
    NoPods: "no-pods",
    /// The container's image lacks the program.
    NoProgram: "no-program",
    /// There is nothing to restore.
    NotEmpty: "not-empty",
    /// The object, its namespace, or a part of it does not exist.
    NotFound: "not-found",
    /// No such application was started in the container.
    NothingStarted: "nothing-started",
    /// The local port is in use.
    PortInUse: "port-in-use",
    /// diyadm.yaml, or the build file that it is made from, cannot be used.
    ProjectFile: "project-file",
    /// A Pod or a Job cannot be changed in place.
    Recreate: "recreate",
    /// The API server rejected the request.
    Rejected: "rejected",
    /// The Pod, or the processes in its container, are gone.
    Replaced: "replaced",
    /// rules.yaml, or the file of `--kinds`, cannot be used.
    RulesFile: "rules-file",
    /// The agent or an image needs a static program.
    StaticProgram: "static-program",
    /// Files cannot be sent or compared.
    Transfer: "transfer",
    /// The cluster could not be reached.
    Unreachable: "unreachable-cluster",
    /// What was saved of the original is not trusted.
    Untrusted: "untrusted",
    /// The Pods do not become ready, or do not end.
    Waiting: "waiting",
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
