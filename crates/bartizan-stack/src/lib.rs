//! The two standard stacks of resilience layers, one before a server and one around a client.
