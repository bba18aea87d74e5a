//! Bartizan's compat tests
