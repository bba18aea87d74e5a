//! A policy that is edited while an axum server and a client over reqwest run on it.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use bartizan_client::{Boxed, Client, HyperService, ReqwestService};
use bartizan_core::{Refused, find_cause};
use bartizan_policy::{Format, Policy};
use http::StatusCode;
use stack::{Mood, Replica, ask, meanwhile, serve, soon, until};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tower::{Layer, ServiceExt};

/// A file of one test, which goes with it.
struct File(PathBuf);

impl File {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("bartizan-{name}-{}.toml", std::process::id())))
    }

    /// Replaces it as a whole.
    fn write(&self, text: &str) {
        let beside = self.0.with_extension("new");
        std::fs::write(&beside, text).unwrap();
        std::fs::rename(beside, &self.0).unwrap();
    }
}

impl Drop for File {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

/// What stands in the file, for some replicas.
fn text(fleet: &[Replica], limit: u32, ratio: f64, choice: &str) -> String {
    let endpoints: Vec<String> =
        fleet.iter().map(|replica| format!("{:?}", replica.uri().to_string())).collect();
    format!(
        "[servers.front]
         deadline = '60s'
         limit = {{ rate = {limit} }}
         shed.fixed = 10_000

         [clients.stock]
         endpoints = [{}]
         deadline = '60s'
         attempt = '30s'
         retry.enabled = false
         hedge.enabled = false
         balance = {{ choice = '{choice}', slow_start = '0s' }}
         breaker.failure_ratio = {{ ratio = {ratio}, window = 60_000, min_requests = 60_000 }}
        ",
        endpoints.join(", ")
    )
}

/// What the handler calls, and what it waits for if it is told to.
#[derive(Clone)]
struct Stage {
    stock: Client<Boxed>,
    gate: Arc<Semaphore>,
}

async fn relay(State(stage): State<Stage>) -> StatusCode {
    stage.stock.get("http://stock/").send().await.map_or(StatusCode::BAD_GATEWAY, |answer| answer.status())
}

async fn held(State(stage): State<Stage>) -> StatusCode {
    drop(stage.gate.acquire().await);
    relay(State(stage)).await
}

fn reqwest() -> ReqwestService {
    ReqwestService::new(reqwest::Client::builder().no_proxy().build().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_by_an_edit_under_load() {
    const HELD: usize = 8;
    let (fleet, file) = (Replica::several(3).await, File::new("edit"));
    file.write(&text(&fleet, 100_000, 0.9, "latency"));
    let policy = Policy::open(&file.0).unwrap();
    policy.watch(Duration::from_millis(10)).unwrap();

    let (front, stock) = (policy.server("front").unwrap(), policy.client("stock").unwrap());
    let (front_handle, stock_handle) = (front.handle(), stock.handle());
    let gate = Arc::new(Semaphore::new(0));
    let stage = Stage { stock: Client::new(Boxed::new(stock.layer(reqwest()))), gate: gate.clone() };
    let app = Router::new().route("/", get(relay)).route("/held", get(held)).layer(front).with_state(stage);
    let url = serve(app).await;

    let sender = reqwest::Client::builder().no_proxy().build().unwrap();
    let call = |path: &'static str| {
        let sent = sender.get(format!("{url}{path}")).send();
        async move {
            match sent.await {
                Ok(answer) if answer.status() == StatusCode::OK => Ok(()),
                Ok(answer) => Err(format!("{:?}", answer.status())),
                Err(error) => Err(error.to_string()),
            }
        }
    };
    let waiting: Vec<_> = (0..HELD).map(|_| tokio::spawn(call("/held"))).collect();
    until(|| front_handle.shed().snapshot().in_flight == HELD).await;

    let windows = || -> u64 {
        let all = stock_handle.breakers().all();
        all.iter()
            .filter_map(|(_, breaker)| breaker.snapshot().failure_window)
            .map(|counts| counts.requests)
            .sum()
    };
    let edits = async {
        let version = || policy.handle().snapshot().version;
        let known = windows();
        assert!(known > 0, "there was traffic before the edit");
        file.write(&text(&fleet, 50_000, 0.5, "round robin"));
        until(|| version() == 1).await;
        assert!(windows() >= known, "the windows are kept");
        assert!(front_handle.shed().snapshot().in_flight >= HELD, "the permits are kept");
        let edited = (front_handle.stack(), stock_handle.stack());

        // The next edit is broken, in its last lines.
        file.write(&text(&fleet, 10, 0.1, "random").replace("ratio = 0.1", "ratio = 1.1"));
        until(|| policy.handle().snapshot().error.is_some()).await;
        let expected =
            "line 13, clients.stock.breaker.failure_ratio.ratio: ratio must be above 0.0 and at most 1.0";
        let said = policy.handle().snapshot().error.unwrap();
        assert_eq!(said, format!("{}, {expected}", file.0.display()));
        assert_eq!((version(), (front_handle.stack(), stock_handle.stack())), (1, edited));
        // One of the three leaves, by an edit too.
        file.write(&text(&fleet[..2], 50_000, 0.5, "round robin"));
        until(|| version() == 2).await;
    };
    let load = meanwhile(300, || call("/"), edits).await;
    load.assert_no_errors();
    assert!(load.calls > 100, "{load}");

    // Who has waited all the while is answered, and all that was taken is given back.
    gate.add_permits(HELD);
    for call in waiting {
        soon(call).await.unwrap().unwrap();
    }
    until(|| front_handle.shed().snapshot().in_flight == 0).await;
    let balance = stock_handle.balance().unwrap().snapshot();
    assert!(balance.endpoints.iter().all(|endpoint| endpoint.in_flight == 0), "{balance:?}");
    assert_eq!(balance.endpoints.len(), 2);

    // From now on each has its turn.
    let before = [fleet[0].calls(), fleet[1].calls()];
    for _ in 0..20 {
        soon(call("/")).await.unwrap();
    }
    assert_eq!([fleet[0].calls(), fleet[1].calls()], before.map(|calls| calls + 10));
}

#[tokio::test]
async fn a_row_of_failures_is_counted_on_after_an_edit() {
    let replica = Replica::start().await;
    replica.behave(Mood::Ill);
    let text = |row: u32| {
        format!(
            "[clients.stock]\nretry.enabled = false\nbreaker = {{ evidence = false, consecutive = {row} }}\n"
        )
    };
    let policy = Policy::parse(Format::Toml, &text(100)).unwrap();
    let stock = policy.client("stock").unwrap();
    let handle = stock.handle();
    // Over hyper's client too, and boxed: the layer asks for no more than those inside do.
    let client = Client::new(Boxed::new(stock.layer(HyperService::default())))
        .base_url(replica.uri().to_string().parse().unwrap());
    for _ in 0..3 {
        assert_eq!(soon(client.get("").send()).await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    }
    policy.update(Format::Toml, &text(4)).unwrap();
    let states =
        || handle.breakers().all().iter().map(|(_, breaker)| breaker.state().as_str()).collect::<Vec<_>>();
    assert_eq!(states(), ["closed"]);
    assert_eq!(soon(client.get("").send()).await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(states(), ["open"]);
    // It stays so, whatever the next text says of it.
    policy.update(Format::Toml, &text(100)).unwrap();
    assert_eq!(states(), ["open"]);
    let calls = replica.calls();
    let refused = soon(client.get("").send()).await.unwrap_err();
    let refused = find_cause::<Refused>(&refused).map(Refused::reason);
    assert_eq!(refused, Some("open: failures in a row"));
    assert_eq!(replica.calls(), calls);
}

#[tokio::test]
async fn what_was_spent_of_a_limit_stays_spent() {
    let text = |burst: u32| format!("[servers.front]\nlimit = {{ rate = 1, per = '1h', burst = {burst} }}\n");
    let policy = Policy::parse(Format::Toml, &text(3)).unwrap();
    let app = Router::new().route("/", get(|| async {})).layer(policy.server("front").unwrap());
    let url = serve(app).await;
    let passed = async |calls: usize| {
        let mut passed = 0;
        for _ in 0..calls {
            passed += usize::from(ask(&url).await.status() == StatusCode::OK);
        }
        passed
    };
    assert_eq!(passed(2).await, 2);
    policy.update(Format::Toml, &text(5)).unwrap();
    assert_eq!(passed(9).await, 1, "what was left of three");
    policy.update(Format::Toml, "[servers.front]\n").unwrap();
    assert_eq!(passed(9).await, 9);
}

/// It can be boxed and cloned as any service can, and its errors are those of the client.
#[tokio::test]
async fn its_error_is_the_clients() {
    let policy = Policy::parse(Format::Toml, "[clients.stock]\nretry.enabled = false\n").unwrap();
    let service = policy.client("stock").unwrap().layer(reqwest());
    let request = http::Request::get("http://127.0.0.1:1/").body(String::new()).unwrap();
    let error: reqwest::Error = service.clone().oneshot(request).await.unwrap_err();
    assert!(error.is_connect(), "{error}");
}
