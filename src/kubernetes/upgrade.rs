//! Why a WebSocket could not be opened. Many proxies allow requests but no upgrades.

use anyhow::Error;
use kube::client::UpgradeConnectionError;

use super::error;
use crate::exit::Failure;

/// kube's reason for an answer whose body is not a Status.
const NO_STATUS: &str = "Failed to parse error data";

/// The error for a refused upgrade, or for a request that failed earlier.
pub(super) fn refused(error: &kube::Error, server: &str) -> Error {
    let (why, status) = match error {
        kube::Error::UpgradeConnection(UpgradeConnectionError::ProtocolSwitch(code)) => {
            (format!("the answer was {code} instead of 101 Switching Protocols"), None)
        }
        kube::Error::UpgradeConnection(UpgradeConnectionError::SecWebSocketProtocolMismatch) => {
            let words = "the answer chose neither v5.channel.k8s.io nor v4.channel.k8s.io";
            (words.to_owned(), None)
        }
        kube::Error::UpgradeConnection(other) => (other.to_string(), None),
        // The API server's message if the header did not arrive.
        kube::Error::Api(status) if status.message.contains("Upgrade request required") => {
            let words = "the request arrived without its `Upgrade` header, which a proxy removed";
            (format!("{words} ({})", status.code), Some(status))
        }
        kube::Error::Api(status) if status.reason == NO_STATUS => {
            let said = first_words(&status.message);
            let said = if said.is_empty() { said } else { format!(": {said}") };
            (format!("the answer was {}{said}", status.code), Some(status))
        }
        other => return error::request(other, server),
    };
    let failure = Failure::unreachable(
        format!("The API server {server}, or a proxy before it, refused a WebSocket: {why}."),
        "Commands in a container, and port forwards, need WebSockets: allow them in the proxy, or \
         bypass it: `kubectl config view --minify` shows the server and its proxy-url.",
    );
    match status {
        Some(status) => failure.because((**status).clone()).into(),
        None => failure.into(),
    }
}

/// Maximum number of shown characters of an answer.
const MOST_WORDS: usize = 200;

/// The first line of an answer for people, without the tags of HTML.
fn first_words(text: &str) -> String {
    let pieces = text.split('<').map(|piece| piece.split_once('>').map_or(piece, |p| p.1).trim());
    let first = pieces.flat_map(str::lines).map(str::trim).find(|line| !line.is_empty());
    first.unwrap_or_default().chars().take(MOST_WORDS).collect()
}
