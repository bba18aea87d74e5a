use axum::body::Body;
use axum::extract::Request;
use axum::handler::Handler;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::StatusCode;
use std::future::pending;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A handler that plays the part which the query asks for, and counts how often it was called.
///
/// | query | part |
/// |---|---|
/// | `fail` | 500 |
/// | `moody` | 503, but `ok` in every third call |
/// | `shy` | no answer ever, but `ok` in every second call |
/// | `hang` | no answer ever |
/// | `panic` | a panic |
/// | `drip` | 200, a first chunk, and then nothing |
/// | `tear` | 200, a first chunk, and then an error |
/// | `burst` | 200, a first chunk, and then a panic |
/// | anything else | 200 and `ok` |
#[derive(Clone, Debug, Default)]
pub struct Player(Arc<AtomicUsize>);

impl Player {
    /// Creates a player that was not called yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How often it was called.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Begins to count anew.
    pub fn forget(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    async fn play(self, part: Option<String>) -> Response {
        let nth = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        match part.as_deref() {
            Some("moody") if !nth.is_multiple_of(3) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            Some("fail") => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            Some("shy") if !nth.is_multiple_of(2) => pending().await,
            Some("hang") => pending().await,
            Some("panic") => panic!("played"),
            Some("drip") => first_and_then(pending()),
            Some("tear") => first_and_then(async { Err(io::Error::other("torn")) }),
            Some("burst") => first_and_then(async { panic!("played") }),
            _ => "ok".into_response(),
        }
    }
}

/// A body of two chunks, the first of which is on its way before the second is asked for.
fn first_and_then(last: impl Future<Output = io::Result<Bytes>> + Send + 'static) -> Response {
    let first = stream::iter([Ok(Bytes::from_static(b"first"))]);
    let last = async {
        tokio::task::yield_now().await;
        last.await
    };
    Body::from_stream(first.chain(stream::once(last))).into_response()
}

impl<S> Handler<Player, S> for Player {
    type Future = Pin<Box<dyn Future<Output = Response> + Send>>;

    fn call(self, request: Request, _: S) -> Self::Future {
        Box::pin(self.play(request.uri().query().map(str::to_owned)))
    }
}
