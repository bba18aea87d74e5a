//! What a server is told by a client stack of the time that it has.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_deadline::Deadline;
use bartizan_hedge::Hedge;
use bartizan_http::http::{Request, Response, StatusCode, Uri};
use bartizan_retry::{Backoff, Jitter, Retry};
use bartizan_stack::{ClientLayer, ClientStack};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tower::{Layer, Service, ServiceExt, service_fn};

const TIMEOUT: &str = "x-request-timeout-ms";
const MS: Duration = Duration::from_millis(1);

type Told = Arc<Mutex<Vec<Option<String>>>>;

/// Notes what it is told, and fails.
fn server<B: Send + 'static>(
    told: &Told,
) -> impl Service<Request<B>, Response = Response<String>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ Sync
+ 'static
+ use<B> {
    let told = told.clone();
    service_fn(move |req: Request<B>| {
        let value = req.headers().get(TIMEOUT).map(|value| value.to_str().unwrap().to_owned());
        told.lock().unwrap().push(value);
        let mut failed = Response::new(String::new());
        *failed.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        async { Ok(failed) }
    })
}

/// What the server is told by a stack of a request that says this itself.
async fn told(stack: ClientStack, says: Option<&str>) -> Vec<Option<String>> {
    let told = Told::default();
    let layer = ClientLayer::new(stack.clone());
    let once = || {
        let mut req = Request::new(String::new());
        *req.uri_mut() = Uri::from_static("http://a/");
        if let Some(says) = says {
            req.headers_mut().insert(TIMEOUT, says.parse().unwrap());
        }
        req
    };
    drop(layer.layer(server(&told)).oneshot(once()).await);
    let (layer, halves) = (ClientLayer::new(stack), Told::default());
    let inner = halves.clone();
    let replicas = layer.balance(move |_| server(&inner)).members([Uri::from_static("http://a")]);
    drop(layer.outer().layer(replicas).oneshot(once()).await);
    assert_eq!(*told.lock().unwrap(), *halves.lock().unwrap(), "the halves tell what the whole does");
    let told = told.lock().unwrap();
    told.clone()
}

/// One attempt.
fn once() -> ClientStack {
    ClientStack::new().retry(Retry::new().enabled(false)).hedge(Hedge::new().enabled(false))
}

#[tokio::test(start_paused = true)]
async fn a_server_is_told_the_time_of_an_attempt_less_all_margins() {
    let off = Deadline::new(Duration::ZERO).enabled(false);
    let kept = |total: u64, margin: u64| Deadline::new(total as u32 * MS).margin(margin as u32 * MS);
    for (name, stack, alone, asked) in [
        ("as it is", once(), Some("1000"), "500"),
        ("no attempt", once().attempt(off), Some("3000"), "500"),
        ("no total", once().deadline(off), Some("1000"), "500"),
        ("none of both", once().deadline(off).attempt(off), None, "500"),
        ("a margin", once().deadline(kept(1000, 100)), Some("900"), "400"),
        ("a margin of the attempt", once().attempt(kept(1000, 50)), Some("950"), "450"),
        ("both", once().deadline(kept(1000, 100)).attempt(kept(1000, 50)), Some("850"), "350"),
        ("a margin, no attempt", once().deadline(kept(1000, 100)).attempt(off), Some("900"), "400"),
    ] {
        assert_eq!(told(stack.clone(), None).await, [alone.map(str::to_owned)], "{name}");
        assert_eq!(told(stack, Some("500")).await, [Some(asked.to_owned())], "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_attempt_is_told_what_is_left() {
    let off = Deadline::new(Duration::ZERO).enabled(false);
    let retry = Retry::new().max_retries(1).backoff(Backoff::constant(200 * MS).jitter(Jitter::None));
    let stack = once().retry(retry).attempt(off);
    assert_eq!(told(stack, None).await, ["3000", "2800"].map(|it| Some(it.to_owned())));
}
