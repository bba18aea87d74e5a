//! Row F04: the fallback fails as well.

use crate::{get, http, layer, typed};
use bartizan_core::{Refused, find_cause};
use bartizan_fallback::{Degraded, Fallback, FallbackError, FallbackLayer, Outcome, Reply};
use conformance::{Call, F, I, Mode, Probe};
use http::{Request, Response};
use http_body_util::Full;
use std::io;
use tower::{BoxError, Layer};

#[tokio::test(start_paused = true)]
async fn f04_fallback_fails() {
    for mode in Mode::ALL {
        // Its error type can carry the cause.
        let layer = FallbackLayer::new(Fallback::new())
            .typed(|_: &Call| true)
            .call(|_| async { Err::<&str, BoxError>("no luck either".into()) });
        let handle = layer.handle();
        let mut service = layer.layer(typed());
        let error = mode.call(&mut service, || I).await.unwrap_err();
        assert_eq!(error.to_string(), "no luck either");
        assert_eq!(find_cause::<Refused>(&*error).map(Refused::reason), Some("ignored"));
        let error = mode.call(&mut service, || F).await.unwrap_err().downcast::<FallbackError>().unwrap();
        assert_eq!(error.failure().error::<BoxError>().unwrap().to_string(), "failure", "unchanged");
        let seen = handle.snapshot();
        assert_eq!((seen.failed, seen.in_flight), (2 * mode.calls(), 0));
    }
}

#[tokio::test(start_paused = true)]
async fn f04_fallback_fails_over_http() {
    for mode in Mode::ALL {
        // Where an answer says it, the cause is in its extensions.
        let mut service = layer().with(|_| Response::builder().status(502).body("").unwrap()).layer(http());
        let response = mode.call(&mut service, get(F)).await.unwrap();
        assert_eq!(response.status(), 502);
        let cause = response.extensions().get::<Degraded>().unwrap().failure();
        assert_eq!(cause.outcome(), Outcome::Status(503));

        // Where an error says it, it is its source.
        let broken = Probe::new(async |_: Request<()>| -> Result<Response<Full<bytes::Bytes>>, BoxError> {
            Err(io::Error::from(io::ErrorKind::ConnectionRefused).into())
        });
        let mut service =
            layer().call(|_| async { Err::<Reply, _>(io::Error::other("no luck")) }).layer(broken);
        let error = mode.call(&mut service, || Request::new(())).await.unwrap_err();
        assert_eq!(error.to_string(), "no luck");
        let first =
            std::iter::successors(Some(&*error as &dyn std::error::Error), |error| error.source()).last();
        let first = first.unwrap().downcast_ref::<io::Error>().unwrap();
        assert_eq!(first.kind(), io::ErrorKind::ConnectionRefused);
    }
}
