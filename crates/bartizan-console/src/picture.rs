use axum::body::Bytes;
use bartizan_core::Instant;
use bartizan_core::registry::Observed;
use serde::ser::{Serialize, SerializeMap, SerializeStruct, Serializer};
use std::sync::{Arc, Mutex, PoisonError};

/// The handles as an array in JSON.
pub(crate) fn json(handles: &[Arc<dyn Observed>]) -> Vec<u8> {
    let shown: Vec<Shown<'_>> = handles.iter().map(|handle| Shown(&**handle)).collect();
    serde_json::to_vec(&shown).expect("texts and numbers can always be written")
}

/// The handles as a server-sent event.
pub(crate) fn event(handles: &[Arc<dyn Observed>]) -> Bytes {
    let mut event = b"data: ".to_vec();
    // A line break within a text is written as `\n`, so that the whole is one line.
    event.append(&mut json(handles));
    event.extend_from_slice(b"\n\n");
    event.into()
}

/// The last picture that was taken, for all streams.
#[derive(Debug, Default)]
pub(crate) struct Pictures(Mutex<Option<(Instant, Bytes)>>);

impl Pictures {
    /// A picture that is not older than `begun`: the last one, or one that is taken now. Who comes while it is taken waits for it.
    pub(crate) fn since(&self, begun: Instant, now: Instant, take: impl FnOnce() -> Bytes) -> Bytes {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, picture)) = last.as_ref().filter(|(taken, _)| *taken >= begun) {
            return picture.clone();
        }
        let picture = take();
        *last = Some((now, picture.clone()));
        picture
    }
}

struct Shown<'a>(&'a dyn Observed);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut shown = serializer.serialize_struct("Shown", 5)?;
        shown.serialize_field("layer", self.0.layer())?;
        shown.serialize_field("name", self.0.name())?;
        shown.serialize_field("state", self.0.state())?;
        shown.serialize_field("note", &self.0.note())?;
        shown.serialize_field("numbers", &Numbers(self.0))?;
        shown.end()
    }
}

struct Numbers<'a>(&'a dyn Observed);

impl Serialize for Numbers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut numbers = serializer.serialize_map(None)?;
        let mut written = Ok(());
        self.0.numbers(&mut |name, number| {
            if written.is_ok() {
                written = numbers.serialize_entry(name, &Number(number));
            }
        });
        written?;
        numbers.end()
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
    use std::time::Duration;

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
        let name = r#"the \"odd\"\r\n\ndata: one"#;
        assert_eq!(
            json,
            format!(
                "[{}{name}{}{}{name}{}]",
                r#"{"layer":"gauge","name":""#,
                r#"","state":"on","note":null,"numbers":{"a":0,"b":3,"c":0.25,"d":null,"e":null,"f":null}},"#,
                r#"{"layer":"gauge","name":""#,
                r#"","state":"on","note":"nothing to tell","numbers":{}}"#,
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

    #[tokio::test(start_paused = true)]
    async fn a_picture_is_taken_once_a_look() {
        let pictures = Pictures::default();
        let start = Instant::now();
        let mut taken = 0;
        for (begun, now, count) in [(0, 0, 1), (0, 0, 1), (0, 9, 1), (10, 10, 2), (10, 13, 2), (20, 25, 3)] {
            let at = |millis| start + Duration::from_millis(millis);
            pictures.since(at(begun), at(now), || {
                taken += 1;
                Bytes::new()
            });
            assert_eq!(taken, count, "at {now} ms");
        }
    }
}
