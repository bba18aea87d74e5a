//! What an answer says of how it came about: `Cache-Status` (RFC 9211).

use bartizan_http::http::{HeaderMap, HeaderName, HeaderValue};
use std::fmt::Write;
use std::time::Duration;

pub(crate) const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Why a call went out, `fwd` of §2.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forward {
    /// Nothing is kept of this target.
    Miss,
    /// What is kept is fresh, but each call goes out.
    Bypass,
    /// The caller asked for it.
    Request,
    /// What is kept is stale.
    Stale,
}

/// What was done for an answer that is served from what is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Status {
    /// Why a call went out, if one did, and the status of its answer, if it had one.
    pub(crate) forward: Option<(Forward, Option<u16>)>,
    pub(crate) collapsed: bool,
    /// What is left of the lifetime; it is over by so long where this is negative.
    pub(crate) left: Left,
}

/// A time to live, which may be over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    For(Duration),
    OverFor(Duration),
}

impl Forward {
    const fn text(self) -> &'static str {
        match self {
            Self::Miss => "miss",
            Self::Bypass => "bypass",
            Self::Request => "request",
            Self::Stale => "stale",
        }
    }

    /// Says that the answer of a call will be kept.
    pub(crate) fn stored(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Miss => "bartizan; fwd=miss; stored",
            Self::Bypass => "bartizan; fwd=bypass; stored",
            Self::Request => "bartizan; fwd=request; stored",
            Self::Stale => "bartizan; fwd=stale; stored",
        })
    }
}

impl Status {
    pub(crate) fn value(&self) -> Option<HeaderValue> {
        let mut text = String::with_capacity(64);
        text.push_str("bartizan");
        match self.forward {
            None => text.push_str("; hit"),
            Some((forward, _)) => {
                text.push_str("; fwd=");
                text.push_str(forward.text());
            }
        }
        if let Some((_, Some(status))) = self.forward {
            let _ = write!(text, "; fwd-status={status}");
        }
        if self.collapsed {
            text.push_str("; collapsed");
        }
        let _ = match self.left {
            Left::For(left) => write!(text, "; ttl={}", left.as_secs()),
            Left::OverFor(over) if over.as_secs() == 0 => write!(text, "; ttl=0"),
            Left::OverFor(over) => write!(text, "; ttl=-{}", over.as_secs()),
        };
        HeaderValue::try_from(text).ok()
    }
}

/// Adds a member: each cache on the way adds one (§2).
pub(crate) fn add(headers: &mut HeaderMap, value: HeaderValue) {
    headers.append(CACHE_STATUS, value);
}

/// What is left of a lifetime at this age.
pub(crate) fn left(lifetime: Duration, age: Duration) -> Left {
    match lifetime.checked_sub(age) {
        Some(left) => Left::For(left),
        None => Left::OverFor(age - lifetime),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_in_the_paper() {
        let secs = Duration::from_secs;
        for (forward, collapsed, left, ought) in [
            (None, false, left(secs(376), secs(0)), "bartizan; hit; ttl=376"),
            (None, false, left(secs(0), secs(412)), "bartizan; hit; ttl=-412"),
            (None, false, left(secs(0), Duration::from_millis(999)), "bartizan; hit; ttl=0"),
            (
                Some((Forward::Stale, Some(503))),
                false,
                left(secs(1), secs(13)),
                "bartizan; fwd=stale; fwd-status=503; ttl=-12",
            ),
            (Some((Forward::Bypass, None)), false, left(secs(9), secs(9)), "bartizan; fwd=bypass; ttl=0"),
            (
                Some((Forward::Miss, None)),
                true,
                left(secs(1), secs(0)),
                "bartizan; fwd=miss; collapsed; ttl=1",
            ),
        ] {
            let value = Status { forward, collapsed, left }.value();
            assert_eq!(value, Some(HeaderValue::from_static(ought)));
        }
        for forward in [Forward::Miss, Forward::Bypass, Forward::Request, Forward::Stale] {
            assert_eq!(forward.stored(), format!("bartizan; fwd={}; stored", forward.text()));
        }
        assert_eq!(left(Duration::MAX, Duration::ZERO), Left::For(Duration::MAX));
        assert_eq!(left(Duration::ZERO, Duration::MAX), Left::OverFor(Duration::MAX));
    }
}
