use super::super::config::{Config, Name};
use super::endpoints::Endpoints;
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use bartizan::core::{Change, Member};
use bartizan::discover::Error;
use futures_core::Stream;
use http::Uri;
use serde_json::{Value, json};
use std::future::poll_fn;
use std::path::Path;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(20);

/// A registry that knows of one set, whatever the name, and answers who waits for another with the same.
struct Registry {
    url: String,
    serves: JoinHandle<()>,
}

impl Registry {
    async fn knows(ports: &[u16]) -> Self {
        let instance = |port: &u16| json!({ "Service": { "Address": "127.0.0.1", "Port": port, "Weights": { "Passing": 7 }, "Meta": { "zone": "eu" } } });
        let set = ports.iter().map(instance).collect::<Value>();
        let answer = async |State(set): State<Value>| ([("x-consul-index", "7")], Json(set));
        let routes = Router::new().route("/v1/health/service/{name}", get(answer)).with_state(set);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serves = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { url, serves }
    }

    /// Returns where it was.
    async fn dies(self) -> String {
        self.serves.abort();
        let _ = self.serves.await;
        self.url
    }
}

fn config(folder: &Path, registry: Option<&str>) -> Config {
    let config = Config::new(folder.to_owned(), 8080).unwrap();
    Config { registry: registry.map(str::to_owned), ..config }
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn at(ports: &[u16]) -> Change<Uri> {
    Change::set(ports.iter().map(|port| format!("http://127.0.0.1:{port}").parse::<Uri>().unwrap()))
}

/// What the registry of these tests says of them.
fn told(ports: &[u16]) -> Change<Uri> {
    let member = |port| Member::new(format!("http://127.0.0.1:{port}").parse::<Uri>().unwrap());
    Change::set(ports.iter().map(|port| member(port).weight(7).zone("eu")))
}

async fn next(endpoints: &mut Endpoints) -> Result<Change<Uri>, Error> {
    let next = poll_fn(|cx| Pin::new(&mut *endpoints).poll_next(cx));
    timeout(LONG, next).await.expect("it says something").expect("it does not end")
}

/// The first word, which nobody waits for.
async fn first(endpoints: &mut Endpoints) -> Change<Uri> {
    poll_fn(|cx| match Pin::new(&mut *endpoints).poll_next(cx) {
        Poll::Ready(Some(Ok(change))) => Poll::Ready(change),
        other => panic!("{other:?}"),
    })
    .await
}

#[tokio::test]
async fn a_service_is_where_the_registry_says() {
    let (folder, registry) = (folder(), Registry::knows(&[9001, 9002]).await);
    let mut endpoints = config(folder.path(), Some(&registry.url)).endpoints(Name::Product);
    assert_eq!(first(&mut endpoints).await, at(&[8082, 8083]), "as configured, until it has said something");
    assert_eq!(next(&mut endpoints).await.unwrap(), told(&[9001, 9002]));
}

#[tokio::test]
async fn who_was_known_last_outlives_the_registry() {
    let (folder, registry) = (folder(), Registry::knows(&[9001, 9002]).await);
    let mut endpoints = config(folder.path(), Some(&registry.url)).endpoints(Name::Product);
    first(&mut endpoints).await;
    next(&mut endpoints).await.unwrap();
    let url = registry.dies().await;
    next(&mut endpoints).await.unwrap_err();

    let mut restarted = config(folder.path(), Some(&url)).endpoints(Name::Product);
    assert_eq!(first(&mut restarted).await, told(&[9001, 9002]));
    next(&mut restarted).await.unwrap_err();
    next(&mut restarted).await.unwrap_err();
    let mut other = config(folder.path(), Some(&url)).endpoints(Name::Payment);
    assert_eq!(first(&mut other).await, at(&[8085, 8086, 8087]), "of whom nothing was known");
}

#[tokio::test]
async fn a_registry_that_knows_nobody_changes_nothing() {
    let (folder, registry) = (folder(), Registry::knows(&[]).await);
    let config = config(folder.path(), Some(&registry.url));
    let mut endpoints = config.endpoints(Name::Product);
    assert_eq!(first(&mut endpoints).await, at(&[8082, 8083]));
    next(&mut endpoints).await.unwrap_err();
    assert_eq!(
        first(&mut config.endpoints(Name::Product)).await,
        at(&[8082, 8083]),
        "nor is it written down"
    );
}

#[tokio::test]
async fn what_another_registry_knew_is_not_believed() {
    let (folder, registry) = (folder(), Registry::knows(&[9001]).await);
    let mut endpoints = config(folder.path(), Some(&registry.url)).endpoints(Name::Product);
    first(&mut endpoints).await;
    next(&mut endpoints).await.unwrap();
    for other in [Some("http://127.0.0.1:1"), None] {
        let mut endpoints = config(folder.path(), other).endpoints(Name::Product);
        assert_eq!(first(&mut endpoints).await, at(&[8082, 8083]), "{other:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_not_believed() {
    let folder = folder();
    let url = "http://127.0.0.1:1";
    let endpoints = async || first(&mut config(folder.path(), Some(url)).endpoints(Name::Product)).await;
    std::fs::create_dir(folder.path().join("registry")).unwrap();
    let member = |url: &str| json!({ "url": url, "weight": 1, "zone": null });
    let file = |members: Value| json!({ "registry": url, "members": members }).to_string();
    for (text, known) in [
        (String::new(), false),
        ("{".to_owned(), false),
        ("\u{0}".repeat(512), false),
        (file(json!([])), false),
        (file(json!([member("nowhere"), member("http://127.0.0.1:9001")])), false),
        (file(json!([member("")])), false),
        (file(json!([member("http://127.0.0.1:9001")])), true),
    ] {
        std::fs::write(folder.path().join("registry/product.json"), &text).unwrap();
        let wanted = if known { at(&[9001]) } else { at(&[8082, 8083]) };
        assert_eq!(endpoints().await, wanted, "{text}");
    }
}

#[tokio::test]
async fn without_a_registry_nothing_more_is_said_and_it_does_not_end() {
    let folder = folder();
    for (service, ports) in [(Name::User, &[8081][..]), (Name::Bank, &[])] {
        let mut endpoints = config(folder.path(), None).endpoints(service);
        assert_eq!(first(&mut endpoints).await, at(ports));
        let mut endpoints = pin!(endpoints);
        let more = poll_fn(|cx| Poll::Ready(endpoints.as_mut().poll_next(cx))).await;
        assert!(more.is_pending(), "{service}: {more:?}");
    }
}
