use super::kept::tests::span;
use super::*;
use axum::body::{Body, to_bytes};
use http::Request;
use tower::ServiceExt;

async fn get(kept: &Kept, path: &str) -> (u16, Value) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let answer = routes(kept.clone()).oneshot(request).await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_slice(&to_bytes(answer.into_body(), 1 << 20).await.unwrap()).unwrap())
}

/// A trace of a gateway that asks an order, and one that began later and was faster.
fn two() -> Kept {
    let kept = Kept::default();
    kept.keep(7, span(3, 2, "order", 30));
    kept.keep(7, span(2, 1, "gateway", 40));
    kept.keep(7, span(1, 0, "gateway", 50));
    kept.keep(7, span(9, 3, "mail", 5));
    kept.keep(8, span(10, 0, "gateway", 1));
    kept
}

#[tokio::test]
async fn they_are_listed_by_age_or_by_length() {
    let kept = two();
    let names = async |path| {
        let (status, said) = get(&kept, path).await;
        assert_eq!(status, 200, "{said}");
        let named = |trace: &Value| (trace["name"].clone(), trace["took_ms"].clone(), trace["spans"].clone());
        said["traces"].as_array().unwrap().iter().map(named).collect::<Vec<_>>()
    };
    let (long, short) = (("span 1".into(), 50.0.into(), 4.into()), ("span 10".into(), 1.0.into(), 1.into()));
    assert_eq!(names("/traces").await, [short.clone(), long.clone()]);
    assert_eq!(names("/traces?sort=slowest").await, [long.clone(), short]);
    assert_eq!(names("/traces?sort=slowest&limit=1").await, [long]);
    for path in ["/traces?limit=0", "/traces?limit=501", "/traces?sort=best", "/traces?of=order"] {
        assert_eq!(get(&kept, path).await.0, 400, "{path}");
    }
}

#[tokio::test]
async fn one_is_a_tree() {
    let kept = two();
    let (status, said) = get(&kept, &format!("/traces/{:032x}", 7)).await;
    assert_eq!(status, 200, "{said}");
    let (mut spans, mut path) = (&said["spans"], Vec::new());
    while let [span] = spans.as_array().unwrap().as_slice() {
        path.push((span["instance"].as_str().unwrap(), span["after_ms"].as_f64().unwrap()));
        spans = &span["children"];
    }
    assert_eq!(path, [("gateway", 0.0), ("gateway", 1.0), ("order", 2.0), ("mail", 8.0)]);
    for id in ["7", "nonsense", &format!("{:032x}", 9)] {
        assert_eq!(get(&kept, &format!("/traces/{id}")).await.0, 404, "{id}");
    }
}
