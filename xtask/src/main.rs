//! diyadm's own chores: `cargo xtask test|cluster|image|jar|helm|registry|shell|chart|book|tidy|fuzz|bench|dist`.
//!
//! Never part of what is shipped, and never needed to build or run diyadm.

mod bench;
mod book;
mod chart;
mod cluster;
mod dist;
mod fuzz;
mod image;
mod interrupt;
mod jar;
mod leftovers;
mod paths;
mod process;
mod test;
mod tidy;

use std::{env, path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};

const USAGE: &str = "\
cargo xtask test                               format, lints, house rules and every test
cargo xtask test [--it] [-- FILTER…]           some tests; --it: of the integration crate alone
cargo xtask test --kubernetes v1.34.2          the tests that an API server is enough for, on that one
cargo xtask cluster up|down|status|kubeconfig  the cluster that the tests use; up --node adds a node
cargo xtask image [IMAGE…]                     images without Docker; cluster load IMAGE… uses them
cargo xtask jar                                a Spring Boot application, from Maven
cargo xtask helm                               Helm, built from its Go module
cargo xtask registry                           a registry of images, from Debian
cargo xtask shell zsh|fish                     a shell to try completions in, from Debian
cargo xtask chart                              the generated files of charts/diyadm
cargo xtask book                               the book, in target/book, with mdBook
cargo xtask tidy                               the house rules
cargo xtask fuzz [TARGET] [--seconds N]        the fuzz tests for longer, from a new seed
cargo xtask bench serve [--quick]              the webhook's server against a bare echo
cargo xtask bench attack [--quick]             a good client of the server beside attacks on it
cargo xtask bench large [--quick]              the largest reviews that the server takes
cargo xtask bench mutate [--quick]             10,000 documents emptied, against kubectl
cargo xtask bench empty [--quick]              1,000 workloads emptied, beside kubectl patch
cargo xtask bench dev [--quick]                the developer's loop on a node, against kubectl
cargo xtask bench share [--quick] [--dev]      stand-ins, PID 1 and `diyadm ui` in a shared namespace
cargo xtask dist [--programs FOLDER] [--url URL]  the files of a release, in target/dist
cargo xtask dist --check                       the same of the program for tests; tries each file";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    match run(&args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            if interrupt::seen() { ExitCode::from(130) } else { ExitCode::FAILURE }
        }
    }
}

/// Prints where a program is, which is made where it is missing.
fn print_path(find: impl FnOnce() -> Result<PathBuf>) -> Result<ExitCode> {
    interrupt::watch()?;
    println!("{}", find()?.display());
    Ok(ExitCode::SUCCESS)
}

fn run(args: &[String]) -> Result<ExitCode> {
    let (task, rest) = args.split_first().map_or(("help", args), |(t, rest)| (t.as_str(), rest));
    match task {
        "test" => test::run(rest),
        "cluster" => cluster::run(rest),
        "image" => image::run(rest),
        "jar" => jar::run(rest),
        "helm" => print_path(cluster::helm),
        "registry" => print_path(cluster::registry),
        "shell" => match rest {
            [name] if ["zsh", "fish"].contains(&name.as_str()) => {
                print_path(|| cluster::reader(name))
            }
            _ => bail!("`cargo xtask shell` takes zsh or fish"),
        },
        "chart" => chart::run(),
        "book" => {
            interrupt::watch()?;
            book::build()?;
            Ok(ExitCode::SUCCESS)
        }
        "tidy" => tidy::run(),
        "dist" => dist::run(rest),
        "fuzz" => fuzz::run(rest),
        "bench" => match rest.split_first() {
            Some((what, rest)) if what == "attack" => bench::attack::run(rest),
            Some((what, rest)) if what == "large" => bench::large::run(rest),
            Some((what, rest)) if what == "mutate" => bench::mutate::run(rest),
            Some((what, rest)) if what == "empty" => bench::empty::run(rest),
            Some((what, rest)) if what == "dev" => bench::dev::run(rest),
            Some((what, rest)) if what == "share" => bench::share::run(rest),
            _ => bench::run(rest),
        },
        "help" | "-h" | "--help" => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        other => bail!("there is no task `{other}`. The tasks are:\n{USAGE}"),
    }
}
