//! What can stand in a policy: a table for each server and each client, and in it one for each layer.
//!
//! Every value is checked by the setter that takes it, so that ranges are written down once, and not here.

mod backoff;
mod balance;
mod breaker;
mod budget;
mod deadline;
mod ejection;
mod endpoint;
mod grpc;
mod hedge;
mod limit;
mod pause;
mod range;
mod resolved;
mod retry;
mod retry_on;
mod rules;
mod schema;
mod settings;
mod shed;
mod short;
mod span;
mod stale;
mod switch;
mod tables;
mod time;

pub(crate) use endpoint::Endpoint;
pub(crate) use range::range;
pub(crate) use resolved::{CLIENTS, Client, DEFAULT, Members, Named, SERVERS, check, names};
pub use schema::schema;
pub(crate) use schema::{
    AboveOne, AboveZero, BelowOne, Between, Nats, NumberOr, Percentile, Positive, Share, Switched, TimeOr,
};
pub(crate) use settings::Judged;
pub(crate) use short::expand;
pub(crate) use switch::Switch;
pub(crate) use tables::{ClientTable, Document, ServerTable};
pub(crate) use time::{Time, spelled};

/// Lets types be given to setters as they are.
macro_rules! given {
    ($($kind:ty),*) => {$(
        impl $crate::document::settings::Setting for $kind {
            type Given = Self;
            fn given(&self) -> Self {
                self.clone()
            }
        }
    )*};
}

use given;
