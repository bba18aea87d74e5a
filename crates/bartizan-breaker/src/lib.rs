//! A circuit breaker as a tower layer, for axum, tonic and reqwest
