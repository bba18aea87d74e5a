//! The rows about the fallback, F01 to F10.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

mod failing;
mod kinds;
mod leaving;
mod places;
mod stale;

use bartizan_fallback::{Fallback, FallbackLayer, FallbackOn};
use bytes::Bytes;
use conformance::{Call, HttpProbe, Probe, TypedProbe};
use http::{Request, Response};
use http_body::Body;
use http_body_util::BodyExt;
use std::fmt::Debug;

/// Open, overload, time-out.
const LISTED: FallbackOn = FallbackOn::REFUSALS.and(FallbackOn::TIMEOUTS);

fn layer() -> FallbackLayer {
    FallbackLayer::new(Fallback::new())
}

fn http() -> HttpProbe {
    Probe::new(Call::answer_http)
}

fn typed() -> TypedProbe {
    Probe::new(Call::answer_typed)
}

fn get(call: Call) -> impl Fn() -> Request<Call> {
    move || Request::new(call)
}

/// Reads an answer to its end.
async fn read<B>(response: Response<B>) -> String
where
    B: Body<Data = Bytes, Error: Debug>,
{
    let read = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(read.to_vec()).unwrap()
}
