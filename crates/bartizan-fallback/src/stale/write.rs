use super::key::{Key, Keys};
use super::shared::Shared;
use bartizan_http::Head;
use bartizan_http::http::{Request, StatusCode};
use std::sync::Arc;

/// A request that may change what its target answers: once it has succeeded, what is kept of that is outdated (RFC 9111 §4.4).
#[derive(Debug)]
pub(crate) struct Write {
    shared: Arc<Shared>,
    key: Key,
    /// Keys have more in them than the target.
    is_extended: bool,
}

impl Write {
    pub(crate) fn new<B>(shared: &Arc<Shared>, keys: &Keys, req: &Request<B>) -> Self {
        Self { shared: shared.clone(), key: keys.plain(&Head::of(req)), is_extended: keys.is_extended() }
    }

    pub(crate) fn answered(&self, status: StatusCode) {
        if !(status.is_success() || status.is_redirection()) {
            return;
        }
        if self.is_extended {
            self.shared.store.forget(&self.key.target());
        } else {
            self.shared.store.outdate(&self.key);
        }
    }
}
