//! Bartizan's shop
fn main() {}
