//! A config server that answers, changes its mind, is wrong, slow, and gone.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::{AUTHORIZATION, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bartizan_policy::{ConfigServer, Format, Payload, Policy, PolicyClientLayer};
use bartizan_stack::ClientStack;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::sleep;

/// What the server says, and what it was asked.
#[derive(Default)]
struct Desk {
    body: String,
    etag: Option<&'static str>,
    status: Option<StatusCode>,
    hangs: bool,
    asked: Vec<String>,
}

type Shared = Arc<Mutex<Desk>>;

async fn answer(State(desk): State<Shared>, Path(path): Path<String>, headers: HeaderMap) -> Response {
    let hangs = {
        let mut desk = desk.lock().unwrap();
        let said = |name| headers.get(name).map_or("-", |value| value.to_str().unwrap());
        desk.asked.push(format!("{path} {} {}", said(IF_NONE_MATCH), said(AUTHORIZATION)));
        desk.hangs
    };
    if hangs {
        std::future::pending::<()>().await;
    }
    let desk = desk.lock().unwrap();
    if let Some(status) = desk.status {
        return (status, "out of\norder").into_response();
    }
    match desk.etag {
        Some(etag) if headers.get(IF_NONE_MATCH).is_some_and(|known| known == etag) => {
            StatusCode::NOT_MODIFIED.into_response()
        }
        Some(etag) => ([(ETAG, etag)], desk.body.clone()).into_response(),
        None => desk.body.clone().into_response(),
    }
}

struct Server {
    desk: Shared,
    base: String,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let desk = Shared::default();
        let app = Router::new().route("/{*path}", get(answer)).with_state(desk.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { desk, base }
    }

    fn says(&self, etag: Option<&'static str>, properties: &str) {
        let mut desk = self.desk.lock().unwrap();
        let name = "file:stock.yml";
        desk.body = format!(
            r#"{{ "name": "stock", "profiles": ["default"], "label": null, "version": null, "state": null,
                 "propertySources": [{{ "name": "{name}", "source": {{ {properties} }} }}] }}"#
        );
        (desk.etag, desk.status) = (etag, None);
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.desk.lock().unwrap().asked)
    }

    fn source(&self) -> ConfigServer {
        // Long enough for a machine under load, and asked again by hand alone.
        ConfigServer::new(&self.base, "stock", "default")
            .every(Duration::from_secs(3600))
            .time_out(Duration::from_secs(30))
            .seed(1)
    }

    fn without_base(&self, text: &dyn ToString) -> String {
        text.to_string().replace(&self.base, "BASE")
    }
}

fn retries(layer: &PolicyClientLayer) -> u32 {
    layer.handle().stack().retry_value().most_retries()
}

fn kept(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("bartizan-policy-kept-{}-{name}", std::process::id()));
    drop(std::fs::remove_file(&path));
    path
}

#[tokio::test]
async fn its_properties_are_the_policy() {
    let server = Server::start().await;
    server.says(
        Some("\"one\""),
        r#""bartizan.clients.stock.retry.max-retries": "4", "bartizan.clients.stock.retry.enabled": "true",
           "bartizan.clients.stock.retry.on": "failures, 409, UNAVAILABLE", "bartizan.clients.stock.attempt": false,
           "bartizan.clients.stock.hedge": " false ", "bartizan.clients.stock.deadline": "2s",
           "bartizan.clients.stock.breaker.consecutive": 3, "bartizan.clients.stock.breaker.evidence": "false",
           "bartizan.clients.stock.endpoints[0]": "http://a", "bartizan.clients.stock.endpoints[1].uri": "http://b",
           "bartizan.clients.stock.endpoints[1].weight": "3", "bartizan.clients.stock.balance.choice": "round-robin",
           "bartizan.clients[user.eu].hedge.extra": "0.04", "spring.application.name": "stock""#,
    );
    let policy = Policy::empty();
    policy.follow(server.source().authorization("Basic c2VjcmV0").unwrap()).await.unwrap();
    assert_eq!(server.asked(), ["stock/default - Basic c2VjcmV0"]);
    let stock = policy.client("stock").unwrap();
    assert!(stock.is_balanced());
    let same = Policy::parse(
        Format::Toml,
        "[clients.stock]\nretry = { max_retries = 4, on = ['failures', 409, 14] }\ndeadline = '2s'\n\
         attempt.enabled = false\nhedge.enabled = false\n\
         breaker = { consecutive = 3, evidence = false }\nbalance.choice = 'round robin'\nendpoints = ['http://c']\n",
    );
    assert_eq!(stock.handle().stack(), same.unwrap().client("stock").unwrap().handle().stack());
    assert!(policy.client("user.eu").is_ok());
    let snapshot = policy.handle().snapshot();
    assert_eq!(server.without_base(&snapshot.source.unwrap()), "config server BASE/stock/default");
    assert_eq!(snapshot.label.as_deref(), Some("\"one\""));
    assert!(!format!("{:?}", server.source().authorization("Basic c2VjcmV0")).contains("c2Vj"));
}

#[tokio::test]
async fn what_is_known_is_not_sent_again() {
    let server = Server::start().await;
    server.says(Some("\"one\""), r#""bartizan.clients.stock.retry.max-retries": 1"#);
    let policy = Policy::empty();
    policy.follow(server.source().label("release/7")).await.unwrap();
    let stock = policy.client("stock").unwrap();
    policy.refresh().await.unwrap();
    server.says(Some("\"two\""), r#""bartizan.clients.stock.retry.max-retries": 5"#);
    policy.refresh().await.unwrap();
    assert_eq!(retries(&stock), 5);
    policy.refresh().await.unwrap();
    let asked =
        ["-", "\"one\"", "\"one\"", "\"two\""].map(|tag| format!("stock/default/release(_)7 {tag} -"));
    assert_eq!(server.asked(), asked);
    assert_eq!(policy.handle().snapshot().version, 2);
}

#[tokio::test]
async fn what_is_wrong_or_does_not_come_leaves_the_old_one() {
    let server = Server::start().await;
    server.says(None, r#""bartizan.clients.stock.retry.max-retries": 1"#);
    let policy = Policy::empty();
    policy.follow(server.source()).await.unwrap();
    let stock = policy.client("stock").unwrap();
    let at = "config server BASE/stock/default";
    for (properties, expected) in [
        (
            r#""bartizan.clients.stock.retry.max-retries": "many""#,
            "file:stock.yml, clients.stock.retry.max_retries: must be a whole number within 0..=4294967295, not the text \"many\"",
        ),
        (
            r#""bartizan.clients.stock.retry.max-retires": 1"#,
            "file:stock.yml, clients.stock.retry.max_retires: unknown setting, did you mean `max_retries`?",
        ),
        (
            r#""bartizan.clients.stock.breaker.probes": "0""#,
            "file:stock.yml, clients.stock.breaker.probes: probes must be within 1..=1000",
        ),
        (
            r#""bartizan.clients.stock.endpoints[1]": "http://a""#,
            "file:stock.yml, clients.stock.endpoints: must be a list without gaps, from [0] on",
        ),
        (
            r#""bartizan.clients..stock": 1"#,
            "file:stock.yml, bartizan.clients..stock: is no name of a property",
        ),
    ] {
        server.says(None, properties);
        let error = policy.refresh().await.unwrap_err();
        assert_eq!(server.without_base(&error), format!("{at}, {expected}"));
    }
    let refused = policy.handle().snapshot().refused;
    assert_eq!(refused, 5);
    policy.refresh().await.unwrap_err();
    assert_eq!(policy.handle().snapshot().refused, refused, "the same again is told of once");

    server.desk.lock().unwrap().status = Some(StatusCode::INTERNAL_SERVER_ERROR);
    let error = policy.refresh().await.unwrap_err();
    let expected = format!("{at}: cannot be asked: answered 500 Internal Server Error out oforder");
    assert_eq!(server.without_base(&error), expected);
    server.desk.lock().unwrap().status = None;
    server.desk.lock().unwrap().body = String::from("<html>");
    let error = server.without_base(&policy.refresh().await.unwrap_err());
    assert!(
        error.starts_with(&format!("{at}: answered what is no configuration: expected value")),
        "{error}"
    );
    server.desk.lock().unwrap().body = "x".repeat((4 << 20) + 1);
    let error = server.without_base(&policy.refresh().await.unwrap_err());
    assert_eq!(error, format!("{at}: cannot be asked: answered more than 4194304 bytes"));
    assert_eq!(retries(&stock), 1);

    server.says(None, r#""bartizan.clients.stock.retry.max-retries": 2"#);
    policy.refresh().await.unwrap();
    assert_eq!((retries(&stock), policy.handle().snapshot().error), (2, None));
}

#[tokio::test]
async fn what_is_wrong_may_be_mended_under_its_tag() {
    let server = Server::start().await;
    server.says(Some("\"one\""), r#""bartizan.clients.stock.retry.max-retries": 1"#);
    let policy = Policy::empty();
    policy.follow(server.source()).await.unwrap();
    let stock = policy.client("stock").unwrap();
    server.says(Some("\"two\""), r#""bartizan.clients.stock.retry.max-retries": "x""#);
    policy.refresh().await.unwrap_err();
    policy.refresh().await.unwrap_err();
    server.says(Some("\"two\""), r#""bartizan.clients.stock.retry.max-retries": 2"#);
    policy.refresh().await.unwrap();
    assert_eq!(retries(&stock), 2);
    assert_eq!(policy.handle().snapshot().label.as_deref(), Some("\"two\""));
}

#[tokio::test]
async fn it_is_asked_again_and_again() {
    let server = Server::start().await;
    server.says(None, r#""bartizan.clients.stock.retry.max-retries": 1"#);
    let policy = Policy::empty();
    policy.follow(server.source().every(Duration::from_millis(5)).jitter(1.0)).await.unwrap();
    let stock = policy.client("stock").unwrap();
    server.says(None, r#""bartizan.clients.stock.retry.max-retries": 2"#);
    for _ in 0..5000 {
        if retries(&stock) == 2 {
            break;
        }
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(retries(&stock), 2);
}

/// A server that nobody can reach.
fn nobody() -> ConfigServer {
    ConfigServer::new("http://user:secret@127.0.0.1:1/conf/", "stock", "default")
        .every(Duration::from_secs(3600))
}

#[tokio::test]
async fn without_a_server_the_last_known_good_is_taken() {
    let server = Server::start().await;
    let path = kept("good");
    server.says(Some("\"one\""), r#""bartizan.clients.stock.retry.max-retries": 6"#);
    Policy::empty().follow(server.source().keep(&path)).await.unwrap();

    // It hangs from now on, and a process starts.
    server.desk.lock().unwrap().hangs = true;
    let hasty = || server.source().keep(&path).time_out(Duration::from_millis(1));
    let policy = Policy::empty();
    policy.follow(hasty()).await.unwrap();
    let stock = policy.client("stock").unwrap();
    assert_eq!(retries(&stock), 6);
    let source = policy.handle().snapshot().source.unwrap();
    assert_eq!(server.without_base(&source), "last known good of config server BASE/stock/default");

    // Nor does it matter that the server answers what is wrong.
    server.desk.lock().unwrap().hangs = false;
    server.says(None, r#""bartizan.clients.stock.retry.max-retries": "x""#);
    let policy = Policy::empty();
    policy.follow(server.source().keep(&path)).await.unwrap();
    assert_eq!(retries(&policy.client("stock").unwrap()), 6);
    server.says(Some("\"one\""), r#""bartizan.clients.stock.retry.max-retries": 6"#);
    server.desk.lock().unwrap().hangs = true;

    // Of another server's, or damaged, it is none.
    let error = Policy::empty().follow(nobody().keep(&path)).await.unwrap_err();
    let error = server.without_base(&error).replace(path.to_str().unwrap(), "PATH");
    let asked = "config server http://127.0.0.1:1/conf/stock/default: cannot be asked: Connection refused (os error 111)";
    assert_eq!(error, format!("{asked}, and no last known good can be had: PATH is of BASE/stock/default"));
    std::fs::write(&path, &std::fs::read(&path).unwrap()[..20]).unwrap();
    let error = Policy::empty().follow(hasty()).await.unwrap_err();
    let error = server.without_base(&error).replace(path.to_str().unwrap(), "PATH");
    let asked = "config server BASE/stock/default: cannot be asked: no answer within 1ms";
    assert_eq!(error, format!("{asked}, and no last known good can be had: PATH is damaged"));

    // The server is back, and what is kept is good again.
    server.desk.lock().unwrap().hangs = false;
    Policy::empty().follow(server.source().keep(&path)).await.unwrap();
    server.desk.lock().unwrap().hangs = true;
    Policy::empty().follow(hasty()).await.unwrap();
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn with_neither_there_is_an_error_in_one_sentence() {
    let policy = Policy::empty();
    let error = policy.follow(nobody()).await.unwrap_err();
    let expected = "config server http://127.0.0.1:1/conf/stock/default: cannot be asked: Connection refused (os error 111)";
    assert_eq!(error.to_string(), expected);
    // Nor is anything read that might not end.
    let error = policy.follow(nobody().keep("/dev/null")).await.unwrap_err();
    let lost = "and no last known good can be had: /dev/null cannot be read: it is no file";
    assert_eq!(error.to_string(), format!("{expected}, {lost}"));
    // Code may have said enough.
    assert!(policy.client_with("stock", ClientStack::new()).is_ok());
    for wrong in ["", "localhost", "/conf", "http://", "http://a:0", "http://a:99999"] {
        let invalid = ConfigServer::try_new(wrong, "stock", "default").map(drop).unwrap_err();
        assert_eq!(invalid.field(), "base", "{wrong}");
    }
    assert!(ConfigServer::try_new("https://[::1]", "stock", "default").is_ok());
    let error = policy.follow(ConfigServer::new("https://a", "stock", "default")).await.unwrap_err();
    assert_eq!(error.to_string(), "config server https://a/stock/default: cannot be asked: speaks no https");
}

#[tokio::test]
async fn a_client_of_yours_may_ask() {
    let asked = Arc::new(Mutex::new(String::new()));
    let noted = asked.clone();
    let client = tower::service_fn(move |request: http::Request<Payload>| {
        *noted.lock().unwrap() = request.uri().to_string();
        let body =
            r#"{ "propertySources": [{ "name": "x", "source": { "clients.stock.retry.max_retries": 8 } }] }"#;
        std::future::ready(Ok::<_, std::convert::Infallible>(Response::new(axum::body::Body::from(body))))
    });
    let policy = Policy::empty();
    let server =
        ConfigServer::new("https://config.internal/base/", "my app", "eu,prod").prefix("").client(client);
    policy.follow(server).await.unwrap();
    assert_eq!(*asked.lock().unwrap(), "https://config.internal/base/my%20app/eu,prod");
    assert_eq!(retries(&policy.client("stock").unwrap()), 8);
}

#[tokio::test]
async fn those_who_want_it_asked_at_once_share_an_answer() {
    let server = Server::start().await;
    server.says(Some("\"one\""), r#""bartizan.clients.stock.retry.max-retries": 1"#);
    let policy = Policy::empty();
    policy.follow(server.source()).await.unwrap();
    let stock = policy.client("stock").unwrap();
    server.says(Some("\"two\""), r#""bartizan.clients.stock.retry.max-retries": 2"#);
    server.asked();
    let all: Vec<_> = (0..200)
        .map(|_| {
            let policy = policy.clone();
            tokio::spawn(async move { policy.refresh().await })
        })
        .collect();
    for one in all {
        one.await.unwrap().unwrap();
    }
    assert_eq!(retries(&stock), 2);
    // Whoever has come after it was asked has to be answered anew.
    let asked = server.asked().len();
    assert!(asked < 20, "it was asked {asked} times");
    // And each hears what is wrong.
    server.says(None, r#""bartizan.clients.stock.retry.max-retries": "x""#);
    let (one, other) = tokio::join!(policy.refresh(), policy.refresh());
    assert_eq!(one.unwrap_err().to_string(), other.unwrap_err().to_string());
}

#[tokio::test]
async fn what_could_not_be_kept_is_kept_later() {
    let server = Server::start().await;
    server.says(Some("\"one\""), r#""bartizan.clients.stock.retry.max-retries": 6"#);
    let folder = kept("later");
    drop(std::fs::remove_dir_all(&folder));
    let path = folder.join("policy");
    let policy = Policy::empty();
    policy.follow(server.source().keep(&path)).await.unwrap();
    policy.refresh().await.unwrap();
    assert!(!path.exists());
    std::fs::create_dir_all(&folder).unwrap();
    policy.refresh().await.unwrap();
    assert!(path.exists());

    // It is not written again while it is the same.
    server.asked();
    server.says(None, r#""bartizan.clients.stock.retry.max-retries": 6"#);
    policy.refresh().await.unwrap();
    std::fs::remove_file(&path).unwrap();
    policy.refresh().await.unwrap();
    assert!(!path.exists());

    // And is no longer what was kept once the server confirms it.
    server.says(Some("\"two\""), r#""bartizan.clients.stock.retry.max-retries": 7"#);
    policy.refresh().await.unwrap();
    server.desk.lock().unwrap().status = Some(StatusCode::SERVICE_UNAVAILABLE);
    let policy = Policy::empty();
    policy.follow(server.source().keep(&path)).await.unwrap();
    assert!(policy.handle().snapshot().source.unwrap().starts_with("last known good of"));
    server.desk.lock().unwrap().status = None;
    policy.refresh().await.unwrap();
    assert!(policy.handle().snapshot().source.unwrap().starts_with("config server"));
    std::fs::remove_dir_all(&folder).unwrap();
}
