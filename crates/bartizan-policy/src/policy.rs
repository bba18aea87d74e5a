use crate::client::PolicyClientLayer;
use crate::document::{CLIENTS, Client, Judged, Members, Named, SERVERS, check, expand, names};
use crate::handle::Handle;
use crate::living::{Followed, LivingClient, LivingServer};
use crate::shared::{Shared, State};
use crate::tree::{self, Node};
use crate::{Changes, Endpoints, Format, PolicyError, file};
use bartizan_core::Name;
use bartizan_stack::{ClientLayer, ClientStack, ServerLayer, ServerStack};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The stacks of a process as a file says them, and all layers that were made of it. Its clones are the same. Layers go on without it,
/// as they were last: keep it for as long as they shall follow.
///
/// ```
/// use bartizan_policy::{Format, Policy};
///
/// # fn main() -> Result<(), bartizan_policy::PolicyError> {
/// let policy = Policy::parse(
///     Format::Toml,
///     r#"
///         [servers.checkout]
///         deadline = "2s"
///         limit = { rate = 50, burst = 200 }
///
///         [clients.stock]
///         retry.max_retries = 1
///     "#,
/// )?;
/// let checkout = policy.server("checkout")?;
/// assert!(checkout.to_string().contains("2 s"));
/// assert_eq!(policy.server("checkuot").unwrap_err().to_string(), "there is no server `checkuot`, did you mean `checkout`? There are `checkout`");
/// # Ok(())
/// # }
/// ```
///
/// A layer that was made of it follows it: what [`update`](Self::update), a [watched file](Self::watch) or a config server changes holds
/// for all of them from then on, and nothing that they know is lost. A policy that is wrong anywhere changes nothing at all.
#[derive(Clone)]
pub struct Policy {
    pub(crate) shared: Arc<Shared>,
}

impl Policy {
    /// Reads a policy from a file, by its extension JSON or else TOML.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or is wrong anywhere: with file, line and field.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, PolicyError> {
        let path = path.into();
        let content = file::read(&path)?;
        let root = read(Format::of(&path), &content);
        let root = root.map_err(|error| error.origin(&path.display().to_string()))?;
        Ok(Self::of(root, Some((path, content))))
    }

    /// Reads a policy from a text.
    ///
    /// # Errors
    ///
    /// If it is wrong anywhere: with line and field.
    pub fn parse(format: Format, text: &str) -> Result<Self, PolicyError> {
        Ok(Self::of(read(format, text)?, None))
    }

    /// Creates a policy that says nothing yet. A server or client can be asked of it where code gives a stack, and others once it has been
    /// [updated](Self::update).
    #[must_use]
    pub fn empty() -> Self {
        Self::of(Node::empty(), None)
    }

    fn of(root: Node, file: Option<(PathBuf, String)>) -> Self {
        Self { shared: Arc::new(Shared::new(root, file)) }
    }

    /// Names it in its events and in the [registry](bartizan_core::registry). The first name stays.
    #[must_use]
    pub fn named(self, name: impl Into<Name>) -> Self {
        Shared::set_name(&self.shared, name.into());
        self
    }

    /// Makes the layer of a server. It is named as its table, and has a state of its own: make one for each server, and clone it.
    ///
    /// # Errors
    ///
    /// If there is no such server, which is told with the names of those that there are, or if its settings do not fit together.
    pub fn server(&self, name: &str) -> Result<ServerLayer, PolicyError> {
        self.make_server(name, None)
    }

    /// Makes the layer of a server on top of what code says of it: the policy changes what it names, and need not name it at all.
    ///
    /// # Errors
    ///
    /// If both together do not fit.
    pub fn server_with(&self, name: &str, base: ServerStack) -> Result<ServerLayer, PolicyError> {
        self.make_server(name, Some(base))
    }

    /// Makes the layer of a client. It is named as its table, and has a state of its own: make one for each client, and clone it.
    ///
    /// # Errors
    ///
    /// If there is no such client, which is told with the names of those that there are, or if its settings do not fit together.
    pub fn client(&self, name: &str) -> Result<PolicyClientLayer, PolicyError> {
        self.make_client(name, None)
    }

    /// Makes the layer of a client on top of what code says of it: the policy changes what it names, and need not name it at all.
    ///
    /// # Errors
    ///
    /// If both together do not fit.
    pub fn client_with(&self, name: &str, base: ClientStack) -> Result<PolicyClientLayer, PolicyError> {
        self.make_client(name, Some(base))
    }

    /// Takes over another text, the whole of it or nothing, and returns what is another in it. All layers that live follow: windows,
    /// states, permits, and calls that run stay; layers that are made later are made of it. A server or client that was made without
    /// a stack of code's must be in it.
    ///
    /// # Errors
    ///
    /// If it is wrong anywhere, or does not fit to a layer that lives, or if it is called from within a change, as by a subscriber of `tracing`
    /// that hears of it. All stays as it was.
    pub fn update(&self, format: Format, text: &str) -> Result<Changes, PolicyError> {
        self.shared.take(read(format, text), None)
    }

    /// Reads its file again and again, so long after the last time, and takes over what has changed. A second is
    /// a good time between two readings; it is at least a millisecond.
    ///
    /// The file may be written in place, replaced, or be a symbolic link that is moved, as Kubernetes does with a `ConfigMap`: a
    /// change is believed once two readings in a row are the same. While it is missing or wrong the old policy holds, and an event says
    /// why, once for each reason. It ends with the policy. Of two sources each would take over the whole: have one.
    ///
    /// # Errors
    ///
    /// If it was not [opened](Self::open) from a file, or outside of a tokio runtime.
    pub fn watch(&self, every: Duration) -> Result<(), PolicyError> {
        file::watch(&self.shared, every)
    }

    /// Asks a config server for the policy, takes it over, and from then on does so again and again. Where the server does not answer or
    /// what it answers is wrong, the [last answer that was good](crate::ConfigServer::keep) is taken. It ends with the policy.
    ///
    /// # Errors
    ///
    /// If the server has nothing to offer, and nothing is kept, or outside of a tokio runtime. It is not asked again then.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped, the policy may have been taken over, and the server is not asked again.
    #[cfg(feature = "http")]
    pub async fn follow(&self, server: crate::ConfigServer) -> Result<(), PolicyError> {
        crate::server::follow(&self.shared, server).await
    }

    /// Asks all sources at once, the file that is [watched](Self::watch) and the config server, and returns when they have answered.
    ///
    /// # Errors
    ///
    /// The first reason for which a source could not be asked or was not believed. Where there is no source, nothing happens.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped, the sources are asked all the same.
    pub async fn refresh(&self) -> Result<(), PolicyError> {
        let mut told = Ok(());
        for source in self.shared.sources() {
            told = told.and(source.refresh().await);
        }
        told
    }

    /// Returns a handle, from which it is watched and changed.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle(self.shared.clone())
    }

    /// Makes the layer of a client on top of what code says of it, for code that says more: where it finds endpoints, what may be
    /// repeated, what a key is made of. It calls those that the policy names if it is given them, by [`endpoints`](Self::endpoints).
    ///
    /// # Errors
    ///
    /// If both together do not fit.
    pub fn client_layer(&self, name: &str, base: ClientStack) -> Result<ClientLayer, PolicyError> {
        let _turn = self.shared.turn()?;
        let (layer, _) = self.layer_of(name, Some(&base))?;
        self.shared.state().keep_client(LivingClient::by_code(name, base, layer.handle()));
        Ok(layer)
    }

    /// Follows the endpoints of a client on their own, for what is called otherwise than by a client that goes where a request says: channels of
    /// tonic above all, of which each goes where it was made for.
    ///
    /// ```
    /// # use bartizan_http::http::{Request, Response, Uri};
    /// # use bartizan_policy::{Format, Policy};
    /// # use bartizan_stack::ClientStack;
    /// # use std::convert::Infallible;
    /// # use tower::{Layer, service_fn};
    /// # /// Stands for `AnyBody::new(Endpoint::from(url.clone()).connect_lazy(), tonic::body::Body::new)`.
    /// # fn channel(_: &Uri) -> impl tower::Service<Request<()>, Response = Response<String>, Error = Infallible, Future: Send> + Clone + Send + Sync + use<> {
    /// #     service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(String::new())) })
    /// # }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), bartizan_policy::PolicyError> {
    /// let policy = Policy::parse(Format::Toml, "[clients.payment]\nendpoints = ['http://10.0.0.1:50051']\n")?;
    ///
    /// let layer = policy.client_layer("payment", ClientStack::new())?;
    /// let endpoints = policy.endpoints("payment")?;
    /// let channels = layer.balance(|url: &Uri| channel(url)).members(endpoints.members()).discover(endpoints);
    /// let payment = layer.outer().layer(channels);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If there is no such client, or it names no endpoints.
    pub fn endpoints(&self, name: &str) -> Result<Endpoints, PolicyError> {
        let _turn = self.shared.turn()?;
        let mut state = self.shared.state();
        let members = Named::of(&state.root, CLIENTS, name, false).and_then(|table| {
            let client = table.client(ClientStack::new(), Judged::Alone)?;
            client.members.ok_or_else(|| table.refuse(None, "names no endpoints that could be followed"))
        });
        let (followed, known) = Followed::new(name, members.map_err(|error| state.placed(error))?);
        state.ask(CLIENTS, name);
        state.call(name);
        state.add_followed(followed);
        Ok(Endpoints::new(known))
    }

    /// Says what the policy makes of the stack of a server now, for layers that are put together elsewhere. They do not follow it by
    /// themselves.
    ///
    /// # Errors
    ///
    /// If both together do not fit.
    pub fn server_stack(&self, name: &str, base: &ServerStack) -> Result<ServerStack, PolicyError> {
        self.server_of(name, Some(base))
    }

    /// Says what the policy makes of the stack of a client now, for layers that are put together elsewhere. They do not follow it by
    /// themselves.
    ///
    /// # Errors
    ///
    /// If both together do not fit.
    pub fn client_stack(&self, name: &str, base: &ClientStack) -> Result<ClientStack, PolicyError> {
        self.client_of(name, Some(base)).map(|client| client.stack)
    }

    fn make_server(&self, name: &str, base: Option<ServerStack>) -> Result<ServerLayer, PolicyError> {
        let _turn = self.shared.turn()?;
        let stack = self.server_of(name, base.as_ref())?;
        // That its parts fit together was just seen.
        let layer = ServerLayer::try_new(stack).map_err(|misfit| PolicyError::new(&misfit.to_string()))?;
        let layer = layer.named(name.to_owned());
        self.shared.state().add_server(LivingServer::new(name, base, layer.handle()));
        Ok(layer)
    }

    fn make_client(&self, name: &str, base: Option<ClientStack>) -> Result<PolicyClientLayer, PolicyError> {
        let _turn = self.shared.turn()?;
        let (layer, members) = self.layer_of(name, base.as_ref())?;
        let (living, shape) = LivingClient::new(name, base, layer, members);
        let living = Arc::new(living);
        let mut state = self.shared.state();
        state.add_client(&living);
        state.call(name);
        drop(state);
        Ok(PolicyClientLayer { shape, living })
    }

    /// The layer of a client without its endpoints, and these.
    fn layer_of(
        &self,
        name: &str,
        base: Option<&ClientStack>,
    ) -> Result<(ClientLayer, Option<Members>), PolicyError> {
        let Client { stack, members } = self.client_of(name, base)?;
        // That its parts fit together was just seen.
        let layer = ClientLayer::try_new(stack).map_err(|misfit| PolicyError::new(&misfit.to_string()))?;
        Ok((layer.named(name.to_owned()), members))
    }

    fn server_of(&self, name: &str, base: Option<&ServerStack>) -> Result<ServerStack, PolicyError> {
        let mut state = self.shared.state();
        let made = Named::of(&state.root, SERVERS, name, base.is_some())
            .and_then(|table| table.server(base.cloned().unwrap_or_default(), Judged::Whole))
            .map_err(|error| state.placed(error))?;
        state.ask(SERVERS, name);
        Ok(made)
    }

    fn client_of(&self, name: &str, base: Option<&ClientStack>) -> Result<Client, PolicyError> {
        let mut state = self.shared.state();
        let made = Named::of(&state.root, CLIENTS, name, base.is_some())
            .and_then(|table| table.client(base.cloned().unwrap_or_default(), Judged::Whole))
            .map_err(|error| state.placed(error))?;
        state.ask(CLIENTS, name);
        Ok(made)
    }
}

/// Reads a text, and says whether it can be believed.
pub(crate) fn read(format: Format, text: &str) -> Result<Node, PolicyError> {
    let mut root = tree::parse(format, text)?;
    expand(&mut root);
    check(&root)?;
    Ok(root)
}

/// The names that a policy has, and where it comes from.
impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state: &State = &self.shared.state();
        f.debug_struct("Policy")
            .field("servers", &names(&state.root, SERVERS).collect::<Vec<_>>())
            .field("clients", &names(&state.root, CLIENTS).collect::<Vec<_>>())
            .field("origin", &state.origin.as_ref().map(ToString::to_string))
            .finish()
    }
}
