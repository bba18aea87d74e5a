//! What a policy tells `tracing`: each change once, each refusal once.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_policy::{Format, Policy};
use std::fmt::Debug;
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span, subscriber};

/// Notes what a policy tells, and asks it how it is whenever anybody tells anything.
struct Recorder {
    policy: Policy,
    told: Arc<Mutex<Vec<String>>>,
}

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
    }
    fn event(&self, event: &Event<'_>) {
        let _held = self.policy.handle().snapshot();
        if event.metadata().target().starts_with("bartizan_policy") {
            let mut words = Words(event.metadata().level().to_string());
            event.record(&mut words);
            self.told.lock().unwrap().push(words.0);
        }
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// The level of an event, and all that is in it but where it comes from.
struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() != "from" {
            self.0 += &format!(" {value:?}");
        }
    }
}

fn text(retries: &str, limit: bool) -> String {
    format!(
        "[servers.shop]\nlimit = {{ rate = 5, enabled = {limit} }}\n[clients.stock]\nretry.max_retries = {retries}\n"
    )
}

#[test]
fn each_change_and_each_refusal_is_told_once() {
    let policy = Policy::parse(Format::Toml, &text("1", true)).unwrap().named("told");
    let _living = (policy.server("shop").unwrap(), policy.client("stock").unwrap());
    let told = Arc::<Mutex<Vec<String>>>::default();
    let heard = || std::mem::take(&mut *told.lock().unwrap());
    subscriber::with_default(Recorder { policy: policy.clone(), told: told.clone() }, || {
        policy.update(Format::Toml, &text("2", false)).unwrap();
        let changes = "clients.stock.retry.max_retries: 1 -> 2, servers.shop.limit.enabled: true -> false";
        assert_eq!(heard(), [format!("INFO policy changed \"told\" {changes}")]);
        policy.update(Format::Toml, &text("2", false)).unwrap();
        assert_eq!(heard(), [""; 0], "nothing is another");

        policy.update(Format::Toml, &text("\"x\"", true)).unwrap_err();
        let why = "line 4, clients.stock.retry.max_retries: must be a whole number within 0..=4294967295, not the text \"x\"";
        assert_eq!(heard(), [format!("WARN policy refused \"told\" {why}")]);
        let twin = Policy::empty().named("told");
        assert_eq!(heard(), ["INFO two policies have this name \"told\""]);
        drop(twin);
    });
}

#[test]
fn a_source_that_is_wrong_is_told_of_once() {
    let path = std::env::temp_dir().join(format!("bartizan-policy-told-{}.toml", std::process::id()));
    fs::write(&path, text("1", true)).unwrap();
    let policy = Policy::open(&path).unwrap();
    let told = Arc::<Mutex<Vec<String>>>::default();
    let heard = || std::mem::take(&mut *told.lock().unwrap());
    let place = |said: Vec<String>| {
        said.iter().map(|of| of.replace(path.to_str().unwrap(), "FILE")).collect::<Vec<_>>()
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    subscriber::with_default(Recorder { policy: policy.clone(), told: told.clone() }, || {
        runtime.block_on(async {
            policy.watch(Duration::from_secs(1)).unwrap();
            fs::write(&path, text("[]", true)).unwrap();
            for _ in 0..3 {
                policy.refresh().await.unwrap_err();
            }
            let why = "FILE, line 4, clients.stock.retry.max_retries: must be a whole number within 0..=4294967295, not a list";
            assert_eq!(place(heard()), [format!("WARN policy refused {why}")]);
            fs::remove_file(&path).unwrap();
            for _ in 0..3 {
                policy.refresh().await.unwrap_err();
            }
            let gone = place(heard());
            assert_eq!(gone.len(), 1, "{gone:?}");
            assert!(gone[0].starts_with("WARN policy cannot be asked for, the old one holds FILE: cannot be read"), "{gone:?}");
            fs::write(&path, text("3", true)).unwrap();
            policy.refresh().await.unwrap();
            assert_eq!(heard(), ["INFO policy changed clients.stock.retry.max_retries: 1 -> 3"]);
        });
    });
    fs::remove_file(&path).unwrap();
}

/// Wants to change a policy whenever it hears of something.
struct Meddler(Policy, Arc<Mutex<Vec<String>>>);

impl Subscriber for Meddler {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && !metadata.target().starts_with("bartizan_policy")
    }
    fn event(&self, _: &Event<'_>) {
        let wanted = self.0.update(Format::Toml, "").map(|_| ());
        let made = self.0.client("stock").map(|_| ());
        self.1.lock().unwrap().extend([wanted, made].map(|said| said.unwrap_err().to_string()));
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[test]
fn who_hears_of_a_change_cannot_change_it_as_well() {
    let policy = Policy::parse(Format::Toml, &text("1", true)).unwrap();
    let stock = policy.client("stock").unwrap();
    let told = Arc::<Mutex<Vec<String>>>::default();
    let (meddler, changed) = (Meddler(policy.clone(), told.clone()), policy.clone());
    // Whoever waits for himself never comes back.
    let (tell, done) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        subscriber::with_default(meddler, || {
            let update = "[servers.shop]\n[clients.stock]\nretry.enabled = false\n";
            tell.send(changed.update(Format::Toml, update).map(|_| ())).unwrap();
        });
    });
    done.recv_timeout(Duration::from_secs(60)).unwrap().unwrap();
    assert!(!stock.handle().stack().retry_value().is_enabled());
    let told = told.lock().unwrap();
    let expected = "cannot be used from within a change of it: ask again when that is done";
    assert!(!told.is_empty() && told.iter().all(|said| said == expected), "{told:?}");
    // And afterwards all is as ever.
    policy.update(Format::Toml, &text("2", true)).unwrap();
}
