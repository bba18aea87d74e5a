//! In the place of `redis`, where that feature is left out: there is none.

use super::super::config::REDIS;
use super::super::failure::Failure;
use bartizan::limit::{Ask, Asking, Store};
use std::convert::Infallible;

/// No Redis.
#[derive(Clone, Debug)]
pub(super) struct RedisStore(Infallible);

impl Store for RedisStore {
    fn ask(&self, _: Ask<'_>) -> Asking {
        match self.0 {}
    }
}

/// # Errors
///
/// Always.
pub(super) fn open(_url: &str) -> Result<RedisStore, Failure> {
    Err(Failure::left_out(REDIS, "a Redis", "redis"))
}
