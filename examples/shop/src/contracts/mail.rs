//! The mails that were written, over HTTP.

use serde::{Deserialize, Serialize};

/// `GET /mails?limit=` → 200, newest first
#[derive(Debug, Deserialize, Serialize)]
pub struct Mails {
    pub mails: Vec<Mail>,
}

/// One of each kind for an order or a user.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Mail {
    pub id: String,
    /// The order or the user that it is about.
    pub subject_id: String,
    /// The topic of the event that it tells.
    pub kind: String,
    pub recipient: String,
    pub body: String,
    /// Milliseconds since 1970.
    pub created_at: i64,
}
