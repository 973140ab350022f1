//! Brings an agent into a container that has none: through a shell there, into a folder that
//! programs can be run from.

use std::time::Instant;

use anyhow::Result;

use super::{
    program,
    reach::{FOLDERS, How, Started},
};
use crate::{
    agent::protocol::hex,
    cluster::{Cluster, Place},
    commands::terminal::Terminal,
};

const UPLOAD: &str = include_str!("upload.sh");
/// Bytes that are sent at a time, so that the progress shows.
const PIECE: usize = 256 << 10;

/// Sends the program and becomes its client. `machine`: the processor as `uname -m` names it.
///
/// # Errors
/// No program for that processor is here, or the API server refuses. That it could not be taken
/// there shows when the agent should speak.
pub(super) async fn bring(
    cluster: &Cluster,
    place: &Place,
    machine: &str,
    how: &How,
    terminal: &Terminal,
) -> Result<Started> {
    let began = Instant::now();
    let program = program::find(program::arch(machine), how.program.as_deref())?;
    let (length, sum) = (program.len().to_string(), sha256(&program));
    let mut words = vec!["sh", "-c", UPLOAD, "diyadm", &length, &sum];
    words.extend(FOLDERS);
    let mut started = Started::from(cluster.exec(place, &words, false).await?);
    let mut sent = 0;
    for piece in program.chunks(PIECE) {
        terminal.progress(&format!("bringing the agent: {} %", sent * 100 / program.len()));
        if started.writer.bytes(piece).await.is_err() {
            // Its end says why.
            break;
        }
        sent += piece.len();
    }
    terminal.clear();
    let what = format!("brought the agent into {} ({} MB)", place.pod, program.len() / 1_000_000);
    terminal.done(&what, Some(began.elapsed()));
    Ok(started)
}

fn sha256(bytes: &[u8]) -> String {
    hex(&openssl::sha::sha256(bytes))
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        path::Path,
        process::{Child, Command, Stdio},
    };

    use super::*;

    /// A shell that takes this many bytes into one of these folders.
    fn upload(length: usize, sum: &str, folder: &Path) -> Child {
        Command::new("sh")
            .args(["-c", "umask 027 && exec sh -c \"$@\"", "sh", UPLOAD, "diyadm"])
            .args([&length.to_string(), sum])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// A program that tells its mask stands for the agent, whose applications inherit it.
    #[test]
    fn what_it_becomes_has_the_containers_mask() {
        let folder = tempfile::tempdir().unwrap();
        let program = b"#!/bin/sh\numask\n";
        let mut child = upload(program.len(), &sha256(program), folder.path());
        child.stdin.take().unwrap().write_all(program).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap().trim_start_matches('0'), "27\n");
    }

    /// Until all was read its end may not be told.
    #[test]
    fn where_there_is_no_folder_all_is_read_too() {
        // More than a pipe holds.
        let program = vec![0; 1 << 20];
        let mut child = upload(program.len(), "", Path::new("/none"));
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&program).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(73));
        drop(stdin);
    }
}
