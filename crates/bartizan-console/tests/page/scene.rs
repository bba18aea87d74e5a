//! A program whose layers do what a test says, under the console.

use axum::Router;
use bartizan_breaker::{Breaker, BreakerLayer, Handle};
use bartizan_console::Console;
use bartizan_core::registry::{self, Observed, UNKNOWN_SETTING, UNKNOWN_VERB};
use bartizan_core::{Invalid, Times, TimesSnapshot};
use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, SemaphorePermit};

/// The registry belongs to the process: one scene at a time.
static STAGE: Semaphore = Semaphore::const_new(1);

/// The handles of a small shop, and the address of its console.
pub(crate) struct Scene {
    pub(crate) url: String,
    pub(crate) console: Console,
    /// The breaker of `payment`, which is a real one.
    pub(crate) breaker: Handle,
    stubs: Vec<Arc<Stub>>,
    served: tokio::task::JoinHandle<()>,
    _stage: SemaphorePermit<'static>,
}

/// What stands for a layer.
#[derive(Debug)]
pub(crate) struct Stub {
    layer: &'static str,
    name: &'static str,
    shown: Mutex<Shown>,
    times: Times,
}

#[derive(Debug, Default)]
struct Shown {
    state: &'static str,
    note: Option<&'static str>,
    numbers: Vec<(&'static str, f64)>,
    verbs: &'static [&'static str],
    settings: Vec<(&'static str, f64)>,
}

impl Stub {
    fn new(layer: &'static str, name: &'static str, state: &'static str) -> Arc<Self> {
        let shown = Shown { state, ..Shown::default() };
        let stub = Arc::new(Self { layer, name, shown: Mutex::new(shown), times: Times::new() });
        registry::register(&(stub.clone() as Arc<dyn Observed>));
        stub
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap()
    }

    pub(crate) fn turn(&self, state: &'static str, note: Option<&'static str>) -> &Self {
        (self.shown().state, self.shown().note) = (state, note);
        self
    }

    /// Sets a number, or adds to it: what ends in `+`.
    pub(crate) fn number(&self, name: &'static str, number: f64) -> &Self {
        let mut shown = self.shown();
        let (name, adds) = name.strip_suffix('+').map_or((name, false), |name| (name, true));
        match shown.numbers.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = if adds { *known + number } else { number },
            None => shown.numbers.push((name, number)),
        }
        drop(shown);
        self
    }

    fn numbers_of(&self, numbers: &[(&'static str, f64)]) -> &Self {
        for (name, number) in numbers {
            self.number(name, *number);
        }
        self
    }

    fn steered(&self, verbs: &'static [&'static str], settings: &[(&'static str, f64)]) -> &Self {
        (self.shown().verbs, self.shown().settings) = (verbs, settings.to_vec());
        self
    }

    pub(crate) fn setting(&self, name: &str) -> f64 {
        self.shown().settings.iter().find(|(known, _)| *known == name).unwrap().1
    }

    pub(crate) fn state_now(&self) -> &'static str {
        self.shown().state
    }
}

impl Observed for Stub {
    fn layer(&self) -> &'static str {
        self.layer
    }
    fn name(&self) -> &str {
        self.name
    }
    fn state(&self) -> &'static str {
        self.shown().state
    }
    fn note(&self) -> Option<Cow<'static, str>> {
        self.shown().note.map(Cow::Borrowed)
    }
    fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
        self.shown().numbers.iter().for_each(|(name, number)| show(name, *number));
    }
    fn times(&self, show: &mut dyn FnMut(&'static str, TimesSnapshot)) {
        if self.layer == "meter" {
            show("duration_seconds", self.times.snapshot());
        }
    }
    fn verbs(&self) -> &'static [&'static str] {
        self.shown().verbs
    }
    fn act(&self, verb: &str) -> Result<(), Invalid> {
        let mut shown = self.shown();
        if !shown.verbs.contains(&verb) {
            return Err(UNKNOWN_VERB);
        }
        shown.state = match verb {
            "drain" => "draining",
            "eject" => "ejected",
            "disable" => "disabled",
            "undrain" | "pardon" => "up",
            _ => "enabled",
        };
        Ok(())
    }
    fn settings(&self, show: &mut dyn FnMut(&'static str, f64)) {
        self.shown().settings.iter().for_each(|(name, value)| show(name, *value));
    }
    fn set(&self, setting: &str, value: f64) -> Result<(), Invalid> {
        if value < 0.0 {
            return Err(Invalid::new("max_retries", "max_retries is below 0"));
        }
        let mut shown = self.shown();
        let known = shown.settings.iter_mut().find(|(known, _)| *known == setting);
        known.ok_or(UNKNOWN_SETTING)?.1 = value;
        Ok(())
    }
}

const ENDPOINTS: [&str; 3] =
    ["stock/http://127.0.0.1:9001/", "stock/http://127.0.0.1:9002/", "stock/http://127.0.0.1:9003/"];

impl Scene {
    /// Everything is well, and nobody has called yet.
    pub(crate) async fn set(console: Console) -> Self {
        let stage = STAGE.acquire().await.unwrap();
        let breaker = BreakerLayer::new(Breaker::new()).named("payment").handle();
        let stub = Stub::new;
        let stubs = vec![
            stub("meter", "gateway", "enabled"),
            stub("breaker", "catalogue", "closed"),
            stub("breaker", "mail", "closed"),
            stub("limit", "gateway", "open"),
            stub("shed", "gateway", "admitting"),
            stub("throttle", "payment", "passing"),
            stub("deadline", "gateway", "enabled"),
            stub("retry", "stock", "enabled"),
            stub("hedge", "stock", "enabled"),
            stub("budget", "stock", "ample"),
            stub("balance", "stock", "ready"),
            stub("endpoint", ENDPOINTS[0], "up"),
            stub("endpoint", ENDPOINTS[1], "up"),
            stub("endpoint", ENDPOINTS[2], "up"),
            stub("stale", "catalogue", "enabled"),
            stub("fallback", "offers", "enabled"),
            stub("policy", "shop", "current"),
            stub("lantern", "porch", "on"),
        ];
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/ops", listener.local_addr().unwrap());
        let app: Router = Router::new().nest("/ops", console.router());
        let served = tokio::spawn(async { axum::serve(listener, app).await.unwrap() });
        let scene = Self { url, console, breaker, stubs, served, _stage: stage };
        for name in ["catalogue", "mail"] {
            scene.at("breaker", name).numbers_of(&[
                ("share", 1.0),
                ("evidence", 0.4),
                ("failure_ratio", 0.01),
                ("refused", 0.0),
                ("trips", 0.0),
            ]);
        }
        scene
            .at("limit", "gateway")
            .numbers_of(&[
                ("burst", 100.0),
                ("remaining", 83.0),
                ("refused", 0.0),
                ("interval_seconds", 0.02),
            ])
            .steered(&["reset"], &[("per_second", 50.0), ("burst", 100.0)]);
        scene.at("shed", "gateway").numbers_of(&[
            ("in_flight", 11.0),
            ("limit", 48.0),
            ("queued", 0.0),
            ("admitted", 0.0),
            ("refused", 0.0),
            ("predicted_wait_seconds", 0.004),
        ]);
        scene.at("throttle", "payment").numbers_of(&[
            ("requests", 212.0),
            ("accepts", 212.0),
            ("refused", 0.0),
        ]);
        scene.at("deadline", "gateway").numbers_of(&[
            ("total_seconds", 2.0),
            ("learnt_seconds", 0.035),
            ("refused", 0.0),
            ("refused_too_little", 0.0),
            ("ended", 0.0),
        ]);
        scene
            .at("retry", "stock")
            .numbers_of(&[("retries", 0.0), ("recovered", 0.0), ("budget_left", 9.0), ("budget_cap", 10.0)])
            .steered(&["enable", "disable"], &[("max_retries", 2.0)]);
        scene.at("hedge", "stock").numbers_of(&[
            ("hedges", 0.0),
            ("won", 0.0),
            ("delay_seconds", 0.042),
            ("budget_left", 5.0),
            ("budget_cap", 5.0),
        ]);
        scene.at("budget", "stock").numbers_of(&[("tokens", 9.0), ("cap", 10.0), ("retries", 0.0)]);
        scene.at("balance", "stock").turn("ready", None).numbers_of(&[
            ("endpoints", 3.0),
            ("usable", 3.0),
            ("in_flight", 4.0),
            ("successes", 0.0),
            ("failures", 0.0),
        ]);
        for name in ENDPOINTS {
            scene
                .at("endpoint", name)
                .numbers_of(&[
                    ("latency_seconds", 0.012),
                    ("in_flight", 1.0),
                    ("ejections", 0.0),
                    ("heartbeat_age_seconds", 0.4),
                ])
                .steered(&["drain", "undrain", "eject", "pardon"], &[]);
        }
        scene.at("stale", "catalogue").numbers_of(&[
            ("reads", 0.0),
            ("hits", 0.0),
            ("stale_if_error", 0.0),
            ("entries", 120.0),
            ("bytes", 61_440.0),
        ]);
        scene.at("policy", "shop").numbers_of(&[("version", 3.0), ("servers", 2.0), ("clients", 5.0)]);
        scene.at("lantern", "porch").numbers_of(&[("watts", 40.0)]);
        scene.work(1.0);
        scene
    }

    pub(crate) fn at(&self, layer: &str, name: &str) -> &Stub {
        self.stubs.iter().find(|stub| stub.layer == layer && stub.name == name).unwrap()
    }

    /// Some calls go through, `strain` times as slow as usual.
    pub(crate) fn work(&self, strain: f64) {
        self.at("meter", "gateway").numbers_of(&[
            ("in_flight", 6.0),
            ("successes+", 40.0),
            ("failures+", strain - 1.0),
        ]);
        for millis in [4, 5, 6, 8, 9, 11, 12, 14, 30, 90] {
            self.at("meter", "gateway").times.record(Duration::from_millis(millis).mul_f64(strain));
        }
        self.at("shed", "gateway").number("admitted+", 40.0);
        self.at("retry", "stock").number("retries+", strain);
        self.at("hedge", "stock").number("hedges+", 2.0).number("won+", 1.0);
        self.at("budget", "stock").number("retries+", strain);
        self.at("balance", "stock").number("successes+", 30.0);
        self.at("stale", "catalogue").number("reads+", 20.0).number("hits+", 12.0);
        for (name, millis) in ENDPOINTS.iter().zip([11.0, 13.0, 12.0]) {
            self.at("endpoint", name).number("latency_seconds", millis * strain / 1000.0);
        }
    }

    /// The payment service is away, stock has lost an endpoint, and there is a crowd.
    pub(crate) fn fail(&self) {
        self.breaker.force_open_for(Duration::from_secs(30));
        self.at("breaker", "catalogue").turn("half-open", Some("consecutive failures"));
        self.at("shed", "gateway")
            .turn("shedding", None)
            .number("in_flight", 48.0)
            .number("refused+", 60.0)
            .number("queued", 9.0);
        self.at("limit", "gateway").number("remaining", 2.0);
        self.at("budget", "stock").turn("empty", None).number("tokens", 0.0);
        self.at("balance", "stock").number("usable", 2.0).number("ejected", 1.0);
        self.at("endpoint", ENDPOINTS[1])
            .turn("ejected", Some("consecutive failures"))
            .number("ejected_for_seconds", 12.0)
            .number("ejections+", 1.0);
        self.at("stale", "catalogue").turn("degraded", None).number("stale_if_error+", 14.0);
        self.at("deadline", "gateway").number("refused+", 3.0).number("refused_too_little+", 3.0);
    }

    /// They come back.
    pub(crate) fn recover(&self) {
        self.breaker.half_open().unwrap();
        self.at("breaker", "catalogue").turn("closed", None).number("share", 0.4);
        self.at("shed", "gateway").turn("admitting", None).number("in_flight", 20.0).number("queued", 0.0);
        self.at("limit", "gateway").number("remaining", 70.0);
        self.at("budget", "stock").turn("low", None).number("tokens", 3.0);
        self.at("balance", "stock").number("usable", 3.0).number("ejected", 0.0);
        self.at("endpoint", ENDPOINTS[1]).turn("warming", None).number("ejected_for_seconds", 0.0);
        self.at("stale", "catalogue").turn("enabled", None);
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.console.close();
        self.served.abort();
    }
}
