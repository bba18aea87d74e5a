/// Marks the HTTP flavour of a layer: `Service<http::Request<B>>` in, refusals answered as responses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Http;

/// Marks the typed flavour of a layer: any request type, refusals returned through `S::Error: From<Refused>`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Typed;
