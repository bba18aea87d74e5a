//! The standard stacks of resilience layers from a file, TOML or JSON, that can be changed while they run.
//!
//! ```
//! use axum::{Router, routing::get};
//! use bartizan_policy::{Format, Policy};
//!
//! # fn main() -> Result<(), bartizan_policy::PolicyError> {
//! let policy = Policy::parse(Format::Toml, "[servers.checkout]\ndeadline = '2s'\nlimit.rate = 50\n")?;
//! let app: Router = Router::new().route("/", get(|| async { "paid" })).layer(policy.server("checkout")?);
//! policy.update(Format::Toml, "[servers.checkout]\ndeadline = '3s'\nlimit.rate = 80\n")?;
//! # Ok(())
//! # }
//! ```
//!
//! # What stands in it
//!
//! A table for each stack, `[servers.<name>]` and `[clients.<name>]`, and in it one for each layer: `deadline`, `limit` and `shed` of a server,
//! `stale`, `deadline`, `retry`, `hedge`, `budget`, `balance`, `breaker` and `attempt` of a client, and its `endpoints`. The settings of a layer are named
//! as the setters of its value, and each is checked by its setter; a closure cannot be written down. All of them,
//! with what they may be and what they are by default, are on [a page](docs::settings), and for editors in [`schema`].
//!
//! | written | is |
//! |---|---|
//! | `"250ms"`, `"1m 30s"` | a duration |
//! | `deadline = "2s"` | `deadline.total = "2s"`; so with `attempt` |
//! | `retry = false` | `retry.enabled = false`; so with every layer, and `balance.ejection` |
//! | `breaker.consecutive = 5` | `breaker.consecutive.failures = 5` |
//! | `breaker.evidence = false`, `balance.ejection.excess = false` | without the rule that is there by default |
//! | `breaker.failure_ratio.window = 100`, `= "10s"` | a window of calls, of time |
//! | `retry.backoff.exponential = { min = "50ms", max = "1s" }` | a back-off: or `constant`, `linear`, `decorrelated` |
//! | `retry.on = ["gateway", 409, "UNAVAILABLE"]` | `failures`, `gateway`, `connect`, statuses, gRPC codes by number or name |
//! | `balance.choice = "round robin"` | a word of a closed set; `choice.ring_hash = { bound = 1.5 }` |
//! | `endpoints = ["http://10.0.0.1:8080", { uri = "…", weight = 2 }]` | members of the balancer |
//! | `shed.fixed = 32` | a fixed limit, `shed.adaptive = true` the other kind |
//! | `null`, in JSON | as if it were not named |
//!
//! Settings and words may be written with `_`, `-` or a space: `max_retries` is `max-retries`. Editors by the schema know all spellings of
//! words, and of settings the first.
//! Names of servers and clients are as they are.
//!
//! What stands in `[servers.default]` and `[clients.default]` holds for all servers and all clients, unless these name it themselves. Three say
//! what a stack is: code, the table of all, the table of its own; each changes what it names, at every depth. But a back-off, a choice,
//! a pause, a rule that is off by default, and a list of endpoints are each one thing, and replaced as a whole. `enabled` and `mode` say the same, so
//! that one takes the place of the other; so do `fixed` and `adaptive`.
//!
//! # What it promises
//!
//! - A policy is taken over as a whole or not at all. That holds for every layer that was made of it, whatever code gives for each.
//! - What is refused says where and why: line, field, what is allowed, what was meant. Two settings that do not fit are both named; if both stand
//!   in the text, when it is read, and else as soon as it is known what code gives.
//! - Parts of a stack that are as they were are not touched; those that are another are changed by the handles of their layers,
//!   which keep windows, states, tokens, permits and calls.
//! - One change is one event, and so is one refusal, however often a source is asked. [`Handle::snapshot`] says what holds, and what is
//!   wrong.
//! - No lock is held that an event's subscriber could ask for, and one that wants to change the policy from within a change is refused.
//! - Whatever becomes of a source, what held holds on.
//!
//! # What cannot change while it runs
//!
//! Whether a client has endpoints: they may be others, but not come where there were none, or all leave. Where code says where the calls go,
//! [`endpoints`](Policy::endpoints) are followed on their own, and may not all leave. A table that a layer without a
//! stack of code's was made of cannot leave. Both are refused.
//!
//! # What is shared
//!
//! A policy and its clones are one. It knows the layers that were made of it: those of clients weakly, those of servers until it
//! ends itself.

mod body;
mod changes;
mod client;
mod document;
mod endpoints;
mod error;
mod file;
mod format;
mod handle;
mod living;
mod policy;
#[cfg(feature = "http")]
mod server;
mod shared;
mod source;
mod tree;
mod words;

pub use body::PolicyBody;
pub use changes::{Change, Changes};
pub use client::{PolicyClient, PolicyClientLayer};
pub use document::schema;
pub use endpoints::Endpoints;
pub use error::PolicyError;
pub use format::Format;
pub use handle::{Handle, Snapshot};
pub use policy::Policy;
#[cfg(feature = "http")]
pub use server::{BoxError, ConfigServer, Payload};

/// Pages that belong to no single item.
pub mod docs {
    #[doc = include_str!("../docs/settings.md")]
    pub mod settings {}
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
