//! Bartizan's recipes
