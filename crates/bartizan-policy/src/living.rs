//! The stacks that a policy has made and that follow it.

use crate::PolicyError;
use crate::client::Shape;
use crate::document::{CLIENTS, Client, Judged, Members, Named, SERVERS};
use crate::tree::Node;
use bartizan_stack::{ClientHandle, ClientLayer, ClientStack, ServerHandle, ServerStack};
use std::sync::{Mutex, PoisonError};
use tokio::sync::watch;

/// The stack of a server, and what code gave for it.
#[derive(Debug)]
pub(crate) struct LivingServer {
    name: String,
    /// `None`: all there is to know stands in the policy.
    base: Option<ServerStack>,
    handle: ServerHandle,
}

/// The stack of a client, and what code gave for it.
#[derive(Debug)]
pub(crate) struct LivingClient {
    name: String,
    base: Option<ClientStack>,
    handle: ClientHandle,
    /// `None`: code says where its calls go.
    shape: Option<Calls>,
}

/// Where the calls of a client go, as the policy says.
#[derive(Debug)]
enum Calls {
    Hosts,
    /// To the endpoints that it has named last.
    Endpoints(Mutex<Members>),
}

/// Endpoints that somebody follows on their own, whatever calls them.
#[derive(Debug)]
pub(crate) struct Followed {
    name: String,
    members: watch::Sender<Members>,
}

/// What is to be done to one of them, once it is known that all can be done.
pub(crate) enum Due<'a> {
    Server(&'a LivingServer, Box<ServerStack>),
    Client(&'a LivingClient, Box<Client>),
    Followed(&'a Followed, Members),
}

const LATE: &str = "cannot come while the client runs: it was made without a balancer";
const LOST: &str = "cannot be without endpoints while the client runs: it was made with a balancer";
const FOLLOWED: &str = "cannot be without endpoints while they are followed";

impl LivingServer {
    pub(crate) fn new(name: &str, base: Option<ServerStack>, handle: ServerHandle) -> Self {
        Self { name: name.to_owned(), base, handle }
    }

    /// What a policy says of it.
    pub(crate) fn due(&self, root: &Node) -> Result<Due<'_>, PolicyError> {
        let table = Named::of(root, SERVERS, &self.name, self.base.is_some()).map_err(PolicyError::in_use)?;
        let stack = table.server(self.base.clone().unwrap_or_default(), Judged::Whole)?;
        Ok(Due::Server(self, Box::new(stack)))
    }
}

impl LivingClient {
    pub(crate) fn new(
        name: &str,
        base: Option<ClientStack>,
        layer: ClientLayer,
        members: Option<Members>,
    ) -> (Self, Shape) {
        let (name, handle) = (name.to_owned(), layer.handle());
        let (calls, shape) = match members {
            None => (Calls::Hosts, Shape::Hosts(layer)),
            Some(members) => {
                let balanced = layer.members(members.clone());
                (Calls::Endpoints(Mutex::new(members)), Shape::Endpoints(balanced))
            }
        };
        (Self { name, base, handle, shape: Some(calls) }, shape)
    }

    /// A client of which code says where its calls go.
    pub(crate) fn by_code(name: &str, base: ClientStack, handle: ClientHandle) -> Self {
        Self { name: name.to_owned(), base: Some(base), handle, shape: None }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What a policy says of it.
    pub(crate) fn due(&self, root: &Node) -> Result<Due<'_>, PolicyError> {
        let table = Named::of(root, CLIENTS, &self.name, self.base.is_some()).map_err(PolicyError::in_use)?;
        let client = table.client(self.base.clone().unwrap_or_default(), Judged::Whole)?;
        match (&self.shape, &client.members) {
            (Some(Calls::Hosts), Some(_)) => Err(table.refuse(Some("endpoints"), LATE)),
            (Some(Calls::Endpoints(_)), None) => Err(table.refuse(None, LOST)),
            _ => Ok(Due::Client(self, Box::new(client))),
        }
    }
}

impl Followed {
    pub(crate) fn new(name: &str, members: Members) -> (Self, watch::Receiver<Members>) {
        let (members, known) = watch::channel(members);
        (Self { name: name.to_owned(), members }, known)
    }

    /// Whether there is nobody any more.
    pub(crate) fn is_over(&self) -> bool {
        self.members.is_closed()
    }

    /// What a policy says of them.
    pub(crate) fn due(&self, root: &Node) -> Result<Due<'_>, PolicyError> {
        let table = Named::of(root, CLIENTS, &self.name, true)?;
        match table.client(ClientStack::new(), Judged::Alone)?.members {
            Some(members) => Ok(Due::Followed(self, members)),
            None => Err(table.refuse(None, FOLLOWED)),
        }
    }
}

impl Due<'_> {
    /// Does it. All parts that are as they were go on untouched.
    pub(crate) fn done(self) {
        match self {
            // That its parts fit together was seen when it was made.
            Self::Server(server, stack) => drop(server.handle.update(*stack)),
            Self::Client(client, now) => {
                drop(client.handle.update(now.stack));
                if let (Some(Calls::Endpoints(known)), Some(members)) = (&client.shape, now.members) {
                    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
                    if *known != members {
                        client.handle.members(members.clone());
                        *known = members;
                    }
                }
            }
            Self::Followed(followed, members) => {
                followed.members.send_if_modified(|known| {
                    let is_new = *known != members;
                    *known = members;
                    is_new
                });
            }
        }
    }
}
