//! A server and a client whose layers tell Prometheus what they do: calls and how long they take, and a breaker that opens.

use axum::extract::{Path, State};
use axum::{Router, http::StatusCode, routing::get};
use bartizan::breaker::Consecutive;
use bartizan::metrics::{BUCKETS, publish};
use bartizan::{Breaker, BreakerLayer, Client, Meter, MeterLayer};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use std::future::ready;
use tower::{BoxError, ServiceBuilder};

async fn stock(Path(id): Path<u32>) -> Result<String, StatusCode> {
    if id == 0 { Err(StatusCode::INTERNAL_SERVER_ERROR) } else { Ok(format!("3 of {id} are left")) }
}

async fn page(Path(id): Path<u32>, State(stock): State<Client>) -> Result<String, StatusCode> {
    let answer = stock.get(format!("stock/{id}")).send().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    let answer = answer.error_for_status().map_err(|_| StatusCode::BAD_GATEWAY)?;
    answer.text().await.map_err(|_| StatusCode::BAD_GATEWAY)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    // Once in a process: who keeps the metrics. The names that Prometheus has become those of the rules and of the dashboard.
    let prometheus = PrometheusBuilder::new()
        .with_recommended_naming(true)
        .set_buckets_for_metric(Matcher::Prefix("bartizan".into()), &BUCKETS)?
        .install_recorder()?;

    // What has a name is told. A meter outside of the breaker counts calls, one inside would count what reaches the server.
    let upstream = recipes::serve(Router::new().route("/stock/{id}", get(stock))).await?;
    let breaker = BreakerLayer::new(Breaker::new().consecutive(Consecutive::new(3))).named("stock");
    let stack = ServiceBuilder::new()
        .layer(MeterLayer::new(Meter::new()).named("stock"))
        .layer(breaker)
        .service(recipes::reqwest_service());
    let client = Client::new(stack).base_url(upstream.parse()?).boxed();

    let app = Router::new()
        .route("/products/{id}", get(page))
        .layer(MeterLayer::new(Meter::new()).named("shop"))
        .with_state(client)
        // A scrape asks all layers first. Outside of the meter, it is no call of the shop.
        .route(
            "/metrics",
            get(move || {
                publish();
                ready(prometheus.render())
            }),
        );
    let url = recipes::serve(app).await?;
    let shop = Client::new(recipes::reqwest_service()).base_url(url.parse()?);

    // Two calls go well, and three fail, one after the other. The breaker opens, and refuses two more.
    for (id, status) in [(1, 200), (2, 200), (0, 502), (0, 502), (0, 502), (3, 502), (4, 502)] {
        assert_eq!(shop.get(format!("products/{id}")).send().await?.status(), status);
    }
    let told = shop.get("metrics").send().await?.text().await?;
    for line in [
        r#"bartizan_meter_calls_total{name="shop",outcome="failure"} 5"#,
        r#"bartizan_meter_calls_total{name="stock",outcome="ignored"} 2"#,
        r#"bartizan_meter_duration_seconds_count{name="stock"} 7"#,
        r#"bartizan_breaker_state{name="stock",state="open"} 1"#,
        r#"bartizan_breaker_trips_total{name="stock",rule="consecutive"} 1"#,
        r#"bartizan_breaker_refusals_total{name="stock",reason="consecutive"} 2"#,
    ] {
        assert!(told.lines().any(|told| told == line), "{line} is not in\n{told}");
    }
    println!("{told}");
    Ok(())
}

#[test]
fn runs() {
    main().unwrap();
}
