//! What the environment says of keys and of who is an admin.

use super::super::config::set;
use super::super::failure::Failure;
use std::fmt;
use std::time::Duration;

/// `SHOP_ADMIN_EMAIL` and `SHOP_ADMIN_PASSWORD`: who is an admin from the first start on.
#[derive(Clone, PartialEq, Eq)]
pub struct FirstAdmin {
    pub email: String,
    pub password: String,
}

impl fmt::Debug for FirstAdmin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FirstAdmin").field("email", &self.email).finish_non_exhaustive()
    }
}

impl FirstAdmin {
    /// # Errors
    ///
    /// When only one of the two is set.
    pub fn from_env() -> Result<Option<Self>, Failure> {
        match (set("SHOP_ADMIN_EMAIL")?, set("SHOP_ADMIN_PASSWORD")?) {
            (Some(email), Some(password)) => Ok(Some(Self { email, password })),
            (None, None) => Ok(None),
            _ => Err(Failure::new(
                "SHOP_ADMIN_EMAIL and SHOP_ADMIN_PASSWORD go together: set both or neither.",
            )),
        }
    }
}

/// `SHOP_KEY_SECONDS`: how long a key signs. Default: a day.
///
/// # Errors
///
/// When it is not 2 to 31536000.
pub fn key_life() -> Result<Duration, Failure> {
    let Some(seconds) = set("SHOP_KEY_SECONDS")? else { return Ok(Duration::from_secs(86_400)) };
    match seconds.parse() {
        Ok(seconds @ 2..=31_536_000) => Ok(Duration::from_secs(seconds)),
        _ => Err(Failure::new(format!("SHOP_KEY_SECONDS must be 2 to 31536000, not {seconds:?}."))),
    }
}
