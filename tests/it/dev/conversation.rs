//! The handshake, with an agent and with other programs.

use std::process::Stdio;

use diyadm::dev::{
    Trouble,
    wire::{Conversation, Reader, Writer},
};
use diyadm_agent::protocol::{Answer, Apps, FrameKind, Hello, Request, json};
use tokio::process::{Child, Command};

/// Runs to the end on one thread, as the commands do.
pub(super) fn block<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// A conversation with an agent's own process, which goes when dropped.
pub(super) async fn agent(socket: &std::path::Path) -> (Conversation, Child) {
    let mut child = Command::new(env!("DIYADM_AGENT_FILE"))
        .args(["relay", "--socket"])
        .arg(socket)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let reader = Reader::new(child.stdout.take().unwrap());
    let writer = Writer::new(child.stdin.take().unwrap());
    (Conversation::begin(reader, writer).await.unwrap(), child)
}

fn begin(said: Vec<u8>) -> Trouble {
    let reader = Reader::new(std::io::Cursor::new(said));
    block(Conversation::begin(reader, Writer::new(tokio::io::sink()))).err().unwrap()
}

#[test]
fn handshake_with_an_agent_succeeds() {
    block(async {
        let folder = tempfile::tempdir().unwrap();
        let (mut talk, _child) = agent(&folder.path().join("none.sock")).await;
        assert_eq!(talk.agent, Hello::own());
        // Nobody supervises there, and that starts nobody.
        let answer = talk.ask(&Request::List).await.unwrap();
        assert_eq!(answer, Answer::Apps(Apps::default()));
    });
}

#[test]
fn handshake_reports_another_version() {
    let other = Hello { protocol: 99, build: "9.9.9".to_owned(), ..Hello::own() };
    assert_eq!(begin(json(FrameKind::Hello, &other).unwrap()), Trouble::Mismatch(other));
}

#[test]
fn handshake_quotes_output_of_other_programs() {
    for words in ["sh: diyadm: not found\n", "{\"protocol\":1}", "\0\0\0\0\0\0\0"] {
        let trouble = begin(words.into());
        assert!(matches!(trouble, Trouble::NoAgent(_)), "{words:?}: {trouble:?}");
    }
    assert!(begin(b"sh: not found\n".to_vec()).to_string().contains("sh: not found"));
}

#[test]
fn handshake_reports_a_lost_connection() {
    assert!(matches!(begin(Vec::new()), Trouble::Lost(_)));
    let hello = json(FrameKind::Hello, &Hello::own()).unwrap();
    assert!(matches!(begin(hello[..hello.len() - 1].to_vec()), Trouble::Lost(_)));
}
