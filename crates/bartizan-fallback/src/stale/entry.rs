use super::age::{Age, Times, lifetime};
use super::cache_status::{Left, Status, add, left};
use super::condition;
use super::directives::Said;
use super::fields;
use super::trouble::Trouble;
use super::value::Stale;
use super::vary::Vary;
use bartizan_core::Instant;
use bartizan_http::bytes::Bytes;
use bartizan_http::http::header::{AGE, CONTENT_LENGTH};
use bartizan_http::http::{HeaderMap, HeaderValue, Response, StatusCode, Version, response};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A good answer that is kept, whole.
#[derive(Debug)]
pub(crate) struct Entry {
    status: StatusCode,
    version: Version,
    headers: HeaderMap,
    body: Bytes,
    vary: Vary,
    pub(crate) said: Said,
    pub(crate) age: Age,
    /// Zero where the answer says nothing.
    pub(crate) lifetime: Duration,
    trouble: Mutex<Trouble>,
    weight: usize,
}

/// The head of an answer, as it will be kept.
#[derive(Debug)]
pub(crate) struct Kept {
    status: StatusCode,
    version: Version,
    headers: HeaderMap,
    vary: Vary,
    said: Said,
    age: Age,
    lifetime: Duration,
}

/// What it takes to keep an entry, without what it refers to.
pub(super) const OWN: usize = size_of::<Entry>() + 256;

impl Kept {
    /// `None` if it cannot be told which requests it is the answer to.
    pub(crate) fn new(head: &response::Parts, request: &HeaderMap, times: &Times) -> Option<Self> {
        let (vary, age) = (Vary::of(&head.headers, request)?, Age::of(&head.headers, times));
        Some(Self::of(head.status, head.version, fields::kept(&head.headers), vary, age, times.wall))
    }

    fn of(
        status: StatusCode,
        version: Version,
        headers: HeaderMap,
        vary: Vary,
        age: Age,
        wall: Duration,
    ) -> Self {
        let said = Said::of(&headers);
        let lifetime = lifetime(&said, &headers, wall).unwrap_or_default();
        Self { status, version, headers, vary, said, age, lifetime }
    }

    /// Whether there is a time at which it may be served.
    pub(crate) fn is_of_use(&self, value: &Stale) -> bool {
        is_of_use(value, &self.said, self.lifetime)
    }

    /// Whether its body has the length that it says.
    pub(crate) fn has_length(&self, length: usize) -> bool {
        let is_right = |value: &HeaderValue| value.to_str().is_ok_and(|text| text.parse() == Ok(length));
        self.headers.get_all(CONTENT_LENGTH).iter().all(is_right)
    }

    /// Joins it with the whole of its body, which shares its buffer with nothing.
    pub(crate) fn with(self, body: Bytes) -> Entry {
        let weight = OWN + fields::weight(&self.headers) + self.vary.weight() + body.len();
        Entry {
            status: self.status,
            version: self.version,
            headers: self.headers,
            body,
            vary: self.vary,
            said: self.said,
            age: self.age,
            lifetime: self.lifetime,
            trouble: Mutex::default(),
            weight,
        }
    }
}

fn is_of_use(value: &Stale, said: &Said, lifetime: Duration) -> bool {
    let limits = [value.if_error, value.while_revalidate, said.if_error, said.while_revalidate];
    let is_limit = |limit: Duration| !limit.is_zero();
    is_limit(lifetime) || !said.never_stale && limits.into_iter().flatten().any(is_limit)
}

impl Entry {
    /// Whether there is a time at which it may be served.
    pub(crate) fn is_of_use(&self, value: &Stale) -> bool {
        is_of_use(value, &self.said, self.lifetime)
    }

    /// How many bytes it takes, about.
    pub(crate) const fn weight(&self) -> usize {
        self.weight
    }

    pub(crate) const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    pub(crate) const fn body(&self) -> &Bytes {
        &self.body
    }

    /// Whether it is the answer to such a request.
    pub(crate) fn is_for(&self, request: &HeaderMap) -> bool {
        self.vary.matches(request)
    }

    /// A number that is the same for requests that this and its like are answers to.
    pub(crate) fn variant(&self, request: &HeaderMap) -> u64 {
        self.vary.variant(request)
    }

    /// Whether somebody else may have it who asks at the same time, where either of them says who he is. One that has to be asked for again
    /// may be for its caller alone: `must-revalidate` keeps it only for the service to see who asks.
    pub(crate) fn is_shareable(&self, now: Instant) -> bool {
        self.said.public || !self.is_stale(now)
    }

    /// Whether both are answers to the same requests.
    pub(crate) fn replaces(&self, other: &Self) -> bool {
        self.vary.is_same(&other.vary)
    }

    pub(crate) fn trouble(&self) -> MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is stale.
    pub(crate) fn is_stale(&self, now: Instant) -> bool {
        self.age.at(now) >= self.lifetime
    }

    /// For how long it has been stale.
    pub(crate) fn stale_for(&self, now: Instant) -> Duration {
        self.age.at(now).saturating_sub(self.lifetime)
    }

    pub(crate) fn left(&self, now: Instant) -> Left {
        left(self.lifetime, self.age.at(now))
    }

    /// The entry that a 304 makes of it (§4.3.4), with what that has for its caller alone. `None` if it cannot be told which requests it is
    /// the answer to.
    pub(crate) fn renew(&self, by: &HeaderMap, request: &HeaderMap, times: &Times) -> Option<Self> {
        let mut headers = self.headers.clone();
        fields::freshen(&mut headers, by);
        let (vary, age) = (Vary::of(&headers, request)?, Age::of(by, times));
        Some(Kept::of(self.status, self.version, headers, vary, age, times.wall).with(self.body.clone()))
    }

    pub(crate) const fn status(&self) -> StatusCode {
        self.status
    }

    /// Answers a request with it, which may have the answer already.
    pub(crate) fn answer(&self, request: &HeaderMap, now: Instant, status: &Status) -> Response<Bytes> {
        let has_it = self.status == StatusCode::OK && condition::is_met(request, &self.headers);
        let mut answer = Response::new(if has_it { Bytes::new() } else { self.body.clone() });
        *answer.status_mut() = if has_it { StatusCode::NOT_MODIFIED } else { self.status };
        *answer.version_mut() = self.version;
        *answer.headers_mut() = self.headers.clone();
        let headers = answer.headers_mut();
        if has_it {
            headers.remove(CONTENT_LENGTH);
        }
        headers.insert(AGE, self.age.at(now).as_secs().min(1 << 31).into());
        if let Some(value) = status.value() {
            add(headers, value);
        }
        answer
    }
}
