//! `diyadm init`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{DryRunFlag, MachineFormat};
use crate::operations::webhook_names::WebhookNames;

/// Flags of `init`.
#[derive(Args, Debug, Clone)]
#[command(mut_arg("dry_run", |dry_run| dry_run.conflicts_with_all(["out", "inspect"])))]
pub struct InitArgs {
    /// The names
    #[command(flatten)]
    pub names: WebhookNames,
    /// Flags for the certificates
    #[command(flatten)]
    pub certificates: CertificateFlags,
    /// Write ca.crt, server.crt and server.key into this folder instead; no cluster is needed
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Replace certificates that are unusable or differ from --csr-conf, --key, --days or
    /// --ca-days, and take over fields of other managers. All other certificates stay
    #[arg(long)]
    pub force: bool,
    /// Create a new CA and certificate, and trust the old CA as well until --finish
    #[arg(long, conflicts_with_all = ["out", "inspect"])]
    pub rotate: bool,
    /// With --rotate: stop trusting the old CA
    #[arg(long, requires = "rotate")]
    pub finish: bool,
    /// Whether anything is changed
    #[command(flatten)]
    pub dry_run: DryRunFlag,
    /// Print a certificate, and whether its key fits (in the same file, or server.key for
    /// server.crt): a PEM file, -, the folder of --out, or `secret`
    #[arg(
        long,
        value_name = "FILE|DIR|secret",
        num_args = 0..=1,
        default_missing_value = "secret",
        conflicts_with = "out"
    )]
    pub inspect: Option<PathBuf>,
    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<MachineFormat>,
}

/// Flags for certificates.
#[derive(Args, Debug, Clone)]
pub struct CertificateFlags {
    /// Certificate request in OpenSSL's format [default: csr.conf in this folder, else a built-in
    /// one for the webhook's Service]
    #[arg(long, value_name = "FILE|-")]
    pub csr_conf: Option<PathBuf>,
    /// Days that the server's certificate is valid [default: 365]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=36500))]
    pub days: Option<u32>,
    /// Days that the CA is valid [default: 3650]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=36500))]
    pub ca_days: Option<u32>,
    /// Type of the keys [default: RSA with csr.conf's default_bits]
    #[arg(long, value_enum, value_name = "KIND")]
    pub key: Option<KeyType>,
}

/// Types of keys.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    /// RSA, 2048 bit
    Rsa2048,
    /// RSA, 4096 bit
    Rsa4096,
    /// ECDSA on NIST P-256, without csr.conf's keyEncipherment and dataEncipherment, which are for
    /// RSA only
    P256,
}
