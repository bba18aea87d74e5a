//! The endpoints of a row. What they do with calls is set as the row goes on.

use bartizan_balance::ENDPOINT_DRAINING;
use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use std::collections::BTreeMap;
use std::future::pending;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::sleep;
use tower::{BoxError, Service};

/// A request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Visit {
    /// It will leave before it is answered.
    pub(crate) bystander: bool,
}

/// What a host does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    /// Answers so.
    Status(u16),
    /// Answers well, and says that it is about to leave.
    Leaves,
    /// Cannot be reached.
    Lost,
    /// Never answers.
    Hangs,
    Panics,
}

pub(crate) const OK: Does = Does::Status(200);
pub(crate) const BAD: Does = Does::Status(500);

/// Whether a host's services become ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Door {
    #[default]
    Open,
    Shut,
    /// They never will.
    Broken,
}

/// One endpoint.
#[derive(Debug)]
pub(crate) struct Host {
    key: char,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    does: Does,
    lasts: Duration,
    door: Door,
    wakers: Vec<Waker>,
    made: u64,
    picks: u64,
    calls: u64,
    running: u64,
}

impl Host {
    fn new(key: char) -> Self {
        let (does, lasts, door, wakers) = (OK, Duration::ZERO, Door::Open, Vec::new());
        Self {
            key,
            state: Mutex::new(State { does, lasts, door, wakers, made: 0, picks: 0, calls: 0, running: 0 }),
        }
    }

    /// Sets what it does with calls from now on.
    pub(crate) fn does(&self, does: Does) {
        self.state().does = does;
    }

    /// Sets how long its answers take from now on.
    pub(crate) fn lasts(&self, lasts: Duration) {
        self.state().lasts = lasts;
    }

    /// Opens or closes its door, and wakes those who wait.
    pub(crate) fn door(&self, door: Door) {
        self.state().door = door;
        let wakers = std::mem::take(&mut self.state().wakers);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// How often a service was made for it.
    pub(crate) fn made(&self) -> u64 {
        self.state().made
    }

    /// How many calls it got, those of bystanders too.
    pub(crate) fn picks(&self) -> u64 {
        self.state().picks
    }

    /// How many calls of the row itself it got.
    pub(crate) fn calls(&self) -> u64 {
        self.state().calls
    }

    /// How many calls are with it now.
    pub(crate) fn running(&self) -> u64 {
        self.state().running
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn enter(self: &Arc<Self>, visit: Visit) -> impl Future<Output = Does> + Send + use<> {
        let mut state = self.state();
        state.picks += 1;
        state.calls += u64::from(!visit.bystander);
        state.running += 1;
        let (does, lasts) =
            if visit.bystander { (Does::Hangs, Duration::ZERO) } else { (state.does, state.lasts) };
        let inside = Inside(self.clone());
        async move {
            let _inside = inside;
            if !lasts.is_zero() {
                sleep(lasts).await;
            }
            match does {
                Does::Hangs => pending().await,
                Does::Panics => panic!("by the script"),
                does => does,
            }
        }
    }
}

struct Inside(Arc<Host>);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.state().running -= 1;
    }
}

/// The hosts of a row, by their keys. One that is asked for is there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hosts(Arc<Mutex<BTreeMap<char, Arc<Host>>>>);

impl Hosts {
    pub(crate) fn host(&self, key: char) -> Arc<Host> {
        self.0.lock().unwrap().entry(key).or_insert_with(|| Arc::new(Host::new(key))).clone()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Host>> {
        self.0.lock().unwrap().values().cloned().collect()
    }

    /// Makes a service of a host.
    pub(crate) fn guest(&self, key: char) -> Guest {
        let host = self.host(key);
        host.state().made += 1;
        Guest { host, ready: false }
    }
}

/// A host's service. It panics when an instance is called that was not made ready.
#[derive(Debug)]
pub(crate) struct Guest {
    host: Arc<Host>,
    ready: bool,
}

impl Clone for Guest {
    fn clone(&self) -> Self {
        Self { host: self.host.clone(), ready: false }
    }
}

type Answering<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

impl Guest {
    fn poll_ready(&mut self, cx: &Context<'_>) -> Poll<Result<(), BoxError>> {
        let mut state = self.host.state();
        match state.door {
            Door::Open => self.ready = true,
            Door::Shut => {
                state.wakers.push(cx.waker().clone());
                return Poll::Pending;
            }
            Door::Broken => return Poll::Ready(Err(format!("{} is broken", self.host.key).into())),
        }
        Poll::Ready(Ok(()))
    }

    fn enter(&mut self, visit: Visit) -> impl Future<Output = Does> + Send + use<> {
        assert!(std::mem::take(&mut self.ready), "called an instance that was not made ready");
        self.host.enter(visit)
    }
}

/// The HTTP flavour.
impl Service<Request<Visit>> for Guest {
    type Response = Response<Full<Bytes>>;
    type Error = BoxError;
    type Future = Answering<Self::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Self::poll_ready(self, cx)
    }

    fn call(&mut self, request: Request<Visit>) -> Self::Future {
        let (does, key) = (self.enter(request.into_body()), self.host.key);
        Box::pin(async move {
            let mut response = Response::new(Full::from(format!("from {key}")));
            match does.await {
                Does::Status(code) => *response.status_mut() = code.try_into()?,
                Does::Leaves => {
                    response.headers_mut().insert(ENDPOINT_DRAINING, HeaderValue::from_static("1"));
                }
                _ => return Err(format!("lost in {key}").into()),
            }
            Ok(response)
        })
    }
}

/// The typed flavour.
impl Service<Visit> for Guest {
    type Response = String;
    type Error = BoxError;
    type Future = Answering<String>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Self::poll_ready(self, cx)
    }

    fn call(&mut self, visit: Visit) -> Self::Future {
        let (does, key) = (self.enter(visit), self.host.key);
        Box::pin(async move {
            match does.await {
                Does::Status(code) if code >= 500 => Err(format!("{code} from {key}").into()),
                Does::Status(code) => Ok(format!("{code} from {key}")),
                Does::Leaves => Ok(format!("200 from {key}")),
                _ => Err(format!("lost in {key}").into()),
            }
        })
    }
}
