use http::HeaderMap;
use std::time::Duration;

pub(crate) enum Pushback {
    Absent,
    Never,
    After(Duration),
}

pub(crate) fn read_pushback_hint(headers: &HeaderMap) -> Pushback {
    if !headers.contains_key("grpc-retry-pushback-ms") {
        return Pushback::Absent;
    }
    bartizan_http::wire::read_pushback(headers).map_or(Pushback::Never, Pushback::After)
}
