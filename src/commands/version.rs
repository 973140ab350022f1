//! `diyadm version`: as kubectl prints its own; asks no cluster.

use anyhow::Result;
use serde_json::json;

use crate::{cli::version::Version, exit::Code, operations::outcomes, ui::terminal};
use diyadm_agent::protocol::PROTOCOL;

pub(super) fn run(args: &Version) -> Result<Code> {
    let version = env!("CARGO_PKG_VERSION");
    match args.output {
        None => terminal::print_text(&format!("Client Version: v{version}\n"))?,
        Some(output) => {
            let platform = format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH);
            let client = json!({
                "gitVersion": format!("v{version}"),
                "platform": platform,
                "agentProtocol": PROTOCOL,
            });
            outcomes::print(output, &json!({ "clientVersion": client }))?;
        }
    }
    Ok(Code::Done)
}
