//! Rate limits as a tower layer, for axum, tonic and reqwest: exact, keyed, bounded.
