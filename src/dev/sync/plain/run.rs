//! Runs one shell command without an agent, and turns its exit code and last output into an error.

use std::io;

use anyhow::Result;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::{
    dev::trouble::Trouble,
    exit::{Failure, Topic},
    kubernetes::{Cluster, ContainerRef, End, Exec, Input},
};
use diyadm_agent::protocol::{
    Bytes, Failed,
    transfer::{Reason, Refusal},
};

pub(super) const SCRIPT: &str = include_str!("../plain.sh");
/// Maximum bytes of a command's stderr in an error message.
const MOST_WORDS: u64 = 4 << 10;
/// Exit code of the script: the received data differs from the sent data.
pub(super) const WRONG: i32 = 76;

/// How much input a command of the script reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reads {
    Nothing,
    /// As many bytes as its arguments say.
    Counted,
    /// All input. Only for a container without `head`.
    ToTheEnd,
}

/// Runs a command of the script to its end, and returns its output.
pub(super) async fn run_script(
    cluster: &Cluster,
    place: &ContainerRef,
    words: &[&str],
    about: &Bytes,
    reads: Reads,
    input: impl AsyncFnOnce(&mut DuplexStream) -> io::Result<()>,
) -> Result<Vec<u8>> {
    let words = [&["sh", "-c", SCRIPT, "diyadm"], words].concat();
    let streams = if reads == Reads::Nothing { Input::None } else { Input::Piped };
    let Exec { mut stdin, sends_end_of_input, stdout, stderr, mut end, size: _size } =
        cluster.exec(place, &words, streams).await?;
    if reads == Reads::ToTheEnd && !sends_end_of_input {
        return Err(endless().into());
    }
    let input = async |stdin: &mut DuplexStream| {
        input(stdin).await?;
        if reads == Reads::ToTheEnd { stdin.shutdown().await } else { Ok(()) }
    };
    let said = tokio::spawn(all(stdout, u64::MAX));
    let wrong = tokio::spawn(all(stderr, MOST_WORDS));
    let ended = tokio::select! {
        ended = end.wait() => ended,
        // Its end reports that it reads no more.
        _ = input(&mut stdin) => end.wait().await,
    };
    match ended {
        End::Exit(0) => Ok(said.await?),
        End::Exit(WRONG) => {
            Err(Trouble::Lost("the received file differs from the sent one".into()).into())
        }
        End::Exit(code) => Err(failed(code, &wrong.await?, about).into()),
        End::Failed(what) => Err(Trouble::NoAgent(what).into()),
        End::Lost(why) => Err(Trouble::Lost(why).into()),
    }
}

fn endless() -> Failure {
    Failure::no(
        Topic::NoAgent,
        "The container has neither an agent nor `head`, and the API server (Kubernetes 1.29 or \
         older), or a proxy before it, supports only v4.channel.k8s.io, which cannot signal the \
         end of a file.",
        "Empty it with `diyadm empty --idle agent`, which mounts the agent into any image.",
    )
}

/// Reads to the end, so that the command never blocks, and keeps the beginning.
async fn all(from: impl AsyncRead + Unpin, most: u64) -> Vec<u8> {
    let mut said = Vec::new();
    let mut some = from.take(most);
    // The output before an error is still useful.
    let _ = some.read_to_end(&mut said).await;
    let _ = tokio::io::copy(&mut some.into_inner(), &mut tokio::io::sink()).await;
    said
}

/// Interprets errors of a shell's tools, which use the texts of the system.
fn failed(code: i32, said: &[u8], about: &Bytes) -> Trouble {
    let said = String::from_utf8_lossy(said).trim().to_owned();
    let lower = said.to_lowercase();
    let has = |word: &str| lower.contains(word);
    let reason = if has("no space left") || has("quota exceeded") {
        Reason::NoSpace
    } else if has("read-only file system") {
        Reason::ReadOnly
    } else if has("permission denied") || has("operation not permitted") {
        Reason::Denied
    } else {
        Reason::Other
    };
    let first = said.lines().next().unwrap_or_default();
    let detail = match reason {
        Reason::Other if first.is_empty() => format!("exit {code}"),
        Reason::Other => first.to_owned(),
        _ => String::new(),
    };
    Failed::Refused(Refusal { reason, path: about.clone(), detail }).into()
}
