//! Errors of diyadm's own server, and how `check` explains them.

use super::{ask, create_until, names};
use crate::{
    rig::{Server, Workspace, diyadm},
    serve::certificates,
};

#[test]
fn check_explains_an_unknown_path() {
    let cluster = require!(Workspace::new("wrong-path"));
    let name = cluster.name;
    let certs = certificates(name, name);
    let server = Server::start(certs.path(), &[]);
    let url = format!("https://{}", server.address);
    let label = format!("{name}=enabled");
    let names_of = ["-n", name, "--service", name, "--label", &label, "--failure-policy", "Fail"];
    let render = [&["render", "--ca", ".", "--url", &url], &names_of[..]].concat();
    let yaml = diyadm(certs.path(), &render).code(0).stdout;
    cluster.kubectl(&["apply", "-f", "-"], &yaml.replace("/mutating-pods", "/else"));
    let text = "diyadm: reviews go to /mutating-pods or /mutating-service";
    create_until(&cluster, name, text, |run| run.stderr.contains(text));
    names(&ask(&cluster, name, &["check"]), name);
    names(&ask(&cluster, name, &["verify", "--dry-run=server"]), name);
}
