//! A server that sheds load: orders before pages before reports, one report at a time, and a client that listens.

use axum::http::StatusCode;
use axum::{Router, handler::Handler, routing::get};
use bartizan::shed::Shed;
use bartizan::{Client, Priority, ShedLayer, Throttle, ThrottleLayer};
use std::time::Duration;
use tower::{BoxError, ServiceBuilder};

async fn report() -> &'static str {
    tokio::time::sleep(Duration::from_millis(50)).await;
    "a long report"
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    // For all routes one limit, which finds by itself how many may be in flight. When there are too many, reports are refused first.
    let shed = ShedLayer::new(Shed::new())
        .priority(|head| match head.uri.path() {
            "/order" => Priority::CRITICAL,
            "/report" => Priority::SHEDDABLE,
            _ => Priority::NORMAL,
        })
        .named("server");
    let load = shed.handle();
    // And for one route a fixed limit of its own: a bulkhead.
    let one_report = ShedLayer::new(Shed::fixed(1)).named("report");
    let app = Router::new()
        .route("/", get(|| async { "home" }))
        .route("/order", get(|| async { "ordered" }))
        .route("/report", get(report.layer(one_report)))
        .route("/healthz", get(|| async { "well" }))
        .layer(shed);
    let url = recipes::serve(app).await?;
    let client = Client::new(recipes::reqwest_service()).base_url(url.parse()?);

    // Of two reports at once one is refused, with a time at which to come back, and before anything of it is read.
    let (first, second) = tokio::join!(client.get("report").send(), client.get("report").send());
    let [first, second] = [first?, second?];
    assert_eq!((first.status(), second.status()), (StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE));
    assert!(second.headers().contains_key("retry-after"));

    // It has its place until its body was read, or dropped.
    assert_eq!(first.text().await?, "a long report");
    assert_eq!(client.get("report").send().await?.text().await?, "a long report");
    for (path, said) in [("order", "ordered"), ("", "home"), ("healthz", "well")] {
        assert_eq!(client.get(path).send().await?.text().await?, said);
    }
    // Who asks how the server is always passes, and is not counted.
    let seen = load.snapshot();
    assert_eq!((seen.admitted.critical, seen.admitted.normal, seen.admitted.sheddable), (1, 1, 3));

    // A client that hears it often enough no longer asks, for a while and mostly.
    let throttle = ThrottleLayer::new(Throttle::new().seed(1)).named("reports");
    let refusals = throttle.handle();
    let stack = ServiceBuilder::new().layer(throttle).service(recipes::reqwest_service());
    let eager = Client::new(stack).base_url(url.parse()?);
    let held = client.get("report").send();
    let (_, ()) = tokio::join!(held, async {
        while refusals.snapshot().refused == 0 {
            let _ = eager.get("report").send().await;
        }
    });
    Ok(())
}

#[test]
fn runs() {
    main().unwrap();
}
