//! Consul, played by a server that keeps its rules, and by some that break them.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use bartizan_core::{Change, Health, Member};
use bartizan_discover::{Consul, Payload, Registered, Registration};
use futures_util::{FutureExt, StreamExt};
use http::{Request, Uri};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tower::service_fn;

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    at
}

fn instances(ports: &[u16]) -> Value {
    let instance = |port| json!({"Node": {"Address": "10.0.0.1"}, "Service": {"Address": "", "Port": port}});
    Value::from(ports.iter().map(|port| instance(*port)).collect::<Vec<_>>())
}

fn members(ports: &[u16]) -> Change<Uri> {
    Change::set(ports.iter().map(|port| format!("http://10.0.0.1:{port}/").parse::<Uri>().unwrap()))
}

/// A registry whose blocking queries block: an index and the ports of the instances.
#[derive(Clone)]
struct Registry {
    now: Arc<watch::Sender<(u64, Vec<u16>)>>,
    /// The queries that came.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Registry {
    async fn serve(index: u64, ports: &[u16]) -> (Self, String) {
        let this = Self { now: Arc::new(watch::Sender::new((index, ports.to_vec()))), asked: Arc::default() };
        let router =
            Router::new().route("/v1/health/service/{name}", get(Self::health)).with_state(this.clone());
        (this, serve(router).await)
    }

    async fn health(
        State(this): State<Self>,
        Path(name): Path<String>,
        RawQuery(query): RawQuery,
    ) -> Response {
        let query = query.unwrap_or_default();
        this.asked.lock().unwrap().push(format!("{name}?{query}"));
        let index =
            query.split('&').find_map(|part| part.strip_prefix("index=")).map(|index| index.parse().unwrap());
        let mut now = this.now.subscribe();
        let (index, ports) = now.wait_for(|(is, _)| Some(*is) != index).await.unwrap().clone();
        ([("x-consul-index", index.to_string())], Json(instances(&ports))).into_response()
    }

    fn set(&self, index: u64, ports: &[u16]) {
        self.now.send_replace((index, ports.to_vec()));
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn change(consul: &mut Consul) -> Change<Uri> {
    consul.next().await.unwrap().unwrap()
}

/// The next error, with its cause.
async fn error(consul: &mut Consul) -> String {
    let error = consul.next().await.unwrap().unwrap_err();
    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{error}{cause}")
}

#[tokio::test]
async fn news_come_when_there_are_some() {
    let (registry, at) = Registry::serve(7, &[1, 2]).await;
    let mut consul = Consul::new(&*at, "product").jitter(0.0);
    assert_eq!(change(&mut consul).await, members(&[1, 2]));
    assert!(consul.next().now_or_never().is_none());
    registry.set(9, &[3]);
    assert_eq!(change(&mut consul).await, members(&[3]));
    // The index moves on without news: it is waited by the new one.
    registry.set(12, &[3]);
    let waiting = tokio::time::timeout(Duration::from_millis(1500), consul.next()).await;
    assert!(waiting.is_err());
    registry.set(13, &[3, 4]);
    assert_eq!(change(&mut consul).await, members(&[3, 4]));
    let asked = registry.asked();
    assert_eq!(asked[..2], ["product?passing=1", "product?passing=1&index=7&wait=300s"]);
    assert!(asked.contains(&String::from("product?passing=1&index=12&wait=300s")), "{asked:?}");
}

#[tokio::test]
async fn the_question_says_all_that_was_set() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    let client = service_fn(move |request: Request<Payload>| {
        let token = request.headers().get("x-consul-token").map(|token| token.to_str().unwrap().to_owned());
        log.lock().unwrap().push((request.uri().to_string(), token));
        async { Ok::<_, std::convert::Infallible>(http::Response::new(instances(&[1]).to_string())) }
    });
    let consul = Consul::new("https://consul.internal/api/", "shop/product").token("secret").unwrap();
    let consul =
        consul.tag("blue green").datacenter("eu").stale(true).scheme(http::uri::Scheme::HTTPS).client(client);
    let mut consul = consul;
    assert!(!format!("{consul:?}").contains("secret"));
    assert_eq!(change(&mut consul).await, Change::set([Uri::from_static("https://10.0.0.1:1/")]));
    let uri =
        "https://consul.internal/api/v1/health/service/shop%2Fproduct?passing=1&tag=blue%20green&dc=eu&stale";
    assert_eq!(*seen.lock().unwrap(), [(String::from(uri), Some(String::from("secret")))]);
    assert!(Consul::new("http://a", "b").token("a\nb").is_err());
    assert!(Consul::try_new("a", "b").is_err());
}

#[tokio::test]
async fn an_agent_that_restarts_is_asked_anew() {
    let (registry, at) = Registry::serve(900, &[1]).await;
    let mut consul = Consul::new(&*at, "product").jitter(0.0);
    assert_eq!(change(&mut consul).await, members(&[1]));
    assert!(consul.next().now_or_never().is_none());
    registry.set(3, &[2]);
    assert_eq!(change(&mut consul).await, members(&[2]));
    registry.set(4, &[1, 2]);
    assert_eq!(change(&mut consul).await, members(&[1, 2]));
    let asked = registry.asked();
    assert!(asked[1].contains("index=900") && !asked[2].contains("index"), "{asked:?}");
}

#[tokio::test]
async fn an_empty_answer_is_an_error_once_or_a_set_if_it_may_be() {
    let (registry, at) = Registry::serve(1, &[1]).await;
    let mut kept = Consul::new(&*at, "product");
    let mut emptied = Consul::new(&*at, "product").allow_empty(true);
    assert_eq!(change(&mut kept).await, members(&[1]));
    assert_eq!(change(&mut emptied).await, members(&[1]));
    registry.set(2, &[]);
    assert_eq!(error(&mut kept).await, "consul product: has no passing instance; the last ones are kept");
    assert_eq!(change(&mut emptied).await, Change::Set(Vec::new()));
    registry.set(3, &[]);
    assert!(tokio::time::timeout(Duration::from_millis(1500), kept.next()).await.is_err(), "it is told once");
    registry.set(4, &[1]);
    assert_eq!(change(&mut emptied).await, members(&[1]));
    assert!(
        tokio::time::timeout(Duration::from_millis(1500), kept.next()).await.is_err(),
        "it is what was kept"
    );
    registry.set(5, &[0]);
    let told = error(&mut kept).await;
    assert_eq!(told, "consul product: has 1 instances without a host and port; the last ones are kept");
    assert!(emptied.next().await.unwrap().is_err(), "what cannot be read is not an empty set");

    let (_, at) = Registry::serve(1, &[]).await;
    assert_eq!(error(&mut Consul::new(&*at, "product")).await, "consul product: has no passing instance");
}

/// What a strange server answers to one query.
#[derive(Clone)]
enum Strange {
    Status(u16, &'static str),
    Index(Option<&'static str>, Vec<u16>),
    Body(&'static str),
    Huge,
    Drip,
    Hang,
    Redirect,
}

async fn strange(answers: impl IntoIterator<Item = Strange>) -> (Arc<Mutex<Vec<String>>>, String) {
    let answers = Arc::new(Mutex::new(answers.into_iter().collect::<VecDeque<_>>()));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    let answer = move |RawQuery(query): RawQuery| {
        log.lock().unwrap().push(query.unwrap_or_default());
        let answer = answers.lock().unwrap().pop_front();
        async move {
            let endless = |bytes: usize, pause| {
                let chunk =
                    futures_util::stream::repeat_with(move || Ok::<_, std::io::Error>(vec![b' '; bytes]));
                let chunks = chunk.then(move |chunk| async move {
                    tokio::time::sleep(pause).await;
                    chunk
                });
                axum::body::Body::from_stream(chunks).into_response()
            };
            match answer {
                None => Json(instances(&[99])).into_response(),
                Some(Strange::Status(status, text)) => {
                    (StatusCode::from_u16(status).unwrap(), text).into_response()
                }
                Some(Strange::Index(None, ports)) => Json(instances(&ports)).into_response(),
                Some(Strange::Index(Some(index), ports)) => {
                    ([("x-consul-index", index)], Json(instances(&ports))).into_response()
                }
                Some(Strange::Body(body)) => body.into_response(),
                Some(Strange::Huge) => endless(1 << 20, Duration::ZERO),
                Some(Strange::Drip) => endless(1, Duration::from_millis(50)),
                Some(Strange::Hang) => std::future::pending().await,
                Some(Strange::Redirect) => axum::response::Redirect::to("/v1/elsewhere").into_response(),
            }
        }
    };
    (asked, serve(Router::new().route("/v1/health/service/product", get(answer))).await)
}

#[tokio::test]
async fn what_is_no_answer_is_an_error_and_the_next_one_counts() {
    let cases = [
        (
            Strange::Status(500, "No cluster leader\r\n"),
            "answered 500 Internal Server Error No cluster leader",
        ),
        (Strange::Status(403, ""), "answered 403 Forbidden"),
        (Strange::Status(200, ""), "answered no JSON: EOF while parsing a value at line 1 column 0"),
        (Strange::Redirect, "answered 303 See Other"),
        (Strange::Body("<html>"), "answered no JSON: expected value at line 1 column 1"),
        (Strange::Body("{}"), "answered no list of instances"),
        (Strange::Huge, "answered more than 4194304 bytes"),
        (Strange::Drip, "no answer within 300ms"),
        // The wait, and the sixteenth that Consul may add.
        (Strange::Hang, "no answer within 301.0625ms"),
    ];
    let cases = cases.map(|(answer, expected)| async move {
        let (asked, at) = strange([Strange::Index(Some("5"), vec![1]), answer]).await;
        let mut consul =
            Consul::new(&*at, "product").wait(Duration::from_millis(1)).time_out(Duration::from_millis(300));
        assert_eq!(change(&mut consul).await, members(&[1]));
        assert_eq!(error(&mut consul).await, format!("consul product: cannot be asked: {expected}"));
        assert_eq!(change(&mut consul).await, members(&[99]), "it is asked again");
        let asked = asked.lock().unwrap();
        assert!(asked[1].contains("&index=5&wait=1ms") && !asked[2].contains("index"), "{asked:?}");
    });
    futures_util::future::join_all(cases).await;
}

#[tokio::test]
async fn an_index_that_is_none_is_not_sent_on() {
    let answers = ["abc", "-1", "0", "", "7", "6"].map(|index| Strange::Index(Some(index), vec![1]));
    let (asked, at) = strange([Strange::Index(None, vec![2])]).await;
    let mut consul = Consul::new(&*at, "product");
    assert_eq!(change(&mut consul).await, members(&[2]));
    assert_eq!(change(&mut consul).await, members(&[99]));
    assert_eq!(*asked.lock().unwrap(), ["passing=1", "passing=1"], "without an index it is polled");

    // Each as the first answer, since what follows one of them is asked for ever less often.
    let expected = ["", "", "&index=1&wait=300s", "", "&index=7&wait=300s", "&index=6&wait=300s"];
    let cases = answers.into_iter().zip(expected).map(|(answer, sent)| async move {
        let (asked, at) = strange([answer]).await;
        let mut consul = Consul::new(&*at, "product").jitter(0.0);
        assert_eq!(change(&mut consul).await, members(&[1]));
        assert_eq!(change(&mut consul).await, members(&[99]));
        assert_eq!(asked.lock().unwrap()[1], format!("passing=1{sent}"));
    });
    futures_util::future::join_all(cases).await;
}

#[tokio::test]
async fn one_who_answers_at_once_is_not_asked_without_a_rest() {
    let (asked, at) = strange((0..1000).map(|_| Strange::Index(Some("5"), vec![1]))).await;
    let mut consul = Consul::new(&*at, "product");
    assert_eq!(change(&mut consul).await, members(&[1]));
    assert!(tokio::time::timeout(Duration::from_millis(2500), consul.next()).await.is_err());
    assert!((2..=4).contains(&asked.lock().unwrap().len()), "{asked:?}");
}

#[tokio::test]
async fn a_registry_that_is_down_is_an_error_and_asked_when_it_is_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut consul = Consul::new(format!("http://{address}"), "product");
    assert!(error(&mut consul).await.contains("refused"));
    // It resets, then it answers.
    let listener = TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_zero_linger().unwrap();
        drop(stream);
        let router =
            Router::new().route("/v1/health/service/product", get(|| async { Json(instances(&[1])) }));
        axum::serve(listener, router).await
    });
    assert!(error(&mut consul).await.starts_with("consul product: cannot be asked: "));
    assert_eq!(change(&mut consul).await, members(&[1]));
}

/// An agent: what it was told, and what it answers to a check.
#[derive(Clone, Default)]
struct Agent {
    told: Arc<Mutex<Vec<String>>>,
    body: Arc<Mutex<Value>>,
    /// To the checks and farewells to come; then 200.
    answers: Arc<Mutex<VecDeque<(u16, &'static str)>>>,
    news: Arc<watch::Sender<()>>,
}

impl Agent {
    async fn serve(answers: impl IntoIterator<Item = (u16, &'static str)>) -> (Self, String) {
        let this = Self::default();
        this.answers.lock().unwrap().extend(answers);
        let router = Router::new()
            .route("/v1/agent/service/register", put(Self::register))
            .route("/v1/agent/check/{status}/{id}", put(Self::check))
            .route("/v1/agent/service/deregister/{id}", put(Self::deregister))
            .with_state(this.clone());
        (this, serve(router).await)
    }

    fn hear(&self, told: String) -> (StatusCode, &'static str) {
        self.told.lock().unwrap().push(told);
        self.news.send_replace(());
        let (status, text) = self.answers.lock().unwrap().pop_front().unwrap_or((200, ""));
        (StatusCode::from_u16(status).unwrap(), text)
    }

    async fn register(
        State(this): State<Self>,
        headers: HeaderMap,
        Json(body): Json<Value>,
    ) -> impl IntoResponse {
        assert_eq!(headers["x-consul-token"], "secret");
        let told = format!("register {}", body["Check"]["Status"].as_str().unwrap());
        *this.body.lock().unwrap() = body;
        this.hear(told)
    }

    async fn check(
        State(this): State<Self>,
        Path((status, id)): Path<(String, String)>,
    ) -> impl IntoResponse {
        this.hear(format!("{status} {id}"))
    }

    async fn deregister(State(this): State<Self>, Path(id): Path<String>) -> impl IntoResponse {
        this.hear(format!("deregister {id}"))
    }

    /// Waits until it was told so much, and returns it.
    async fn told(&self, count: usize) -> Vec<String> {
        let mut news = self.news.subscribe();
        let enough = news.wait_for(|()| self.told.lock().unwrap().len() >= count);
        tokio::time::timeout(Duration::from_secs(20), enough).await.expect("it was told more").unwrap();
        self.told.lock().unwrap()[..count].to_vec()
    }
}

fn registration(at: &str) -> Registration {
    let registration = Registration::new(at, "product", "http://10.0.0.7:8080").id("p/1").zone("eu-1");
    registration.token("secret").unwrap().ttl(Duration::from_millis(300))
}

async fn known(registered: &Registered) {
    tokio::time::timeout(Duration::from_secs(20), registered.known()).await.expect("the agent was told");
}

#[tokio::test]
async fn a_registration_beats_and_leaves() {
    let (agent, at) = Agent::serve([]).await;
    let registered = registration(&at).health(Health::Down).start();
    assert!(!registered.is_known());
    known(&registered).await;
    assert!(registered.is_known());
    let body = agent.body.lock().unwrap().clone();
    assert_eq!(
        (&body["Address"], &body["Port"], &body["Meta"]["zone"]),
        (&json!("10.0.0.7"), &json!(8080), &json!("eu-1"))
    );
    assert_eq!(agent.told(3).await, ["register critical", "fail service:p/1", "fail service:p/1"]);
    registered.leave().await.unwrap();
    let told = agent.told.lock().unwrap().clone();
    assert_eq!(told.last().unwrap(), "deregister p/1");
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert_eq!(agent.told.lock().unwrap().len(), told.len(), "nothing comes after the farewell");
}

#[tokio::test]
async fn a_change_of_health_is_told_at_once() {
    let (agent, at) = Agent::serve([]).await;
    // Its heartbeats are 20 seconds apart.
    let registered = registration(&at).ttl(Duration::from_secs(60)).start();
    known(&registered).await;
    let mut expected = vec!["register passing"];
    for (health, told) in [
        (Health::Draining, "warn service:p/1"),
        (Health::Down, "fail service:p/1"),
        (Health::Up, "pass service:p/1"),
    ] {
        registered.set_health(health);
        registered.set_health(health);
        expected.push(told);
        assert_eq!(agent.told(expected.len()).await, expected);
    }
    registered.leave().await.unwrap();
    assert_eq!(agent.told.lock().unwrap().len(), 5);
}

#[tokio::test]
async fn an_agent_that_forgot_is_told_again() {
    for forgot in [(404, "Unknown check ID \"service:p/1\""), (500, "Unknown check \"service:p/1\"")] {
        let (agent, at) = Agent::serve([(200, ""), (500, "No cluster leader"), forgot, (500, "")]).await;
        let _registered = registration(&at).start();
        let expected = ["register passing", "pass service:p/1", "pass service:p/1"];
        let again = ["register passing", "register passing", "pass service:p/1"];
        assert_eq!(agent.told(6).await, [expected, again].concat());
    }
}

#[tokio::test]
async fn an_agent_that_is_down_is_told_when_it_is_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let registered = registration(&format!("http://{address}")).start();
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert!(!registered.is_known());
    assert!(format!("{registered:?}").contains("known: false"));
    let listener = TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move {
        let router = Router::new().route("/v1/agent/service/register", put(|| async {}));
        axum::serve(listener, router).await
    });
    known(&registered).await;
}

#[tokio::test]
async fn a_dropped_registration_is_heard_no_more() {
    let (agent, at) = Agent::serve([]).await;
    let registered = registration(&at).start();
    agent.told(2).await;
    drop(registered);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let told = agent.told.lock().unwrap().len();
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(agent.told.lock().unwrap().len(), told);
}

#[tokio::test]
async fn a_farewell_is_tried_three_times_and_who_is_not_known_has_left() {
    let fails = |count| std::iter::once((200, "")).chain(std::iter::repeat_n((500, "no"), count));
    let leaves = async |answers: Vec<(u16, &'static str)>| {
        let (_, at) = Agent::serve(answers).await;
        let registered = registration(&at).ttl(Duration::from_secs(60)).start();
        known(&registered).await;
        registered.leave().await.map_err(|error| error.to_string())
    };
    assert_eq!(leaves(fails(2).collect()).await, Ok(()));
    assert_eq!(leaves(fails(3).collect()).await, Err(String::from("registration p/1: cannot be taken back")));
    assert_eq!(leaves(vec![(200, ""), (404, "Unknown service ID")]).await, Ok(()));
}

#[tokio::test]
async fn weights_and_zones_come_along() {
    let answer = json!([{
        "Node": {"Address": "10.0.0.1", "Meta": {"rack": "r1"}},
        "Service": {"Address": "10.0.0.2", "Port": 80, "Weights": {"Passing": 5, "Warning": 1}, "Meta": {}},
    }]);
    let router = Router::new().route("/v1/health/service/product", get(|| async { Json(answer) }));
    let mut consul = Consul::new(serve(router).await, "product").zone_key("rack");
    let member = Member::new(Uri::from_static("http://10.0.0.2:80/")).weight(5).zone("r1");
    assert_eq!(change(&mut consul).await, Change::Set(vec![member]));
}
