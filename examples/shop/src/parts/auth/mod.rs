//! Who is asking: passwords, tokens, and the keys that tokens are checked with.

mod customer;
mod guesses;
mod password;
mod token;

pub use customer::{Customer, Gatekeeper, identify};
pub use guesses::Guesses;
pub use password::Passwords;
pub use token::{Claims, Jwks, Key};

/// Compares in a time that does not tell how much is right.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}
