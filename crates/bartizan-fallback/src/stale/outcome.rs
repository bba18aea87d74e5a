//! What is done with the answer to a read that went out.

use super::body::StaleBody;
use super::cache_status::add;
use super::condition;
use super::counts::Count;
use super::directives::Said;
use super::entry::{Entry, Kept};
use super::read::Read;
use super::record::Record;
use super::storable::{is_signed, is_storable, may_be_kept};
use super::trouble::Pause;
use crate::on::Signs;
use crate::{Degraded, Failure};
use bartizan_core::{Attempt, ErrorsFail, Instant, Refused, Step, Verdict};
use bartizan_http::bytes::Bytes;
use bartizan_http::http::{Response, StatusCode, response};
use bartizan_http::http_body::Body;
use std::convert::Infallible;
use std::sync::Arc;

impl Read {
    /// Whether a call has failed, so that something else may take the place of its answer.
    pub(crate) fn has_failed<B, E: 'static>(&self, out: &Result<Response<B>, E>, is_ready: bool) -> bool {
        let on = &self.value.on;
        match out {
            Ok(response) => on.matches(self.verdict::<B, E>(response), &Signs::of_response(response)),
            Err(_) if !is_ready && on.unready() => true,
            Err(error) => on.matches(ErrorsFail::judge(error), &Signs::of_error(error)),
        }
    }

    fn verdict<B, E: 'static>(&self, response: &Response<B>) -> Verdict {
        match self.attempt.classify(Ok::<_, &E>(response)) {
            Step::Done(verdict) => verdict,
            Step::AtEnd(_) => Verdict::Success,
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
            if is_refused(&out) {
                // That was for this caller: its time was up, say. The next may have more luck.
                drop(self.lease.take());
            } else {
                self.release();
            }
            return Err(out);
        };
        let status = out.as_ref().ok().map(|response| response.status().as_u16());
        let failure = failure(out);
        self.trouble(&entry, now, &failure);
        self.count_stale(Count::IfError, &entry, now);
        self.shared().degraded(now, &failure);
        // Those who wait find that the service is spared.
        self.release();
        let forward = self.forward(now);
        let mut answer = self.serve(&entry, now, Some((forward, status)), false);
        answer.extensions_mut().insert(Degraded::new(failure));
        Ok(answer)
    }

    /// Hears that a refresh has failed, and as what it counts.
    pub(crate) fn refresh_failed<B, E: Send + Sync + 'static>(
        &mut self,
        count: Count,
        out: Result<Response<B>, E>,
        now: Instant,
    ) {
        self.count(count);
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
        // What is not asked for is no failure here, and may be none that is worth keeping.
        let is_good = self.verdict::<B, Infallible>(&response) == Verdict::Success;
        if is_good {
            self.shared().answered(now);
        }
        if let Some(found) = self.found.as_ref().filter(|_| is_good) {
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
        if is_good && is_own {
            self.forget_outdated(&head);
        }
        let fits = body.size_hint().lower() <= self.value.max_body as u64;
        let kept = if is_good
            && is_own
            && fits
            && is_storable(&self.asked, &self.request, head.status, &head.headers)
        {
            Kept::new(&head, &self.request, &self.times(now))
        } else {
            None
        };
        let Some(kept) = kept.filter(|kept| self.value.coalesce || kept.is_of_use(&self.value)) else {
            self.release_all();
            return Response::from_parts(head, StaleBody::passing(body));
        };
        add(&mut head.headers, self.forward(now).stored());
        let body = StaleBody::recording(body, Record::new(self, kept));
        Response::from_parts(head, body)
    }

    /// Forgets what is kept if the service now says of the same that it is for no store. To a caller that says who he is, it may say so of
    /// another answer.
    fn forget_outdated(&self, head: &response::Parts) {
        let Some(found) = &self.found else { return };
        let said = Said::of(&head.headers);
        let is_for_none = said.private || said.no_store || said.no_cache;
        if is_for_none && head.status.is_success() && !is_signed(&self.request) {
            self.shared().store.take(&self.key, found);
        }
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
        let renewed = found.renew(response.headers(), &self.request, &self.times(now));
        let Some(renewed) = renewed.map(Arc::new) else {
            self.shared().store.take(&self.key, found);
            self.release_all();
            return self.serve(found, now, status, false);
        };
        let answer = self.serve(&renewed, now, status, false);
        let (status, headers) = (renewed.status(), renewed.headers());
        if is_storable(&self.asked, &self.request, status, headers) {
            self.count(Count::Revalidated);
            self.keep(&renewed);
        } else {
            // It may be this caller's alone now, and good for the others as it was.
            if !may_be_kept(status, headers) {
                self.shared().store.take(&self.key, found);
            }
            self.release_all();
        }
        answer
    }
}

fn is_refused<B, E: 'static>(out: &Result<Response<B>, E>) -> bool {
    match out {
        Ok(response) => response.extensions().get::<Refused>().is_some(),
        Err(error) => ErrorsFail::refusal(error).is_some(),
    }
}

fn failure<B, E: Send + Sync + 'static>(out: Result<Response<B>, E>) -> Arc<Failure> {
    Arc::new(match out {
        Ok(response) => Failure::of_response(&response),
        Err(error) => Failure::of_error(error),
    })
}
