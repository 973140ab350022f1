//! The command line: clap derive types, and nothing but types.

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::workload::{ENABLED, LABEL};

pub mod agent;
mod alone;
pub mod check;
pub mod dev;
pub mod empty;
pub mod init;
pub mod install;
pub mod mutate;
pub mod plan;
pub mod render;
pub mod rights;
pub mod rules;
pub mod serve;
mod spelling;
pub mod status;
pub mod targets;
pub mod verify;
pub mod version;
pub mod ways;

pub use alone::alone;
pub use spelling::{harmless, normalized, tip, warnings};

/// Turns any Kubernetes workload into a small Linux for a developer, and back.
#[derive(Parser, Debug)]
#[command(name = "diyadm", version, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Label the namespace, make the certificates and keep them in the Secret
    Init(init::Init),
    /// Print the webhook's manifests, with the CA in place
    Render(render::Render),
    /// Run the webhook's server
    Serve(serve::Serve),
    /// Install the webhook, or label a namespace for the installed one
    Install(install::Install),
    /// Take a namespace's label away, and the webhook where nobody else uses it
    Uninstall(install::Uninstall),
    /// Look at everything that a webhook needs, and say what is wrong
    Check(check::Check),
    /// Prove that a workload is emptied: on a cluster, or with --offline on this machine alone
    Verify(verify::Verify),
    /// A terminal in an emptied container
    #[command(visible_alias = "exec")]
    Shell(dev::Shell),
    /// Start an application in an emptied container, and follow its output
    Run(dev::Run),
    /// Stop an application
    Stop(dev::Stop),
    /// Stop an application and start it again
    Restart(dev::App),
    /// What runs, and what ran
    Ps(dev::Ps),
    /// What an application wrote
    Logs(dev::Logs),
    /// Bring files into an emptied container, and only what differs
    #[command(visible_alias = "cp")]
    Sync(dev::Sync),
    /// Lead ports of this machine to ports of a Pod
    #[command(visible_alias = "port-forward")]
    Forward(dev::Forward),
    /// The loop: empty, build, sync, run, forward, and again at every change
    Dev(dev::Dev),
    /// Be PID 1 of an emptied container: reap, supervise what `run` starts
    Idle(agent::Idle),
    /// The container's end of a connection
    #[command(hide = true)]
    Agent(agent::Agent),
    /// Empty or restore workloads in manifests, without a cluster: a filter
    Mutate(mutate::Mutate),
    /// Say what `empty` would do, and why not; reads only
    Plan(plan::Plan),
    /// Empty workloads of a cluster from here; no webhook is needed
    Empty(empty::Empty),
    /// Give workloads of a cluster their original back
    Restore(empty::Restore),
    /// Which rule decides what
    #[command(subcommand)]
    Rules(rules::Rules),
    /// Print the rights that a developer or an installer needs, as a table or as roles
    Rights(rights::Rights),
    /// Show what is empty: since when, by whom, what idles, and what is waiting
    Status(status::Status),
    /// Print the version
    Version(version::Version),
    /// Print a completion script for a shell
    Completions {
        /// The shell to complete for
        shell: clap_complete::Shell,
    },
}

/// Flags that hold for every command.
#[derive(Args, Debug, Clone, Default)]
pub struct Global {
    /// Namespace (default: the context's, or what the command says)
    // Each command has its own words for it, under the same id: clap hands the value on.
    #[arg(short, long, global = true, value_name = "NAMESPACE", help_heading = "Global options")]
    pub namespace: Option<String>,
    /// Context of the kubeconfig
    #[arg(long, global = true, value_name = "NAME", help_heading = "Global options")]
    pub context: Option<String>,
    /// Kubeconfig file (default: $KUBECONFIG, else ~/.kube/config)
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub kubeconfig: Option<std::path::PathBuf>,
    /// Print each request to the API server, without its content
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub verbose: bool,
    /// Print what is wrong, and nothing about what is well
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub quiet: bool,
    /// Colour on stderr
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "WHEN",
        help_heading = "Global options"
    )]
    pub color: Color,
}

/// When stderr gets colour.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Where a change stops.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum DryRun {
    /// Nothing is sent that would change anything
    Client,
    /// The API server goes through everything but storing
    Server,
}

/// A name; an empty one is none, as for kubectl.
fn given(name: Option<&str>) -> Option<&str> {
    name.filter(|name| !name.is_empty())
}

/// The webhook's names: the blog's by default.
#[derive(Args, Debug, Clone)]
pub struct Names {
    /// Namespace whose workloads are emptied: it gets the label (default: test; where that has no
    /// label `check` and `verify` look at one that has)
    #[arg(short, long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// Namespace of the webhook's server (default: the installed webhook's, else that of -n). Where
    /// another namespace's webhook is installed, name its namespace to change its server from here
    #[arg(long, value_name = "NAMESPACE")]
    pub webhook_namespace: Option<String>,
    /// Name of the webhook's Service, Deployment and MutatingWebhookConfiguration; two servers on
    /// one cluster have two names
    #[arg(long, default_value = SERVICE, value_name = "NAME")]
    pub service: String,
    /// Name of the Secret with ca.crt, server.crt and server.key
    #[arg(long, default_value = "webhook-secret", value_name = "NAME")]
    pub secret: String,
    /// Label of the namespaces that are emptied (default: the installed webhook's, else
    /// inject-empty-container=enabled, and inject-empty-container=NAME with --service NAME)
    #[arg(long, value_name = "KEY=VALUE")]
    pub label: Option<String>,
}

/// The blog's.
pub const SERVICE: &str = "diyadmissionwebhook";

impl Default for Names {
    /// What the flags say when none is given.
    fn default() -> Self {
        #[derive(Parser)]
        struct Flags {
            #[command(flatten)]
            names: Names,
        }
        Flags::parse_from(["names"]).names
    }
}

impl Names {
    /// The blog's.
    pub const NAMESPACE: &str = "test";

    /// The namespace whose workloads are emptied.
    pub fn namespace(&self) -> &str {
        given(self.namespace.as_deref()).unwrap_or(Self::NAMESPACE)
    }

    /// The namespace of the webhook's server.
    pub fn webhook_namespace(&self) -> &str {
        given(self.webhook_namespace.as_deref()).unwrap_or(self.namespace())
    }

    /// `KEY=VALUE`. One key has one value, so that two servers never select the same namespace.
    pub fn label(&self) -> String {
        self.label.clone().unwrap_or_else(|| {
            let value = if self.service == SERVICE { ENABLED } else { &self.service };
            format!("{LABEL}={value}")
        })
    }

    /// The DNS name that the API server asks the certificate for.
    pub fn host(&self) -> String {
        format!("{}.{}.svc", self.service, self.webhook_namespace())
    }
}

/// Formats of a report.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Report {
    /// One line a step, for people, on stderr
    #[default]
    Text,
    /// JSON
    Json,
    /// JUnit XML, for pipelines
    Junit,
}
