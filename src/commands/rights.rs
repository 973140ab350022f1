//! `diyadm rights`: the rights that a developer or an installer needs, as a table or as roles.

use anyhow::Result;
use serde_json::json;

use super::runtime;
use crate::{
    cli::{
        Global,
        rights::{Audience as Asked, Rights as Args},
        rules::Format,
    },
    exit::Code,
    kubernetes::Cluster,
    roles::{self, Audience, Names},
    ui::terminal::{self, Terminal},
    yaml,
};

pub(super) fn run(global: &Global, args: &Args) -> Result<Code> {
    let audience = match args.audience {
        Asked::Developer => Audience::Developer,
        Asked::Installer => Audience::Installer,
        Asked::Expire => Audience::Expire,
    };
    let namespace = match args.namespace.as_deref().filter(|namespace| !namespace.is_empty()) {
        Some(namespace) => namespace.to_owned(),
        None if audience == Audience::Installer => {
            crate::operations::webhook_names::WebhookNames::NAMESPACE.to_owned()
        }
        None => runtime::run_interruptible("", async {
            Ok(Cluster::connect(&global.connection).await?.namespace().to_owned())
        })?,
    };
    let names = Names { namespace: &namespace, service: &args.service, secret: &args.secret };
    let bindings = roles::bindings(audience, &names);
    let objects = roles::objects(audience, &names);
    terminal::print(&match args.output {
        Format::Text => roles::table(&roles::rights(audience, &names)),
        Format::Json => {
            format!("{:#}\n", json!({ "apiVersion": "v1", "kind": "List", "items": objects }))
        }
        Format::Yaml => {
            let [role, cluster_role] = &objects;
            let [bind, bind_cluster] = &bindings;
            format!(
                "# Bind these roles with:\n#   {bind}\n#   {bind_cluster}\n---\n{}---\n{}",
                yaml::write(role)?,
                yaml::write(cluster_role)?
            )
        }
    })?;
    if args.output != Format::Yaml {
        let terminal = Terminal::new(&global.terminal);
        terminal.say("An administrator grants them with the roles of `-o yaml`, and then:");
        bindings.iter().for_each(|command| terminal.say(&format!("  {command}")));
    }
    Ok(Code::Done)
}
