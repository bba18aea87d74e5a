//! The tower wiring of every Bartizan layer that only admits or refuses
