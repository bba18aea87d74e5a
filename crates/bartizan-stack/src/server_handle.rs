use crate::limits::Limits;
use crate::misfit::Misfit;
use crate::server_stack::ServerStack;
use crate::turn::{Turn, lock};
use bartizan_core::Name;
use bartizan_deadline::DeadlineLayer;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};

/// What the handles and the clones of one layer share.
pub(crate) struct Parts {
    name: OnceLock<Name>,
    /// Held while layers are changed. They tell of that, and who hears of it may look at the stack.
    turn: Turn<ServerStack>,
    stack: Mutex<ServerStack>,
    /// A handle of it is made when it is asked for: a layer that nobody watches counts nothing.
    deadline: DeadlineLayer,
    limit: Mutex<Arc<dyn Limits>>,
    shed: bartizan_shed::Handle,
}

impl Parts {
    pub(crate) fn new(
        stack: ServerStack,
        deadline: DeadlineLayer,
        limit: bartizan_limit::Handle,
        shed: bartizan_shed::Handle,
    ) -> Self {
        let limit: Arc<dyn Limits> = Arc::new(limit);
        let (name, turn, stack) = (OnceLock::new(), Turn::new(), Mutex::new(stack));
        Self { name, turn, stack, deadline, limit: Mutex::new(limit), shed }
    }

    /// The first name stays.
    pub(crate) fn set_name(&self, name: Name) {
        let _first = self.name.set(name);
    }

    /// Steers another limit from now on, set as the stack says.
    pub(crate) fn set_limit(&self, limit: Arc<dyn Limits>) {
        let set = || {
            limit.update(self.stack().limit_or_none());
            *lock(&self.limit) = limit;
        };
        self.turn.hold(set, |stack| self.change(stack));
    }

    fn update(&self, new: ServerStack) {
        self.turn.change(new, |stack| self.change(stack));
    }

    fn change(&self, new: ServerStack) {
        let old = self.stack();
        if old.deadline_value() != new.deadline_value() {
            self.deadline.handle().update(*new.deadline_value());
        }
        if old.limit_value() != new.limit_value() {
            self.limit().update(new.limit_or_none());
        }
        if old.shed_value() != new.shed_value() {
            self.shed.update(*new.shed_value());
        }
        *lock(&self.stack) = new;
    }

    fn name(&self) -> Option<&str> {
        self.name.get().map(Name::as_str)
    }

    fn stack(&self) -> ServerStack {
        lock(&self.stack).clone()
    }

    fn limit(&self) -> Arc<dyn Limits> {
        lock(&self.limit).clone()
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("name", &self.name())
            .field("stack", &self.stack())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stack().table(self.name()).fmt(f)
    }
}

/// Watches and changes the stack of a [`ServerLayer`](crate::ServerLayer). Cheap to clone.
#[derive(Clone, Debug)]
pub struct ServerHandle(pub(crate) Arc<Parts>);

impl ServerHandle {
    /// The name that the layer was given.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.name()
    }

    /// The stack as it was last set as a whole. What the handle of a part has changed since is not in it.
    #[must_use]
    pub fn stack(&self) -> ServerStack {
        self.0.stack()
    }

    /// Takes over a new stack, the whole of it or nothing. Requests that run go on; buckets keep their tokens, and who is in flight
    /// stays. A part that is as it was is not touched. Who hears of a change on the thread that makes it, and wants another, has it made after that one.
    ///
    /// # Errors
    ///
    /// If its parts do not [fit together](ServerStack::check). All stays as it was.
    pub fn update(&self, stack: ServerStack) -> Result<(), Misfit> {
        stack.check()?;
        self.0.update(stack);
        Ok(())
    }

    /// The handle of the deadline.
    #[must_use]
    pub fn deadline(&self) -> bartizan_deadline::Handle {
        self.0.deadline.handle()
    }

    /// The handle of the limit. `None` where there is one for each key: [`limits`](crate::ServerLayer::limits) of the layer has them.
    #[must_use]
    pub fn limit(&self) -> Option<bartizan_limit::Handle> {
        self.0.limit().single()
    }

    /// The handle of what sheds.
    #[must_use]
    pub fn shed(&self) -> &bartizan_shed::Handle {
        &self.0.shed
    }
}

/// A table, outside in.
impl fmt::Display for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
