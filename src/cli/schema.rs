//! `diyadm schema`.

use clap::{Args, ValueEnum};

/// Flags of `schema`.
#[derive(Args, Debug)]
pub struct Schema {
    /// The file or the output
    #[arg(value_enum)]
    pub name: SchemaName,
}

/// The files that diyadm reads, and what it prints with `-o json`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaName {
    /// diyadm.yaml
    Project,
    /// rules.yaml
    Rules,
    /// A file of --kinds
    Kinds,
    /// Each line of `run`, `sync`, `logs` and `dev`
    Events,
    /// `status`; with --watch each line is one item
    Status,
    /// `ps`
    Ps,
    /// `diff`
    Diff,
    /// `plan`
    Plan,
    /// `rules explain`
    Explain,
    /// `check` and `verify`
    Findings,
    /// `install`, `uninstall` and `init`
    Outcomes,
    /// `init --inspect`
    Certificates,
    /// `version`
    Version,
    /// `images list`
    Images,
    /// `empty`, `restore`, `expire`, `mutate`, `render` and `rights`
    Objects,
    /// Each line of `-o patch`
    Patch,
}
