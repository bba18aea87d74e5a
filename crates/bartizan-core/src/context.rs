use crate::Instant;
use pin_project_lite::pin_project;
use std::cell::Cell;
use std::pin::Pin;
use std::task::{self, Poll};
use std::time::Duration;

/// What a request carries along through the calls that are made on its behalf.
///
/// It is ambient: a layer that learns it (the deadline layer of a server) enters it around every poll of the
/// handler and of the response body, so that a client call made inside inherits it without a line of user code.
/// A context found in the extensions of a request wins over the ambient one.
///
/// **A task that is spawned does not inherit it**, for it is polled elsewhere. Wrap it:
///
/// ```
/// use bartizan_core::Context;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let context = Context::new().with_attempt(2);
/// let seen = tokio::spawn(context.scope(async { Context::current() })).await;
/// assert_eq!(seen.unwrap(), Some(context));
/// assert_eq!(Context::current(), None);
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Context {
    deadline: Option<Instant>,
    priority: Priority,
    attempt: u32,
}

/// How much it matters that a request is served, from 0 (first) to 255 (last). Default: [`NORMAL`](Self::NORMAL).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(u8);

impl Priority {
    /// Refused last: 0.
    pub const CRITICAL: Self = Self(0);
    /// What a request has that says nothing: 128.
    pub const NORMAL: Self = Self(128);
    /// Refused first: 255.
    pub const SHEDDABLE: Self = Self(255);

    /// Creates the priority of a level; 0 is refused last, 255 first.
    #[must_use]
    pub const fn new(level: u8) -> Self {
        Self(level)
    }

    /// The level; 0 is refused last, 255 first.
    #[must_use]
    pub const fn level(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::NORMAL
    }
}

thread_local! {
    static CURRENT: Cell<Option<Context>> = const { Cell::new(None) };
}

impl Context {
    /// Creates a context without a deadline, of normal priority, for the first attempt.
    #[must_use]
    pub const fn new() -> Self {
        Self { deadline: None, priority: Priority::NORMAL, attempt: 0 }
    }

    /// Sets the instant at which the answer is of no more use. Default: none.
    #[must_use]
    pub const fn with_deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Sets the priority. Default: [`Priority::NORMAL`].
    #[must_use]
    pub const fn with_priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Sets which attempt this is; the first is 0, the default.
    #[must_use]
    pub const fn with_attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }

    /// The instant at which the answer is of no more use.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The time left at `now`, zero when the deadline has passed, `None` without one.
    #[must_use]
    pub fn remaining(&self, now: Instant) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(now))
    }

    /// The priority.
    #[must_use]
    pub const fn priority(&self) -> Priority {
        self.priority
    }

    /// Which attempt this is; the first is 0.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Joins two contexts so that neither is widened: the earlier deadline, the lesser priority, the later
    /// attempt. Commutative and associative.
    #[must_use]
    pub fn narrow(self, other: Self) -> Self {
        let deadline = match (self.deadline, other.deadline) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Self {
            deadline,
            priority: self.priority.max(other.priority),
            attempt: self.attempt.max(other.attempt),
        }
    }

    /// The context of the future that is being polled on this thread.
    #[inline]
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.get()
    }

    /// Runs `f` within this context and restores the former one, also when `f` panics.
    #[inline]
    pub fn enter<R>(self, f: impl FnOnce() -> R) -> R {
        let _restore = Restore(CURRENT.replace(Some(self)));
        f()
    }

    /// Runs `f` within a context, if there is one, as [`enter`](Self::enter) does. In one piece of code for both, which so fits into its
    /// caller.
    #[inline(always)]
    pub fn enter_if<R>(context: Option<Self>, f: impl FnOnce() -> R) -> R {
        let _restore = context.map(|context| Restore(CURRENT.replace(Some(context))));
        f()
    }

    /// Wraps a future so that it is polled within this context, wherever it runs.
    ///
    /// # Cancel safety
    ///
    /// As safe as the future itself.
    pub fn scope<F>(self, future: F) -> Scoped<F> {
        Scoped { context: self, future }
    }
}

struct Restore(Option<Context>);

impl Drop for Restore {
    #[inline]
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

pin_project! {
    /// Future of [`Context::scope`].
    #[derive(Clone, Debug)]
    #[must_use = "futures do nothing unless they are polled"]
    pub struct Scoped<F> {
        context: Context,
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        this.context.enter(|| this.future.poll(cx))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restores_the_outer_context_after_a_panic() {
        let (outer, inner) = (Context::new().with_attempt(1), Context::new().with_attempt(2));
        outer.enter(|| {
            let caught = std::panic::catch_unwind(|| inner.enter(|| panic!("inside")));
            assert!(caught.is_err());
            assert_eq!(Context::current(), Some(outer));
        });
        assert_eq!(Context::current(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn narrowing_is_commutative_and_associative() {
        let now = Instant::now();
        let all: Vec<Context> = [(None, 0, 2), (Some(5), 200, 0), (Some(3), 128, 1)]
            .into_iter()
            .map(|(seconds, level, attempt)| Context {
                deadline: seconds.map(|s| now + Duration::from_secs(s)),
                priority: Priority::new(level),
                attempt,
            })
            .collect();
        for &a in &all {
            for &b in &all {
                assert_eq!(a.narrow(b), b.narrow(a));
                for &c in &all {
                    assert_eq!(a.narrow(b).narrow(c), a.narrow(b.narrow(c)));
                }
            }
        }
        assert_eq!(all[1].narrow(all[2]).remaining(now), Some(Duration::from_secs(3)));
    }
}
