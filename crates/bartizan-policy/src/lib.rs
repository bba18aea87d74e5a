//! The standard stacks of resilience layers from a file, TOML or JSON, that can be changed while they run.
