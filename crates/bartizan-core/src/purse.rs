use crate::budget::Budget;
use crate::dice::Dice;
use crate::ledger::Ledger;
use crate::registry::{self, Observed, Setting};
use crate::sync::{AtomicU64, Mutex, MutexGuard, Ordering};
use crate::{Instant, Invalid, Name, Token};
use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError};

/// The tokens of a [`Budget`], shared by any number of retry and hedge layers. Cheap to clone; the clones are one purse.
///
/// It begins with [`min_tokens`](Budget::min_tokens), so that the first failures after a start can be retried. A success costs one atomic
/// addition, without a lock or a clock; a failure and a hedge take a lock for some arithmetic.
///
/// ```
/// use bartizan_core::{Budget, Instant, Purse};
///
/// let purse = Purse::new(Budget::new().min_tokens(1));
/// let token = purse.withdraw(Instant::now()).expect("a purse begins with its least");
/// token.spend();
/// assert!(purse.withdraw(Instant::now()).is_none());
///
/// (0..10).for_each(|_| purse.deposit());
/// assert!(purse.withdraw(Instant::now()).is_some());
/// ```
#[derive(Clone)]
pub struct Purse(Arc<Shared>);

/// What every success writes stands first, beside the counts of the `Arc`.
#[repr(C)]
struct Shared {
    deposits: AtomicU64,
    ledger: Mutex<Ledger>,
    dice: Dice,
    name: OnceLock<Name>,
}

/// Plain numbers of one purse at one instant. Counts are since the purse was made.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The tokens in the purse.
    pub tokens: f64,
    /// The tokens that it can hold.
    pub cap: f64,
    /// The failures since the last success.
    pub failures_in_a_row: u32,
    /// Successes.
    pub deposits: u64,
    /// Tokens granted to retries.
    pub retries: u64,
    /// Tokens granted to hedges.
    pub hedges: u64,
    /// Of all tokens granted, those that came back unspent.
    pub returned: u64,
    /// Retries given up because so many failures came in a row.
    pub given_up: u64,
    /// Retries for which there was no token.
    pub unpaid_retries: u64,
    /// Hedges for which the purse was not full enough.
    pub unpaid_hedges: u64,
}

impl Purse {
    /// Creates a purse with the least that it can hold: [`min_tokens`](Budget::min_tokens).
    #[must_use]
    pub fn new(budget: Budget) -> Self {
        Self(Arc::new(Shared {
            deposits: AtomicU64::new(0),
            ledger: Mutex::new(Ledger::new(budget, Instant::now())),
            dice: Dice::new(budget.seed),
            name: OnceLock::new(),
        }))
    }

    /// Names the purse in the [`registry`], where its layer is `budget`. The first name stays.
    #[must_use]
    pub fn named(self, name: impl Into<Name>) -> Self {
        if self.0.name.set(name.into()).is_ok() {
            let observed: Arc<dyn Observed> = self.0.clone();
            registry::register(&observed);
        }
        self
    }

    /// The name given with [`named`](Self::named).
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.name.get().map(Name::as_str)
    }

    /// Pays for a success, and ends a row of failures.
    #[inline]
    pub fn deposit(&self) {
        self.0.deposits.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a failure that happened now, and takes a token for its retry. `None`: it must not be retried.
    #[must_use = "a token that is dropped goes back"]
    pub fn withdraw(&self, now: Instant) -> Option<Token> {
        let granted = self.0.settled(now).retry(&self.0.dice);
        granted.then(|| Token::new(self.clone()))
    }

    /// Counts a failure that happened now and is not to be retried, because its tries or its time are used up. Not for failures of
    /// which no retry makes sense, as those that are the caller's own.
    pub fn fail(&self, now: Instant) {
        self.0.settled(now).fail();
    }

    /// Takes a token for a hedge, which leaves retries the first half of what the purse can hold. `None`: it must not be sent.
    #[must_use = "a token that is dropped goes back"]
    pub fn withdraw_hedge(&self, now: Instant) -> Option<Token> {
        let granted = self.0.settled(now).hedge();
        granted.then(|| Token::new(self.clone()))
    }

    /// Takes over new settings. The tokens stay, as far as the new cap allows; the seed is not looked at.
    pub fn update(&self, budget: Budget) {
        let now = Instant::now();
        self.0.settled(now).update(budget, now);
    }

    /// The settings.
    #[must_use]
    pub fn budget(&self) -> Budget {
        self.0.ledger().budget()
    }

    /// Changes one of the [settings](Observed::settings) that the purse shows where it is [named](Self::named): `ratio`, `min_tokens`,
    /// `cap_seconds` or `persistence`.
    ///
    /// # Errors
    ///
    /// If it is none of them, or the value is none for it. Nothing has changed then.
    pub fn set(&self, setting: &str, value: f64) -> Result<(), Invalid> {
        self.0.set(setting, value)
    }

    /// All numbers of the purse now. To read them changes nothing.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.0.snapshot()
    }

    pub(crate) fn give_back(&self) {
        self.0.ledger().give_back();
    }
}

impl fmt::Debug for Purse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Purse")
            .field("name", &self.name.get())
            .field("snapshot", &self.snapshot())
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ledger with all that was paid in until now. The count is read within the lock, so that it never goes back.
    fn settled(&self, now: Instant) -> MutexGuard<'_, Ledger> {
        let mut ledger = self.ledger();
        ledger.settle(self.deposits.load(Ordering::Relaxed), now);
        ledger
    }

    /// The ledger as it would be if somebody asked for a token now.
    fn look(&self) -> Ledger {
        let now = Instant::now();
        let (mut copy, deposits) = {
            let ledger = self.ledger();
            (*ledger, self.deposits.load(Ordering::Relaxed))
        };
        copy.settle(deposits, now);
        copy
    }

    fn snapshot(&self) -> Snapshot {
        let ledger = self.look();
        let counts = ledger.counts();
        Snapshot {
            tokens: ledger.tokens(),
            cap: ledger.cap(),
            failures_in_a_row: ledger.streak(),
            deposits: ledger.deposits(),
            retries: counts.retries,
            hedges: counts.hedges,
            returned: counts.returned,
            given_up: counts.given_up,
            unpaid_retries: counts.unpaid_retries,
            unpaid_hedges: counts.unpaid_hedges,
        }
    }
}

const SETTINGS: &[Setting<Budget>] = &[
    Setting::new("ratio", |budget| Some(budget.share()), Budget::try_ratio),
    Setting::new(
        "min_tokens",
        |budget| Some(budget.min_tokens.into()),
        |budget, to| budget.try_min_tokens(registry::whole(to)?),
    ),
    Setting::new(
        "cap_seconds",
        |budget| Some(budget.cap.as_secs_f64()),
        |budget, to| Ok(budget.cap(registry::seconds(to)?)),
    ),
    Setting::new("persistence", |budget| Some(budget.persistence), Budget::try_persistence),
];

impl Observed for Shared {
    fn layer(&self) -> &'static str {
        "budget"
    }

    fn name(&self) -> &str {
        self.name.get().map_or("", Name::as_str)
    }

    /// `ample` while hedges are paid for, `low` while retries alone are, `empty` while nothing is.
    fn state(&self) -> &'static str {
        let ledger = self.look();
        match ledger.more_than_half() {
            _ if ledger.is_empty() => "empty",
            true => "ample",
            false => "low",
        }
    }

    fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
        let snapshot = self.snapshot();
        show("tokens", snapshot.tokens);
        show("cap", snapshot.cap);
        show("failures_in_a_row", f64::from(snapshot.failures_in_a_row));
        for (name, count) in [
            ("deposits", snapshot.deposits),
            ("retries", snapshot.retries),
            ("hedges", snapshot.hedges),
            ("returned", snapshot.returned),
            ("given_up", snapshot.given_up),
            ("unpaid_retries", snapshot.unpaid_retries),
            ("unpaid_hedges", snapshot.unpaid_hedges),
        ] {
            show(name, count as f64);
        }
    }

    fn settings(&self, show: &mut dyn FnMut(&'static str, f64)) {
        Setting::show(SETTINGS, &self.ledger().budget(), show);
    }

    fn set(&self, setting: &str, value: f64) -> Result<(), Invalid> {
        let now = Instant::now();
        let mut ledger = self.settled(now);
        let budget = Setting::change(SETTINGS, ledger.budget(), setting, value)?;
        ledger.update(budget, now);
        Ok(())
    }
}
