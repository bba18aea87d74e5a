//! Endpoints by DNS, file or Consul as streams of changes; heartbeats; registration.
