use crate::bucket::Bucket;
use crate::common::Common;
use crate::denial::Denial;
use crate::limit::Limit;
use crate::line::Waiters;
use crate::refusals::Refusals;
use crate::settings::SETTINGS;
use crate::shelf::Shelf;
use bartizan_core::registry::{Observed, Setting, switched};
use bartizan_core::{Invalid, Name, Refused, TimesSnapshot};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// One bucket for all requests.
#[derive(Debug)]
pub(crate) struct Plain {
    common: Common,
    bucket: Bucket,
    waiters: Waiters,
}

impl Plain {
    pub(crate) fn new(limit: Limit) -> Self {
        Self { common: Common::new(limit, None), bucket: Bucket::new(limit.pace()), waiters: Waiters::new() }
    }
}

impl Shelf for Plain {
    fn common(&self) -> &Common {
        &self.common
    }

    fn waiters(&self) -> &Waiters {
        &self.waiters
    }

    #[inline]
    fn take(&self, _: u64, cost: u32, now: u64) -> Result<u64, Denial> {
        self.bucket.take(cost, now)
    }

    fn peek(&self, _: u64, cost: u32, now: u64) -> Result<(), Denial> {
        let (pace, full) = self.bucket.read();
        if pace.is_off() { Ok(()) } else { pace.take(full, cost, now).map(|_| ()) }
    }

    fn charge(&self, _: u64, cost: u32, now: u64) {
        self.bucket.charge(cost, now);
    }

    fn learn(&self, _: u64, back: u32, full: u64) {
        self.bucket.learn(back, full);
    }

    fn knows(&self, _: u64) -> bool {
        true
    }

    fn wait(&self, _: u64, tokens: u64, now: u64) -> u64 {
        let (pace, full) = self.bucket.read();
        pace.wait(full, tokens, now)
    }
}

/// Watches and steers a limit. Cheap to clone.
#[derive(Clone)]
pub struct Handle(pub(crate) Arc<Plain>);

/// Plain numbers of one limit at one instant.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The limit.
    pub limit: Limit,
    /// The whole tokens that are left.
    pub remaining: u32,
    /// After how long the bucket will be full again; zero when it is.
    pub full_in: Duration,
    /// The requests that wait for their turn.
    pub waiting: usize,
    /// Requests refused so far.
    pub refused: u64,
    /// The same by their reasons.
    pub refusals: Refusals,
    /// Requests that were over the limit and let through so far, as [`Limit::shadow`] asks for.
    pub shadowed: u64,
}

impl Handle {
    /// The name given with [`LimitLayer::named`](crate::LimitLayer::named).
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.common.name().map(Name::as_str)
    }

    /// All numbers of the limit now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.0.snapshot()
    }

    /// Takes over a new limit. The bucket keeps the tokens that are in it, as far as they find room, and is given none: what is
    /// larger fills at the new rate from now on.
    pub fn update(&self, limit: Limit) {
        let _always = self.0.change(|_| Ok(limit));
    }

    /// Limits from now on, if it was switched off.
    pub fn enable(&self) {
        let _always = self.0.switch(true);
    }

    /// Lets every request pass from now on, and counts none.
    pub fn disable(&self) {
        let _always = self.0.switch(false);
    }

    /// Takes all tokens: nothing is let through until the first has come back. Of an empty bucket it takes nothing.
    pub fn drain(&self) {
        self.0.drain();
    }

    /// Fills the bucket.
    pub fn reset(&self) {
        self.0.reset();
    }

    /// Takes tokens, as a request of that cost does; none of zero.
    ///
    /// # Errors
    ///
    /// There are too few of them; none is taken.
    pub fn check(&self, cost: u32) -> Result<(), Refused> {
        self.0.check(0, cost)
    }

    /// Says whether tokens would be refused, and takes none.
    ///
    /// # Errors
    ///
    /// There are too few of them.
    pub fn peek(&self, cost: u32) -> Result<(), Refused> {
        self.0.ask(0, cost)
    }

    /// Takes as many of the tokens as there are: for what is known only afterwards, a failed log-in say.
    pub fn charge(&self, cost: u32) {
        self.0.charge(0, cost, self.0.common.now());
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("name", &self.name()).field("snapshot", &self.snapshot()).finish()
    }
}

impl Plain {
    fn change(&self, make: impl FnOnce(Limit) -> Result<Limit, Invalid>) -> Result<(), Invalid> {
        self.common.change(make, |limit| self.bucket.update(limit.pace(), self.common.now()))?;
        self.waiters.rouse();
        Ok(())
    }

    fn switch(&self, enabled: bool) -> Result<(), Invalid> {
        self.change(|limit| Ok(limit.enabled(enabled)))
    }

    fn drain(&self) {
        self.bucket.drain(self.common.now());
    }

    fn reset(&self) {
        self.bucket.fill();
        self.waiters.rouse();
    }

    fn snapshot(&self) -> Snapshot {
        let limit = self.common.limit();
        let (pace, full) = self.bucket.read();
        let debt = full.saturating_sub(self.common.now());
        let refusals = self.common.refusals();
        Snapshot {
            limit,
            remaining: if pace.is_off() { limit.max_burst() } else { pace.left(debt) },
            full_in: Duration::from_nanos(debt),
            waiting: self.waiters.count(),
            refused: refusals.total(),
            refusals,
            shadowed: self.common.shadowed(),
        }
    }
}

impl Observed for Plain {
    fn layer(&self) -> &'static str {
        "limit"
    }

    fn name(&self) -> &str {
        self.common.name().map_or("", Name::as_str)
    }

    fn state(&self) -> &'static str {
        let snapshot = self.snapshot();
        match (snapshot.limit.is_enabled(), snapshot.remaining) {
            (false, _) => "off",
            (true, 0) => "spent",
            (true, _) => "open",
        }
    }

    fn note(&self) -> Option<Cow<'static, str>> {
        self.common.note()
    }

    #[allow(clippy::cast_precision_loss, reason = "shown to people")]
    fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
        let snapshot = self.snapshot();
        for (name, number) in [
            ("burst", f64::from(snapshot.limit.max_burst())),
            ("interval_seconds", snapshot.limit.interval().as_secs_f64()),
            ("remaining", f64::from(snapshot.remaining)),
            ("waiting", snapshot.waiting as f64),
        ] {
            show(name, number);
        }
        self.common.show(show);
    }

    /// How long those had waited who left the line, by either end.
    fn times(&self, show: &mut dyn FnMut(&'static str, TimesSnapshot)) {
        show("queue_seconds", self.waiters.waited());
    }

    fn verbs(&self) -> &'static [&'static str] {
        &["enable", "disable", "drain", "reset"]
    }

    fn act(&self, verb: &str) -> Result<(), Invalid> {
        match verb {
            "drain" => self.drain(),
            "reset" => self.reset(),
            _ => self.switch(switched(verb)?)?,
        }
        Ok(())
    }

    fn settings(&self, show: &mut dyn FnMut(&'static str, f64)) {
        Setting::show(SETTINGS, &self.common.limit(), show);
    }

    fn set(&self, setting: &str, value: f64) -> Result<(), Invalid> {
        self.change(|limit| Setting::change(SETTINGS, limit, setting, value))
    }
}
