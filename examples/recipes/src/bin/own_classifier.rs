//! A classifier of one's own: an answer out of a stale cache counts as a failure, all else as it did.

use axum::{Router, routing::get};
use bartizan::breaker::Consecutive;
use bartizan::core::{Attempt, Classify, Step};
use bartizan::http::{HttpAtEnd, HttpAttempt, HttpClassifier};
use bartizan::{Breaker, BreakerLayer, Client, Verdict};
use http::{Request, Response};
use tower::{BoxError, ServiceBuilder};

/// Looks at the request.
#[derive(Clone)]
struct StaleFails;

impl<B> Classify<Request<B>> for StaleFails {
    type Attempt = Fresh;

    fn start(&self, request: &Request<B>) -> Fresh {
        Fresh(HttpClassifier.start(request))
    }
}

/// Looks at the answer, or at the error.
struct Fresh(HttpAttempt);

impl<B, E: 'static> Attempt<Response<B>, E> for Fresh {
    type AtEnd = HttpAtEnd;

    fn classify(self, out: Result<&Response<B>, &E>) -> Step<HttpAtEnd> {
        match out {
            Ok(answer) if answer.headers().contains_key("x-stale") => Step::Done(Verdict::Failure),
            _ => self.0.classify(out),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let stale = || async { ([("x-stale", "110")], "yesterday's price") };
    let url = recipes::serve(Router::new().route("/", get(stale))).await?;
    let breaker = BreakerLayer::new(Breaker::new().consecutive(Consecutive::new(3))).classify(StaleFails);
    let circuit = breaker.handle();
    let client = Client::new(ServiceBuilder::new().layer(breaker).service(recipes::reqwest_service()));

    for _ in 0..3 {
        assert_eq!(circuit.state().as_str(), "closed");
        assert_eq!(client.get(&url).send().await?.text().await?, "yesterday's price");
    }
    assert_eq!(circuit.state().as_str(), "open");
    Ok(())
}

#[test]
fn runs() {
    main().unwrap();
}
