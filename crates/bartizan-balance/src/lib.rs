//! Load balancing over endpoints that are well.
