//! The page of all settings is the shipped one, and leads to all its parts.

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
