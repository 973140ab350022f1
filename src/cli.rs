//! The command line: clap derive types, and nothing but types.

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::{
    kubernetes::ConnectionFlags,
    operations::flags::{
        EmptyArgs, ExpireArgs, RestoreArgs, UninstallArgs, check::CheckArgs, init::InitArgs,
        install::InstallArgs, render::RenderArgs, status::StatusArgs, ui::UiArgs,
        verify::VerifyArgs,
    },
    ui::terminal::TerminalFlags,
};

pub mod completions;
pub mod dev;
mod help;
pub mod images;
pub mod mutate;
pub mod plan;
mod plugin;
pub mod rights;
pub mod rules;
pub mod schema;
pub(crate) mod schemas;
pub mod serve;
mod spelling;
pub mod version;

pub use plugin::parse;
pub use spelling::{harmless, normalized, tip, warnings};

/// Turn Kubernetes workloads into empty containers, and back
#[derive(Args, Debug)]
#[command(version, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl CommandFactory for Cli {
    fn command() -> clap::Command {
        help::completed(Self::augment_args(clap::Command::new("diyadm")))
    }

    fn command_for_update() -> clap::Command {
        Self::command()
    }
}

impl Parser for Cli {}

/// The subcommands, in the order of `--help`.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Empty workloads of a cluster, without a webhook
    Empty(EmptyArgs),
    /// Restore emptied workloads of a cluster
    Restore(RestoreArgs),
    /// Restore emptied workloads that have expired
    Expire(ExpireArgs),
    /// Show which workloads are empty, since when and by whom
    Status(StatusArgs),
    /// Show the workloads on one screen, with a key for each command
    Ui(UiArgs),
    /// Show what `empty` would do, and what prevents it
    Plan(plan::Plan),
    /// Empty, build, sync, run and forward, and repeat on every change
    Dev(dev::Dev),
    /// Start an application in a container, and follow its output
    Run(dev::Run),
    /// Copy changed files into a container
    #[command(visible_alias = "cp")]
    Sync(dev::Sync),
    /// Compare local files with those in a container, also in a jar
    Diff(dev::Diff),
    /// Open a terminal in a container
    #[command(visible_alias = "exec")]
    Shell(dev::Shell),
    /// Print the output of an application
    Logs(dev::Logs),
    /// List applications that run or have run
    Ps(dev::Ps),
    /// Stop an application
    Stop(dev::Stop),
    /// Stop an application and start it again
    Restart(dev::App),
    /// Set how long a workload stays empty and your applications run
    Extend(dev::Extend),
    /// Forward local ports to a Pod
    #[command(visible_alias = "port-forward")]
    Forward(dev::Forward),
    /// Empty or restore workloads in manifests, without a cluster
    Mutate(mutate::Mutate),
    /// Check rules, and show which rule decides
    #[command(subcommand)]
    Rules(rules::Rules),
    /// Install the webhook, or label a namespace for the installed one
    Install(InstallArgs),
    /// Check everything that the webhook needs, and report problems
    Check(CheckArgs),
    /// Test that workloads are emptied, on a cluster or with --offline
    Verify(VerifyArgs),
    /// Remove the namespace's label, and the webhook if it is unused
    Uninstall(UninstallArgs),
    /// Label the namespace, and create the webhook's certificates
    Init(InitArgs),
    /// Print the webhook's manifests, including its CA
    Render(RenderArgs),
    /// Run the webhook's server
    Serve(serve::Serve),
    /// List diyadm's own images, or write them to a file
    #[command(subcommand)]
    Images(images::Images),
    /// Print the rights that developers or installers need
    Rights(rights::Rights),
    /// Print the JSON schema of a file or of an output
    Schema(schema::Schema),
    /// Print a completion script for a shell
    Completions {
        /// The shell to complete for
        shell: clap_complete::Shell,
    },
    /// Write the man pages into a folder
    #[command(hide = true)]
    Man {
        /// The folder
        folder: std::path::PathBuf,
    },
    /// Print the version
    Version(version::Version),
}

/// Flags that hold for every command.
#[derive(Args, Debug, Clone, Default)]
pub struct Global {
    /// Namespace [default: the context's, unless the command has its own default]
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
