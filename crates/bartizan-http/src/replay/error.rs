use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// A reader of a [`Replay`](crate::Replay) needed a frame that was beyond the [`ReplayLimit`](crate::ReplayLimit), and
/// is not kept any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplayTooLarge;

impl fmt::Display for ReplayTooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body is too large to be sent again")
    }
}

impl Error for ReplayTooLarge {}

/// The poll of the source has panicked.
#[derive(Debug)]
pub(super) struct Panicked;

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body panicked while it was read")
    }
}

impl Error for Panicked {}

/// One error for many readers.
#[derive(Clone, Debug)]
pub(super) struct Same(Arc<dyn Error + Send + Sync>);

impl Same {
    pub(super) fn new(error: Box<dyn Error + Send + Sync>) -> Self {
        Self(error.into())
    }
}

impl fmt::Display for Same {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Error for Same {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}
