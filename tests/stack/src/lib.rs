//! Bartizan's stack tests
