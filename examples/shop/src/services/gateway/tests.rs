//! The document says what is served.

use super::OPENAPI;
use serde_json::Value;
use std::collections::BTreeSet;

/// The methods and paths of `.route("…", get(…).post(…))` in some code.
fn routes(code: &str) -> BTreeSet<(String, String)> {
    let mut routes = BTreeSet::new();
    let code = code.split("#[cfg(test)]").next().unwrap();
    for route in code.split(".route(\"").skip(1) {
        let (path, handlers) = route.split_once('"').unwrap();
        let handlers = handlers.split(".route(").next().unwrap();
        for method in ["get", "put", "post", "delete", "patch"] {
            let own = format!("({method}(");
            let is = [format!(", {method}("), format!(").{method}("), own];
            if is.iter().any(|is| handlers.contains(is)) || handlers.contains(&format!(", {method})")) {
                routes.insert((method.to_owned(), path.to_owned()));
            }
        }
    }
    routes
}

#[test]
fn the_document_has_the_routes_that_are_served_and_no_others() {
    let mut served = routes(include_str!("mod.rs"));
    served.extend(routes(include_str!("../../parts/health.rs")));
    // Its handler is made before.
    served.insert(("get".into(), "/openapi.json".into()));
    let document: Value = serde_json::from_str(OPENAPI).unwrap();
    let mut documented = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        documented.extend(methods.as_object().unwrap().keys().map(|method| (method.clone(), path.clone())));
    }
    assert!(served.len() > 15, "{served:?}");
    assert_eq!(served, documented);
}
