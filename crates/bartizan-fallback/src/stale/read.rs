use super::age::{Times, wall};
use super::body::StaleBody;
use super::cache_status::{Forward, Status, add};
use super::condition;
use super::counts::Count;
use super::directives::Asked;
use super::entry::{Entry, Kept};
use super::flights::{Joined, Turn};
use super::key::{Key, Keys};
use super::lease::{Lease, Seat};
use super::record::Record;
use super::shared::{InFlight, Refreshing, Shared};
use super::storable::is_storable;
use super::store::Epoch;
use super::trouble::{Leave, Pause};
use super::value::Stale;
use crate::on::Signs;
use crate::{Degraded, Failure};
use bartizan_core::{Attempt, Classify, ErrorsFail, Instant, Kind, Reason, Refused, Step, Verdict};
use bartizan_http::bytes::Bytes;
use bartizan_http::http::{HeaderMap, Method, Request, Response, StatusCode};
use bartizan_http::http_body::Body;
use bartizan_http::{Head, HttpAttempt, HttpClassifier, answer};
use std::fmt;
use std::sync::Arc;

/// One read, from its arrival to the end of its answer.
pub(crate) struct Read {
    in_flight: InFlight,
    pub(crate) value: Arc<Stale>,
    pub(crate) key: Key,
    pub(crate) epoch: Epoch,
    /// The fields of the request, as an answer may vary on any of them.
    request: HeaderMap,
    asked: Asked,
    attempt: HttpAttempt,
    is_head: bool,
    pub(crate) found: Option<Arc<Entry>>,
    leave: Option<Leave>,
    /// It asks by what is kept: a 304 is about that.
    asks: bool,
    pub(crate) lease: Option<Lease>,
    sent: Instant,
}

/// What is done with a read.
pub(crate) enum Plan {
    Serve(Response<Bytes>),
    /// Serve this, and go out in the background.
    Refresh(Response<Bytes>, Refreshing),
    Wait(Seat),
    Go,
}

const NOT_KEPT: Reason = Reason::new("stale", Kind::DeadlineExceeded, "only what is kept was asked for");

impl Read {
    /// Looks at a request that [is a read](super::storable::is_read). `None` if its caller wants to have nothing kept of it.
    pub(crate) fn begin<B>(shared: &Arc<Shared>, keys: &Keys, req: &Request<B>) -> Option<Box<Self>> {
        let asked = Asked::of(req.headers());
        if asked.no_store {
            return None;
        }
        let key = keys.key(&Head::of(req));
        let in_flight = shared.enter();
        let (found, epoch) = shared.store.get(&key, req.headers());
        Some(Box::new(Self {
            in_flight,
            value: shared.value(),
            key,
            epoch,
            request: req.headers().clone(),
            asked,
            attempt: HttpClassifier.start(req),
            is_head: req.method() == Method::HEAD,
            found,
            leave: None,
            asks: false,
            lease: None,
            sent: Instant::now(),
        }))
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        self.in_flight.shared()
    }

    fn count(&self, what: Count) {
        self.shared().counts.count(what);
    }

    /// Decides what is done. Who has waited does not wait again.
    pub(crate) fn plan(&mut self, now: Instant, may_wait: bool) -> Plan {
        if let Some(entry) = self.found.clone() {
            if let Some(plan) = self.plan_with(&entry, now) {
                return plan;
            }
        }
        if self.asked.only_if_cached {
            return Plan::Serve(answer(Refused::new(&NOT_KEPT), false));
        }
        if may_wait && self.value.coalesce && !self.asked.no_cache && !condition::has_condition(&self.request)
        {
            let (lasts, most) = (self.value.lease, self.value.max_waiting);
            match self.shared().flights.join(self.key, now, lasts, most) {
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
        if served {
            self.count(Count::WhileRevalidate);
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
                    self.count(Count::Spared);
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
        Some(refreshing)
    }

    /// Hears its turn after a wait. The answer, if that of another is one to this as well.
    pub(crate) fn turn(&mut self, turn: Turn, now: Instant) -> Plan {
        match turn {
            Turn::Shared(entry) if entry.is_for(&self.request) && entry.is_young_enough(&self.asked, now) => {
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

    /// Prepares the request that goes out.
    pub(crate) fn ask<B>(&mut self, req: &mut Request<B>, now: Instant) {
        self.sent = now;
        if let Some(found) = self.found.as_ref().filter(|_| !condition::has_condition(&self.request)) {
            self.asks = condition::ask(req.headers_mut(), found.headers());
        }
    }

    /// Whether a call has failed, so that something else may take the place of its answer.
    pub(crate) fn has_failed<B, E: 'static>(&self, out: &Result<Response<B>, E>, is_ready: bool) -> bool {
        let on = &self.value.on;
        match out {
            Ok(response) => {
                let verdict = match self.attempt.classify(Ok::<_, &E>(response)) {
                    Step::Done(verdict) => verdict,
                    Step::AtEnd(_) => Verdict::Success,
                };
                on.matches(verdict, &Signs::of_response(response))
            }
            Err(_) if !is_ready && on.unready() => true,
            Err(error) => on.matches(ErrorsFail::judge(error), &Signs::of_error(error)),
        }
    }

    /// Answers a failed call with what is kept, or hands the failure back.
    pub(crate) fn failed<B, E>(
        &mut self,
        out: Result<Response<B>, E>,
        now: Instant,
    ) -> Result<Response<Bytes>, Result<Response<B>, E>>
    where
        E: Send + Sync + 'static,
    {
        let (newest, epoch) = self.shared().store.get(&self.key, &self.request);
        // What was only pushed out meanwhile is still good.
        let entry = newest.or_else(|| self.found.clone().filter(|_| epoch == self.epoch));
        let Some(entry) = entry.filter(|entry| entry.may_replace(&self.value, &self.asked, now)) else {
            self.count(Count::Unanswered);
            self.release();
            return Err(out);
        };
        let status = out.as_ref().ok().map(|response| response.status().as_u16());
        let failure = failure(out);
        self.trouble(&entry, now, &failure);
        self.count(Count::IfError);
        self.shared().degraded(now, &failure);
        // They find that the service is spared.
        self.release();
        let forward = self.forward(now);
        let mut answer = self.serve(&entry, now, Some((forward, status)), false);
        answer.extensions_mut().insert(Degraded::new(failure));
        Ok(answer)
    }

    /// Hears that a refresh has failed.
    pub(crate) fn refresh_failed<B, E: Send + Sync + 'static>(
        &mut self,
        out: Result<Response<B>, E>,
        now: Instant,
    ) {
        let failure = failure(out);
        if let Some(found) = self.found.clone() {
            self.trouble(&found, now, &failure);
        }
    }

    /// Has the service be spared, if this call went out for the answer that is kept.
    fn trouble(&self, entry: &Arc<Entry>, now: Instant, failure: &Arc<Failure>) {
        let is_same = self.found.as_ref().is_some_and(|found| Arc::ptr_eq(found, entry));
        let Some(leave) = self.leave.filter(|_| is_same) else { return };
        let pause = Pause {
            min: self.value.min_backoff,
            max: self.value.max_backoff,
            hint: failure.retry_after(),
            throw: self.shared().dice.unit(),
        };
        let old = entry.trouble().failed(leave, now, &pause, failure.clone());
        drop(old);
    }

    /// Answers with what the service has answered, and keeps that if it may.
    pub(crate) fn succeeded<B: Body<Data = Bytes>>(
        mut self: Box<Self>,
        response: Response<B>,
        now: Instant,
    ) -> Response<StaleBody<B>> {
        self.shared().answered(now);
        if let Some(found) = &self.found {
            let old = found.trouble().is_over();
            drop(old);
        }
        if self.asks && response.status() == StatusCode::NOT_MODIFIED {
            if let Some(found) = self.found.clone() {
                return self.not_modified(&found, &response, now).map(StaleBody::kept);
            }
        }
        let (mut head, body) = response.into_parts();
        let is_own =
            head.extensions.get::<Refused>().is_none() && head.extensions.get::<Degraded>().is_none();
        let fits = body.size_hint().lower() <= self.value.max_body as u64;
        let kept = if is_own && fits && is_storable(&self.asked, &self.request, head.status, &head.headers) {
            Kept::new(&head, &self.request, &self.times(now))
        } else {
            None
        };
        let Some(kept) = kept.filter(|kept| self.value.coalesce || kept.is_of_use(&self.value)) else {
            self.release_all();
            return Response::from_parts(head, StaleBody::passing(body));
        };
        add(&mut head.headers, self.forward(now).stored());
        let is_head = self.is_head;
        let body = StaleBody::recording(body, Record::new(self, kept, is_head));
        Response::from_parts(head, body)
    }

    /// Serves what is kept, of which the service says that it holds still.
    fn not_modified<B>(
        &mut self,
        found: &Arc<Entry>,
        response: &Response<B>,
        now: Instant,
    ) -> Response<Bytes> {
        let status = Some((self.forward(now), Some(response.status().as_u16())));
        if !condition::is_about(found.headers(), response.headers()) {
            self.release();
            return self.serve(found, now, status, false);
        }
        let headers = found.freshened(response.headers());
        let is_storable = is_storable(&self.asked, &self.request, found.status(), &headers);
        let renewed = found.renew(headers.clone(), response.headers(), &self.request, &self.times(now));
        let Some(renewed) = renewed.map(Arc::new) else {
            self.shared().store.take(&self.key, found);
            self.release_all();
            return self.serve(found, now, status, false);
        };
        let status = Status { forward: status, collapsed: false, left: renewed.left(now) };
        let answer = renewed.answer_with(headers, &self.request, now, &status);
        if is_storable {
            self.count(Count::Revalidated);
            self.keep(&renewed);
        } else {
            self.shared().store.take(&self.key, found);
            self.release_all();
        }
        answer
    }

    fn times(&self, now: Instant) -> Times {
        Times { sent: self.sent, received: now, wall: wall() }
    }

    /// Answers with what is kept.
    fn serve(
        &self,
        entry: &Entry,
        now: Instant,
        forward: Option<(Forward, Option<u16>)>,
        collapsed: bool,
    ) -> Response<Bytes> {
        let status = Status { forward, collapsed, left: entry.left(now) };
        entry.answer(&self.request, now, &status)
    }

    /// Why it goes out.
    fn forward(&self, now: Instant) -> Forward {
        match &self.found {
            None => Forward::Miss,
            Some(found) if found.is_stale(now) => Forward::Stale,
            Some(found) if found.is_fresh(&self.asked, now) => Forward::Bypass,
            Some(_) => Forward::Request,
        }
    }

    /// Lets those go out who wait.
    pub(crate) fn release(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.release();
        }
    }

    /// Lets those go out who wait, and those who will come.
    pub(crate) fn release_all(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.release_all();
        }
    }
}

fn failure<B, E: Send + Sync + 'static>(out: Result<Response<B>, E>) -> Arc<Failure> {
    Arc::new(match out {
        Ok(response) => Failure::of_response(&response),
        Err(error) => Failure::of_error(error),
    })
}

impl fmt::Debug for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Read").field("key", &self.key).finish_non_exhaustive()
    }
}
