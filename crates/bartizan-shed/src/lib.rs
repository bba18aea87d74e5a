//! Load shedding as a tower layer, for axum, tonic and reqwest: adaptive with priorities, or a fixed limit.
