//! The atomics and locks of the hand-written parts, loom's under its `cfg`.

#[cfg(not(bartizan_loom))]
pub(crate) use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

#[cfg(bartizan_loom)]
pub(crate) use loom::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};
#[cfg(bartizan_loom)]
pub(crate) use std::sync::PoisonError;
