//! The story, as a command plays it.

use super::process::{folder, free_base, program};
use serde_json::Value;
use std::process::Stdio;
use std::time::Duration;
use tokio::time::timeout;

/// It takes less than a minute, and has more on a machine that is busy with other things.
const LONGEST: Duration = Duration::from_secs(300);

/// On the parts and stores of the test's environment.
#[tokio::test]
#[ignore = "it takes the better part of a minute, and all of the processor"]
async fn every_scene_shows_its_figures() {
    let (data, reports) = (folder(), folder());
    let report = reports.path().to_str().expect("a path in UTF-8");
    let mut demo = program(&["demo", "--fast", "--json", "--report", report], data.path(), free_base());
    let said =
        timeout(LONGEST, demo.stdin(Stdio::null()).output()).await.expect("it ends").expect("it starts");
    let (lines, complaints) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    let scenes: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(said.status.success(), "{complaints}{scenes:#?}");
    let numbers: Vec<_> = scenes.iter().filter_map(|scene| scene["scene"].as_u64()).collect();
    assert_eq!(numbers, (1..=10).collect::<Vec<_>>());
    for scene in &scenes {
        let figures = scene["figures"].as_array().unwrap();
        assert!(!figures.is_empty() && figures.iter().all(|figure| figure["met"] == true), "{scene:#}");
        assert!(scene["ops"].is_string() && scene["token"].is_string() && scene["title"].is_string());
    }
    let report = std::fs::read_to_string(reports.path().join("report.md")).unwrap();
    for scene in &scenes {
        assert!(report.contains(scene["title"].as_str().unwrap()), "{report}");
    }
    assert!(!report.contains('✗') && report.contains("| second |"), "{report}");
}

#[tokio::test]
async fn where_no_shop_can_be_opened_no_story_is_told() {
    let folder = folder();
    let base = free_base();
    let _taken = std::net::TcpListener::bind(("127.0.0.1", base)).unwrap();
    let said = program(&["demo", "--fast"], folder.path(), base).output().await.unwrap();
    let complaint = String::from_utf8_lossy(&said.stderr);
    assert_eq!(said.status.code(), Some(1), "{complaint}");
    assert!(complaint.contains(&format!("port {base} of gateway is taken")), "{complaint}");
    for wrong in [&["demo", "--hold", "601"], &["demo", "--hold", "-1"], &["demo", "--hold", "soon"]] {
        let said = program(wrong, folder.path(), base).output().await.unwrap();
        assert_eq!(said.status.code(), Some(2), "{wrong:?}");
    }
}
