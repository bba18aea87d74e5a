//! What is no layer of calls, in Prometheus' text format: heartbeats, and what processes have used.

use super::super::process::Figures;
use bartizan::core::registry::{self, Observed};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

/// A number that some of what is shown has.
struct Series {
    layer: &'static str,
    number: &'static str,
    metric: &'static str,
    kind: &'static str,
    help: &'static str,
}

const fn gauge(
    layer: &'static str,
    number: &'static str,
    metric: &'static str,
    help: &'static str,
) -> Series {
    Series { layer, number, metric, kind: "gauge", help }
}

const fn counter(
    layer: &'static str,
    number: &'static str,
    metric: &'static str,
    help: &'static str,
) -> Series {
    Series { layer, number, metric, kind: "counter", help }
}

const CPU: &str = "process_cpu_seconds_total";
const MEMORY: &str = "process_resident_memory_bytes";

const ALL: [Series; 9] = [
    gauge("service", "ready", "shop_service_ready", "1 while the instance says that it is ready."),
    gauge(
        "service",
        "heartbeat_age_seconds",
        "shop_service_heartbeat_age_seconds",
        "Since the instance said last that it is ready.",
    ),
    counter("service", "restarts", "shop_service_restarts_total", "Starts in the place of another."),
    counter("service", "falls", "shop_service_falls_total", "Times that the instance ended by itself."),
    gauge("store", "answers", "shop_store_up", "1 while the store answers."),
    gauge("store", "answer_seconds", "shop_store_answer_seconds", "How long the store's last answer took."),
    gauge(
        "store",
        "heartbeat_age_seconds",
        "shop_store_heartbeat_age_seconds",
        "Since the store answered last.",
    ),
    counter("service", "cpu_seconds", CPU, "Total user and system CPU time spent in seconds."),
    gauge("service", "resident_bytes", MEMORY, "Resident memory size in bytes."),
];

/// All of it, at this moment. A process of its own has its instance as a label, and this one has none.
pub(super) fn text() -> String {
    write(&registry::handles(), Figures::own())
}

fn write(handles: &[Arc<dyn Observed>], own: Option<Figures>) -> String {
    let mut text = String::new();
    for Series { layer, number, metric, kind, help } in &ALL {
        // Of two of a name, one takes over from the other: the later one is told.
        let mut samples = BTreeMap::new();
        for handle in handles.iter().filter(|handle| handle.layer() == *layer) {
            handle.numbers(&mut |name, value| {
                if name == *number {
                    samples.insert(handle.name(), value);
                }
            });
        }
        let own = match *metric {
            CPU => own.map(|own| own.cpu_seconds),
            MEMORY => own.map(|own| own.resident_bytes),
            _ => None,
        };
        if samples.is_empty() && own.is_none() {
            continue;
        }
        // A text takes whatever is written to it.
        let _ = writeln!(text, "# HELP {metric} {help}\n# TYPE {metric} {kind}");
        if let Some(own) = own {
            let _ = writeln!(text, "{metric} {own}");
        }
        for (name, value) in samples {
            let _ = writeln!(text, "{metric}{{{layer}=\"{name}\"}} {value}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Instance(&'static str, f64, Option<f64>);

    impl Observed for Instance {
        fn layer(&self) -> &'static str {
            "service"
        }
        fn name(&self) -> &str {
            self.0
        }
        fn state(&self) -> &'static str {
            "up"
        }
        fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
            show("restarts", self.1);
            self.2.into_iter().for_each(|bytes| show("resident_bytes", bytes));
        }
    }

    #[test]
    fn a_series_is_told_once_and_only_where_there_is_a_number() {
        let instance = |name, restarts, bytes| Arc::new(Instance(name, restarts, bytes)) as Arc<dyn Observed>;
        let handles =
            [instance("user", 1.0, Some(2048.0)), instance("mail", 0.0, None), instance("user", 2.0, None)];
        let own = Figures { cpu_seconds: 0.25, resident_bytes: 4096.0 };
        let help = |metric: &str| ALL.iter().find(|series| series.metric == metric).unwrap().help;
        assert_eq!(
            write(&handles, Some(own)),
            format!(
                "# HELP shop_service_restarts_total {}\n# TYPE shop_service_restarts_total counter\n\
                 shop_service_restarts_total{{service=\"mail\"}} 0\n\
                 shop_service_restarts_total{{service=\"user\"}} 2\n\
                 # HELP {CPU} {}\n# TYPE {CPU} counter\n{CPU} 0.25\n\
                 # HELP {MEMORY} {}\n# TYPE {MEMORY} gauge\n{MEMORY} 4096\n{MEMORY}{{service=\"user\"}} 2048\n",
                help("shop_service_restarts_total"),
                help(CPU),
                help(MEMORY),
            )
        );
        assert_eq!(write(&[], None), "");
    }
}
