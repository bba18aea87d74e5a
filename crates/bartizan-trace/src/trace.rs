use bartizan_core::show::Line;
use std::fmt;

/// What is traced, and how.
///
/// A request is a span: it begins when the request comes, and ends with the body of the answer. Spans of one request make a trace over
/// all services that it leads through, by a header that each hands on to the next: W3C Trace Context, level 2. What a span is called,
/// and its fields, follow the semantic conventions of OpenTelemetry for HTTP and gRPC. No span has a header, a query, a body or a
/// user; a path only where that is [asked for](Self::paths).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    pub(crate) enabled: bool,
    pub(crate) restart: bool,
    pub(crate) sampled: bool,
    pub(crate) paths: bool,
}

impl Trace {
    /// Creates a value with the defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self { enabled: true, restart: false, sampled: true, paths: false }
    }

    /// Sets whether a server begins a trace of its own for each request, and leaves the caller's header unread: for an edge where
    /// strangers call, who could else have what they like recorded, in traces of their choice. Default: `false`.
    #[must_use]
    pub const fn restart(mut self, restart: bool) -> Self {
        self.restart = restart;
        self
    }

    /// Sets whether a trace that begins here asks those who are called to record it. With the feature `opentelemetry` and a layer of it,
    /// its sampler says that. Default: `true`.
    #[must_use]
    pub const fn sampled(mut self, sampled: bool) -> Self {
        self.sampled = sampled;
        self
    }

    /// Sets whether spans have the path of the request, as `url.path`. It may hold numbers of orders and names of users. Default: `false`.
    #[must_use]
    pub const fn paths(mut self, paths: bool) -> Self {
        self.paths = paths;
        self
    }

    /// Sets whether there are spans and headers at all; a layer that is switched off hands everything through. Default: `true`.
    #[must_use]
    pub const fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }
}

impl Default for Trace {
    fn default() -> Self {
        Self::new()
    }
}

/// One line: `on`, `on, begins traces, with paths`, or `off`.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.enabled {
            return f.write_str("off");
        }
        Line::new(f)
            .add(format_args!("on"))
            .when(self.restart, format_args!("begins traces"))
            .when(!self.sampled, format_args!("unsampled"))
            .when(self.paths, format_args!("with paths"))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_what_was_set() {
        let trace = Trace::new();
        for (trace, shown) in [
            (trace, "on"),
            (trace.restart(true).paths(true), "on, begins traces, with paths"),
            (trace.sampled(false), "on, unsampled"),
            (trace.paths(true).enabled(false), "off"),
        ] {
            assert_eq!(trace.to_string(), shown);
        }
    }
}
