//! What the README shows of a stack is what it prints.

use bartizan::{ClientLayer, ClientStack, Retry};
use http::Uri;
use std::time::Duration;

const README: &str = include_str!("../../../README.md");

#[tokio::test]
async fn a_stack_prints_what_the_readme_shows() {
    let reports = ClientStack::new()
        .deadline(Duration::from_secs(20))
        .attempt(Duration::from_secs(8))
        .retry(Retry::new().max_retries(1));
    let layer = ClientLayer::new(reports)
        .named("reports")
        .members([Uri::from_static("http://10.0.0.1:8080"), Uri::from_static("http://10.0.0.2:8080")]);

    let printed = format!("```text\n{}\n```", layer.to_string().trim_end());
    assert!(README.contains(&printed), "the README shows something else than\n{printed}");
}
