//! What the layer tells `tracing`: each change of state once, and nothing of a call but a trace.

use bartizan_deadline::{Deadline, DeadlineLayer};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use std::convert::Infallible;
use std::fmt::Debug;
use std::future::ready;
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::advance;
use tower::{Layer, ServiceExt, service_fn};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};

static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Recorder;

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
            && metadata.target().starts_with("bartizan_deadline")
            && *metadata.level() < Level::TRACE
    }
    fn event(&self, event: &Event<'_>) {
        let mut words = Words(event.metadata().level().to_string());
        event.record(&mut words);
        SEEN.lock().expect("no test panics while it records").push(words.0);
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// The level, the name and the state of an event.
struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if ["name", "state"].contains(&field.name()) {
            self.0 += &format!(" {}", format!("{value:?}").trim_matches('"'));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_change_of_state_is_told_once() {
    let told = || std::mem::take(&mut *SEEN.lock().unwrap());
    tracing::subscriber::set_global_default(Recorder).unwrap();

    let guarded = Deadline::new(Duration::from_secs(1)).max_refused_share(0.0);
    let layer = DeadlineLayer::new(guarded).named("told");
    assert!(told().is_empty());
    let twin = DeadlineLayer::new(guarded).named("told");
    assert_eq!(told(), ["INFO told"], "of the twin");
    drop(twin);

    let handle = layer.handle();
    handle.update(guarded.enabled(false));
    handle.update(guarded.enabled(false));
    handle.update(guarded);
    assert_eq!(told(), ["INFO told disabled", "INFO told enabled"]);

    let answer = |_: Request<()>| ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())));
    let service = layer.layer(service_fn(answer));
    let call = async |left: &str| {
        let req = Request::builder().header("x-request-timeout-ms", left).body(()).unwrap();
        service.clone().oneshot(req).await.unwrap().status().as_u16()
    };
    for _ in 0..3 {
        assert_eq!(call("0").await, 200);
    }
    assert_eq!(told(), ["WARN told"], "refusals are withheld");
    advance(Duration::from_secs(11)).await;
    assert_eq!(call("500").await, 200);
    assert_eq!(told(), ["INFO told"], "no more");

    handle.update(Duration::ZERO);
    assert_eq!(told(), ["INFO told"], "of new settings");
    assert_eq!(call("500").await, 504);
    assert!(told().is_empty(), "a refused call is no event");
}
