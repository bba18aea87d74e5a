use crate::heard::METADATA;
use crate::metric::{Kind, LayerMetrics, Many};
use bartizan_core::TimesSnapshot;
use metrics::{Key, Label, Recorder, SharedString};
use std::time::Duration;

/// All series of one layer and name. It adds up what the layers of that name have to say, and tells it to a recorder.
pub(crate) struct Group {
    pub(crate) table: &'static LayerMetrics,
    series: Vec<(Key, Sum)>,
    states: Vec<(Key, u64)>,
    /// Layers of this name that were alive in this round.
    alive: usize,
    /// Whether the gauges were told that there is none any more.
    quiet: bool,
}

/// What the layers of a name come to in one series.
enum Sum {
    /// How much more it is than the last time.
    Counter(u64),
    /// The number if there is one, and whether there ever was.
    Gauge(Many, Option<f64>, bool),
    /// What was counted since the last time.
    Histogram(Box<TimesSnapshot>),
}

impl Sum {
    fn of(kind: Kind) -> Self {
        match kind {
            Kind::Counter => Self::Counter(0),
            Kind::Gauge(many) => Self::Gauge(many, None, false),
            Kind::Histogram => Self::Histogram(Box::default()),
        }
    }
}

impl Group {
    pub(crate) fn new(table: &'static LayerMetrics, name: &str) -> Self {
        let name = Label::new("name", name.to_owned());
        let key = |metric: SharedString, label: Option<(&'static str, &'static str)>| {
            let label = label.map(|(label, value)| Label::from_static_parts(label, value));
            Key::from_parts(metric, [name.clone()].into_iter().chain(label).collect::<Vec<_>>())
        };
        let series = table.series().map(|(metric, _, value)| {
            (key(metric.name.into(), metric.label().zip(value)), Sum::of(metric.kind))
        });
        let state: SharedString = state_name(table).into();
        let states = table.states.iter().map(|value| (key(state.clone(), Some(("state", *value))), 0));
        Self { table, series: series.collect(), states: states.collect(), alive: 0, quiet: false }
    }

    /// Counts a layer that is in this state.
    pub(crate) fn is_in(&mut self, state: &str) {
        self.alive += 1;
        self.quiet = false;
        let at = self.table.states.iter().position(|known| *known == state);
        if let Some((_, count)) = at.and_then(|at| self.states.get_mut(at)) {
            *count += 1;
        }
    }

    pub(crate) fn count(&mut self, place: usize, more: u64) {
        if let Some((_, Sum::Counter(sum))) = self.series.get_mut(place) {
            *sum = sum.saturating_add(more);
        }
    }

    pub(crate) fn show(&mut self, place: usize, number: f64) {
        if let Some((_, Sum::Gauge(many, sum, is_known))) = self.series.get_mut(place) {
            *sum = Some(sum.map_or(number, |sum| many.of(sum, number)));
            *is_known = true;
        }
    }

    pub(crate) fn record(&mut self, place: usize, more: &TimesSnapshot) {
        if let Some((_, Sum::Histogram(sum))) = self.series.get_mut(place) {
            **sum = sum.and(more);
        }
    }

    /// Tells all of it, and begins anew. Of a name that nobody has any more, the gauges are told once that they are zero.
    pub(crate) fn tell(&mut self, recorder: &dyn Recorder) {
        if std::mem::replace(&mut self.quiet, self.alive == 0) {
            return;
        }
        self.alive = 0;
        for (key, sum) in &mut self.series {
            match sum {
                Sum::Counter(more) => {
                    let more = std::mem::take(more);
                    recorder.register_counter(key, &METADATA).increment(more);
                }
                // One that has gone is zero, and of one that never was there is no series.
                Sum::Gauge(_, number, true) => {
                    recorder.register_gauge(key, &METADATA).set(number.take().unwrap_or_default());
                }
                Sum::Gauge(..) => {}
                Sum::Histogram(times) => {
                    let histogram = recorder.register_histogram(key, &METADATA);
                    each(times, |seconds, count| histogram.record_many(seconds, count));
                    **times = TimesSnapshot::default();
                }
            }
        }
        for (key, count) in &mut self.states {
            #[allow(clippy::cast_precision_loss, reason = "there are not that many layers")]
            recorder.register_gauge(key, &METADATA).set(std::mem::take(count) as f64);
        }
    }
}

pub(crate) fn state_name(table: &LayerMetrics) -> String {
    format!("bartizan.{}.state", table.layer)
}

/// Lengths of time that are told of one histogram at once, at most. A recorder may keep each by itself until it is read, in 24 bytes that
/// of Prometheus: these are 6 MiB. A publish each 15 s tells all of 17 000 calls a second.
const MOST: u64 = 1 << 18;

/// Each bucket that holds something: the middle of it in seconds, so that sums come out right, and how many of it are told. Of more than
/// [`MOST`] that many are, in proportion: up to each bucket, and so up to each quantile, it is right to one. The longest is always told.
fn each(times: &TimesSnapshot, mut tell: impl FnMut(f64, usize)) {
    let all = times.count();
    let share = |seen: u64| {
        let share = u128::from(seen) * u128::from(all.min(MOST)) / u128::from(all.max(1));
        // It is at most `MOST`.
        usize::try_from(share).unwrap_or(usize::MAX)
    };
    let (mut before, mut seen) = (Duration::ZERO, 0);
    for (end, count) in times.buckets() {
        // The last has no end, and is as wide as the one before it.
        let end = end.unwrap_or(before * 6 / 5);
        let told = share(seen + count) - share(seen);
        if told > 0 {
            tell(((before + end) / 2).as_secs_f64(), told);
        }
        (before, seen) = (end, seen + count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_core::Times;

    fn of(times: &[Duration]) -> TimesSnapshot {
        let counted = Times::new();
        times.iter().for_each(|time| counted.record(*time));
        counted.snapshot()
    }

    fn told(times: &TimesSnapshot) -> Vec<(f64, usize)> {
        let mut told = Vec::new();
        each(times, |seconds, count| told.push((seconds, count)));
        told
    }

    #[test]
    fn a_length_of_time_is_told_within_its_bucket() {
        let ten = Duration::from_millis(10);
        let told = told(&of(&[Duration::ZERO, ten, ten, Duration::MAX]));
        assert_eq!(told.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [1, 2, 1]);
        assert!(told[0].0 < 1e-6 && (0.008..0.0125).contains(&told[1].0) && told[2].0 > 60.0, "{told:?}");
    }

    #[test]
    fn of_very_many_a_bounded_number_is_told_in_proportion() {
        let (short, long) = (Duration::from_millis(1), Duration::from_secs(1));
        let counts = |times: &TimesSnapshot| told(times).iter().map(|(_, count)| *count).collect::<Vec<_>>();
        // Doubled until it is what no recorder could hold.
        let many = (0..40).fold(of(&[short, short, short, long]), |times, _| times.and(&times));
        assert_eq!(counts(&many), [3 << 16, 1 << 16]);
        let many = many.and(&of(&[Duration::MAX]));
        assert_eq!(counts(&many), [(3 << 16) - 1, 1 << 16, 1], "the longest is told as well");
    }

    #[test]
    fn as_many_as_are_told_at_most_are_all_told() {
        let times = (0..18).fold(of(&[Duration::from_millis(1)]), |times, _| times.and(&times));
        assert_eq!(told(&times).iter().map(|(_, count)| *count as u64).collect::<Vec<_>>(), [MOST]);
    }
}
