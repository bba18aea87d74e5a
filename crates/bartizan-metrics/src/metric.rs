use std::fmt;

/// All metrics of one kind of layer.
#[derive(Clone, Copy, Debug)]
pub struct LayerMetrics {
    pub(crate) layer: &'static str,
    pub(crate) states: &'static [&'static str],
    pub(crate) metrics: &'static [Metric],
    pub(crate) left_out: &'static [&'static str],
}

impl LayerMetrics {
    /// The layer, as the registry names it.
    #[must_use]
    pub const fn layer(&self) -> &'static str {
        self.layer
    }

    /// The states that it may be in, as the registry names them. Of each, the gauge `bartizan.<layer>.state` tells how many of a name are in it.
    #[must_use]
    pub const fn states(&self) -> &'static [&'static str] {
        self.states
    }

    /// Its metrics, but for the states.
    #[must_use]
    pub const fn metrics(&self) -> &'static [Metric] {
        self.metrics
    }

    /// Numbers of the registry that are in no metric, as others that are say the same.
    #[must_use]
    pub const fn left_out(&self) -> &'static [&'static str] {
        self.left_out
    }

    /// Every metric of the layer with each of its numbers and the value of its label, in the order in which a group holds them.
    pub(crate) fn series(
        &self,
    ) -> impl Iterator<Item = (&'static Metric, &'static str, Option<&'static str>)> + use<> {
        self.metrics
            .iter()
            .flat_map(|metric| metric.numbers().map(move |(number, value)| (metric, number, value)))
    }

    /// The place of a number among the series, or of lengths of time.
    pub(crate) fn place(&self, number: &str, is_time: bool) -> Option<(usize, &'static Metric)> {
        let mut series = self.series().map(|(metric, number, _)| (metric, number)).enumerate();
        let is_it = |metric: &Metric, known| known == number && (metric.kind == Kind::Histogram) == is_time;
        series.find(|(_, (metric, known))| is_it(metric, *known)).map(|(place, (metric, _))| (place, metric))
    }
}

/// One metric: its name, kind, unit, label and meaning.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) unit: Unit,
    pub(crate) of: Of,
    pub(crate) meaning: &'static str,
}

/// Which numbers of the registry a metric shows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Of {
    One(&'static str),
    /// Several, with a label and its value for each.
    Each(&'static str, &'static [(&'static str, &'static str)]),
}

impl Metric {
    pub(crate) const fn new(kind: Kind, name: &'static str, unit: Unit) -> Self {
        Self { name, kind, unit, of: Of::One(""), meaning: "" }
    }

    pub(crate) const fn of(mut self, number: &'static str) -> Self {
        self.of = Of::One(number);
        self
    }

    pub(crate) const fn by(
        mut self,
        label: &'static str,
        of: &'static [(&'static str, &'static str)],
    ) -> Self {
        self.of = Of::Each(label, of);
        self
    }

    pub(crate) const fn says(mut self, meaning: &'static str) -> Self {
        self.meaning = meaning;
        self
    }

    /// Its name, with dots, without unit and without `_total`: what exports it to Prometheus adds both, as OpenTelemetry has it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What kind of metric it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// What it is counted in.
    #[must_use]
    pub const fn unit(&self) -> Unit {
        self.unit
    }

    /// The label that it has beside `name`, if it has one.
    #[must_use]
    pub const fn label(&self) -> Option<&'static str> {
        match self.of {
            Of::One(_) => None,
            Of::Each(label, _) => Some(label),
        }
    }

    /// The numbers of the registry that it shows, each with the value of the label if there is one.
    pub fn numbers(&self) -> impl Iterator<Item = (&'static str, Option<&'static str>)> + use<> {
        let (one, each) = match self.of {
            Of::One(number) => (Some((number, None)), &[][..]),
            Of::Each(_, each) => (None, each),
        };
        one.into_iter().chain(each.iter().map(|(number, value)| (*number, Some(*value))))
    }

    /// What it says, in a sentence.
    #[must_use]
    pub const fn meaning(&self) -> &'static str {
        self.meaning
    }

    /// Its name in Prometheus, as the exporter of the crate `metrics` writes it with its recommended naming.
    #[must_use]
    pub fn prometheus(&self) -> String {
        let unit = match self.unit {
            Unit::Seconds => "_seconds",
            Unit::Bytes => "_bytes",
            Unit::Of(_) | Unit::Ratio => "",
        };
        let total = if self.kind == Kind::Counter { "_total" } else { "" };
        format!("{}{unit}{total}", self.name.replace('.', "_"))
    }
}

/// What kind of metric it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge(Many),
    /// Lengths of time, in buckets that end at [`BUCKETS`](crate::BUCKETS) and between them.
    Histogram,
}

/// What a gauge shows of several layers of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Many {
    /// The sum of all.
    Sum,
    /// The largest.
    Most,
    /// The smallest.
    Least,
}

impl Many {
    pub(crate) fn of(self, one: f64, other: f64) -> f64 {
        match self {
            Self::Sum => one + other,
            Self::Most => one.max(other),
            Self::Least => one.min(other),
        }
    }
}

/// What a metric is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// A share, in `0.0..=1.0`, or another number without a unit.
    Ratio,
    /// Things of this name.
    Of(&'static str),
}

impl Unit {
    pub(crate) const fn told(self) -> Option<metrics::Unit> {
        match self {
            Self::Seconds => Some(metrics::Unit::Seconds),
            Self::Bytes => Some(metrics::Unit::Bytes),
            Self::Ratio => None,
            Self::Of(_) => Some(metrics::Unit::Count),
        }
    }
}

/// The unit in UCUM, as OpenTelemetry writes it: `s`, `By`, `1`, `{call}`.
impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seconds => f.write_str("s"),
            Self::Bytes => f.write_str("By"),
            Self::Ratio => f.write_str("1"),
            Self::Of(thing) => write!(f, "{{{thing}}}"),
        }
    }
}

/// One word: `counter`, `gauge`, `histogram`.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Gauge(_) => "gauge",
            Self::Histogram => "histogram",
        })
    }
}
