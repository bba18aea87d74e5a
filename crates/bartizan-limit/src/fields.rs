use crate::limit::Limit;
use bartizan_core::Name;
use std::fmt::Write;
use std::time::Duration;

/// What the header fields `RateLimit` and `RateLimit-Policy` tell (draft-ietf-httpapi-ratelimit-headers-10).
#[derive(Debug)]
pub(crate) struct Fields {
    pub(crate) name: Option<Name>,
    pub(crate) limit: Limit,
    /// The tokens left.
    pub(crate) remaining: u32,
    /// After how many nanoseconds there will be more.
    pub(crate) reset: Option<u64>,
}

impl Fields {
    /// Of an answer to a request that was let through: the bucket needs so long to be full again.
    pub(crate) fn admitted(name: Option<Name>, limit: Limit, debt: u64) -> Self {
        Self { name, limit, remaining: limit.pace().left(debt), reset: Some(debt.min(limit.pace().span)) }
    }

    /// Of a refusal: the fields tell the time that `Retry-After` tells.
    pub(crate) fn refused(name: Option<Name>, limit: Limit, wait: Option<u64>) -> Self {
        Self { name, limit, remaining: 0, reset: wait }
    }

    pub(crate) fn say(&self, say: &mut dyn FnMut(&'static str, &str)) {
        if !self.limit.is_enabled() {
            return;
        }
        let policy = quoted(self.name.as_ref().map_or("default", Name::as_str));
        let (burst, refill) = (self.limit.max_burst(), seconds(self.limit.pace().span));
        say("ratelimit-policy", &format!("{policy};q={burst};w={refill}"));
        let mut now = format!("{policy};r={}", self.remaining);
        if let Some(reset) = self.reset {
            let _ = write!(now, ";t={}", seconds(reset));
        }
        say("ratelimit", &now);
    }
}

/// Whole seconds, rounded up.
fn seconds(nanos: u64) -> u64 {
    nanos.div_ceil(Duration::from_secs(1).as_nanos() as u64)
}

/// A string of RFC 9651 (§3.3.3); what it cannot hold becomes a question mark.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            ' '..='~' => quoted.push(c),
            _ => quoted.push('?'),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fields: &Fields, policy: &str, now: &str) {
        let mut said = Vec::new();
        fields.say(&mut |name, value| said.push((name, value.to_owned())));
        let ought = [("ratelimit-policy", policy.to_owned()), ("ratelimit", now.to_owned())];
        assert_eq!(said, ought);
    }

    #[test]
    fn they_tell_the_bucket_and_what_is_left() {
        let limit = Limit::per_second(50).burst(200);
        let name = || Some(Name::from("api"));
        check(&Fields::admitted(name(), limit, 1_000_000_001), r#""api";q=200;w=4"#, r#""api";r=149;t=2"#);
        check(&Fields::admitted(None, limit, 0), r#""default";q=200;w=4"#, r#""default";r=200;t=0"#);
        check(&Fields::admitted(None, limit, u64::MAX), r#""default";q=200;w=4"#, r#""default";r=0;t=4"#);
        check(&Fields::refused(name(), limit, Some(1)), r#""api";q=200;w=4"#, r#""api";r=0;t=1"#);
        check(&Fields::refused(name(), limit, None), r#""api";q=200;w=4"#, r#""api";r=0"#);
    }

    #[test]
    fn hostile_names_are_quoted() {
        let fields = Fields::refused(Some("a\"\\\né".into()), Limit::per_second(1), None);
        check(&fields, r#""a\"\\??";q=1;w=1"#, r#""a\"\\??";r=0"#);
    }
}
