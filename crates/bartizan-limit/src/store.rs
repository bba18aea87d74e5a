//! Buckets that several processes share.

mod case;
mod handle;
mod hash;
mod health;
mod layer;
mod shared;
mod source;

pub use handle::SharedHandle;
pub(crate) use hash::id;
pub use layer::{SharedLimitLayer, SharedLimitService};
pub use shared::Shared;
pub(crate) use source::Source;

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::time::Duration;

/// A place outside of the process where buckets are kept, so that several processes share one limit.
///
/// `RedisStore` is one, behind the feature `redis`. What a store is asked is one decision, to be made at once and as
/// a whole: two processes that ask at the same time must not both be given the last token.
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Asks for tokens of one bucket. A bucket that nobody has asked for yet is full.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any time; whether the tokens were taken is then not known.
    fn ask(&self, ask: Ask<'_>) -> Asking;

    /// How long the layer waits for an answer. Default: [`DEFAULT_TIME_OUT`].
    fn time_out(&self) -> Duration {
        DEFAULT_TIME_OUT
    }
}

/// How long a layer waits for a store's answer, if not said otherwise: 20 ms.
pub const DEFAULT_TIME_OUT: Duration = Duration::from_millis(20);

/// What a [`Store`] will say.
pub type Asking = Pin<Box<dyn Future<Output = Result<Told, StoreError>> + Send>>;

/// What a [`Store`] is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask<'a> {
    /// The name of the limit, empty if it has none. Limits of one name share their buckets.
    pub name: &'a str,
    /// The bucket, within the limit. Made of the request's key by a hash that all processes have in common: with the same name and the
    /// same key, it is the same in each.
    pub bucket: u128,
    /// After how long one token comes back, in whole nanoseconds.
    pub interval: Duration,
    /// How many tokens a full bucket holds.
    pub burst: u32,
    /// How many tokens are asked for, at most `burst`.
    pub cost: u32,
    /// What is done about them.
    pub verb: Verb,
}

/// What is done about the tokens that a [`Store`] is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// All are taken, or none if there are too few.
    Take,
    /// As many are taken as there are.
    Charge,
    /// None is taken: it is only said whether there were enough.
    Peek,
}

/// What a [`Store`] says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// After how long there will be enough tokens, if nobody else takes any. Zero: there were enough.
    pub wait: Duration,
    /// After how long the bucket will be full again, counted from after this answer.
    pub debt: Duration,
}

/// Why a [`Store`] gave no answer: it reads as its cause does.
#[derive(Debug)]
pub struct StoreError(Box<dyn Error + Send + Sync>);

impl StoreError {
    /// Creates an error of its cause.
    #[must_use]
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}
