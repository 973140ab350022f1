//! Uploads an agent into a container that has none: through a shell there, into a folder that
//! allows programs to run.

use std::time::Instant;

use anyhow::Result;
use openssl::rand::rand_bytes;

use super::{
    agent_start::{AgentUpload, FOLDERS, Started, failed},
    program,
};
use crate::{
    kubernetes::{Cluster, ContainerRef, End, Input},
    ui::terminal::Terminal,
};
use diyadm_agent::protocol::hex;
use diyadm_image::rust_arch;

const UPLOAD: &str = concat!(include_str!("folder.sh"), include_str!("upload.sh"));
/// Bytes to send at a time, so that progress is visible.
const PIECE: usize = 256 << 10;

/// An upload.
pub(super) struct Brought {
    /// The agent, which has not sent its hello yet.
    pub(super) started: Started,
    /// Size of its program in bytes.
    pub(super) length: usize,
    /// When the upload started.
    pub(super) began: Instant,
}

/// Finds a folder, sends the program and connects to it. `machine`: the processor as printed by
/// `uname -m`.
///
/// # Errors
/// No program for that processor is here, there is no folder for it, or the API server refuses.
/// A failed upload is noticed only when the agent does not answer.
pub(super) async fn bring(
    cluster: &Cluster,
    place: &ContainerRef,
    machine: &str,
    how: &AgentUpload,
    terminal: &Terminal,
) -> Result<Brought> {
    let began = Instant::now();
    let program = program::find(rust_arch(machine), how.program.as_deref())?;
    let (length, sum) = (program.len().to_string(), sha256(&program));
    let name = unguessable()?;
    let mut words = vec!["sh", "-c", UPLOAD, "diyadm", &length, &sum, &name];
    words.extend(FOLDERS);
    words[4] = "0";
    // The upload would be useless.
    let mut look = Started::from(cluster.exec(place, &words, Input::None).await?);
    match look.end.wait().await {
        End::Exit(0) => {}
        end => return Err(failed(end, look.words, String::new()).await.into_error()),
    }
    words[4] = &length;
    let mut started = Started::from(cluster.exec(place, &words, Input::Piped).await?);
    let mut sent = 0;
    for piece in program.chunks(PIECE) {
        terminal.progress(&format!("uploading the agent: {} %", sent * 100 / program.len()));
        if started.writer.bytes(piece).await.is_err() {
            // Its end gives the reason.
            break;
        }
        sent += piece.len();
    }
    terminal.clear();
    Ok(Brought { started, length: program.len(), began })
}

fn unguessable() -> Result<String> {
    let mut random = [0; 8];
    rand_bytes(&mut random)?;
    Ok(hex(&random))
}

fn sha256(bytes: &[u8]) -> String {
    hex(&openssl::sha::sha256(bytes))
}

#[cfg(test)]
mod tests;
