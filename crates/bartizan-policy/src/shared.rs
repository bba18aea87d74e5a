use crate::changes::Changes;
use crate::document::{CLIENTS, DEFAULT, SERVERS, names};
use crate::living::{Due, Followed, LivingClient, LivingServer};
use crate::source::Source;
use crate::tree::Node;
use crate::{PolicyError, Snapshot};
use bartizan_core::registry::{self, Observed};
use bartizan_core::{Instant, Name};
use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::{self, ThreadId};
use tokio::sync::watch;

/// What the clones of a policy share. Who holds it keeps the stacks of its servers.
pub(crate) struct Shared {
    name: OnceLock<Name>,
    /// Held while layers are made or changed, so that each is made of the text that the others follow. What layers tell of meanwhile may
    /// ask the policy how it is.
    turn: Mutex<()>,
    /// Who has the turn.
    holder: Mutex<Option<ThreadId>>,
    state: Mutex<State>,
    /// Tells those who wait for another version.
    versions: watch::Sender<u64>,
}

/// The turn, for as long as it is held.
pub(crate) struct Turn<'a> {
    shared: &'a Shared,
    _held: MutexGuard<'a, ()>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *lock(&self.shared.holder) = None;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is true now. It is locked for moments.
pub(crate) struct State {
    pub(crate) root: Node,
    pub(crate) origin: Option<Origin>,
    /// The file that it was opened from, and what that held.
    pub(crate) file: Option<(PathBuf, String)>,
    servers: Vec<Arc<LivingServer>>,
    clients: Vec<Weak<LivingClient>>,
    /// Of clients whose services do not say whether there are any.
    kept: Vec<Arc<LivingClient>>,
    followed: Vec<Arc<Followed>>,
    asked: BTreeSet<(&'static str, String)>,
    /// The clients of which somebody calls the endpoints.
    called: BTreeSet<String>,
    sources: Vec<Source>,
    version: u64,
    label: Option<String>,
    applied: Instant,
    refused: u64,
    unreachable: u64,
    error: Option<String>,
}

/// All that follow.
type Living = (Vec<Arc<LivingServer>>, Vec<Arc<LivingClient>>, Vec<Arc<Followed>>);

/// Where the text came from that holds.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    File(PathBuf),
    #[cfg(feature = "http")]
    Server(Arc<str>),
    /// `Policy::update`.
    Code,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            #[cfg(feature = "http")]
            Self::Server(server) => server.fmt(f),
            Self::Code => f.write_str("code"),
        }
    }
}

/// What is known of a text beside what it says.
pub(crate) struct Told {
    pub(crate) origin: Origin,
    /// What the source calls this version of it.
    pub(crate) label: Option<String>,
}

impl Shared {
    pub(crate) fn new(root: Node, file: Option<(PathBuf, String)>) -> Self {
        let state = State {
            root,
            origin: file.as_ref().map(|(path, _)| Origin::File(path.clone())),
            file,
            servers: Vec::new(),
            clients: Vec::new(),
            kept: Vec::new(),
            followed: Vec::new(),
            asked: BTreeSet::new(),
            called: BTreeSet::new(),
            sources: Vec::new(),
            version: 0,
            label: None,
            applied: Instant::now(),
            refused: 0,
            unreachable: 0,
            error: None,
        };
        Self {
            name: OnceLock::new(),
            turn: Mutex::new(()),
            holder: Mutex::new(None),
            state: Mutex::new(state),
            versions: watch::Sender::new(0),
        }
    }

    /// Waits until nobody makes or changes layers. Who hears of a change on the thread that makes it would wait for himself.
    pub(crate) fn turn(&self) -> Result<Turn<'_>, PolicyError> {
        let here = thread::current().id();
        if *lock(&self.holder) == Some(here) {
            return Err(PolicyError::new(
                "cannot be used from within a change of it: ask again when that is done",
            ));
        }
        let held = lock(&self.turn);
        *lock(&self.holder) = Some(here);
        Ok(Turn { shared: self, _held: held })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.name.get().map(Name::as_str)
    }

    pub(crate) fn set_name(self: &Arc<Self>, name: Name) {
        if self.name.set(name).is_ok() {
            let handle: Arc<dyn Observed> = self.clone();
            if !registry::register(&handle) {
                tracing::info!(policy = self.name(), "two policies have this name");
            }
        }
    }

    pub(crate) fn sources(&self) -> Vec<Source> {
        self.state().sources.clone()
    }

    pub(crate) fn add(&self, source: Source) {
        self.state().sources.push(source);
    }

    /// Takes over what was read, or nothing. It is told here, once, what came of it.
    pub(crate) fn take(
        &self,
        read: Result<Node, PolicyError>,
        told: Option<Told>,
    ) -> Result<Changes, PolicyError> {
        let from = told.as_ref().map(|told| told.origin.to_string());
        let turn = self.turn()?;
        let taken = read.and_then(|root| self.apply(root, told)).map_err(|error| match &from {
            Some(origin) => error.origin(origin),
            None => error,
        });
        let error = taken.as_ref().err().map(ToString::to_string);
        let mut state = self.state();
        let before = std::mem::replace(&mut state.error, error.clone());
        // A source that is asked again and again is told of once.
        let told_before = from.is_some() && before == error;
        state.refused += u64::from(error.is_some() && !told_before);
        let version = state.version;
        drop((state, turn));
        self.tell(version);
        match &taken {
            Ok(changes) if changes.is_empty() => {}
            Ok(changes) => tracing::info!(policy = self.name(), from, %changes, "policy changed"),
            Err(_) if told_before => {}
            Err(error) => tracing::warn!(policy = self.name(), from, %error, "policy refused"),
        }
        taken
    }

    /// Wakes those who wait for another version than the one before. They are told in order, whoever is the first to come here.
    fn tell(&self, version: u64) {
        self.versions.send_if_modified(|known| {
            let is_new = *known < version;
            *known = version.max(*known);
            is_new
        });
    }

    /// Waits for another version than this one.
    pub(crate) async fn changed(&self, since: u64) -> u64 {
        let mut versions = self.versions.subscribe();
        // The sender is here as long as this waits.
        let found = versions.wait_for(|version| *version != since).await;
        found.map_or(since, |version| *version)
    }

    /// Sees first what is to be done to all that live, and then does it.
    fn apply(&self, root: Node, told: Option<Told>) -> Result<Changes, PolicyError> {
        let (servers, clients, followed) = self.state().living();
        let mut due = Vec::new();
        for server in &servers {
            due.push(server.due(&root)?);
        }
        for client in &clients {
            due.push(client.due(&root)?);
        }
        for endpoints in &followed {
            due.push(endpoints.due(&root)?);
        }
        due.into_iter().for_each(Due::done);
        let mut state = self.state();
        let changes = Changes::between(&state.root, &root);
        let (origin, label) = told.map_or((Origin::Code, None), |told| (told.origin, told.label));
        (state.root, state.origin, state.label) = (root, Some(origin), label);
        if !changes.is_empty() {
            state.version += 1;
            state.applied = Instant::now();
        }
        Ok(changes)
    }

    /// Notes why a source could not be asked. What held holds on.
    pub(crate) fn unreachable(&self, error: &PolicyError) {
        let text = Some(error.to_string());
        let mut state = self.state();
        state.unreachable += 1;
        let told_before = std::mem::replace(&mut state.error, text.clone()) == text;
        drop(state);
        if !told_before {
            tracing::warn!(policy = self.name(), %error, "policy cannot be asked for, the old one holds");
        }
    }

    /// Notes that a source was asked and has nothing new.
    #[cfg(feature = "http")]
    pub(crate) fn as_it_was(&self) {
        self.state().error = None;
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let state = self.state();
        let all = [SERVERS, CLIENTS]
            .into_iter()
            .flat_map(|kind| names(&state.root, kind).map(move |name| (kind, name)));
        let unused = all
            .filter(|(kind, name)| !state.asked.contains(&(*kind, (*name).to_owned())))
            .map(|(kind, name)| format!("{kind}.{name}"))
            .chain(state.uncalled())
            .collect();
        Snapshot {
            source: state.origin.as_ref().map(ToString::to_string),
            version: state.version,
            label: state.label.clone(),
            applied: state.applied,
            refused: state.refused,
            unreachable: state.unreachable,
            error: state.error.clone(),
            unused,
            servers: state.servers.len(),
            clients: state.clients.iter().filter(|client| client.strong_count() > 0).count()
                + state.kept.len(),
        }
    }
}

impl State {
    /// Notes that somebody has asked for a table.
    pub(crate) fn ask(&mut self, kind: &'static str, name: &str) {
        self.asked.insert((kind, name.to_owned()));
    }

    /// Notes that somebody calls the endpoints of a client.
    pub(crate) fn call(&mut self, name: &str) {
        self.called.insert(name.to_owned());
    }

    /// The endpoints that nobody calls, of tables that somebody has asked for.
    fn uncalled(&self) -> impl Iterator<Item = String> {
        let named = |name: &&str| {
            let table = |name| self.root.get([CLIENTS, name, "endpoints"]).is_some_and(Node::is_given);
            table(*name) || table(DEFAULT)
        };
        let clients = self.asked.iter().filter(|(kind, _)| *kind == CLIENTS).map(|(_, name)| name.as_str());
        clients
            .filter(named)
            .filter(|name| !self.called.contains(*name))
            .map(|name| format!("{CLIENTS}.{name}.endpoints"))
    }

    /// Says where a text comes from, if it is wrong with what code gives.
    pub(crate) fn placed(&self, error: PolicyError) -> PolicyError {
        match &self.origin {
            Some(Origin::Code) | None => error,
            Some(origin) => error.origin(&origin.to_string()),
        }
    }

    /// Notes a server that has been made.
    pub(crate) fn add_server(&mut self, server: LivingServer) {
        self.servers.push(Arc::new(server));
    }

    /// Notes a client that has been made, for as long as somebody else has it.
    pub(crate) fn add_client(&mut self, client: &Arc<LivingClient>) {
        self.clients.retain(|client| client.strong_count() > 0);
        self.clients.push(Arc::downgrade(client));
    }

    /// Notes a client that has been made, for good.
    pub(crate) fn keep_client(&mut self, client: LivingClient) {
        self.kept.push(Arc::new(client));
    }

    /// Notes endpoints that somebody follows, for as long as somebody does.
    pub(crate) fn add_followed(&mut self, followed: Followed) {
        self.followed.retain(|followed| !followed.is_over());
        self.followed.push(Arc::new(followed));
    }

    /// All that follow.
    fn living(&mut self) -> Living {
        self.clients.retain(|client| client.strong_count() > 0);
        let clients = self.clients.iter().filter_map(Weak::upgrade);
        self.followed.retain(|followed| !followed.is_over());
        (self.servers.clone(), clients.chain(self.kept.iter().cloned()).collect(), self.followed.clone())
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("name", &self.name()).finish_non_exhaustive()
    }
}
