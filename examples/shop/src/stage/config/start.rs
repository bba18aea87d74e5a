//! The file that a new shop begins with: every value that is likely to be changed, as a comment.

use crate::stacks::{CALLS, Call, ROUTES, Routes};
use std::time::Duration;

const HEAD: &str = "\
# The values of the shop's layers while it runs. Take the # off a line and off the name above it in brackets, change the value, and
# save: it is in force at once. What stands in no line is as src/stacks.rs has it. A file that is no good changes nothing, and the
# page of ops says why, with line and field. The names of all values are in crates/bartizan-policy/schema/policy.schema.json.
";

/// All of it.
pub(super) fn text() -> String {
    let routes = ROUTES.iter().copied().map(routes);
    let calls = CALLS.into_iter().map(call);
    [HEAD.to_owned()].into_iter().chain(routes).chain(calls).collect::<Vec<_>>().join("\n")
}

fn routes(routes: Routes) -> String {
    let total = time(routes.stack().deadline_value().total());
    format!("#[servers.{}]\n#deadline.total = \"{total}\"\n#shed.enabled = true\n", routes.name())
}

fn call(call: Call) -> String {
    let (stack, layers) = (call.stack(), call.layers());
    let mut lines = vec![
        format!("[clients.\"{call}\"]"),
        format!("deadline.total = \"{}\"", time(stack.deadline_value().total())),
        format!("attempt.total = \"{}\"", time(stack.attempt_value().total())),
        "breaker.open_for = \"1s\"".to_owned(),
        "balance.choice = \"latency\"".to_owned(),
    ];
    if layers.contains(&"stale") {
        lines.push("stale.enabled = true".to_owned());
    }
    if layers.contains(&"retry") {
        lines.push(format!("retry.max_retries = {}", stack.retry_value().most_retries()));
    }
    if layers.contains(&"hedge") {
        lines.push("hedge.enabled = true".to_owned());
    }
    lines.iter().map(|line| format!("#{line}\n")).collect()
}

fn time(time: Duration) -> String {
    format!("{}ms", time.as_millis())
}

#[cfg(test)]
mod tests {
    use super::super::reference::{changed, take};
    use super::*;
    use serde_json::json;

    #[test]
    fn what_the_readme_changes_can_be_changed() {
        let readme = include_str!("../../../README.md");
        let example = readme.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        take(example, &json!({})).unwrap();
        let changed = changed(example);
        assert!(changed.iter().any(|change| change.starts_with("gateway->product: ")), "{changed:?}");
        assert!(changed.iter().any(|change| change.starts_with("gateway: ")), "{changed:?}");
    }

    #[test]
    fn it_says_nothing_and_as_much_as_the_code_when_all_is_said() {
        let text = text();
        assert_eq!(take(&text, &json!({})).unwrap(), json!({}));
        let said = text.lines().map(|line| match line.strip_prefix('#') {
            Some(line) if !line.starts_with(' ') => line,
            _ => line,
        });
        let said = said.collect::<Vec<_>>().join("\n");
        assert_eq!(changed(&said), Vec::<String>::new(), "the values are those of the code");
        let said = take(&said, &json!({})).unwrap();
        assert_eq!(said["clients"].as_object().unwrap().len(), CALLS.len());
        assert_eq!(said["servers"].as_object().unwrap().len(), ROUTES.len());
    }
}
