//! reqwest's and hyper's clients as tower services, and a request builder over any stack.
//!
//! - [`ReqwestService`] and `HyperService` are `Service<http::Request<B>>` for any body `B`, so that the layers of
//!   this family and of tower-http go straight onto them.
//! - [`Client`] sends requests through a stack with reqwest's feel, and tells a layer's own no,
//!   [`Error::Refused`], from an answer of the server's.
//! - [`AnyBody`] lets a layer change the request body over a client that takes one type of body, such as tonic's `Channel`.
//!
//! ```
//! # #[cfg(all(feature = "form", feature = "json", feature = "reqwest"))] mod example {
//! use bartizan_client::{Client, Error, ReqwestService};
//! use bartizan_core::{Admit, Kind, Reason, Refused, Refusing};
//! use bartizan_guard::GuardLayer;
//! use tower::ServiceBuilder;
//!
//! # use axum::{Json, Router, routing::get};
//! # use std::collections::HashMap;
//! # use axum::extract::Query;
//! /// A shop window: nothing but `GET`.
//! #[derive(Clone)]
//! struct Window;
//!
//! const GET_ONLY: Reason = Reason::new("window", Kind::Unavailable, "nothing but GET");
//!
//! impl<B> Admit<http::Request<B>> for Window {
//!     type Permit = ();
//!     fn admit(&self, req: &http::Request<B>) -> Result<(), Refusing> {
//!         if req.method() == "GET" { Ok(()) } else { Err(Refusing::default()) }
//!     }
//!     fn refuse(&self, _: Refusing) -> Refused {
//!         Refused::new(&GET_ONLY)
//!     }
//! }
//!
//! # pub async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let echo = Router::new().route("/v1/echo", get(|query: Query<HashMap<String, u32>>| async { Json(query.0) }));
//! # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! # let address = listener.local_addr()?;
//! # tokio::spawn(async { axum::serve(listener, echo).await });
//! let stack = ServiceBuilder::new()
//!     .layer(GuardLayer::new(Window))
//!     .service(ReqwestService::new(reqwest::Client::builder().no_proxy().build()?));
//! let client = Client::new(stack).base_url(format!("http://{address}/v1").parse()?);
//!
//! let echo = client.get("echo").query(&[("n", 7)]).send().await?.error_for_status()?;
//! assert_eq!(echo.json::<HashMap<String, u32>>().await?["n"], 7);
//!
//! // The guard answers this with 503 and a problem. The caller sees whose no it was.
//! let refused = client.post("echo").json(&7).send().await;
//! assert!(matches!(refused, Err(Error::Refused(refused)) if refused.layer() == "window"));
//! # Ok(())
//! # }
//! # }
//! # #[cfg(all(feature = "form", feature = "json", feature = "reqwest"))]
//! # #[tokio::main(flavor = "current_thread")] async fn main() { example::main().await.unwrap() }
//! # #[cfg(not(all(feature = "form", feature = "json", feature = "reqwest")))] fn main() {}
//! ```
//!
//! # Features
//!
//! | feature | gives | default |
//! |---|---|---|
//! | `reqwest` | [`ReqwestService`] | on |
//! | `json` | `json` of requests and responses | on |
//! | `form` | `query` and `form` of requests | on |
//! | `hyper` | `HyperService` | off |
//!
//! There is no TLS by default, nor anything else that is a feature of reqwest's: the application's own dependency on
//! reqwest switches it on. The README shows how.
//!
//! # What is shared
//!
//! What the clones of the stack share: the pool of connections, and the state of the layers. Nothing else.

mod any_body;
mod body;
mod boxed;
mod client;
mod error;
mod exchange;
#[cfg(feature = "reqwest")]
pub mod future;
#[cfg(feature = "hyper")]
mod hyper_service;
mod request;
#[cfg(feature = "reqwest")]
mod reqwest_service;
mod response;
mod target;

pub use any_body::AnyBody;
pub use body::Body;
pub use boxed::Boxed;
pub use client::Client;
pub use error::Error;
#[cfg(feature = "hyper")]
pub use hyper_service::HyperService;
pub use request::RequestBuilder;
#[cfg(feature = "reqwest")]
pub use reqwest_service::ReqwestService;
pub use response::{Redirected, Response};

use error::BoxError;

#[cfg(all(doctest, feature = "json", feature = "reqwest"))]
#[doc = include_str!("../README.md")]
struct Readme;
