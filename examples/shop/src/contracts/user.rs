//! Users and sessions, over HTTP.

use serde::{Deserialize, Serialize};

/// `POST /users`
#[derive(Deserialize)]
pub struct Register {
    pub name: String,
    pub email: String,
    pub password: String,
}

/// `POST /users` → 201, `GET /users/{id}` → 200
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct User {
    pub id: String,
    pub name: String,
    pub email: String,
}

impl User {
    /// Who stands for a user that nobody can tell of now.
    pub fn somebody() -> Self {
        Self { id: String::new(), name: "customer".into(), email: String::new() }
    }
}

/// `POST /sessions`
#[derive(Deserialize)]
pub struct LogIn {
    pub email: String,
    pub password: String,
}

/// `PUT /users/me/password`
#[derive(Deserialize)]
pub struct NewPassword {
    pub old_password: String,
    pub password: String,
}

/// The account that an email names: emails that differ only in case are one.
pub fn account(email: &str) -> String {
    email.to_lowercase()
}

/// `POST /sessions` → 200
#[derive(Deserialize, Serialize)]
pub struct Session {
    pub token: String,
    /// Seconds until the token is refused.
    pub expires_in: i64,
}
