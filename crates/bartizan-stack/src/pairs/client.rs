use super::{Bound, longer, not_shorter, within};
use crate::client_stack::ClientStack;
use crate::misfit::Misfit;
use bartizan_core::show::{Percent, Time};
use bartizan_deadline::Deadline;
use bartizan_retry::Backoff;
use std::time::Duration;

/// Says whether the parts of a client stack fit together.
pub(crate) fn client(stack: &ClientStack) -> Result<(), Misfit> {
    deadlines(stack)?;
    waits(stack)?;
    copies(stack)?;
    purse(stack)?;
    leases(stack)?;
    breaker(stack)
}

fn total(stack: &ClientStack) -> Option<Bound> {
    let deadline = stack.deadline_value();
    deadline.is_enabled().then(|| Bound("deadline.total", deadline.total()))
}

fn attempt(stack: &ClientStack) -> Option<Bound> {
    let attempt = stack.attempt_value();
    attempt.is_enabled().then(|| Bound("attempt.total", attempt.total()))
}

/// The deadline of the call and that of an attempt. What the outer one ends, the breaker does not see.
fn deadlines(stack: &ClientStack) -> Result<(), Misfit> {
    let (outer, inner) = (stack.deadline_value(), stack.attempt_value());
    within(outer, "deadline.total", "deadline.head_timeout")?;
    within(&inner, "attempt.total", "attempt.head_timeout")?;
    let (Some(total), Some(attempt)) = (total(stack), attempt(stack)) else { return Ok(()) };
    longer(attempt, total, "no attempt can take as long")?;
    let ends = to_head(attempt, "attempt.head_timeout", &inner);
    if outer.longest_head() < total.1 {
        let so = "an attempt is given up before its own time is over, and no breaker sees why";
        longer(ends, Bound("deadline.head_timeout", outer.longest_head()), so)?;
    }
    if inner.longest_idle() != Deadline::DEFAULT_IDLE_TIMEOUT {
        let (inner, outer) = (inner.longest_idle(), outer.longest_idle());
        let so = "a body is given up before the attempt's own time is over, and no breaker sees why";
        longer(Bound("attempt.idle_timeout", inner), Bound("deadline.idle_timeout", outer), so)?;
    }
    Ok(())
}

/// What ends a call before its head has come.
fn to_head(bound: Bound, head: &'static str, deadline: &Deadline) -> Bound {
    bound.min(Bound(head, deadline.longest_head()))
}

/// What is waited for within the deadline of the call.
fn waits(stack: &ClientStack) -> Result<(), Misfit> {
    let Some(total) = total(stack).filter(|total| !total.1.is_zero()) else { return Ok(()) };
    let total = to_head(total, "deadline.head_timeout", stack.deadline_value());
    let retry = stack.retry_value();
    // What a function says is not known beforehand.
    let least = |backoff: &Backoff| backoff.least_wait().unwrap_or_default();
    if retry.is_enabled() && retry.most_retries() > 0 {
        let so = "the time is over before the first retry";
        not_shorter(Bound("retry.backoff", least(retry.waits())), total, so)?;
        let throttled = least(retry.throttled_waits());
        not_shorter(Bound("retry.throttled_backoff", throttled), total, so)?;
    }
    let wait = Bound("balance.wait_for_endpoints", stack.balance_value().longest_wait());
    if !wait.1.is_zero() {
        not_shorter(wait, total, "who waits as long has no time left for the call")?;
    }
    Ok(())
}

/// When copies are sent, and what has ended by then.
fn copies(stack: &ClientStack) -> Result<(), Misfit> {
    let Some(hedge) = stack.set_hedge() else { return Ok(()) };
    let after_failures = Some(Duration::MAX);
    if !hedge.is_enabled() || hedge.most_copies() == 0 || hedge.fixed_delay() == after_failures {
        return Ok(());
    }
    let (name, delay) = match hedge.fixed_delay() {
        Some(delay) => ("hedge.delay", delay),
        None => ("hedge.min_delay", hedge.least_delay()),
    };
    if delay.is_zero() {
        return Ok(());
    }
    if let Some(attempt) = attempt(stack) {
        let attempt = to_head(attempt, "attempt.head_timeout", &stack.attempt_value());
        not_shorter(Bound(name, delay), attempt, "the first has ended before a copy of it is sent")?;
    }
    if let Some(total) = total(stack) {
        let total = to_head(total, "deadline.head_timeout", stack.deadline_value());
        not_shorter(Bound(name, delay), total, "the time is over before a copy is sent")?;
        let copies = hedge.most_copies();
        if copies > 1 && delay.saturating_mul(copies) >= total.1 {
            let (all, so) =
                (format!("{copies} × {}", Time(delay)), "the time is over before the last copy is sent");
            return Err(Misfit::new(
                ("hedge.max_hedges", &all),
                "is not shorter than",
                (total.0, &Time(total.1)),
                so,
            ));
        }
    }
    Ok(())
}

/// What retries and copies are paid from.
fn purse(stack: &ClientStack) -> Result<(), Misfit> {
    let (hedge, budget) = (stack.fit_hedge(true), stack.budget_value());
    if hedge.is_enabled() && hedge.most_copies() > 0 && hedge.extra_load() > budget.share() {
        let (extra, ratio) = (Percent(hedge.extra_load()), Percent(budget.share()));
        let so = "no purse pays for so many copies";
        return Err(Misfit::new(("hedge.extra", &extra), "is more than", ("budget.ratio", &ratio), so));
    }
    Ok(())
}

/// What waits for an attempt to end.
fn leases(stack: &ClientStack) -> Result<(), Misfit> {
    let stale = stack.fit_stale();
    match attempt(stack) {
        Some(attempt) if stale.is_enabled() => {
            let so = "a refresh is given up before its own time is over, and no breaker sees why";
            longer(attempt, Bound("stale.lease", stale.longest_lease()), so)
        }
        _ => Ok(()),
    }
}

/// What the breaker can see of an attempt.
fn breaker(stack: &ClientStack) -> Result<(), Misfit> {
    let breaker = stack.fit_breaker();
    let ends = match (attempt(stack), total(stack)) {
        (Some(attempt), Some(total)) => attempt.min(total),
        (Some(end), None) | (None, Some(end)) => end,
        (None, None) => return Ok(()),
    };
    if !breaker.is_enabled() || ends.1.is_zero() {
        return Ok(());
    }
    if let Some(slow) = breaker.slow_from() {
        let head = Bound("attempt.head_timeout", stack.attempt_value().longest_head());
        let head = if stack.attempt_value().is_enabled() { ends.min(head) } else { ends };
        not_shorter(Bound("breaker.slow_after", slow), head, "a call is given up before it counts as slow")?;
    }
    let so = "a probe has lost its place before it is given up";
    longer(ends, Bound("breaker.probe_lease", breaker.lease()), so)
}
