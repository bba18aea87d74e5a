use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Bounds what is kept of request bodies, for one body and for all of a layer together. Its clones share the count.
///
/// Both bounds are in bytes of data; zero keeps none. What counts is the length of the frames that are kept, not the
/// size of the buffers that they are parts of.
#[derive(Clone, Debug)]
pub struct ReplayLimit(Arc<Limit>);

#[derive(Debug)]
struct Limit {
    body: AtomicUsize,
    total: AtomicUsize,
    kept: AtomicUsize,
}

impl ReplayLimit {
    /// Most that is kept of one body if nothing else is said: 64 KiB.
    pub const DEFAULT_BODY: usize = 64 * 1024;
    /// Most that is kept of all bodies together if nothing else is said: 16 MiB.
    pub const DEFAULT_TOTAL: usize = 16 * 1024 * 1024;

    /// Creates a limit of `body` bytes for each body and `total` bytes for all of them.
    #[must_use]
    pub fn new(body: usize, total: usize) -> Self {
        Self(Arc::new(Limit { body: body.into(), total: total.into(), kept: 0.into() }))
    }

    /// Changes both bounds. They hold for each frame that is read from now on; what is kept stays.
    pub fn update(&self, body: usize, total: usize) {
        self.0.body.store(body, Relaxed);
        self.0.total.store(total, Relaxed);
    }

    /// Bytes that are kept now, of all bodies.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.0.kept.load(Relaxed)
    }

    pub(super) fn body(&self) -> usize {
        self.0.body.load(Relaxed)
    }

    /// Takes room for `bytes` more of a body of which `kept` are there, or says that there is none.
    pub(super) fn take(&self, kept: usize, bytes: usize) -> bool {
        let fits = |sum: usize, most: usize| sum.checked_add(bytes).filter(|sum| *sum <= most);
        // Nothing more fits always: the bound may have been moved below what is kept.
        bytes == 0
            || fits(kept, self.body()).is_some()
                && self
                    .0
                    .kept
                    .fetch_update(Relaxed, Relaxed, |sum| fits(sum, self.0.total.load(Relaxed)))
                    .is_ok()
    }

    pub(super) fn give_back(&self, bytes: usize) {
        if bytes > 0 {
            self.0.kept.fetch_sub(bytes, Relaxed);
        }
    }
}

impl Default for ReplayLimit {
    /// Creates a limit with [`DEFAULT_BODY`](Self::DEFAULT_BODY) and [`DEFAULT_TOTAL`](Self::DEFAULT_TOTAL).
    fn default() -> Self {
        Self::new(Self::DEFAULT_BODY, Self::DEFAULT_TOTAL)
    }
}
