//! `diyadm serve`: runs the webhook's server.

use std::time::Duration;

use anyhow::Result;
use tracing_subscriber::filter::LevelFilter;

use crate::{
    cli::{Global, serve::Serve},
    exit::{Code, Failure, Topic},
    operations::{certificates, emptying_flags},
    platform::{
        process::protect_memory,
        signals::{SignalKind, signal},
    },
    webhook::server::{Bound, Options, Tls, log},
};

pub(super) fn run(global: &Global, args: &Serve) -> Result<Code> {
    let level = if global.terminal.quiet { LevelFilter::ERROR } else { LevelFilter::INFO };
    log::start(level)?;
    if let Err(error) = protect_memory() {
        tracing::warn!(
            error = error.to_string(),
            "core dumps could not be disabled, and may contain the key"
        );
    }
    let ended = serve(args);
    log::flush();
    ended
}

fn serve(args: &Serve) -> Result<Code> {
    // One log line, without the panic's message, which may quote foreign data.
    std::panic::set_hook(Box::new(|info| {
        tracing::error!(at = info.location().map(ToString::to_string), "panic");
    }));
    // With a wrong clock, all dates of certificates are misjudged.
    certificates::now()?;
    let Some((namespace, name)) = args.self_name.split_once('/') else {
        let what = format!("--self-name {} is not NAMESPACE/NAME.", args.self_name);
        return Err(Failure::usage(
            Topic::CommandLine,
            what,
            "Write it like --self-name test/diyadmissionwebhook.",
        )
        .into());
    };
    let options = Options {
        listen: args.listen,
        health: Some(args.health_listen),
        tls: Tls::Files { cert: args.cert.clone(), key: args.key.clone() },
        rules: emptying_flags::flags(&args.ways, (namespace, name)),
        rules_file: args.ways.rules.clone(),
        workers: args.workers,
        max_in_flight: args.max_in_flight,
        max_bytes_in_flight: args.max_bytes_in_flight,
        max_connections: args.max_connections,
        drain: Duration::from_secs(args.drain),
    };
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?.block_on(
        async {
            let bound = Bound::bind(options).map_err(|error| {
                if error.downcast_ref::<Failure>().is_some() {
                    return error;
                }
                let hint = "Create a certificate with `diyadm init --out DIR`, then run `diyadm \
                            serve --cert DIR/server.crt --key DIR/server.key`.";
                Failure::usage(Topic::Certificates, format!("{error:#}."), hint).into()
            })?;
            let (mut term, mut int) =
                (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
            tracing::info!(
                listen = bound.addr().to_string(),
                health = bound.health_addr().map(|a| a.to_string()),
                "serving"
            );
            let (ask, asked) = tokio::sync::oneshot::channel::<()>();
            let signals = async {
                tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
                tracing::info!("draining");
                // The server may have already ended.
                let _ = ask.send(());
                tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
            };
            let serving = bound.serve(async {
                // Stop if it is sent, or dropped with the sender.
                let _ = asked.await;
            });
            tokio::select! {
                ended = serving => ended?,
                // A second signal stops at once.
                () = signals => return Err(Failure::interrupted("").into()),
            }
            tracing::info!("done");
            Ok(Code::Done)
        },
    )
}
