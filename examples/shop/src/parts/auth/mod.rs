//! Who is asking: passwords, tokens, and the keys that tokens are checked with.

mod customer;
mod password;
mod token;

pub use customer::{Customer, Gatekeeper};
pub use password::Passwords;
pub use token::{Claims, Jwks, Key};
