//! Hedged requests.
