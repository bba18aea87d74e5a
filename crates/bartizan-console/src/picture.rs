use axum::body::Bytes;
use bartizan_core::TimesSnapshot;
use bartizan_core::registry::Observed;
use serde::ser::{Serialize, SerializeMap, SerializeStruct, Serializer};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

const DATA: &[u8] = b"data: ";
const END: &[u8] = b"\n\n";

/// The handles as an array in JSON.
pub(crate) fn json(handles: &[Arc<dyn Observed>]) -> Vec<u8> {
    let shown: Vec<Shown<'_>> = handles.iter().map(|handle| Shown(&**handle)).collect();
    serde_json::to_vec(&shown).expect(WRITABLE)
}

/// One handle as an object in JSON.
pub(crate) fn one(handle: &dyn Observed) -> Vec<u8> {
    serde_json::to_vec(&Shown(handle)).expect(WRITABLE)
}

const WRITABLE: &str = "texts and numbers can always be written";

/// The handles as a server-sent event.
pub(crate) fn event(handles: &[Arc<dyn Observed>]) -> Bytes {
    // A line break within a text is written as `\n`, so that the whole is one line.
    let json = json(handles);
    // The history keeps it, and with it all that it was given.
    let mut event = Vec::with_capacity(DATA.len() + json.len() + END.len());
    [DATA, &json, END].into_iter().for_each(|part| event.extend_from_slice(part));
    event.into()
}

/// What an event has as its data.
pub(crate) fn data(event: &Bytes) -> Bytes {
    event.slice(DATA.len()..event.len() - END.len())
}

/// Differs when the state of a handle does, or when one comes or goes.
pub(crate) fn states(handles: &[Arc<dyn Observed>]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for handle in handles {
        (handle.layer(), handle.name(), handle.state()).hash(&mut hasher);
    }
    hasher.finish()
}

struct Shown<'a>(&'a dyn Observed);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut shown = serializer.serialize_struct("Shown", 8)?;
        shown.serialize_field("layer", self.0.layer())?;
        shown.serialize_field("name", self.0.name())?;
        shown.serialize_field("state", self.0.state())?;
        shown.serialize_field("note", &self.0.note())?;
        shown.serialize_field("numbers", &Entries(|show: &mut Show<'_>| self.0.numbers(show)))?;
        shown.serialize_field("times", &Times(self.0))?;
        shown.serialize_field("verbs", self.0.verbs())?;
        shown.serialize_field("settings", &Entries(|show: &mut Show<'_>| self.0.settings(show)))?;
        shown.end()
    }
}

type Show<'a> = dyn FnMut(&'static str, f64) + 'a;

/// What a handle shows of its numbers or settings.
struct Entries<F>(F);

impl<F: Fn(&mut Show<'_>)> Serialize for Entries<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut entries = serializer.serialize_map(None)?;
        let mut written = Ok(());
        (self.0)(&mut |name, number| {
            if written.is_ok() {
                written = entries.serialize_entry(name, &Number(number));
            }
        });
        written?;
        entries.end()
    }
}

struct Times<'a>(&'a dyn Observed);

impl Serialize for Times<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut times = serializer.serialize_map(None)?;
        let mut written = Ok(());
        self.0.times(&mut |name, snapshot| {
            if written.is_ok() {
                written = times.serialize_entry(name, &Time(&snapshot));
            }
        });
        written?;
        times.end()
    }
}

struct Time<'a>(&'a TimesSnapshot);

impl Serialize for Time<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut time = serializer.serialize_struct("Time", 5)?;
        time.serialize_field("count", &self.0.count())?;
        for (name, quantile) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)] {
            time.serialize_field(name, &self.0.quantile(quantile).as_ref().map(Duration::as_secs_f64))?;
        }
        // Those that are not empty: a reader takes the difference of two looks, and has the quantiles of the time between.
        let filled = self.0.buckets().filter(|(_, count)| *count > 0);
        let buckets: Vec<_> = filled.map(|(end, count)| (end.map(|end| end.as_secs_f64()), count)).collect();
        time.serialize_field("buckets", &buckets)?;
        time.end()
    }
}

struct Number(f64);

impl Serialize for Number {
    #[allow(
        clippy::cast_possible_truncation,
        reason = "it is whole, and within what an `f64` counts exactly"
    )]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const EXACT: f64 = (1_u64 << f64::MANTISSA_DIGITS) as f64;
        match self.0 {
            whole if whole.fract() == 0.0 && whole.abs() < EXACT => serializer.serialize_i64(whole as i64),
            broken if broken.is_finite() => serializer.serialize_f64(broken),
            _ => serializer.serialize_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    #[derive(Debug)]
    struct Gauge(Vec<f64>);

    const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

    impl Observed for Gauge {
        fn layer(&self) -> &'static str {
            "gauge"
        }
        fn name(&self) -> &str {
            "the \"odd\"\r\n\ndata: one"
        }
        fn state(&self) -> &'static str {
            "on"
        }
        fn note(&self) -> Option<Cow<'static, str>> {
            self.0.is_empty().then_some("nothing to tell".into())
        }
        fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
            NAMES.iter().zip(&self.0).for_each(|(name, number)| show(name, *number));
        }
    }

    fn gauge(numbers: &[f64]) -> Arc<dyn Observed> {
        Arc::new(Gauge(numbers.to_vec()))
    }

    #[test]
    fn every_number_becomes_json() {
        let numbers = [-0.0, 3.0, 0.25, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
        let json = String::from_utf8(json(&[gauge(&numbers), gauge(&[])])).unwrap();
        let rest = r#","times":{},"verbs":[],"settings":{}}"#;
        let name = r#"the \"odd\"\r\n\ndata: one"#;
        assert_eq!(
            json,
            format!(
                "[{}{name}{}{rest},{}{name}{}{rest}]",
                r#"{"layer":"gauge","name":""#,
                r#"","state":"on","note":null,"numbers":{"a":0,"b":3,"c":0.25,"d":null,"e":null,"f":null}"#,
                r#"{"layer":"gauge","name":""#,
                r#"","state":"on","note":"nothing to tell","numbers":{}"#,
            )
        );
        assert_eq!(super::json(&[]), b"[]");
    }

    #[test]
    fn no_name_breaks_out_of_an_event() {
        let event = event(&[gauge(&[])]);
        let lines: Vec<_> = event.split(|byte| matches!(byte, b'\n' | b'\r')).collect();
        assert!(matches!(lines[..], [data, b"", b""] if data.starts_with(b"data: [{")), "{event:?}");
    }

    #[test]
    fn an_event_takes_no_more_than_it_holds() {
        for count in [0, 1, 2, 3, 7, 40] {
            let event = event(&(0..count).map(|_| gauge(&[0.5])).collect::<Vec<_>>());
            let len = event.len();
            assert_eq!(Vec::from(event.try_into_mut().unwrap()).capacity(), len, "{count}");
        }
    }

    #[test]
    fn what_an_event_holds_is_the_array() {
        let handles = [gauge(&[1.0]), gauge(&[])];
        assert_eq!(data(&event(&handles)), json(&handles));
        assert_ne!(states(&handles), states(&handles[..1]));
    }

    #[test]
    fn one_handle_is_told_whole() {
        let told: serde_json::Value = serde_json::from_slice(&one(&Meter)).unwrap();
        assert_eq!(told["times"]["seconds"]["count"], 3);
        assert_eq!(told["times"]["seconds"]["p50"], 1.073_741_824);
        assert_eq!(told["times"]["seconds"]["buckets"], serde_json::json!([[1.073_741_824, 2], [null, 1]]),);
        assert_eq!(
            told["times"]["nothing"],
            serde_json::json!({ "count": 0, "p50": null, "p95": null, "p99": null, "buckets": [] })
        );
        assert_eq!(
            (&told["verbs"], &told["settings"]),
            (&serde_json::json!(["reset"]), &serde_json::json!({ "open_seconds": 2.5 }))
        );
    }

    #[derive(Debug)]
    struct Meter;

    impl Observed for Meter {
        fn layer(&self) -> &'static str {
            "meter"
        }
        fn name(&self) -> &str {
            "m"
        }
        fn state(&self) -> &'static str {
            "on"
        }
        fn numbers(&self, _show: &mut dyn FnMut(&'static str, f64)) {}
        fn times(&self, show: &mut dyn FnMut(&'static str, TimesSnapshot)) {
            let times = bartizan_core::Times::new();
            show("nothing", times.snapshot());
            [1, 1, 100].into_iter().for_each(|seconds| times.record(Duration::from_secs(seconds)));
            show("seconds", times.snapshot());
        }
        fn verbs(&self) -> &'static [&'static str] {
            &["reset"]
        }
        fn settings(&self, show: &mut dyn FnMut(&'static str, f64)) {
            show("open_seconds", 2.5);
        }
    }
}
