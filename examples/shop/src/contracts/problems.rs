//! The kinds of problem on which another service decides. Each is the end of a problem's `type`.

/// The order asks for more than there is.
pub const OUT_OF_STOCK: &str = "out-of-stock";
/// The order names a product that does not exist.
pub const UNKNOWN_PRODUCT: &str = "unknown-product";
/// The reservation was given back, and cannot be held or sold any more.
pub const RELEASED: &str = "reservation-released";
/// The bank said no.
pub const PAYMENT_DECLINED: &str = "payment-declined";
/// The idempotency key was used with another body.
pub const KEY_REUSED: &str = "idempotency-key-reused";
