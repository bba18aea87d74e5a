//! An answer that calls itself good, and cannot be read, is that of a replica which fails: 502, so that its breaker hears of it, and
//! another one is asked.

use crate::contracts::bank::Entry;
use crate::contracts::object::Object;
use crate::contracts::order::{Order, Orders};
use crate::contracts::product::{Product, Products, Reservation};
use crate::contracts::user::{Session, User};
use crate::parts::config::Name;
use crate::parts::problem::Problem;
use axum::response::IntoResponse;
use bartizan::client::Body;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::{DeserializeOwned, IgnoredAny};
use std::collections::BTreeMap;
use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};
use tower::{Layer, Service};

/// No service says more at a time, in bytes.
const LONGEST: usize = 4 << 20;

type BoxError = Box<dyn Error + Send + Sync>;

/// Reads the answers of a service as its contract has them.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShapeLayer(pub(super) Name);

/// See [`ShapeLayer`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Shaped<S> {
    inner: S,
    service: Name,
}

impl<S> Layer<S> for ShapeLayer {
    type Service = Shaped<S>;

    fn layer(&self, inner: S) -> Shaped<S> {
        Shaped { inner, service: self.0 }
    }
}

impl<S, B, RB> Service<Request<B>> for Shaped<S>
where
    S: Service<Request<B>, Response = Response<RB>>,
    S::Future: Send + 'static,
    RB: http_body::Body<Data = Bytes> + Send + 'static,
    RB::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let service = self.service;
        let is_head = request.method() == Method::HEAD;
        let shape = shape(service, request.uri().path());
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            if is_head || !answer.status().is_success() || answer.status() == StatusCode::NO_CONTENT {
                return Ok(answer.map(Body::new));
            }
            let (parts, body) = answer.into_parts();
            match Limited::new(body, LONGEST).collect().await {
                Ok(body) => {
                    let body = body.to_bytes();
                    match is_json(&parts.headers) && shape(&body) {
                        true => Ok(Response::from_parts(parts, Body::from(body))),
                        false => Ok(unreadable(service)),
                    }
                }
                Err(error) if error.is::<LengthLimitError>() => Ok(unreadable(service)),
                Err(error) => Ok(Response::from_parts(parts, Body::new(Broken(Some(error))))),
            }
        })
    }
}

fn unreadable(service: Name) -> Response<Body> {
    let detail = format!("{service} answered in another language");
    Problem::new(StatusCode::BAD_GATEWAY, "unreadable", detail).into_response().map(Body::new)
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.split(';').next().is_some_and(|kind| kind.trim() == "application/json"))
}

/// Whether the body of a good answer is what the contract promises.
type Shape = fn(&[u8]) -> bool;

/// What a service answers at a path.
fn shape(service: Name, path: &str) -> Shape {
    let mut parts = path.trim_start_matches('/').splitn(2, '/');
    match (service, parts.next().unwrap_or_default(), parts.next()) {
        (Name::Product, "products", None) => is::<Products>,
        (Name::Product, "products", Some(_)) => is::<Product>,
        (Name::Product, "reservations", _) => is::<Reservation>,
        (Name::User, "users", _) => is::<User>,
        (Name::User, "sessions", None) => is::<Session>,
        (Name::Order, "orders", None) => |body| is::<Orders>(body) || is::<Order>(body),
        (Name::Order, "orders", Some(_)) => is::<Order>,
        (Name::Bank, "charges", _) => is::<Entry>,
        _ => is::<BTreeMap<String, IgnoredAny>>,
    }
}

fn is<T: DeserializeOwned>(body: &[u8]) -> bool {
    serde_json::from_slice::<Object<T>>(body).is_ok()
}

/// A body that has broken off.
struct Broken(Option<BoxError>);

impl http_body::Body for Broken {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(self.0.take().map(Err))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;
    use std::convert::Infallible;
    use tower::{ServiceExt, service_fn};

    const PRODUCT: &str =
        r#"{"id": "tea", "name": "Tea", "category": "tea", "price_cents": 1, "stock": 2, "new": null}"#;

    /// What becomes of an answer of the product service.
    async fn status(path: &str, status: u16, kind: &str, body: &'static str) -> (u16, String) {
        let answer = Response::builder().status(status).header(CONTENT_TYPE, kind);
        let answer = answer.body(Full::from(Bytes::from_static(body.as_bytes()))).unwrap();
        let inner = service_fn(move |_| std::future::ready(Ok::<_, Infallible>(answer.clone())));
        let request = Request::get(path).body(()).unwrap();
        let answer = ShapeLayer(Name::Product).layer(inner).oneshot(request).await.unwrap();
        let (status, body) = (answer.status().as_u16(), answer.into_body().collect().await.unwrap());
        (status, String::from_utf8(body.to_bytes().to_vec()).unwrap())
    }

    #[tokio::test]
    async fn what_the_contract_promises_passes_as_it_is() {
        let said = status("/products/tea", 200, "application/json", PRODUCT).await;
        assert_eq!(said, (200, PRODUCT.to_owned()));
        assert_eq!(status("/products", 200, "application/json", r#"{"products": []}"#).await.0, 200);
        assert_eq!(status("/.well-known/any.json", 200, "application/json; q=1", "{}").await.0, 200);
        let no = r#"{"title": "no"}"#;
        let said = status("/products/tea", 404, "application/problem+json", no).await;
        assert_eq!(said, (404, no.to_owned()), "an error is none of its business");
        assert_eq!(status("/reservations/o", 204, "text/plain", "").await.0, 204);
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_a_bad_gateway() {
        for (path, kind, body) in [
            ("/products/tea", "application/json", r#"{"id": "tea"}"#),
            ("/products/tea", "application/json", ""),
            ("/products/tea", "application/json", "{"),
            ("/products/tea", "application/json", r#"["tea", "Tea", "tea", 1, 2]"#),
            ("/products/tea", "text/html", PRODUCT),
            ("/products/tea", "application/problem+json", r#"{"title": "OK", "status": 200}"#),
            ("/products", "application/json", PRODUCT),
            ("/reservations/o/commit", "application/json", "{}"),
            ("/.well-known/any.json", "application/json", "[]"),
        ] {
            let (status, said) = status(path, 200, kind, body).await;
            assert_eq!(status, 502, "{path} {kind} {body}");
            assert!(said.contains("product answered in another language"), "{said}");
        }
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_still_broken() {
        let inner = service_fn(|_| {
            let mut answer = Response::new(Broken(Some("gone".into())));
            answer.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
            std::future::ready(Ok::<_, Infallible>(answer))
        });
        let request = Request::get("/products").body(()).unwrap();
        let answer = ShapeLayer(Name::Product).layer(inner).oneshot(request).await.unwrap();
        assert!(answer.into_body().collect().await.is_err());
    }
}
