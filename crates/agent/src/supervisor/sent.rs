//! What people sent to the container, and which of it an application was started with.

use super::Supervisor;
use crate::{
    clock::now_ms,
    protocol::{By, MOST_SENT, Request, SentContent},
};

impl Supervisor {
    /// Keeps what a person sent. An application that they start with the same request was sent
    /// that; any other one all that they sent.
    pub(super) fn record_sent(&mut self, by: &mut By) {
        let at_ms = now_ms();
        by.sent.retain(SentContent::fits);
        by.sent.truncate(MOST_SENT);
        for sent in &mut by.sent {
            (sent.who, sent.at_ms) = (by.who.clone(), at_ms);
            self.sent.retain(|old| old.path != sent.path);
            self.sent.push(sent.clone());
        }
        self.sent.drain(..self.sent.len().saturating_sub(MOST_SENT));
        if let Request::Start(start) = &mut *by.request {
            start.content = if by.sent.is_empty() {
                self.sent.iter().filter(|sent| sent.who == by.who).cloned().collect()
            } else {
                by.sent.clone()
            };
        }
    }

    /// The newest content of the same paths; everything if there was none.
    pub(super) fn newest(&self, content: &[SentContent]) -> Vec<SentContent> {
        let is_same = |sent: &&SentContent| content.iter().any(|old| old.path == sent.path);
        let all = self.sent.iter().filter(|sent| content.is_empty() || is_same(sent));
        all.cloned().collect()
    }
}
