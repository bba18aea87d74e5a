//! Bartizan's conformance tests
