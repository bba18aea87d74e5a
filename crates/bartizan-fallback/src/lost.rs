use crate::counts::Event;
use crate::events;
use crate::failure::{Failed, Failure};
use crate::future::{Answer, Heard};
use crate::give::Give;
use crate::held::{Held, Tie};
use crate::later::Later;
use crate::shared::{Flags, Shared};
use crate::way::Way;
use bartizan_core::{Context, Verdict};
use bartizan_http::Form;
use std::sync::Arc;
use tower::Service;

/// A call that may have ended in a failure that is asked for.
pub(crate) struct Lost<S: Service<Req>, W: Way<S, Req>, Req> {
    pub(crate) verdict: Verdict,
    pub(crate) heard: Heard<S, Req>,
    pub(crate) tie: Tie<W, W::Give>,
    pub(crate) flags: Flags,
    pub(crate) key: W::Key,
    pub(crate) form: Form,
    pub(crate) context: Option<Context>,
}

impl<S: Service<Req>, W: Way<S, Req>, Req> Lost<S, W, Req> {
    /// Replaces the failure, at once or later. An answer that is none of those asked for goes out as it is.
    #[cold]
    pub(crate) fn replace(self) -> Result<Later<S, W, Req>, Answer<S, W, Req>> {
        let Self { verdict, heard, tie, flags, key, form, context } = self;
        let on = match tie.shared().map(Shared::settings) {
            Some(value) => Some(value.on).filter(|_| value.enabled),
            None => Some(flags.on()),
        };
        if !on.is_some_and(|on| W::fails(&on, verdict, &heard)) {
            if let Some(shared) = tie.shared() {
                if verdict == Verdict::Success {
                    shared.went_well();
                } else {
                    shared.counts.count(Event::Passed);
                }
            }
            return Err(heard.map(W::pass));
        }
        let (failure, response) = W::failure(heard);
        match (Want { tie, key, form, context }).offer(failure, response) {
            Offer::Later(later) => Ok(later),
            Offer::Now(answer) => Err(answer),
            Offer::Declined(_, Some(response)) => Err(Ok(W::pass(response))),
            Offer::Declined(failure, None) => Err(Err(W::error(failure))),
        }
    }
}

/// What is needed to find something in place of a failure.
pub(crate) struct Want<W, F, K> {
    pub(crate) tie: Tie<W, F>,
    pub(crate) key: K,
    pub(crate) form: Form,
    pub(crate) context: Option<Context>,
}

/// What was found in place of a failure.
pub(crate) enum Offer<S: Service<Req>, W: Way<S, Req>, Req> {
    Now(Answer<S, W, Req>),
    Later(Later<S, W, Req>),
    /// Nothing.
    Declined(Failure, Option<S::Response>),
}

impl<W, F, K> Want<W, F, K> {
    /// Asks for something in place of a failure.
    pub(crate) fn offer<S, Req>(self, failure: Failure, response: Option<S::Response>) -> Offer<S, W, Req>
    where
        S: Service<Req>,
        W: Way<S, Req, Key = K, Give = F>,
        F: Give<K, W::Given, S::Error>,
    {
        let Self { tie, key, form, context } = self;
        let failure = Arc::new(failure);
        if W::Give::LATER {
            let Some(place) = Place::take(&tie) else { return Offer::declined(failure, response) };
            // Nobody needs it any more, and it may hold a connection.
            drop(response);
            let given = place.0.way.give().later(Failed::new(key, failure.clone()));
            place.0.shared.replaces(&failure);
            return Offer::Later(Later::Giving { given, failure, place, form, context });
        }
        let failed = Failed::new(key, failure);
        let given = match &tie {
            Tie::Free(give) => give.now(&failed),
            Tie::Held(held) => held.way.give().now(&failed),
        };
        let failure = failed.into_failure();
        let Some(given) = given else {
            if let Some(shared) = tie.shared() {
                shared.counts.count(Event::Declined);
            }
            return Offer::declined(failure, response);
        };
        match tie.shared() {
            Some(shared) => shared.replaces(&failure),
            None => events::used(None, &failure),
        }
        drop(response);
        Offer::Now(settle::<S, W, Req>(given, failure, form, tie.shared()))
    }
}

impl<S: Service<Req>, W: Way<S, Req>, Req> Offer<S, W, Req> {
    fn declined(failure: Arc<Failure>, response: Option<S::Response>) -> Self {
        let failure = Arc::into_inner(failure).expect("who is lent a failure cannot keep it");
        Self::Declined(failure, response)
    }
}

/// Makes an answer of what was given in place of a failure.
pub(crate) fn settle<S: Service<Req>, W: Way<S, Req>, Req>(
    given: Result<W::Given, S::Error>,
    failure: Arc<Failure>,
    form: Form,
    shared: Option<&Shared>,
) -> Answer<S, W, Req> {
    match given {
        Ok(given) => Ok(W::replace(given, failure, form)),
        Err(error) => {
            if let Some(shared) = shared {
                shared.counts.count(Event::Failed);
            }
            events::failed(shared.and_then(Shared::name), &failure);
            Err(W::join(error, failure))
        }
    }
}

/// A place among the asynchronous functions that are under way, given back when it is dropped.
pub(crate) struct Place<W>(pub(crate) Arc<Held<W>>);

impl<W> Place<W> {
    fn take<F>(tie: &Tie<W, F>) -> Option<Self> {
        match tie {
            Tie::Held(held) if held.shared.take_place() => Some(Self(held.clone())),
            _ => None,
        }
    }
}

impl<W> Drop for Place<W> {
    fn drop(&mut self) {
        self.0.shared.leave_place();
    }
}
