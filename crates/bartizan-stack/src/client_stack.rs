use crate::difference::{Difference, differences, part};
use crate::misfit::Misfit;
use crate::table::Table;
use bartizan_balance::Balance;
use bartizan_breaker::Breaker;
use bartizan_core::Budget;
use bartizan_deadline::Deadline;
use bartizan_fallback::Stale;
use bartizan_hedge::Hedge;
use bartizan_retry::Retry;
use std::fmt::{self, Display};
use std::time::Duration;

/// What stands around a client: how long a call may take, when it is made again, where it goes, and when it is not made at all.
///
/// Outside in: stale → deadline → retry → hedge → breaker → attempt → client, with a breaker for each host; over
/// [several endpoints](crate::ClientLayer::members) the balancer comes before the breaker, of which each endpoint has one.
/// [`Display`] shows it as a table.
///
/// ```
/// use bartizan_retry::Retry;
/// use bartizan_stack::ClientStack;
/// use std::time::Duration;
///
/// let stock = ClientStack::new().deadline(Duration::from_secs(2)).retry(Retry::new().max_retries(1));
/// assert!(stock.check().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ClientStack {
    stale: Option<Stale>,
    deadline: Deadline,
    retry: Retry,
    hedge: Hedge,
    /// Whether copies are sent to the one host as well.
    hedges_hosts: bool,
    budget: Option<Budget>,
    balance: Balance,
    breaker: Breaker,
    attempt: Option<Deadline>,
}

impl ClientStack {
    /// How long a call may take, all its attempts together: 3 s.
    pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(3);
    /// How long one attempt may take: 1 s, or the whole time that the call has, if that is less.
    pub const DEFAULT_ATTEMPT: Duration = Duration::from_secs(1);
    /// When a host is not called: as [`Breaker::new`] says, for 5 s at most. Many callers that have opened for longer, while a service was
    /// slow, would be away long after it is well.
    pub const DEFAULT_BREAKER: Breaker = Breaker::new().max_open_for(Duration::from_secs(5));

    /// Creates a stack with a deadline of [`DEFAULT_DEADLINE`](Self::DEFAULT_DEADLINE), attempts of
    /// [`DEFAULT_ATTEMPT`](Self::DEFAULT_ATTEMPT), the [`DEFAULT_BREAKER`](Self::DEFAULT_BREAKER), and each other part as it is by default.
    #[must_use]
    pub fn new() -> Self {
        Self {
            stale: None,
            deadline: Deadline::new(Self::DEFAULT_DEADLINE),
            retry: Retry::new(),
            hedge: Hedge::new(),
            hedges_hosts: false,
            budget: None,
            balance: Balance::new(),
            breaker: Self::DEFAULT_BREAKER,
            attempt: None,
        }
    }

    /// Sets when the last good answer takes the place of a failure; with [`Stale::new`], where answers themselves allow it. The call that
    /// other reads wait for may take as long as an attempt, if that is longer than the [lease](Stale::lease) by default. Default: off, as
    /// it costs every read to be looked at, and memory.
    #[must_use]
    pub fn stale(mut self, stale: Stale) -> Self {
        self.stale = Some(stale);
        self
    }

    /// Sets how long a call may take, all its attempts and the waits between them together; a bare [`Duration`] is a total. Default:
    /// [`DEFAULT_DEADLINE`](Self::DEFAULT_DEADLINE), 3 s.
    #[must_use]
    pub fn deadline(mut self, deadline: impl Into<Deadline>) -> Self {
        self.deadline = deadline.into();
        self
    }

    /// Sets what is made again, how often, and when. Default: [`Retry::new`].
    ///
    /// A server, or an open breaker, may have a call wait for as long as then is left for an attempt, or for half of the deadline, unless
    /// [`max_hint`](Retry::max_hint) was set: who waits for longer has no time for what was waited for.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Sets when a copy of a call is sent that takes long. Default: [`Hedge::new`] over several endpoints, and none to a single host: a copy
    /// makes sense where it can go elsewhere.
    #[must_use]
    pub fn hedge(mut self, hedge: Hedge) -> Self {
        self.hedge = hedge;
        self.hedges_hosts = true;
        self
    }

    /// Sets the budget of the one purse that pays for retries and copies. Default: that of the [retry](Retry::budget).
    #[must_use]
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Sets how calls are spread over several endpoints. Default: [`Balance::new`].
    #[must_use]
    pub fn balance(mut self, balance: Balance) -> Self {
        self.balance = balance;
        self
    }

    /// Sets when a host, or one endpoint of several, is not called for a while. Default:
    /// [`DEFAULT_BREAKER`](Self::DEFAULT_BREAKER).
    ///
    /// What is left as it is by default fits itself to the place. Around one endpoint of several the evidence is that
    /// [of an endpoint](bartizan_breaker::Evidence::endpoint), and there is no ramp: what an endpoint refuses, the others take. A probe
    /// keeps its place for as long as an attempt may take, if that is longer.
    #[must_use]
    pub fn breaker(mut self, breaker: Breaker) -> Self {
        self.breaker = breaker;
        self
    }

    /// Sets how long one attempt may take; a bare [`Duration`] is a total. It is inside of the breaker, which so sees that it was too
    /// long. Default: [`DEFAULT_ATTEMPT`](Self::DEFAULT_ATTEMPT), 1 s, or the deadline's total where that is less; its head within the deadline's head time-out.
    #[must_use]
    pub fn attempt(mut self, attempt: impl Into<Deadline>) -> Self {
        self.attempt = Some(attempt.into());
        self
    }

    /// When the last good answer takes the place of a failure, as it was set; [`Stale::new`] where it is off because it was not.
    #[must_use]
    pub const fn stale_value(&self) -> &Stale {
        const NOT_SET: &Stale = &Stale::new();
        match &self.stale {
            Some(stale) => stale,
            None => NOT_SET,
        }
    }

    pub(crate) const fn set_stale(&self) -> Option<&Stale> {
        self.stale.as_ref()
    }

    /// How long a call may take.
    #[must_use]
    pub const fn deadline_value(&self) -> &Deadline {
        &self.deadline
    }

    /// What is made again, as it was set.
    #[must_use]
    pub const fn retry_value(&self) -> &Retry {
        &self.retry
    }

    /// When copies are sent.
    #[must_use]
    pub const fn hedge_value(&self) -> &Hedge {
        &self.hedge
    }

    /// What retries and copies are paid from.
    #[must_use]
    pub fn budget_value(&self) -> Budget {
        self.budget.unwrap_or_else(|| self.retry.own_budget())
    }

    /// How calls are spread over several endpoints.
    #[must_use]
    pub const fn balance_value(&self) -> &Balance {
        &self.balance
    }

    /// When a host or an endpoint is not called, as it was set.
    #[must_use]
    pub const fn breaker_value(&self) -> &Breaker {
        &self.breaker
    }

    /// How long one attempt may take: as it was set, or as it follows from the deadline.
    #[must_use]
    pub fn attempt_value(&self) -> Deadline {
        self.attempt.unwrap_or_else(|| match self.deadline.is_enabled() {
            true => {
                let attempt = Deadline::new(Self::DEFAULT_ATTEMPT.min(self.deadline.total()));
                let head = self.deadline.longest_head();
                if head < attempt.total() { attempt.head_timeout(head) } else { attempt }
            }
            false => Self::DEFAULT_ATTEMPT.into(),
        })
    }

    /// Says whether the parts fit together.
    ///
    /// # Errors
    ///
    /// The first two that do not, with their values.
    pub fn check(&self) -> Result<(), Misfit> {
        crate::pairs::client(self)
    }

    /// What is another in `other`, part by part. Empty where nothing is.
    #[must_use]
    pub fn diff(&self, other: &Self) -> Vec<Difference> {
        differences([
            part("stale", &self.fit_stale(), &other.fit_stale()),
            part("deadline", &self.deadline, &other.deadline),
            part("retry", &self.fit_retry(), &other.fit_retry()),
            part("hedge", &self.hedged(), &other.hedged()),
            part("balance", &self.balance, &other.balance),
            part("breaker", &self.fit_breaker(), &other.fit_breaker()),
            part("attempt", &self.attempt_value(), &other.attempt_value()),
        ])
    }

    /// The hedge, if it was set.
    pub(crate) fn set_hedge(&self) -> Option<&Hedge> {
        self.hedges_hosts.then_some(&self.hedge)
    }

    fn hedged(&self) -> Hedged {
        Hedged { hedge: self.fit_hedge(true), hosts: self.hedges_hosts }
    }

    pub(crate) fn table(
        &self,
        name: Option<&str>,
        hedge: impl Display,
        balance: impl Display,
        breaker: impl Display,
    ) -> Table {
        Table::new("client stack", name)
            .row("stale", self.fit_stale())
            .row("deadline", self.deadline)
            .row("retry", self.fit_retry())
            .row("hedge", hedge)
            .row("balance", balance)
            .row("breaker", breaker)
            .row("attempt", self.attempt_value())
    }
}

/// A hedge, and whether it is there around a single host as well.
#[derive(PartialEq)]
struct Hedged {
    hedge: Hedge,
    hosts: bool,
}

impl Display for Hedged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.hedge.fmt(f)?;
        if self.hosts || !self.hedge.is_enabled() { Ok(()) } else { f.write_str(", over several endpoints") }
    }
}

impl Default for ClientStack {
    fn default() -> Self {
        Self::new()
    }
}

/// A table, outside in.
impl Display for ClientStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.table(None, self.hedged(), &self.balance, self.fit_breaker()).fmt(f)
    }
}
