//! Somebody who has the ops token.

use super::customer::{Said, say};
use super::process::{LONG, Request, Shop, TOKEN, program};
use http::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use tokio::time::{sleep, timeout};

pub struct Ops<'a>(pub &'a Shop);

impl Ops<'_> {
    pub fn request(&self, method: Method, path: &str) -> Request {
        self.0.http.request(method, format!("{}{path}", self.0.at(8)))
    }

    pub async fn get(&self, path: &str) -> Said {
        say(self.request(Method::GET, path)).await
    }

    /// Sets a fault, and returns what ops says to it.
    pub async fn wish(&self, fault: Value) -> Said {
        say(self.request(Method::POST, "/faults").bearer_auth(TOKEN).json(&fault)).await
    }

    /// Sets a fault that must be granted, and returns its id.
    pub async fn set(&self, target: &str, kind: &str, more: Value) -> String {
        let mut fault = json!({ "target": target, "kind": kind });
        fault.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let said = self.wish(fault).await;
        assert_eq!(said.status, 201, "{said:?}");
        said.text("id").to_owned()
    }

    pub async fn clear(&self) {
        let said = say(self.request(Method::DELETE, "/faults").bearer_auth(TOKEN)).await;
        assert_eq!(said.status, 204, "{said:?}");
    }

    pub async fn faults(&self) -> Vec<Value> {
        self.get("/faults").await.body["faults"].as_array().unwrap().clone()
    }

    /// The handles of a kind of layer whose name begins so.
    pub async fn layers(&self, layer: &str, prefix: &str) -> Vec<Value> {
        let said = self.get("/layers").await;
        let handles = said.body.as_array().unwrap_or_else(|| panic!("{said:?}"));
        let wanted = |it: &&Value| it["layer"] == layer && it["name"].as_str().unwrap().starts_with(prefix);
        handles.iter().filter(wanted).cloned().collect()
    }

    pub async fn states(&self, layer: &str, prefix: &str) -> Vec<String> {
        let layers = self.layers(layer, prefix).await;
        layers.iter().map(|it| it["state"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until all of these handles are in a state.
    pub async fn until(&self, layer: &str, prefix: &str, wanted: &str) {
        let all = async {
            loop {
                let states = self.states(layer, prefix).await;
                if !states.is_empty() && states.iter().all(|state| state == wanted) {
                    return;
                }
                sleep(Duration::from_millis(50)).await;
            }
        };
        let waited = timeout(LONG * 2, all).await;
        assert!(waited.is_ok(), "{layer} {prefix} is {:?}, not {wanted}", self.states(layer, prefix).await);
    }

    /// Waits until each of these handles has been in a state once. Whether a replica is asked just now is up to the
    /// balancer, which leaves one that it has ejected alone for up to half a minute; and the breaker of one that is asked
    /// may have to try anew on a busy machine while those of the others are well.
    pub async fn each_until(&self, layer: &str, prefix: &str, wanted: &str) {
        let mut been = BTreeSet::new();
        let all = async {
            loop {
                let layers = self.layers(layer, prefix).await;
                let now = layers.iter().filter(|it| it["state"] == wanted);
                been.extend(now.map(|it| it["name"].to_string()));
                if !layers.is_empty() && layers.iter().all(|it| been.contains(&it["name"].to_string())) {
                    return;
                }
                sleep(Duration::from_millis(50)).await;
            }
        };
        let waited = timeout(LONG * 5, all).await;
        assert!(waited.is_ok(), "of {layer} {prefix}, only {been:?} have been {wanted}");
    }
}

/// Asks again until it is as it is wanted.
pub async fn until(what: &str, is: impl AsyncFn() -> bool) {
    let asked = async {
        while !is().await {
            sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(timeout(LONG * 2, asked).await.is_ok(), "{what} in time");
}

/// Runs a command of the shop to its end, and returns its exit code and all that it said.
pub async fn command(args: &[&str], folder: &Path, base: u16) -> (Option<i32>, String) {
    let output = timeout(LONG * 5, program(args, folder, base).output()).await;
    let output = output.expect("it ends in time").unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).expect("it speaks text"))
}

/// Waits until nothing is on its way any more, and has every invariant checked.
pub async fn check(folder: &Path, base: u16) {
    let (code, said) = command(&["check", "--wait", "60s"], folder, base).await;
    assert_eq!(code, Some(0), "{said}");
}
