//! The command line: clap derive types, and nothing but types.

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{
    kubernetes::ConnectionFlags,
    operations::flags::{EmptyArgs, RestoreArgs, UninstallArgs},
    ui::terminal::TerminalFlags,
};

pub mod check;
pub mod dev;
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
pub mod verify;
pub mod version;

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
    Uninstall(UninstallArgs),
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
    /// Empty or restore workloads in manifests, without a cluster: a filter
    Mutate(mutate::Mutate),
    /// Say what `empty` would do, and why not; reads only
    Plan(plan::Plan),
    /// Empty workloads of a cluster from here; no webhook is needed
    Empty(EmptyArgs),
    /// Give workloads of a cluster their original back
    Restore(RestoreArgs),
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
    /// Which cluster.
    #[command(flatten)]
    pub connection: ConnectionFlags,
    /// What is printed.
    #[command(flatten)]
    pub terminal: TerminalFlags,
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
