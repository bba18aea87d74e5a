//! One account, and what its customer remembers.

use super::gateway::{Gateway, Request};
use crate::parts::id;
use serde_json::json;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

pub(super) struct Customer {
    email: String,
    password: String,
    token: Mutex<Arc<str>>,
    last_order: Mutex<Option<String>>,
    /// The place of the one journey that logs in for all.
    pub(super) logging_in: Semaphore,
}

impl Customer {
    /// Somebody whom no shop knows.
    pub(super) fn new() -> Self {
        Self {
            email: format!("load-{}@example.org", id::new()),
            password: id::new(),
            token: Mutex::new("".into()),
            last_order: Mutex::default(),
            logging_in: Semaphore::new(1),
        }
    }

    pub(super) fn register(&self, gateway: &Gateway) -> Request {
        let user = json!({ "name": "Load", "email": self.email, "password": self.password });
        gateway.post("/users", &user)
    }

    pub(super) fn log_in(&self, gateway: &Gateway) -> Request {
        gateway.post("/sessions", &json!({ "email": self.email, "password": self.password }))
    }

    pub(super) fn token(&self) -> Arc<str> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_token(&self, token: &str) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = token.into();
    }

    pub(super) fn last_order(&self) -> Option<String> {
        self.last_order.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_last_order(&self, id: &str) {
        *self.last_order.lock().unwrap_or_else(PoisonError::into_inner) = Some(id.to_owned());
    }
}

/// Without the password and the token.
impl fmt::Debug for Customer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Customer").field("email", &self.email).finish_non_exhaustive()
    }
}
