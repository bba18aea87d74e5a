//! The tests in `tests/` put Bartizan's layers on axum 0.7 and tonic 0.12, unchanged.
//!
//! They compile because the layers' public types are those of `tower-layer`, `tower-service`, `http` and
//! `http-body`, which both generations share.
