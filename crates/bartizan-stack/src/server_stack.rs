use crate::difference::{Difference, differences, part};
use crate::misfit::Misfit;
use crate::table::Table;
use bartizan_deadline::Deadline;
use bartizan_limit::Limit;
use bartizan_shed::Shed;
use std::fmt;
use std::time::Duration;

/// What stands before a server: how long a request may take, how many of them a second, and who is refused when there are too many.
///
/// Outside in: deadline → limit → shed → handler. [`Display`](fmt::Display) shows it as a table.
///
/// ```
/// use bartizan_limit::Limit;
/// use bartizan_stack::ServerStack;
/// use std::time::Duration;
///
/// let checkout = ServerStack::new().deadline(Duration::from_secs(2)).limit(Limit::per_second(50).burst(200));
/// assert!(checkout.check().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ServerStack {
    deadline: Deadline,
    limit: Option<Limit>,
    shed: Shed,
}

/// A limit that limits nothing.
const NO_LIMIT: Limit = Limit::per_second(1).enabled(false);

impl ServerStack {
    /// How long a request may take: 10 s.
    pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(10);

    /// Creates a stack with a deadline of [`DEFAULT_DEADLINE`](Self::DEFAULT_DEADLINE), no limit of the rate, and an adaptive limit of
    /// what is in flight.
    #[must_use]
    pub const fn new() -> Self {
        Self { deadline: Deadline::new(Self::DEFAULT_DEADLINE), limit: None, shed: Shed::new() }
    }

    /// Sets how long a request may take; a bare [`Duration`] is a total. Default: [`DEFAULT_DEADLINE`](Self::DEFAULT_DEADLINE), 10 s.
    #[must_use]
    pub fn deadline(mut self, deadline: impl Into<Deadline>) -> Self {
        self.deadline = deadline.into();
        self
    }

    /// Sets how many requests are let through. They share one bucket, unless the layer is told
    /// [by what](crate::ServerLayer::limit_by) they have their own. Default: no limit.
    #[must_use]
    pub const fn limit(mut self, limit: Limit) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Takes the limit out again.
    #[must_use]
    pub const fn without_limit(mut self) -> Self {
        self.limit = None;
        self
    }

    /// Sets who is refused when too many requests are in flight. Default: [`Shed::new`], which adapts.
    #[must_use]
    pub const fn shed(mut self, shed: Shed) -> Self {
        self.shed = shed;
        self
    }

    /// How long a request may take.
    #[must_use]
    pub const fn deadline_value(&self) -> &Deadline {
        &self.deadline
    }

    /// How many requests are let through, if there is a limit.
    #[must_use]
    pub const fn limit_value(&self) -> Option<&Limit> {
        self.limit.as_ref()
    }

    /// Who is refused when too many requests are in flight.
    #[must_use]
    pub const fn shed_value(&self) -> &Shed {
        &self.shed
    }

    /// Says whether the parts fit together.
    ///
    /// # Errors
    ///
    /// The first two that do not, with their values.
    pub fn check(&self) -> Result<(), Misfit> {
        crate::pairs::server(self)
    }

    /// What is another in `other`, part by part. Empty where nothing is.
    #[must_use]
    pub fn diff(&self, other: &Self) -> Vec<Difference> {
        differences([
            part("deadline", &self.deadline, &other.deadline),
            part("limit", &self.limit_or_none(), &other.limit_or_none()),
            part("shed", &self.shed, &other.shed),
        ])
    }

    /// The limit, or one that is switched off.
    pub(crate) fn limit_or_none(&self) -> Limit {
        self.limit.unwrap_or(NO_LIMIT)
    }

    pub(crate) fn table(&self, name: Option<&str>) -> Table {
        Table::new("server stack", name)
            .row("deadline", self.deadline)
            .row("limit", self.limit_or_none())
            .row("shed", self.shed)
    }
}

impl Default for ServerStack {
    fn default() -> Self {
        Self::new()
    }
}

/// A table, outside in.
impl fmt::Display for ServerStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.table(None).fmt(f)
    }
}
