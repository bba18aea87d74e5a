//! `GET /faults/choices`: what can be done to whom, for those who choose from a list.

use super::kind::{Kind, Target};
use super::wish::Wish;
use axum::Json;
use clap::ValueEnum;
use serde::Serialize;

/// `GET /faults/choices` → 200
#[derive(Debug, Serialize)]
pub(super) struct Choices {
    targets: Vec<String>,
    kinds: Vec<Choice>,
}

#[derive(Debug, Serialize)]
struct Choice {
    kind: &'static str,
    /// Whom it can be done to.
    targets: Vec<String>,
    /// Whether `share` may be less than 1.
    shared: bool,
    /// Whether `ms` counts.
    takes_time: bool,
}

pub(super) async fn choices() -> Json<Choices> {
    let all: Vec<_> = Target::all().split(", ").map(str::to_owned).collect();
    let choice = |kind: &Kind| {
        let kind = kind.as_str();
        let targets: Vec<_> =
            all.iter().filter(|target| granted(kind, target, None, None)).cloned().collect();
        let with = |share, ms| targets.first().is_some_and(|target| granted(kind, target, share, ms));
        Choice { kind, shared: with(Some(0.5), None), takes_time: !with(None, Some(0)), targets }
    };
    let kinds = Kind::value_variants().iter().map(choice).collect();
    Json(Choices { targets: all, kinds })
}

/// What is granted is what can be chosen: there is one place that knows.
fn granted(kind: &str, target: &str, share: Option<f64>, ms: Option<i64>) -> bool {
    let (kind, target) = (kind.to_owned(), target.to_owned());
    Wish { target, kind, share, ms, ttl_s: None, header: None }.grant().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[tokio::test]
    async fn who_chooses_sees_what_is_granted() {
        let Json(choices) = choices().await;
        let told = serde_json::to_value(choices).unwrap();
        let of = |kind: &str| -> Value {
            told["kinds"].as_array().unwrap().iter().find(|it| it["kind"] == kind).unwrap().clone()
        };
        assert!(told["targets"].as_array().unwrap().contains(&json!("order->payment")));
        let latency = of("latency");
        assert_eq!((&latency["takes_time"], &latency["shared"]), (&json!(true), &json!(true)));
        let kill = of("kill");
        assert_eq!((&kill["takes_time"], &kill["shared"]), (&json!(false), &json!(false)));
        let whom = kill["targets"].as_array().unwrap();
        assert!(whom.contains(&json!("payment-2")) && !whom.contains(&json!("order->payment")), "{whom:?}");
        assert_eq!(of("registry_down")["targets"], json!(["registry"]));
    }
}
