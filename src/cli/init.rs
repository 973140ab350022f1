//! `diyadm init`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::operations::{
    flags::{DryRunFlag, MachineFormat},
    webhook_names::WebhookNames,
};

/// Flags of `init`.
#[derive(Args, Debug, Clone)]
#[command(mut_arg("dry_run", |dry_run| dry_run.conflicts_with_all(["out", "inspect"])))]
pub struct Init {
    /// The names
    #[command(flatten)]
    pub names: WebhookNames,
    /// How the certificates are made
    #[command(flatten)]
    pub certificates: Certificates,
    /// Write ca.crt, server.crt and server.key into this folder instead; no cluster is needed
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Replace certificates that are there and cannot serve, or differ from what --csr-conf, --key,
    /// --days or --ca-days ask for; and take over fields of others. Others stay as they are
    #[arg(long)]
    pub force: bool,
    /// Make a new CA and certificate, and trust the old CA beside it until --finish
    #[arg(long, conflicts_with_all = ["out", "inspect"])]
    pub rotate: bool,
    /// With --rotate: stop trusting the old CA
    #[arg(long, requires = "rotate")]
    pub finish: bool,
    /// Whether anything is changed
    #[command(flatten)]
    pub dry_run: DryRunFlag,
    /// Print what a certificate says, and whether the key in the file or beside it (server.key
    /// for server.crt) belongs to it: a PEM file, -, the folder of --out, or `secret`
    #[arg(
        long,
        value_name = "FILE|DIR|secret",
        num_args = 0..=1,
        default_missing_value = "secret",
        conflicts_with = "out"
    )]
    pub inspect: Option<PathBuf>,
    /// Print what became of each object, or what --inspect found
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<MachineFormat>,
}

/// How certificates are made.
#[derive(Args, Debug, Clone)]
pub struct Certificates {
    /// The certificate request, as OpenSSL reads it (default: csr.conf in this folder if there is
    /// one, else the one built in, for the Service in the namespace of the webhook)
    #[arg(long, value_name = "FILE|-")]
    pub csr_conf: Option<PathBuf>,
    /// Days that the server's certificate is valid (default: 365)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=36500))]
    pub days: Option<u32>,
    /// Days that the CA is valid (default: 3650)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=36500))]
    pub ca_days: Option<u32>,
    /// Kind of the keys (default: RSA with csr.conf's default_bits)
    #[arg(long, value_enum, value_name = "KIND")]
    pub key: Option<Key>,
}

/// Kinds of key.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// RSA, 2048 bit
    Rsa2048,
    /// RSA, 4096 bit
    Rsa4096,
    /// ECDSA on NIST P-256, without csr.conf's keyEncipherment and dataEncipherment: they are RSA's
    P256,
}
