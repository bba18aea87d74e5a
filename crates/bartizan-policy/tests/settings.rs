//! The page of all settings is the shipped one, and what it says of defaults that are written by hand is so.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use bartizan_policy::{Format, Policy};

#[allow(dead_code, reason = "the example prints what is looked at here")]
#[path = "../examples/settings.rs"]
mod settings;

#[test]
fn it_is_the_one_that_is_shipped() {
    let shipped = include_str!("../docs/settings.md");
    let hint = "cargo run -p bartizan-policy --example settings > crates/bartizan-policy/docs/settings.md";
    assert!(settings::page() == shipped, "write it anew: {hint}");
}

#[test]
fn its_links_lead_somewhere() {
    let page = settings::page();
    let to = page.split("](#").skip(1).filter_map(|rest| rest.split_once(')')).map(|(to, _)| to);
    let mut links = 0;
    for to in to {
        let is_heading =
            |line: &str| line.strip_prefix("## ").is_some_and(|it| it.to_lowercase().replace(' ', "-") == to);
        assert!(page.lines().any(is_heading), "{to}");
        links += 1;
    }
    assert!(links > 30, "{links}");
}

/// Whoever writes down what holds anyway changes nothing.
#[test]
fn defaults_that_no_type_knows_are_so() {
    for (written, what) in [
        ("[servers.a]\ndeadline = '10s'\n[clients.a]\n", "10s"),
        ("[servers.a]\n[clients.a]\ndeadline = '3s'\n", "3s"),
        ("[servers.a]\n[clients.a]\nbreaker.evidence = true\n", "`true`"),
        ("[servers.a]\n[clients.a]\nbalance.ejection.excess = true\n", "`true`"),
        ("[servers.a]\n[clients.a]\nretry.backoff = 'exponential'\n", "exponential"),
        ("[servers.a]\n[clients.a]\nretry.backoff.exponential.jitter = 'full'\n", "full"),
        (
            "[servers.a]\n[clients.a]\nretry.throttled_backoff = { constant = { wait = \"1s\" } }\n",
            "{ constant = { wait = \"1s\" } }",
        ),
        (
            "[servers.a]\n[clients.a]\nstale.refresh_backoff = { min = \"100ms\", max = \"10s\" }\n",
            "{ max = \"10s\", min = \"100ms\" }",
        ),
    ] {
        assert!(settings::page().contains(what), "{what}");
        let stacks = |text: &str| {
            let policy = Policy::parse(Format::Toml, text).unwrap();
            (policy.server("a").unwrap().handle().stack(), policy.client("a").unwrap().handle().stack())
        };
        // To name it is to have it.
        let stale = if written.contains("stale") { "stale = {}" } else { "" };
        assert_eq!(stacks(written), stacks(&format!("[servers.a]\n[clients.a]\n{stale}")), "{written}");
    }
    // An attempt by default is no attempt that was set, but as long.
    let policy = Policy::parse(Format::Toml, "[clients.a]\n").unwrap();
    let attempt = policy.client("a").unwrap().handle().stack().attempt_value().total();
    let row =
        format!("| `attempt` | duration or [deadline](#deadline) or `true` or `false` | `\"{attempt:?}\"` |");
    assert!(settings::page().contains(&row), "{row}");
}
