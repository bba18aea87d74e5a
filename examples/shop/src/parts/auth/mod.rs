//! Who is asking: passwords, tokens, and the keys that tokens are checked with.

mod customer;
mod guesses;
mod operator;
mod password;
mod settings;
mod token;
mod trust;

pub use customer::{Admin, Customer, Gatekeeper, identify};
pub use guesses::Guesses;
pub use operator::operator;
pub use password::{Matched, Passwords};
pub use settings::{FirstAdmin, key_life};
pub use token::{AUDIENCE, Claims, ISSUER, Jwk, Key, Role};
pub use trust::{Ended, Jwks};

/// Compares in a time that does not tell how much is right.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}
