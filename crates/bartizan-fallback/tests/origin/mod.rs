//! A service whose answers a test writes, and what it takes to ask it.
#![allow(dead_code, reason = "each test file needs some of it")]

use bartizan_fallback::stale::{Handle, ResponseFuture, StaleBody};
use bartizan_fallback::{Degraded, Stale, StaleLayer, StaleService};
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Sleep, advance, sleep};
use tower::{Layer, Service};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;
pub(crate) type AnyBody = UnsyncBoxBody<Bytes, BoxError>;
pub(crate) type Answer = Result<Response<AnyBody>, BoxError>;
type Script = dyn Fn(usize, Request<String>) -> Pin<Box<dyn Future<Output = Answer> + Send>> + Send + Sync;

/// A service that counts its calls, and panics when one comes to an instance that was not made ready.
pub(crate) struct Origin {
    script: Arc<Script>,
    calls: Arc<AtomicUsize>,
    ready: bool,
}

impl Origin {
    /// The script is given the number of the call, from 0 on.
    pub(crate) fn new<F>(script: impl Fn(usize, Request<String>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        Self { script: Arc::new(move |n, req| Box::pin(script(n, req))), calls: Arc::default(), ready: false }
    }

    /// The same script from its beginning.
    pub(crate) fn fresh(&self) -> Self {
        Self { script: self.script.clone(), calls: Arc::default(), ready: false }
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Relaxed)
    }
}

impl Clone for Origin {
    fn clone(&self) -> Self {
        Self { script: self.script.clone(), calls: self.calls.clone(), ready: false }
    }
}

impl Service<Request<String>> for Origin {
    type Response = Response<AnyBody>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: Request<String>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called before it was ready");
        (self.script)(self.calls.fetch_add(1, Relaxed), req)
    }
}

/// An answer with fields as `name: value|name: value`.
pub(crate) fn say(status: u16, fields: &str, body: impl Into<String>) -> Answer {
    say_body(status, fields, body.into().map_err(|never| match never {}))
}

pub(crate) fn say_body<B>(status: u16, fields: &str, body: B) -> Answer
where
    B: Body<Data = Bytes, Error = BoxError> + Send + 'static,
{
    let mut answer = Response::builder().status(status);
    for field in fields.split('|').filter(|field| !field.is_empty()) {
        let (name, value) = field.split_once(": ").unwrap();
        answer = answer.header(name, value);
    }
    Ok(answer.body(body.boxed_unsync()).unwrap())
}

/// A body of these frames.
pub(crate) fn frames(
    frames: Vec<Result<Frame<Bytes>, BoxError>>,
) -> impl Body<Data = Bytes, Error = BoxError> + Send {
    Frames(frames.into_iter())
}

pub(crate) fn data(text: &'static str) -> Result<Frame<Bytes>, BoxError> {
    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
}

struct Frames(std::vec::IntoIter<Result<Frame<Bytes>, BoxError>>);

impl Body for Frames {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(self.0.next())
    }
}

/// A body of these parts, a second apart.
pub(crate) fn drip(parts: &[&'static str]) -> impl Body<Data = Bytes, Error = BoxError> + Send + use<> {
    Drip(parts.to_vec(), None)
}

struct Drip(Vec<&'static str>, Option<Pin<Box<Sleep>>>);

impl Body for Drip {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.0.is_empty() {
            return Poll::Ready(None);
        }
        ready!(self.1.get_or_insert_with(|| Box::pin(sleep(SECOND))).as_mut().poll(cx));
        self.1 = None;
        Poll::Ready(Some(data(self.0.remove(0))))
    }
}

/// What came of a request: status, fields and body, or the error.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) degraded: Option<Degraded>,
    pub(crate) body: String,
}

impl Got {
    pub(crate) fn field(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Body and `Cache-Status`.
    pub(crate) fn seen(&self) -> (&str, &str) {
        (&self.body, self.field("cache-status"))
    }
}

/// A layer over an origin.
#[derive(Clone)]
pub(crate) struct Scene {
    pub(crate) origin: Origin,
    pub(crate) handle: Handle,
    pub(crate) service: StaleService<Origin>,
}

impl Scene {
    pub(crate) fn new(value: Stale, origin: Origin) -> Self {
        Self::of(&StaleLayer::new(value), origin)
    }

    pub(crate) fn of(layer: &StaleLayer, origin: Origin) -> Self {
        Self { handle: layer.handle(), service: layer.layer(origin.clone()), origin }
    }

    pub(crate) fn call(&self, req: Request<String>) -> ResponseFuture<Origin, String> {
        self.service.clone().call(req)
    }

    pub(crate) async fn send(&self, req: Request<String>) -> Result<Got, BoxError> {
        got(self.call(req).await).await
    }

    /// Gets a path with fields as `name: value|name: value`.
    pub(crate) async fn get(&self, path: &str, fields: &str) -> Got {
        self.send(request("GET", path, fields)).await.unwrap()
    }

    /// Nothing is held any more.
    pub(crate) fn assert_idle(&self) {
        let seen = self.handle.snapshot();
        let gauges = (seen.in_flight, seen.waiting, seen.refreshing, seen.recording);
        assert_eq!(gauges, (0, 0, 0, 0), "{seen:?}");
    }
}

pub(crate) async fn got(answer: Result<Response<StaleBody<AnyBody>>, BoxError>) -> Result<Got, BoxError> {
    let (head, body) = answer?.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Got {
        status: head.status.as_u16(),
        headers: head.headers,
        degraded: head.extensions.get().cloned(),
        body: String::from_utf8(body.to_vec()).unwrap(),
    })
}

pub(crate) fn request(method: &str, path: &str, fields: &str) -> Request<String> {
    let mut req = Request::builder().method(method).uri(path);
    for field in fields.split('|').filter(|field| !field.is_empty()) {
        let (name, value) = field.split_once(": ").unwrap();
        req = req.header(name, value);
    }
    req.body(String::new()).unwrap()
}

/// Lets time go by, and tasks have their turn.
pub(crate) async fn pass(time: Duration) {
    advance(time).await;
    settle().await;
}

pub(crate) async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}
