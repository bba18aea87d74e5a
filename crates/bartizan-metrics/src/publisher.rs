use crate::group::{Group, state_name};
use crate::heard::is_kept;
use crate::metric::{Kind, LayerMetrics};
use crate::table::{LAYERS, table_of};
use bartizan_core::TimesSnapshot;
use bartizan_core::registry::{Observed, handles};
use metrics::{Recorder, with_recorder};
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// The names of one kind of layer that have metrics of their own; all further ones are [`OTHER`] together.
pub(crate) const MAX_NAMES: usize = 1000;
pub(crate) const OTHER: &str = "other";

/// A limit that is none is the largest `usize`, and is not shown.
#[allow(clippy::cast_precision_loss, reason = "what is near it is no limit either")]
const NO_BOUND: f64 = usize::MAX as f64;

/// The gauge that is told first. Where nobody keeps it, nothing else is read.
pub(crate) const ALIVE: &str = "bartizan.layers";

/// What was told so far: of every layer that is alive what it had counted then, and the series of every name that there ever was.
#[derive(Default)]
pub(crate) struct Publisher {
    described: bool,
    round: u64,
    /// By the address of the state, which nobody else has while it is held weakly.
    seen: HashMap<usize, Seen>,
    groups: Vec<Group>,
    by_name: HashMap<(&'static str, Box<str>), usize>,
    names: HashMap<&'static str, usize>,
}

struct Seen {
    _held: Weak<dyn Observed>,
    group: usize,
    /// What it had counted, at the places of its layer's series.
    last: Vec<Last>,
    round: u64,
}

#[derive(Clone, Default)]
enum Last {
    #[default]
    Nothing,
    Count(u64),
    Times(Box<TimesSnapshot>),
}

impl Publisher {
    pub(crate) fn publish(&mut self) {
        let handles = handles();
        #[allow(clippy::cast_precision_loss, reason = "there are not that many layers")]
        if !is_kept(ALIVE, handles.len() as f64) {
            return;
        }
        with_recorder(|recorder| {
            if !std::mem::replace(&mut self.described, true) {
                describe(recorder);
            }
            self.round += 1;
            for handle in &handles {
                if let Some(table) = table_of(handle.layer()) {
                    self.look(handle, table);
                }
            }
            self.seen.retain(|_, seen| seen.round == self.round);
            self.groups.iter_mut().for_each(|group| group.tell(recorder));
        });
    }

    fn look(&mut self, handle: &Arc<dyn Observed>, table: &'static LayerMetrics) {
        let address = Arc::as_ptr(handle).cast::<()>().addr();
        let group = match self.seen.get(&address) {
            Some(seen) => seen.group,
            None => self.group(table, handle.name()),
        };
        let seen = self.seen.entry(address).or_insert_with(|| Seen {
            _held: Arc::downgrade(handle),
            group,
            last: vec![Last::Nothing; table.series().count()],
            round: 0,
        });
        seen.round = self.round;
        let group = &mut self.groups[group];
        group.is_in(handle.state());
        handle.numbers(&mut |name, number| {
            let Some((place, metric)) = table.place(name, false) else { return };
            match metric.kind {
                Kind::Counter => group.count(place, seen.more(place, number)),
                Kind::Gauge(_) if number < NO_BOUND => group.show(place, number),
                Kind::Gauge(_) | Kind::Histogram => {}
            }
        });
        handle.times(&mut |name, times| {
            if let Some((place, _)) = table.place(name, true) {
                group.record(place, &seen.since(place, times));
            }
        });
    }

    /// The group of a name, without what follows a slash.
    fn group(&mut self, table: &'static LayerMetrics, name: &str) -> usize {
        let name = name.split('/').next().unwrap_or_default();
        let known =
            |by_name: &HashMap<_, usize>, name: &str| by_name.get(&(table.layer, name.into())).copied();
        if let Some(group) = known(&self.by_name, name) {
            return group;
        }
        let names = self.names.entry(table.layer).or_default();
        let name = if *names < MAX_NAMES { name } else { OTHER };
        if let Some(group) = known(&self.by_name, name) {
            return group;
        }
        *names += 1;
        self.groups.push(Group::new(table, name));
        self.by_name.insert((table.layer, name.into()), self.groups.len() - 1);
        self.groups.len() - 1
    }
}

impl Seen {
    /// How much a counter has grown. One that is smaller than it was has begun anew.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it counts, from zero up")]
    fn more(&mut self, place: usize, number: f64) -> u64 {
        let now = number as u64;
        match std::mem::replace(&mut self.last[place], Last::Count(now)) {
            Last::Count(before) if before <= now => now - before,
            _ => now,
        }
    }

    /// What was counted since the last time.
    fn since(&mut self, place: usize, now: TimesSnapshot) -> TimesSnapshot {
        match std::mem::replace(&mut self.last[place], Last::Times(Box::new(now))) {
            Last::Times(before) => now.since(&before),
            _ => now,
        }
    }
}

/// Tells a recorder what each metric is and what it is counted in.
pub(crate) fn describe(recorder: &dyn Recorder) {
    let things = |thing| crate::Unit::Of(thing).told();
    recorder.describe_gauge(ALIVE.into(), things("layer"), "Named layers that are alive.".into());
    for table in LAYERS {
        if !table.states.is_empty() {
            let state = state_name(table).into();
            recorder.describe_gauge(state, things("layer"), "Layers of that name in that state.".into());
        }
        for metric in table.metrics {
            let (name, unit, meaning) = (metric.name.into(), metric.unit.told(), metric.meaning.into());
            match metric.kind {
                Kind::Counter => recorder.describe_counter(name, unit, meaning),
                Kind::Gauge(_) => recorder.describe_gauge(name, unit, meaning),
                Kind::Histogram => recorder.describe_histogram(name, unit, meaning),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_core::{Times, registry};
    use metrics::with_local_recorder;
    use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
    use std::sync::{Mutex, MutexGuard, PoisonError};
    use std::time::Duration;

    /// A meter that shows what it is told to.
    #[derive(Debug)]
    struct Fake {
        name: String,
        shown: Mutex<(f64, f64, &'static str)>,
        times: Times,
    }

    impl Observed for Fake {
        fn layer(&self) -> &'static str {
            "meter"
        }
        fn name(&self) -> &str {
            &self.name
        }
        fn state(&self) -> &'static str {
            self.shown.lock().expect("nobody panics").2
        }
        fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
            let (successes, in_flight, _) = *self.shown.lock().expect("nobody panics");
            show("successes", successes);
            show("in_flight", in_flight);
            show("of another table", 1.0);
        }
        fn times(&self, show: &mut dyn FnMut(&'static str, TimesSnapshot)) {
            show("duration_seconds", self.times.snapshot());
        }
    }

    fn fake(name: &str, successes: f64, in_flight: f64) -> Arc<Fake> {
        let shown = Mutex::new((successes, in_flight, "enabled"));
        let fake = Arc::new(Fake { name: name.to_owned(), shown, times: Times::new() });
        let observed: Arc<dyn Observed> = fake.clone();
        registry::register(&observed);
        fake
    }

    /// One test at a time: whoever looks at the registry holds what is in it, and there it would be alive.
    fn alone() -> MutexGuard<'static, ()> {
        static ALONE: Mutex<()> = Mutex::new(());
        ALONE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A publisher and what keeps what it tells.
    struct House(
        Publisher,
        PrometheusRecorder,
        PrometheusHandle,
        #[allow(dead_code, reason = "it is held")] MutexGuard<'static, ()>,
    );

    impl House {
        fn new() -> Self {
            let builder = PrometheusBuilder::new().with_recommended_naming(true);
            let times = Matcher::Suffix("_duration".into());
            let recorder =
                builder.set_buckets_for_metric(times, &crate::BUCKETS).expect("buckets").build_recorder();
            let handle = recorder.handle();
            Self(Publisher::default(), recorder, handle, alone())
        }

        /// Publishes, and returns the number of a series, by what stands before it.
        fn publish(&mut self) -> impl Fn(&str) -> Option<f64> + use<> {
            with_local_recorder(&self.1, || self.0.publish());
            let page = self.2.render();
            move |series| {
                let mut lines = page.lines().filter_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
                lines.next().map(|number| number.parse().expect("a number"))
            }
        }
    }

    #[test]
    fn layers_of_a_name_add_up_and_what_they_counted_outlives_them() {
        let mut house = House::new();
        let (one, two) = (fake("adds/one", 3.0, 1.0), fake("adds/two", 4.0, 1.0));
        let calls = r#"bartizan_meter_calls_total{name="adds",outcome="success"}"#;
        let in_flight = r#"bartizan_meter_in_flight{name="adds"}"#;
        let enabled = r#"bartizan_meter_state{name="adds",state="enabled"}"#;
        let told = house.publish();
        assert_eq!((told(calls), told(in_flight), told(enabled)), (Some(7.0), Some(2.0), Some(2.0)));
        two.shown.lock().expect("nobody panics").0 = 5.0;
        two.shown.lock().expect("nobody panics").2 = "disabled";
        drop(one);
        let told = house.publish();
        assert_eq!((told(calls), told(in_flight), told(enabled)), (Some(8.0), Some(1.0), Some(0.0)));
        assert_eq!(told(r#"bartizan_meter_state{name="adds",state="disabled"}"#), Some(1.0));
        drop(two);
        let told = house.publish();
        assert_eq!((told(calls), told(in_flight)), (Some(8.0), Some(0.0)));
        let _again = fake("adds", 2.0, 0.0);
        assert_eq!(house.publish()(calls), Some(10.0));
    }

    #[test]
    fn a_counter_that_begins_anew_goes_on() {
        let mut house = House::new();
        let fake = fake("anew", 9.0, 0.0);
        let calls = r#"bartizan_meter_calls_total{name="anew",outcome="success"}"#;
        assert_eq!(house.publish()(calls), Some(9.0));
        assert_eq!(house.publish()(calls), Some(9.0));
        fake.shown.lock().expect("nobody panics").0 = 2.0;
        assert_eq!(house.publish()(calls), Some(11.0));
    }

    #[test]
    fn what_is_never_shown_has_no_series() {
        let mut house = House::new();
        let fake = fake("sparse", 0.0, NO_BOUND);
        let in_flight = r#"bartizan_meter_in_flight{name="sparse"}"#;
        assert_eq!(house.publish()(in_flight), None);
        fake.shown.lock().expect("nobody panics").1 = 3.0;
        assert_eq!(house.publish()(in_flight), Some(3.0));
        fake.shown.lock().expect("nobody panics").1 = f64::INFINITY;
        assert_eq!(house.publish()(in_flight), Some(0.0));
    }

    #[test]
    fn times_come_once_and_in_their_buckets() {
        let mut house = House::new();
        let fake = fake("times", 0.0, 0.0);
        let within =
            |bound: f64| format!(r#"bartizan_meter_duration_seconds_bucket{{name="times",le="{bound}"}}"#);
        let count = r#"bartizan_meter_duration_seconds_count{name="times"}"#;
        for _ in 0..10 {
            fake.times.record(Duration::from_secs_f64(crate::BUCKETS[3]));
        }
        let told = house.publish();
        assert_eq!(
            (told(&within(crate::BUCKETS[2])), told(&within(crate::BUCKETS[3]))),
            (Some(0.0), Some(10.0))
        );
        fake.times.record(Duration::ZERO);
        let told = house.publish();
        assert_eq!((told(count), told(&within(crate::BUCKETS[0]))), (Some(11.0), Some(1.0)));
        let sum = told(r#"bartizan_meter_duration_seconds_sum{name="times"}"#).expect("a sum");
        let exact = 10.0 * crate::BUCKETS[3];
        assert!((0.8..=1.0).contains(&(sum / exact)), "{sum}");
    }

    #[test]
    fn without_a_recorder_nothing_is_read() {
        let _alone = alone();
        let _fake = fake("unread", 1.0, 0.0);
        let mut publisher = Publisher::default();
        publisher.publish();
        assert!(publisher.groups.is_empty() && publisher.seen.is_empty() && !publisher.described);
    }
}
