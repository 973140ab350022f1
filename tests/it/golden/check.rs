//! `check` of a cluster where nothing is missing, and of one without a server.

use super::{Golden, hold, mask, output, timeless};
use crate::{
    install::mount,
    rig::{Net, Run, Server, TIMEOUT, reaching_cluster},
};

#[test]
fn check_matches_golden() {
    let cluster = require!(reaching_cluster());
    let net = require!(Net::of_service());
    let name = cluster.name("golden-check");
    let _namespace = cluster.unmade(name);
    let folder = tempfile::tempdir().unwrap();
    let label = format!("{name}=enabled");
    let names = ["-n", name, "--service", name, "--label", &label];
    let run = |args: &[&str]| cluster.diyadm(folder.path(), &[args, &names].concat());
    let mut made = Golden::new();
    let mut look = |case: &str, code| {
        for (format, suffix) in [("text", "txt"), ("json", "json"), ("junit", "xml")] {
            let run: Run = run(&["check", "-o", format]).code(code);
            // What another cluster or day would say: versions, addresses, days that are left.
            let text = timeless(output(&run)).replace(&net.address, "ADDRESS");
            let text = text.replace(&cluster.flags(), "").replace(name, "golden-check");
            let text = mask(&mask(&text, "the API server is v"), ".svc for ");
            made.insert(format!("{case}.{suffix}"), text);
        }
    };
    look("nothing", 1);
    run(&["init"]).code(0);
    run(&["install", "--timeout", "0"]).code(1);
    look("no-server", 1);
    mount(&cluster, name, folder.path());
    let own = format!("{name}/{name}");
    let _server = Server::start_in(&net, folder.path(), &["--self-name", &own]);
    cluster.kubectl(&["apply", "-f", "-"], &net.slice(name, name));
    run(&["install", "--timeout", TIMEOUT]).code(0);
    look("healthy", 0);
    hold("golden/check", &made);
    run(&["uninstall", "--all"]).code(0);
}
