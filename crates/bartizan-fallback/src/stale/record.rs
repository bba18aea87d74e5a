use super::counts::Count;
use super::entry::{Entry, Kept};
use super::read::Read;
use super::shared::Shared;
use super::storable::is_signed;
use bartizan_core::Instant;
use bartizan_http::bytes::Bytes;
use std::fmt;
use std::sync::Arc;

/// A body that is copied while it goes through to its caller, to be kept once it is whole.
///
/// Dropped before, nothing is kept, and the lease goes to the next who waits.
pub(crate) struct Record {
    read: Box<Read>,
    kept: Kept,
    copy: Copy,
}

/// What was seen of a body. As long as it is the same as the body that is kept already, nothing is copied.
struct Copy {
    shared: Arc<Shared>,
    known: Bytes,
    /// Bytes that were the same.
    same: usize,
    /// From the first difference on, all of it.
    own: Option<Vec<u8>>,
    /// Bytes of room that are taken.
    room: usize,
}

impl Record {
    pub(crate) fn new(read: Box<Read>, kept: Kept) -> Self {
        let known = read.found.as_ref().map(|found| found.body().clone()).unwrap_or_default();
        let shared = read.shared().clone();
        let copy = Copy { shared, known, same: 0, own: None, room: 0 };
        Self { read, kept, copy }
    }

    /// Whether others wait for it, or could.
    pub(crate) const fn is_awaited(&self) -> bool {
        self.read.lease.is_some()
    }

    /// Sees a part of the body. False if it became too large.
    pub(crate) fn data(&mut self, data: &[u8]) -> bool {
        self.copy.push(data, self.read.value.max_body, self.read.value.max_bytes)
    }

    /// Keeps the answer, whose body is whole.
    pub(crate) fn whole(mut self) {
        let body = self.copy.take();
        // What answers a `HEAD` has the length of another body.
        if !self.read.is_head && !self.kept.has_length(body.len()) {
            return;
        }
        self.read.keep(&Arc::new(self.kept.with(body)));
    }

    /// Lets go of an answer that cannot be kept after all.
    pub(crate) fn unkept(mut self) {
        self.read.release_all();
    }

    /// Lets go of an answer that broke off.
    pub(crate) fn broken(mut self) {
        self.read.release();
    }
}

impl Copy {
    fn push(&mut self, data: &[u8], most: usize, room: usize) -> bool {
        if self.own.is_none() {
            if self.known[self.same..].starts_with(data) {
                self.same += data.len();
                return self.same <= most;
            }
            if !self.take_room(self.same, most, room) {
                return false;
            }
            self.own = Some(self.known[..self.same].to_vec());
        }
        if !self.take_room(data.len(), most, room) {
            return false;
        }
        if let Some(own) = &mut self.own {
            own.extend_from_slice(data);
        }
        true
    }

    fn take_room(&mut self, more: usize, most: usize, room: usize) -> bool {
        let fits = self.room.saturating_add(more) <= most && self.shared.recording.take(more, room);
        self.room += if fits { more } else { 0 };
        fits
    }

    fn take(&mut self) -> Bytes {
        match self.own.take() {
            // No more room than it takes.
            Some(own) => own.into_boxed_slice().into(),
            None if self.same == self.known.len() => self.known.clone(),
            None => Bytes::copy_from_slice(&self.known[..self.same]),
        }
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        self.shared.recording.give_back(self.room);
    }
}

impl Read {
    /// Keeps an answer, unless it was outdated while it was under way, and shares it with those who wait.
    pub(crate) fn keep(&mut self, entry: &Arc<Entry>) {
        let shared = self.shared().clone();
        let is_current = if entry.is_of_use(&self.value) {
            let is_kept = shared.store.put(self.key, self.epoch, entry.clone());
            if is_kept {
                shared.counts.count(Count::Stored);
            }
            is_kept
        } else {
            // For those who wait, and nobody after them.
            shared.store.is_current(&self.key, self.epoch)
        };
        if !is_current {
            return self.release();
        }
        if is_signed(&self.request) && !entry.is_shareable(Instant::now()) {
            return self.release_all();
        }
        shared.flights.is_shareable(&self.flight);
        if let Some(lease) = self.lease.take() {
            lease.share(entry);
        }
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("room", &self.copy.room).finish_non_exhaustive()
    }
}
