//! There are no more series than names that are allowed, however many layers there are. It is alone in its process, as the registry is one.

use bartizan_core::registry::{self, Observed};
use metrics_exporter_prometheus::PrometheusBuilder;
use std::sync::Arc;

#[derive(Debug)]
struct Meter(String);

impl Observed for Meter {
    fn layer(&self) -> &'static str {
        "meter"
    }
    fn name(&self) -> &str {
        &self.0
    }
    fn state(&self) -> &'static str {
        "enabled"
    }
    fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
        show("successes", 1.0);
    }
}

fn meter(name: String) -> Arc<dyn Observed> {
    let meter: Arc<dyn Observed> = Arc::new(Meter(name));
    registry::register(&meter);
    meter
}

#[test]
fn what_is_beyond_a_thousand_names_is_one() {
    let recorder = PrometheusBuilder::new().with_recommended_naming(true).build_recorder();
    let told = || {
        metrics::with_local_recorder(&recorder, bartizan_metrics::publish);
        let page = recorder.handle().render();
        let successes =
            |line: &&str| line.starts_with("bartizan_meter_calls_total") && line.contains(r#""success""#);
        page.lines().filter(successes).map(str::to_owned).collect::<Vec<_>>()
    };
    let other = |count| format!(r#"bartizan_meter_calls_total{{name="other",outcome="success"}} {count}"#);
    let many: Vec<_> = (0..1050).map(|n| meter(format!("many-{n}/{n}"))).collect();
    let lines = told();
    assert!(lines.contains(&other(50)));
    assert_eq!(lines.len(), 1001);
    // Names do not come free: what keeps the series keeps them.
    drop(many);
    let _late = meter("late".into());
    let lines = told();
    assert!(lines.contains(&other(51)));
    assert_eq!(lines.len(), 1001);
}
