//! The standard stacks of resilience layers from a file, TOML or JSON, that can be changed while they run.

mod body;
mod changes;
mod client;
mod document;
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
pub use error::PolicyError;
pub use format::Format;
pub use handle::{Handle, Snapshot};
pub use policy::Policy;
#[cfg(feature = "http")]
pub use server::{BoxError, ConfigServer, Payload};
