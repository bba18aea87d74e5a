//! What shows the shop, and is not copied with it.

pub mod ops;
