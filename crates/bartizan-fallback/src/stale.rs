//! The last good answer, in place of a call that fails; for `GET` and `HEAD`.

mod age;
mod ahead;
mod body;
mod cache_status;
mod condition;
mod counts;
mod directives;
mod entry;
mod events;
mod fields;
mod flights;
mod future;
mod handle;
mod key;
mod layer;
mod lease;
mod read;
mod record;
mod refresh;
mod reuse;
mod service;
mod shared;
mod storable;
mod store;
mod trouble;
mod value;
mod vary;
mod write;

pub use body::StaleBody;
pub use counts::Snapshot;
pub use future::ResponseFuture;
pub use handle::Handle;
pub use layer::StaleLayer;
pub use service::StaleService;
pub use value::Stale;
