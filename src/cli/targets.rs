//! Which workloads of a cluster are meant, in kubectl's spellings.

use clap::Args;

/// Workloads, as kubectl takes them.
#[derive(Args, Debug, Clone, Default)]
#[command(next_help_heading = "Workloads")]
pub struct Targets {
    /// KIND/NAME …, or KIND NAME …, or, with -l, --field-selector or --all, KIND[,KIND …] alone or
    /// nothing for every kind: deploy/web, statefulset/db, cronjobs.batch/report, ds agent probe
    #[arg(value_name = "KIND/NAME")]
    pub workloads: Vec<String>,
    /// Those with these labels: `app=web`, `tier in (a,b)`
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Those with these fields: `metadata.name=web`
    #[arg(long, value_name = "SELECTOR")]
    pub field_selector: Option<String>,
    /// All of them
    #[arg(long)]
    pub all: bool,
    /// Their namespace (default: the context's)
    #[arg(short, long, value_name = "NAMESPACE", conflicts_with = "all_namespaces")]
    pub namespace: Option<String>,
    /// Those of every namespace
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
}
