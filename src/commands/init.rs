//! `diyadm init`: certificates on a cluster, or with `--out` in files; and what they say.

use std::{fs, path::Path};

use anyhow::Result;

use super::{runtime, terminal::Terminal};
use crate::{
    cli::{Global, init::Init},
    cluster::Cluster,
    exit::{Code, Failure},
    pki,
};

pub(super) mod cluster;
mod files;
mod rotate;

pub(super) fn run(global: &Global, args: &Init) -> Result<Code> {
    let terminal = Terminal::new(global);
    match (&args.inspect, &args.out) {
        (Some(path), _) if path == Path::new("secret") => {
            let secret = runtime::run("", async {
                let cluster = Cluster::connect(global).await?;
                cluster::Secret::demand(&cluster, &args.names).await
            })?;
            print(pki::inspect(&secret.server_crt, Some(&secret.server_key)), "The Secret")
        }
        (Some(path), _) if path.is_dir() => print(files::facts(path), &path.display().to_string()),
        (Some(path), _) => {
            let facts = fs::read(path).map_err(Into::into).and_then(|p| pki::inspect(&p, None));
            print(facts, &path.display().to_string())
        }
        (None, Some(dir)) => files::write(&terminal, args, dir),
        (None, None) => {
            let left = "What was applied stays; `diyadm init` goes on from there.";
            runtime::run(left, async {
                let cluster = Cluster::connect(global).await?;
                if args.rotate {
                    rotate::run(&terminal, &cluster, args).await
                } else {
                    cluster::run(&terminal, &cluster, args).await
                }
            })?;
            Ok(Code::Done)
        }
    }
}

fn print(facts: Result<Vec<pki::Facts>>, whose: &str) -> Result<Code> {
    let facts = facts.map_err(|error| {
        Failure::usage(
            format!("{whose}: {error:#}."),
            "Name a PEM file, the folder of `diyadm init --out DIR`, or `secret`.",
        )
    })?;
    serde_json::to_writer_pretty(std::io::stdout(), &facts)?;
    println!();
    Ok(Code::Done)
}
