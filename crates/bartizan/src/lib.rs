//! Resilience layers for axum, tonic and reqwest: circuit breaker and deadline so far
