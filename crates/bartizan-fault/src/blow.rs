use crate::fault::{Fault, Harm};
use bartizan_core::Dice;
use bartizan_core::Instant;
use http::{HeaderMap, StatusCode};
use std::num::NonZeroUsize;
use std::time::Duration;

/// All that is done to one call.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Blow {
    pub(crate) delay: Duration,
    pub(crate) end: Option<End>,
    pub(crate) body: Option<BodyHarm>,
}

/// What ends a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum End {
    Error,
    Status(StatusCode),
    Grpc(u16),
    Hang,
    Reset,
    Panic,
    LoseReply,
}

/// What is done to the body of its answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum BodyHarm {
    Truncate(usize),
    Drip(NonZeroUsize, Duration),
}

/// What faults ask of a call.
pub(crate) struct Asked<'a> {
    pub(crate) headers: Option<&'a HeaderMap>,
    pub(crate) key: Option<String>,
}

impl Blow {
    /// Adds a fault that hits.
    pub(crate) fn add(&mut self, harm: Harm) {
        match harm {
            Harm::Delay(by) => self.delay = self.delay.saturating_add(by),
            Harm::Error => self.end(End::Error),
            Harm::Status(status) => self.end(End::Status(status)),
            Harm::Grpc(code) => self.end(End::Grpc(code)),
            Harm::Hang => self.end(End::Hang),
            Harm::Reset => self.end(End::Reset),
            Harm::Panic => self.end(End::Panic),
            Harm::LoseReply => self.end(End::LoseReply),
            Harm::Truncate(bytes) => drop(self.body.get_or_insert(BodyHarm::Truncate(bytes))),
            Harm::Drip(bytes, pause) => drop(self.body.get_or_insert(BodyHarm::Drip(bytes, pause))),
        }
    }

    /// Whether the inner service is called at all.
    pub(crate) fn calls(&self) -> bool {
        matches!(self.end, None | Some(End::LoseReply))
    }

    fn end(&mut self, end: End) {
        self.end.get_or_insert(end);
    }
}

impl Fault {
    /// Whether it hits a call `now`, when it was put in at `since`. Throws the dice only if everything else fits.
    pub(crate) fn hits(&self, since: Instant, now: Instant, asked: &Asked<'_>, dice: &Dice) -> bool {
        now.saturating_duration_since(since) >= self.after
            && !self.is_over(since, now)
            && self.fits(asked)
            && dice.hits(self.share)
    }

    /// Whether its time is over.
    pub(crate) fn is_over(&self, since: Instant, now: Instant) -> bool {
        let end = self.lasting.and_then(|lasting| self.after.checked_add(lasting));
        end.is_some_and(|end| now.saturating_duration_since(since) >= end)
    }

    fn fits(&self, asked: &Asked<'_>) -> bool {
        let header = self.header.as_ref().is_none_or(|(name, value)| {
            asked.headers.is_some_and(|headers| headers.get_all(name).iter().any(|given| given == value))
        });
        header && self.key.as_deref().is_none_or(|key| asked.key.as_deref() == Some(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    const NOBODY: Asked<'_> = Asked { headers: None, key: None };

    #[test]
    fn a_fault_has_its_time() {
        let since = Instant::now();
        let secs = |secs| Duration::from_secs(secs);
        let fault = Fault::hang().after(secs(10)).lasting(secs(5));
        let dice = Dice::new(Some(0));
        for (at, hits) in [(0, false), (9, false), (10, true), (14, true), (15, false), (60, false)] {
            assert_eq!(fault.hits(since, since + secs(at), &NOBODY, &dice), hits, "{at} s");
        }
        assert!(Fault::hang().hits(since, since + secs(1_000_000), &NOBODY, &dice), "it lasts until lifted");
        assert!(!Fault::hang().lasting(Duration::MAX).after(secs(1)).is_over(since, since + secs(9)));
    }

    #[test]
    fn restrictions_join() {
        let (now, dice) = (Instant::now(), Dice::new(Some(0)));
        let name = HeaderName::from_static("x-canary");
        let fault = Fault::error().header(name.clone(), HeaderValue::from_static("yes")).key("tenant-7");
        let mut headers = HeaderMap::new();
        headers.append(name.clone(), HeaderValue::from_static("no"));
        let hits = |headers: &HeaderMap, key: Option<&str>| {
            let asked = Asked { headers: Some(headers), key: key.map(str::to_owned) };
            fault.hits(now, now, &asked, &dice)
        };
        assert!(!hits(&headers, Some("tenant-7")));
        headers.append(name, HeaderValue::from_static("yes"));
        assert!(hits(&headers, Some("tenant-7")));
        assert!(!hits(&headers, Some("tenant-8")));
        assert!(!hits(&headers, None));
        assert!(!fault.hits(now, now, &NOBODY, &dice));
    }

    #[test]
    fn delays_add_up_and_the_first_end_wins() {
        let mut blow = Blow::default();
        let (ms, two) = (Duration::from_millis(5), NonZeroUsize::MIN.saturating_add(1));
        for harm in [
            Harm::Delay(ms),
            Harm::Hang,
            Harm::Error,
            Harm::Delay(ms),
            Harm::Drip(two, ms),
            Harm::Truncate(3),
        ] {
            blow.add(harm);
        }
        let body = Some(BodyHarm::Drip(two, ms));
        assert_eq!(blow, Blow { delay: ms * 2, end: Some(End::Hang), body });
    }
}
