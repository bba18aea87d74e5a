use super::super::body;
use rustix::process::{Resource, getrlimit, setrlimit};
use std::time::Duration;

/// As many files as all ports of a shop may need at once.
const FILES: u64 = 65_536;

/// Has this process open as many files, and so connections, as the machine allows it: at first that may be 1024, fewer
/// than one port has places.
pub fn raise_files() {
    let mut files = getrlimit(Resource::Nofile);
    let wanted = files.maximum.unwrap_or(FILES).min(FILES);
    if files.current.is_some_and(|current| current < wanted) {
        files.current = Some(wanted);
        if let Err(error) = setrlimit(Resource::Nofile, files) {
            tracing::warn!(%error, "the number of open files cannot be raised");
        }
    }
}

/// How much patience and room a listener has.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; more wait to be accepted. Default: 4096.
    pub connections: usize,
    /// From accept to the first byte. Default: 5 s.
    pub first_byte: Duration,
    /// From the first byte of a request to the end of its head, and for a handshake. The first head on a connection may
    /// take this and `first_byte`, and no more. Default: 9 s.
    pub header: Duration,
    /// From the end of a request's head to the end of its body. Default: 10 s.
    pub body: Duration,
    /// So much of its body must have come before a request is served, or all of it: who drips it takes no place among those who are
    /// served. Zero for a service that answers while it is still spoken to. Default: 64 KiB, as no larger body is accepted.
    pub ahead: usize,
    /// Bytes of bodies that are waited for on all connections together. Beyond it requests are served as they come. Default: 64 MiB.
    pub room: usize,
    /// From the end of a request to the first byte of the next one. HTTP/2 has `idle` for it. Default: 10 s.
    pub between: Duration,
    /// For which nobody reads an answer that waits to be sent. Default: 10 s.
    pub unread: Duration,
    /// Within a request, without a byte in either direction: as long as an answer may take. Default: 60 s.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            first_byte: Duration::from_secs(5),
            header: Duration::from_secs(9),
            body: Duration::from_secs(10),
            ahead: body::LIMIT,
            room: 64 * 1024 * 1024,
            between: Duration::from_secs(10),
            unread: Duration::from_secs(10),
            idle: Duration::from_secs(60),
        }
    }
}

impl Limits {
    pub(super) fn shortest(&self) -> Duration {
        let Self { first_byte, header, body, between, unread, idle, .. } = *self;
        [header, body, between, unread, idle].into_iter().fold(first_byte, Duration::min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_gives_nothing_is_cut_within_15_seconds() {
        let Limits { first_byte, header, body, between, unread, .. } = Limits::default();
        for limit in [first_byte + header, body, between, unread] {
            assert!(limit < Duration::from_secs(15), "{limit:?}");
        }
    }
}
