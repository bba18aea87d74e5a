//! `GET /faults/choices`: what can be done to whom, for those who choose from a list.

use super::kind::{Kind, Target};
use super::wish::Wish;
use crate::parts::faults::SCOPE;
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
    /// Whether `header` may be said.
    scoped: bool,
}

pub(super) async fn choices() -> Json<Choices> {
    let all: Vec<_> = Target::all().split(", ").map(str::to_owned).collect();
    let choice = |kind: &Kind| {
        let kind = kind.as_str();
        let targets: Vec<_> = all.iter().filter(|target| granted(Wish::of(kind, target))).cloned().collect();
        let first = || Wish::of(kind, targets.first().map_or("", String::as_str));
        Choice {
            kind,
            shared: granted(Wish { share: Some(0.5), ..first() }),
            takes_time: !granted(Wish { ms: Some(0), ..first() }),
            scoped: granted(Wish { header: Some(format!("{SCOPE}: x")), ..first() }),
            targets,
        }
    };
    let kinds = Kind::value_variants().iter().map(choice).collect();
    Json(Choices { targets: all, kinds })
}

/// What is granted is what can be chosen: there is one place that knows.
fn granted(wish: Wish) -> bool {
    wish.grant().is_ok()
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
        assert_eq!((&latency["scoped"], &of("error")["scoped"]), (&json!(false), &json!(true)));
        let whom = kill["targets"].as_array().unwrap();
        assert!(whom.contains(&json!("payment-2")) && !whom.contains(&json!("order->payment")), "{whom:?}");
        assert_eq!(of("registry_down")["targets"], json!(["registry"]));
    }
}
