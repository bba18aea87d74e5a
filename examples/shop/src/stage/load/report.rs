//! What a load says at its end: tables for a person, one JSON object for a program, the same figures in both.

use super::drive::{Course, Plan};
use super::errand::Journey;
use super::outcome::Outcome;
use super::series::thousandths;
use super::table::Table;
use super::tally::{Latencies, Row, ms, outcomes};
use serde_json::{Map, Value, json};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Beyond this the load was the slow one, and its figures say more about it than about the shop.
const LAGS: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Report {
    pub(super) gateway: String,
    pub(super) plan: Plan,
    pub(super) course: Course,
    pub(super) logged_in_again: u64,
    pub(super) journal: Option<PathBuf>,
}

impl Report {
    fn ended_early(&self) -> bool {
        self.course.lasted < self.plan.lasts
    }

    /// So many in each second of the load.
    fn per_second(&self, count: u64) -> f64 {
        let seconds = self.course.lasted.as_secs_f64().max(0.001);
        thousandths(count as f64 / seconds)
    }

    pub(super) fn json(&self) -> Value {
        let of = |journeys| self.course.tally.of(journeys);
        let (total, reads, placed) = (of(&Journey::ALL), of(&Journey::READING), of(&[Journey::Place]));
        let promised = |row: &Row, kept: u64| json!({ "sent": row.ended(), "kept": kept, "share": part(kept, row.ended()) });
        let share = |journey: &Journey| {
            (journey.as_str().to_owned(), json!(thousandths(self.plan.mix.share(*journey))))
        };
        let mut told = json!({
            "gateway": self.gateway,
            "customers": self.plan.customers,
            "mix": Journey::ALL.iter().map(share).collect::<Map<_, _>>(),
            "for_seconds": self.plan.lasts.as_secs_f64(),
            "lasted_seconds": self.course.lasted.as_secs_f64(),
            "ended_early": self.ended_early(),
            "arrivals": self.course.sent + self.course.not_sent,
            "sent": self.course.sent,
            "not_sent": self.course.not_sent,
            "worst_lag_ms": ms(self.course.worst_lag),
            "asked_again": total.again(),
            "logged_in_again": self.logged_in_again,
            "acknowledged": total.acknowledged(),
            "reads": promised(&reads, reads.good()),
            "orders_placed": promised(&placed, placed.acknowledged()),
            "journal": self.journal.as_ref().map(|path| path.display().to_string()),
            "orders": self.group(&Journey::ORDERS),
            "browsing": self.group(&Journey::BROWSING),
            "total": self.figures(&total),
            "latency_histogram": total.spread(),
            "over_time": self.course.series.json(),
        });
        told.as_object_mut().into_iter().for_each(|told| told.append(&mut self.plan.profile.json()));
        told
    }

    fn group(&self, journeys: &[Journey]) -> Value {
        let mut group: Map<_, _> = journeys
            .iter()
            .map(|journey| (journey.as_str().into(), self.figures(&self.course.tally.of(&[*journey]))))
            .collect();
        group.insert("all".into(), self.figures(&self.course.tally.of(journeys)));
        group.into()
    }

    fn figures(&self, row: &Row) -> Value {
        let latencies = |told: Option<Latencies>| {
            told.map(|told| json!({ "p50": ms(told.p50), "p99": ms(told.p99), "p99.9": ms(told.p999) }))
        };
        json!({
            "sent": row.ended(),
            "goodput": self.per_second(row.good()),
            "outcomes": outcomes(|outcome| row.count(outcome)),
            "good_ms": latencies(row.good_latencies()),
            "all_ms": latencies(row.latencies()),
        })
    }

    /// A column for each journey, and one for all of them.
    fn table(&self, name: &'static str, journeys: &[Journey]) -> Table {
        let mut table = Table::new(name);
        for journey in journeys {
            self.column(&mut table, journey.as_str(), &self.course.tally.of(&[*journey]));
        }
        self.column(&mut table, "all", &self.course.tally.of(journeys));
        table
    }

    fn column(&self, table: &mut Table, name: &'static str, row: &Row) {
        table.column(name);
        table.cell("sent", &row.ended().to_string());
        for outcome in Outcome::ALL {
            table.cell(outcome.as_str(), &row.count(outcome).to_string());
        }
        table.cell("goodput", &format!("{:.1}/s", self.per_second(row.good())));
        for (names, told) in [
            (["good p50", "good p99", "good p99.9"], row.good_latencies()),
            (["all p50", "all p99", "all p99.9"], row.latencies()),
        ] {
            let told = told.map(|told| [told.p50, told.p99, told.p999]);
            for (nth, name) in names.into_iter().enumerate() {
                let text = told.map(|told| format!("{:.1} ms", ms(told[nth])));
                table.cell(name, text.as_deref().unwrap_or("–"));
            }
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let early = if self.ended_early() { ", stopped early" } else { "" };
        let (rate, lasted) = (self.plan.profile.told(), self.course.lasted);
        writeln!(
            f,
            "{} customers at {}, {rate} for {lasted:.1?}{early}\n",
            self.plan.customers, self.gateway
        )?;
        writeln!(f, "{}", self.table("orders", &Journey::ORDERS))?;
        writeln!(f, "{}", self.table("browsing", &Journey::BROWSING))?;
        let total = self.course.tally.of(&Journey::ALL);
        let mut table = Table::new("total");
        self.column(&mut table, "all", &total);
        writeln!(f, "{table}")?;
        writeln!(
            f,
            "{} customers came; {} of them found too many in the shop, and were not sent.",
            self.course.sent + self.course.not_sent,
            self.course.not_sent
        )?;
        let (again, log_ins) = (total.again(), self.logged_in_again);
        writeln!(f, "Orders were asked for again {again} times; customers logged in again {log_ins} times.")?;
        if self.course.worst_lag > LAGS {
            let lag = ms(self.course.worst_lag);
            writeln!(
                f,
                "The load itself was late, by {lag:.0} ms at worst: its latencies are too long by that."
            )?;
        }
        let reads = self.course.tally.of(&Journey::READING);
        let (read, placed) = (reads.ended(), self.course.tally.of(&[Journey::Place]).ended());
        writeln!(f, "Of {read} reads {} succeeded, {}.", reads.good(), percent(reads.good(), read))?;
        let acknowledged = total.acknowledged();
        write!(
            f,
            "The shop answered for {acknowledged} orders of {placed}, {}",
            percent(acknowledged, placed)
        )?;
        match &self.journal {
            Some(path) => write!(f, ", which are in {}.", path.display()),
            None => f.write_str("."),
        }
    }
}

/// 1 of nothing: nobody was disappointed.
fn part(kept: u64, all: u64) -> f64 {
    if all == 0 { 1.0 } else { kept as f64 / all as f64 }
}

/// Never 100 % of what is not all.
fn percent(kept: u64, all: u64) -> String {
    format!("{} %", (part(kept, all) * 100_000.0).floor() / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::super::errand::Mix;
    use super::super::profile::Profile;
    use super::super::series::Series;
    use super::super::shopping::Done;
    use super::super::tally::Tally;
    use super::*;

    /// A load of ten seconds with latencies that are diced.
    fn report(stopped: Option<Duration>) -> Report {
        let (mut tally, mut dice) = (Tally::new(), fastrand::Rng::with_seed(5));
        let mut series = Series::new(Duration::from_secs(10));
        for nth in 0..700 {
            let journey = Journey::ALL[nth % Journey::ALL.len()];
            let outcome = Outcome::ALL[nth % Outcome::ALL.len()];
            let done = Done { journey, outcome, again: 1, acknowledged: journey == Journey::Place };
            let (at, latency) =
                (Duration::from_millis(nth as u64 * 14), Duration::from_micros(dice.u64(1..50_000)));
            series.come(at, true);
            series.end(at, outcome, latency);
            tally.note(done, latency);
        }
        let (profile, lasts, mix) = (Profile::Steady(70), Duration::from_secs(10), Mix::only(&Journey::ALL));
        let plan = Plan { profile, lasts, customers: 8, products: 24, mix };
        let lasted = stopped.unwrap_or(plan.lasts);
        let course =
            Course { lasted, sent: 700, not_sent: 3, worst_lag: Duration::from_millis(2), tally, series };
        let gateway = "http://127.0.0.1:8080".into();
        Report { gateway, plan, course, logged_in_again: 4, journal: Some("var/load.journal".into()) }
    }

    #[test]
    fn figures_add_up() {
        let told = report(None).json();
        assert_eq!(
            (&told["arrivals"], &told["sent"], &told["not_sent"]),
            (&703.into(), &700.into(), &3.into())
        );
        assert_eq!((&told["acknowledged"], &told["asked_again"]), (&140.into(), &700.into()));
        assert_eq!(told["orders_placed"], json!({ "sent": 140, "kept": 140, "share": 1.0 }));
        // Three outcomes of eight are good: 88 of each, of which 53 are orders.
        assert_eq!(told["reads"], json!({ "sent": 560, "kept": 211, "share": 211.0 / 560.0 }));
        assert_eq!(told["total"]["goodput"], 26.4);
        assert_eq!((&told["rps"], &told["mix"]["list"]), (&70.into(), &0.35.into()));
        let spread = told["latency_histogram"].as_array().unwrap().iter();
        assert_eq!(spread.map(|bar| bar["count"].as_u64().unwrap()).sum::<u64>(), 700);
        let points = told["over_time"].as_array().unwrap();
        let good = points.iter().map(|point| point["goodput"].as_f64().unwrap()).sum::<f64>();
        assert_eq!((points.len(), good), (10, 264.0));
        for group in ["orders", "browsing"] {
            let group = told[group].as_object().unwrap();
            let sum: u64 = group.iter().filter(|(name, _)| *name != "all").map(|(_, it)| count(it)).sum();
            assert_eq!(sum, count(&group["all"]));
        }
        assert_eq!(count(&told["orders"]["all"]) + count(&told["browsing"]["all"]), count(&told["total"]));
        let latencies = &told["total"]["all_ms"];
        let [p50, p99, p999] = ["p50", "p99", "p99.9"].map(|name| latencies[name].as_f64().unwrap());
        assert!((p50 - 25.0).abs() < 2.0 && p50 < p99 && p99 <= p999 && p999 < 50.1, "{latencies}");
    }

    fn count(figures: &Value) -> u64 {
        let outcomes = figures["outcomes"].as_object().unwrap();
        let sum = outcomes.values().map(|count| count.as_u64().unwrap()).sum();
        assert_eq!(figures["sent"], sum);
        sum
    }

    #[test]
    fn goodput_is_told_for_the_time_that_it_lasted() {
        let told = report(Some(Duration::from_secs(5))).json();
        assert_eq!((&told["ended_early"], &told["total"]["goodput"]), (&true.into(), &52.8.into()));
        let told = report(Some(Duration::ZERO)).json();
        assert!(told["total"]["goodput"].as_f64().is_some_and(f64::is_finite));
    }

    #[test]
    fn nobody_is_no_latency() {
        let mut told = report(None);
        told.course.tally = Tally::new();
        assert_eq!(told.json()["total"]["good_ms"], Value::Null);
        assert!(told.to_string().contains("good p99.9"), "{told}");
    }

    #[test]
    fn tables_have_the_figures_of_the_json() {
        let mut report = report(None);
        let text = report.to_string();
        let line = |name| text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        assert_eq!(
            line("orders").split_whitespace().collect::<Vec<_>>(),
            ["orders", "place", "own", "last", "all"]
        );
        assert_eq!(line("sent").split_whitespace().collect::<Vec<_>>(), ["sent", "140", "140", "140", "420"]);
        assert!(
            text.contains("703 customers came; 3 of them found too many in the shop, and were not sent."),
            "{text}"
        );
        assert!(text.contains("in var/load.journal."), "{text}");
        assert!(text.contains("Of 560 reads 211 succeeded, 37.678 %."), "{text}");
        assert!(text.contains("answered for 140 orders of 140, 100 %, which"), "{text}");
        assert_eq!(percent(99_999_999, 100_000_000), "99.999 %");
        assert!(!text.contains("The load itself was late"), "{text}");
        report.course.worst_lag = Duration::from_secs(1);
        assert!(report.to_string().contains("late, by 1000 ms"), "{report}");
    }
}
