//! The bank, as payments see it: an answer, or not known.

use crate::contracts::bank::{Charge, Entry};
use crate::parts::peer::{Answer, Lost, Peer};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};

#[derive(Clone)]
pub(super) struct Bank(Peer);

impl Bank {
    pub(super) fn new(peer: Peer) -> Self {
        Self(peer)
    }

    /// What became of a charge under this key; `None` when the bank did not say. It may have charged.
    pub(super) async fn charge(&self, key: &str, amount_cents: i64, order: &str) -> Option<Entry> {
        let charge = Charge { amount_cents, reference: order.into() };
        entry(self.0.put(&format!("/charges/{key}"), &charge).await)
    }

    /// What the bank has under this key; `None` when it did not say, or has nothing.
    pub(super) async fn find(&self, key: &str) -> Option<Entry> {
        entry(self.0.get(&format!("/charges/{key}")).await)
    }

    /// What became of a refund of this key; `None` when the bank did not say.
    pub(super) async fn refund(&self, key: &str) -> Option<Entry> {
        let path = format!("/charges/{key}/refund");
        entry(self.0.send(Method::POST, &path, HeaderMap::new(), Bytes::new()).await)
    }
}

fn entry(answer: Result<Answer, Lost>) -> Option<Entry> {
    let answer = answer.ok()?;
    if answer.status != StatusCode::OK && answer.status != StatusCode::NOT_FOUND {
        tracing::warn!(status = answer.status.as_u16(), "the bank did not say");
    }
    answer.json().ok()
}
