//! What is done with a read before it goes out, or in place of that.

use super::condition;
use super::counts::Count;
use super::entry::Entry;
use super::flights::{Joined, Turn};
use super::lease::Seat;
use super::read::Read;
use super::shared::Refreshing;
use super::storable::{is_for_everybody, is_signed};
use crate::Degraded;
use bartizan_core::{Instant, Kind, Reason, Refused};
use bartizan_http::bytes::Bytes;
use bartizan_http::http::Response;
use bartizan_http::{Form, answer};
use std::sync::Arc;

/// What is done with a read.
pub(crate) enum Plan {
    Serve(Response<Bytes>),
    /// Serve this, and go out in the background.
    Refresh(Response<Bytes>, Refreshing),
    Wait(Seat),
    Go,
}

const NOT_KEPT: Reason = Reason::new("stale", Kind::DeadlineExceeded, "only what is kept was asked for");

/// Any number: those who say who they are wait for one another alone.
const SIGNED: u64 = 0x9E37_79B9_7F4A_7C15;

impl Read {
    /// Decides what is done. Who has waited does not wait again.
    pub(crate) fn plan(&mut self, now: Instant, may_wait: bool) -> Plan {
        if let Some(entry) = self.found.clone() {
            if let Some(plan) = self.plan_with(&entry, now) {
                return plan;
            }
        }
        if self.asked.only_if_cached {
            self.count(Count::Unanswered);
            self.count(Count::NotKept);
            let form = if self.is_head { Form::Head } else { Form::Http };
            return Plan::Serve(answer(Refused::new(&NOT_KEPT), form));
        }
        if may_wait
            && self.value.coalesce
            && !self.asked.is_for_new()
            && !condition::has_condition(&self.request)
        {
            let (lasts, most) = (self.value.lease, self.value.max_waiting);
            let variant = self.shared().store.variant(&self.key, &self.request);
            // Who says who he is may get an answer of his own, of which the others know nothing.
            let lane = if is_signed(&self.request) { SIGNED } else { 0 };
            self.flight = self.key.varied(variant ^ lane);
            match self.shared().flights.join(self.flight, now, lasts, most) {
                Joined::Wait(seat) => return Plan::Wait(seat),
                Joined::Lead(lease) => self.lease = Some(lease),
                Joined::Alone => {}
            }
        }
        Plan::Go
    }

    /// Decides whether what is kept is served.
    fn plan_with(&mut self, entry: &Arc<Entry>, now: Instant) -> Option<Plan> {
        let served = entry.may_be_served(&self.value, &self.asked, now);
        if entry.is_fresh(&self.asked, now) && (served || self.asked.only_if_cached) {
            self.count(Count::Hits);
            return Some(Plan::Serve(self.serve(entry, now, None, false)));
        }
        // Who gets an answer that would not be kept does not refresh this one, and is not to see it grow old.
        if served && (self.asked.only_if_cached || is_for_everybody(&self.request, entry.headers())) {
            self.count_stale(Count::WhileRevalidate, entry, now);
            let answer = self.serve(entry, now, None, false);
            return Some(match self.refresh(entry, now) {
                Some(refreshing) => Plan::Refresh(answer, refreshing),
                None => Plan::Serve(answer),
            });
        }
        if entry.may_replace(&self.value, &self.asked, now) && !self.asked.only_if_cached {
            let leave = entry.trouble().leave(now);
            match leave {
                Ok(leave) => self.leave = Some(leave),
                Err(cause) => {
                    self.count_stale(Count::Spared, entry, now);
                    let mut answer = self.serve(entry, now, None, false);
                    answer.extensions_mut().insert(Degraded::new(cause));
                    return Some(Plan::Serve(answer));
                }
            }
        }
        None
    }

    /// Takes a place for a refresh, unless the service is spared.
    fn refresh(&mut self, entry: &Entry, now: Instant) -> Option<Refreshing> {
        if self.asked.only_if_cached {
            return None;
        }
        let refreshing = self.shared().refresh(self.key, self.value.max_refreshes)?;
        self.leave = Some(entry.trouble().leave(now).ok()?);
        self.count(Count::Refreshes);
        Some(refreshing)
    }

    /// Hears its turn after a wait. The answer, if that of another is one to this as well.
    pub(crate) fn turn(&mut self, turn: Turn, now: Instant) -> Plan {
        match turn {
            Turn::Shared(entry)
                if entry.is_for(&self.request)
                    && entry.is_young_enough(&self.asked, now)
                    && (entry.is_shareable(now) || !is_signed(&self.request)) =>
            {
                self.count(Count::Coalesced);
                let forward = self.forward(now);
                return Plan::Serve(self.serve(&entry, now, Some((forward, None)), true));
            }
            Turn::Lead(lease) => self.lease = Some(lease),
            Turn::Shared(_) | Turn::Alone => {}
        }
        (self.found, self.epoch) = self.shared().store.get(&self.key, &self.request);
        let plan = self.plan(now, false);
        if !matches!(plan, Plan::Go) {
            self.release();
        }
        plan
    }
}
