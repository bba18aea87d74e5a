use super::age::{Times, wall};
use super::cache_status::{Forward, Status};
use super::condition;
use super::counts::Count;
use super::directives::Asked;
use super::entry::Entry;
use super::key::{Key, Keys};
use super::lease::Lease;
use super::shared::{InFlight, Shared};
use super::store::Epoch;
use super::trouble::Leave;
use super::value::Stale;
use bartizan_core::{Classify, Instant};
use bartizan_http::bytes::Bytes;
use bartizan_http::http::{HeaderMap, Method, Request, Response, Uri};
use bartizan_http::{Head, HttpAttempt, HttpClassifier};
use std::fmt;
use std::sync::Arc;

/// One read, from its arrival to the end of its answer.
pub(crate) struct Read {
    in_flight: InFlight,
    pub(crate) value: Arc<Stale>,
    pub(crate) key: Key,
    /// The key of those that may share its answer.
    pub(super) flight: Key,
    pub(crate) epoch: Epoch,
    /// The fields of the request, as an answer may vary on any of them.
    pub(super) request: HeaderMap,
    pub(super) asked: Asked,
    pub(super) attempt: HttpAttempt,
    pub(super) is_head: bool,
    pub(crate) found: Option<Arc<Entry>>,
    pub(super) leave: Option<Leave>,
    /// It asks by what is kept: a 304 is about that.
    pub(super) asks: bool,
    pub(crate) lease: Option<Lease>,
    sent: Instant,
}

impl Read {
    /// Looks at a request that [is a read](super::storable::is_read). `None` if its caller wants to have nothing kept of it, or its URI says
    /// who that is.
    pub(crate) fn begin<B>(shared: &Arc<Shared>, keys: &Keys, req: &Request<B>) -> Option<Box<Self>> {
        let asked = Asked::of(req.headers());
        if asked.no_store || names_caller(req.uri()) {
            return None;
        }
        let key = keys.key(&Head::of(req));
        let in_flight = shared.enter();
        let (found, epoch) = shared.store.get(&key, req.headers());
        Some(Box::new(Self {
            in_flight,
            value: shared.value(),
            key,
            flight: key,
            epoch,
            request: req.headers().clone(),
            asked,
            attempt: HttpClassifier.start(req),
            is_head: req.method() == Method::HEAD,
            found,
            leave: None,
            asks: false,
            lease: None,
            sent: Instant::now(),
        }))
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        self.in_flight.shared()
    }

    pub(super) fn count(&self, what: Count) {
        self.shared().counts.count(what);
    }

    /// Counts an answer that is served though it is stale.
    pub(super) fn count_stale(&self, what: Count, entry: &Entry, now: Instant) {
        self.shared().counts.count_stale(what, entry.stale_for(now));
    }

    /// Prepares the request that goes out.
    pub(crate) fn ask<B>(&mut self, req: &mut Request<B>, now: Instant) {
        self.sent = now;
        if let Some(found) = self.found.as_ref().filter(|_| !condition::has_condition(&self.request)) {
            self.asks = condition::ask(req.headers_mut(), found.headers());
        }
    }

    pub(super) fn times(&self, now: Instant) -> Times {
        Times { sent: self.sent, received: now, wall: wall() }
    }

    /// Answers with what is kept.
    pub(super) fn serve(
        &self,
        entry: &Entry,
        now: Instant,
        forward: Option<(Forward, Option<u16>)>,
        collapsed: bool,
    ) -> Response<Bytes> {
        let status = Status { forward, collapsed, left: entry.left(now) };
        entry.answer(&self.request, now, &status)
    }

    /// Why it goes out.
    pub(super) fn forward(&self, now: Instant) -> Forward {
        match &self.found {
            None => Forward::Miss,
            Some(found) if found.is_stale(now) => Forward::Stale,
            Some(found) if found.is_fresh(&self.asked, now) => Forward::Bypass,
            Some(_) => Forward::Request,
        }
    }

    /// Lets those go out who wait.
    pub(crate) fn release(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.release();
        }
    }

    /// Lets those go out who wait, and those who will come.
    pub(crate) fn release_all(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.release_all();
        }
    }
}

/// Whether a URI says who its caller is, with a name before the host.
fn names_caller(uri: &Uri) -> bool {
    uri.authority().is_some_and(|authority| authority.as_str().contains('@'))
}

impl fmt::Debug for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Read").field("key", &self.key).finish_non_exhaustive()
    }
}
