//! A server and a client whose stacks stand in a file, which is edited while they run.

use axum::{Router, http::StatusCode, routing::get};
use bartizan::policy::{Format, Policy, PolicyError};
use bartizan::{Client, ClientStack};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tower::{BoxError, Layer};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/bin/policy.toml");
    let policy = Policy::open(file)?.named("recipe");
    // In a program: `policy.watch(Duration::from_secs(1))?`. Here the file is edited by hand.
    let text = std::fs::read_to_string(file)?;

    // A server that fails at first, and what stands before it.
    let well = Arc::new(AtomicBool::new(false));
    let is_well = well.clone();
    let stock = move || async move {
        if is_well.load(Ordering::Relaxed) { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR }
    };
    let app = Router::new().route("/stock", get(stock)).layer(policy.server("checkout")?);
    let base = recipes::serve(app).await?;

    // A client by its table, and one of which code says more than the file does.
    let layer = policy.client("stock")?;
    println!("{layer}");
    let client = Client::new(layer.layer(recipes::reqwest_service())).base_url(base.parse()?);
    let user = policy.client_with("user", ClientStack::new().deadline(Duration::from_secs(2)))?;
    assert_eq!(
        user.handle().stack().deadline_value().total(),
        Duration::from_secs(1),
        "the file has the last word"
    );

    // Three failures in a row open the circuit of the host …
    for _ in 0..3 {
        assert_eq!(client.get("stock").send().await?.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
    let states = || {
        layer
            .handle()
            .breakers()
            .all()
            .iter()
            .map(|(_, breaker)| breaker.state().as_str())
            .collect::<Vec<_>>()
    };
    assert_eq!(states(), ["open"]);
    // … and an edit under it changes what is allowed, but not what is known.
    let changes = policy
        .update(Format::Toml, &text.replace("consecutive = 3", "consecutive = 9\nbreaker.ramp = \"0s\""))?;
    assert_eq!(
        changes.to_string(),
        "clients.stock.breaker.consecutive.failures: 3 -> 9, clients.stock.breaker.ramp: not set -> \"0s\""
    );
    assert_eq!(states(), ["open"]);
    well.store(true, Ordering::Relaxed);
    layer.handle().breakers().all().iter().for_each(|(_, breaker)| breaker.reset());
    assert_eq!(client.get("stock").send().await?.status(), StatusCode::OK);

    // A broken edit changes nothing, and says where it is broken.
    let broken: Result<_, PolicyError> = policy.update(Format::Toml, &text.replace("500ms", "500 ducks"));
    let error = broken.expect_err("ducks are no unit of time");
    assert_eq!((error.at_line(), error.at_field()), (Some(11), Some("clients.default.attempt.total")));
    assert_eq!(policy.handle().snapshot().version, 1);
    Ok(())
}

#[test]
fn runs() {
    main().unwrap();
}
