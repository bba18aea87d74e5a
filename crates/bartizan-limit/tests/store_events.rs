//! What is told of a store that goes and comes back. Alone in its process, as it listens for all of it.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_limit::{Ask, Asking, KeyedHandle, Limit, Store, StoreError, Told};
use std::fmt::{Debug, Write};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};

/// Answers while it is well.
#[derive(Clone, Debug)]
struct Moody(Arc<AtomicBool>);

impl Store for Moody {
    fn ask(&self, _: Ask<'_>) -> Asking {
        let said = self.0.load(Relaxed).then(Told::default);
        Box::pin(std::future::ready(said.ok_or_else(|| StoreError::new("no route to host"))))
    }
}

#[derive(Clone, Default)]
struct Listener(Arc<Mutex<Vec<(Level, String)>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, "{field}={value:?} ").unwrap();
    }
}

impl Subscriber for Listener {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push((*event.metadata().level(), line.0));
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[tokio::test(start_paused = true)]
async fn each_change_is_one_event() {
    let listener = Listener::default();
    tracing::subscriber::set_global_default(listener.clone()).unwrap();
    let told = || std::mem::take(&mut *listener.0.lock().unwrap());
    let well = Arc::new(AtomicBool::new(true));
    let limits = KeyedHandle::<u32>::new(Limit::per_second(1000)).named("log-ins").store(Moody(well.clone()));
    let ask = async |times: u32| {
        for key in 0..times {
            limits.check(&key, 1).await.unwrap();
            tokio::time::advance(Duration::from_millis(100)).await;
        }
    };
    ask(10).await;
    for _ in 0..3 {
        // Two questions in a row without an answer are no change.
        well.store(false, Relaxed);
        ask(2).await;
        well.store(true, Relaxed);
        ask(2).await;
    }
    assert_eq!(told(), []);
    for _ in 0..3 {
        well.store(false, Relaxed);
        ask(100).await;
        let [(level, line)] = &told()[..] else { panic!("one event") };
        assert_eq!(*level, Level::WARN);
        for said in ["log-ins", "no route to host", "gives no answer"] {
            assert!(line.contains(said), "{line}");
        }
        assert!(limits.is_alone());

        well.store(true, Relaxed);
        ask(100).await;
        let [(level, line)] = &told()[..] else { panic!("one event") };
        assert!(
            *level == Level::INFO && line.contains("log-ins") && line.contains("answers again"),
            "{line}"
        );
        assert!(!limits.is_alone());
    }
}
