//! Where calls can go, as streams of changes: by DNS, a watched file, Consul. Heartbeats that are added to such a stream. And
//! registration with Consul.
//!
//! A source is a `Stream<Item = Result<Change<Uri>, Error>>`. It never ends, and tells a set when it is another than the last one. An
//! error is no change: whoever listens keeps what was told last. A resolver that is down, an answer that is empty, a file with a
//! wrong line are errors, and the last good set serves on.
//!
//! ```
//! use bartizan_core::{Change, Health};
//! use bartizan_discover::{Dns, Heartbeats};
//! use futures_util::StreamExt;
//! use http::Uri;
//! use std::io;
//! use std::time::Duration;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! let dns = Dns::new("http://product.internal:8080")
//!     .every(Duration::from_secs(10))
//!     // In place of the system's resolver and of a real question, for this example.
//!     .resolver(async |_, port| Ok(vec![([10, 0, 0, 1], port).into()]));
//! let mut changes = Heartbeats::new(|_: Uri| async { Ok::<_, io::Error>(Health::Up) }).watch(dns);
//!
//! let member = Uri::from_static("http://10.0.0.1:8080");
//! assert_eq!(changes.next().await.unwrap().unwrap(), Change::set([member.clone()]));
//! assert_eq!(changes.next().await.unwrap().unwrap(), Change::Health(member, Health::Up));
//! # }
//! ```
//!
//! # Which there are
//!
//! | source | asks | feature |
//! |---|---|---|
//! | [`Fixed`] | nobody | |
//! | [`Dns`] | the system's resolver, or a function of yours | |
//! | [`File`] | a file | |
//! | `Consul` | a Consul agent or server, by blocking queries | `consul` |
//!
//! | heartbeat | asks | feature |
//! |---|---|---|
//! | [`Tcp`] | whether a connection is accepted | |
//! | `Http` | a path | `hyper` |
//! | `Grpc` | gRPC's health protocol | `grpc` |
//! | a function | what you like | |
//!
//! `Registration`, with the feature `consul`, makes an instance known to a Consul agent and keeps it so.
//!
//! # What runs where
//!
//! Sources and heartbeats live in the stream, and not in tasks: they move when the stream is polled, and end when it is dropped. Only a
//! registration has a task, which ends with its handle. All of them need tokio.

#[cfg(feature = "consul")]
mod agent;
mod asking;
mod beat;
#[cfg(feature = "consul")]
mod consul;
#[cfg(feature = "consul")]
mod course;
mod dns;
mod error;
#[cfg(feature = "hyper")]
mod exchange;
mod file;
mod fixed;
mod heartbeats;
mod hysteresis;
mod known;
mod lines;
mod pace;
mod place;
mod probe;
#[cfg(feature = "consul")]
mod registered;
#[cfg(feature = "consul")]
mod registration;
mod watched;

#[cfg(feature = "consul")]
pub use consul::Consul;
pub use dns::Dns;
pub use error::{BoxError, Error};
#[cfg(feature = "hyper")]
pub use exchange::Payload;
pub use file::File;
pub use fixed::Fixed;
pub use heartbeats::Heartbeats;
#[cfg(feature = "grpc")]
pub use probe::Grpc;
#[cfg(feature = "hyper")]
pub use probe::Http;
pub use probe::{Probe, Probing, Tcp};
#[cfg(feature = "consul")]
pub use registered::Registered;
#[cfg(feature = "consul")]
pub use registration::Registration;
pub use watched::Watched;

#[cfg(all(doctest, feature = "consul", feature = "grpc"))]
#[doc = include_str!("../README.md")]
struct Readme;
