use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// An `f32` that threads share, as its bits. Zero by default.
#[derive(Debug, Default)]
pub(crate) struct Float(AtomicU32);

impl Float {
    #[inline]
    pub(crate) fn get(&self) -> f32 {
        f32::from_bits(self.0.load(Relaxed))
    }

    #[inline]
    pub(crate) fn set(&self, value: f32) {
        self.0.store(value.to_bits(), Relaxed);
    }
}
