//! The two standard stacks of resilience layers, one before a server and one around a client.

mod balanced;
mod client_handle;
mod client_layer;
mod client_stack;
mod difference;
mod halves;
mod host;
mod limits;
mod misfit;
mod pairs;
mod server_handle;
mod server_layer;
mod server_stack;
mod table;

pub use balanced::{BalancedLayer, BalancedService};
pub use client_handle::ClientHandle;
pub use client_layer::{ClientLayer, ClientService, HostOf, HostService};
pub use client_stack::ClientStack;
pub use difference::Difference;
pub use halves::{EndpointLayer, EndpointService, OuterLayer, OuterService};
pub use host::Host;
pub use misfit::Misfit;
pub use server_handle::ServerHandle;
pub use server_layer::{ServerLayer, ServerService};
pub use server_stack::ServerStack;
