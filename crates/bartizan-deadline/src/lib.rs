//! Deadlines that travel, as a tower layer, for axum, tonic and reqwest
