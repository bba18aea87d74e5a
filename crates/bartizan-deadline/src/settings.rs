use crate::Deadline;
use crate::span::Span;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// A [`Deadline`] that can be changed while calls read it. A call that runs while it changes may see some of the old and
/// some of the new.
#[derive(Debug)]
pub(crate) struct Settings {
    flags: AtomicU32,
    total: AtomicU64,
    head_timeout: AtomicU64,
    idle_timeout: AtomicU64,
    min_remaining: AtomicU64,
    margin: AtomicU64,
    max_refused_share: AtomicU64,
}

/// The switches of a [`Deadline`] and those of the layer, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flags(u32);

impl Flags {
    pub(crate) const ENABLED: u32 = 1;
    pub(crate) const LEARN: u32 = 1 << 1;
    pub(crate) const TRUSTED: u32 = 1 << 2;
    pub(crate) const STREAM: u32 = 1 << 3;
    pub(crate) const FROM_CALL: u32 = 1 << 4;
    /// The share of refusals is bounded.
    pub(crate) const BOUNDED: u32 = 1 << 5;
    /// Somebody can read the counts: the layer has a name or gave out a handle. Not part of the value.
    pub(crate) const WATCHED: u32 = 1 << 6;

    #[inline]
    pub(crate) const fn has(self, flag: u32) -> bool {
        self.0 & flag != 0
    }

    /// Whether the layer is on and nothing needs its state.
    #[inline]
    pub(crate) const fn alone(self) -> bool {
        self.timeless() && !self.has(Self::WATCHED)
    }

    /// Whether the layer is on and nothing asks for the time at which a call begins.
    #[inline]
    pub(crate) const fn timeless(self) -> bool {
        self.0 & (Self::ENABLED | Self::LEARN | Self::FROM_CALL | Self::BOUNDED) == Self::ENABLED
    }

    const fn of(value: &Deadline) -> Self {
        let mut flags = 0;
        if value.enabled {
            flags |= Self::ENABLED;
        }
        if value.learn {
            flags |= Self::LEARN;
        }
        if value.trusted {
            flags |= Self::TRUSTED;
        }
        if value.stream {
            flags |= Self::STREAM;
        }
        if value.from_call {
            flags |= Self::FROM_CALL;
        }
        if value.max_refused_share < 1.0 {
            flags |= Self::BOUNDED;
        }
        Self(flags)
    }
}

impl Settings {
    pub(crate) fn new(value: &Deadline) -> Self {
        Self {
            flags: AtomicU32::new(Flags::of(value).0),
            total: Span::from(value.total).nanos().into(),
            head_timeout: Span::from(value.head_timeout).nanos().into(),
            idle_timeout: Span::from(value.idle_timeout).nanos().into(),
            min_remaining: Span::from(value.min_remaining).nanos().into(),
            margin: Span::from(value.margin).nanos().into(),
            max_refused_share: value.max_refused_share.to_bits().into(),
        }
    }

    /// Puts a new value in place.
    pub(crate) fn store(&self, value: &Deadline) {
        self.total.store(Span::from(value.total).nanos(), Relaxed);
        self.head_timeout.store(Span::from(value.head_timeout).nanos(), Relaxed);
        self.idle_timeout.store(Span::from(value.idle_timeout).nanos(), Relaxed);
        self.min_remaining.store(Span::from(value.min_remaining).nanos(), Relaxed);
        self.margin.store(Span::from(value.margin).nanos(), Relaxed);
        self.max_refused_share.store(value.max_refused_share.to_bits(), Relaxed);
        let new = Flags::of(value).0;
        let keep_watched = |old| Some(old & Flags::WATCHED | new);
        let _ = self.flags.fetch_update(Relaxed, Relaxed, keep_watched);
    }

    pub(crate) fn watch(&self) {
        self.flags.fetch_or(Flags::WATCHED, Relaxed);
    }

    #[inline]
    pub(crate) fn flags(&self) -> Flags {
        Flags(self.flags.load(Relaxed))
    }

    #[inline]
    pub(crate) fn total(&self) -> Span {
        Span::from_nanos(self.total.load(Relaxed))
    }

    #[inline]
    pub(crate) fn head_timeout(&self) -> Span {
        Span::from_nanos(self.head_timeout.load(Relaxed))
    }

    #[inline]
    pub(crate) fn idle_timeout(&self) -> Span {
        Span::from_nanos(self.idle_timeout.load(Relaxed))
    }

    #[inline]
    pub(crate) fn min_remaining(&self) -> Span {
        Span::from_nanos(self.min_remaining.load(Relaxed))
    }

    #[inline]
    pub(crate) fn margin(&self) -> Span {
        Span::from_nanos(self.margin.load(Relaxed))
    }

    pub(crate) fn max_refused_share(&self) -> f64 {
        f64::from_bits(self.max_refused_share.load(Relaxed))
    }
}
