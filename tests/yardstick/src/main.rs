//! Bartizan's yardstick tests
fn main() {}
