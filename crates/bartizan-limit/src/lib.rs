//! Rate limits as a tower layer, for axum, tonic and reqwest: exact, keyed, bounded.

#[cfg(feature = "redis")]
mod redis;
mod store;

#[cfg(feature = "redis")]
pub use self::redis::{DEFAULT_PREFIX, RedisStore};
pub use store::{Ask, Asking, DEFAULT_TIME_OUT, Store, StoreError, Told, Verb};
