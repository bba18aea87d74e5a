//! The Redis in which buckets are kept.

use super::super::config::REDIS;
use super::super::failure::Failure;
pub(super) use bartizan::limit::RedisStore;

/// # Errors
///
/// When that is no URL of a Redis.
pub(super) fn open(url: &str) -> Result<RedisStore, Failure> {
    // Neither the URL nor what is said of it: there may be a password in it.
    let wrong = |_| Failure::new(format!("{REDIS} must be like redis://127.0.0.1:6379."));
    Ok(RedisStore::open(url).map_err(wrong)?.prefix("shop:limit:"))
}
