//! The shop sells.

use super::customer::{Customer, say};
use super::process::{Shop, folder};
use serde_json::json;
use std::collections::BTreeMap;

#[tokio::test]
async fn register_browse_order_pay_read_cancel() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ada = Customer::new(&shop).await;

    let products = say(shop.http.get(shop.url("/api/v1/products"))).await;
    assert_eq!(products.status, 200);
    let mut categories = BTreeMap::new();
    for product in products.body["products"].as_array().unwrap() {
        assert_eq!(product["stock"], 1000);
        assert!(product["price_cents"].as_i64().unwrap() > 0);
        *categories.entry(product["category"].as_str().unwrap()).or_insert(0) += 1;
    }
    assert_eq!(categories.into_values().collect::<Vec<_>>(), [6; 4]);
    let teas = ada.get("/api/v1/products?category=tea").await;
    assert_eq!(teas.body["products"].as_array().unwrap().len(), 6);

    let items = [("tea-mint", 2), ("kit-whisk", 1)];
    let order = ada.order("first", &items).await;
    assert_eq!(order.status, 201, "{order:?}");
    assert_eq!(order.text("status"), "CONFIRMED");
    assert_eq!(order.body["total_cents"], 2 * 590 + 1690);
    assert_eq!(
        order.body["items"],
        json!([{"product_id": "tea-mint", "quantity": 2}, {"product_id": "kit-whisk", "quantity": 1}])
    );
    let path = format!("/api/v1/orders/{}", order.text("id"));
    assert_eq!(order.headers["location"], path);
    assert_eq!(ada.stock("tea-mint").await, 998);

    let again = ada.order("first", &items).await;
    assert_eq!((again.status.as_u16(), &again.body), (201, &order.body));
    ada.order("first", &[("tea-mint", 3)]).await.is_problem(422);
    assert_eq!(ada.stock("tea-mint").await, 998);

    assert_eq!(ada.get(&path).await.body, order.body);
    assert_eq!(ada.get("/api/v1/orders").await.body, json!({ "orders": [order.body] }));
    let payment = ada.payment(&order.body).await;
    assert_eq!(payment["status"], "CAPTURED");
    assert_eq!(payment["amount_cents"], order.body["total_cents"]);
    assert_eq!(payment["order_id"], order.body["id"]);
    let me = ada.get("/api/v1/users/me").await;
    assert_eq!((me.text("email"), &me.body["orders"]), (ada.email.as_str(), &json!([order.body])));

    for _ in 0..2 {
        let cancelled = ada.cancel(order.text("id")).await;
        assert_eq!((cancelled.status.as_u16(), cancelled.text("status")), (200, "CANCELLED"));
        assert_eq!(ada.stock("tea-mint").await, 1000);
        assert_eq!(ada.payment(&order.body).await["status"], "REFUNDED");
    }
    let again = ada.order("first", &items).await;
    assert_eq!(
        (again.status.as_u16(), again.text("status")),
        (200, "CANCELLED"),
        "the same order, not a new one"
    );
}

#[tokio::test]
async fn a_restart_keeps_everything() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ada = Customer::new(&shop).await;
    let order = ada.order("k", &[("tea-mint", 4)]).await;
    let (email, token) = (ada.email, ada.token);
    assert_eq!(shop.stop("TERM").await, Some(0));

    let shop = Shop::open(folder.path()).await;
    let ada = Customer { shop: &shop, email, token };
    assert_eq!(ada.order("k", &[("tea-mint", 4)]).await.body, order.body, "the same order, by the old token");
    assert_eq!(ada.stock("tea-mint").await, 996);
    assert_eq!(ada.payment(&order.body).await["status"], "CAPTURED");
    assert!(!Customer::log_in(&shop, ada.email.clone()).await.token.is_empty());
    assert_eq!(shop.stop("INT").await, Some(0));
}

#[tokio::test]
async fn what_openapi_promises_is_there() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ada = Customer::new(&shop).await;
    let document = ada.get("/openapi.json").await;
    assert_eq!(document.headers["content-type"], "application/json");
    for (path, methods) in document.body["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let method = method.to_uppercase().parse().unwrap();
            let said = say(ada.request(method, &path.replace("{id}", "none"))).await;
            assert_ne!(said.status, 405, "{path}");
            assert_ne!(said.body["detail"], "nothing is here", "{path}");
            assert!(operation["responses"][said.status.as_str()].is_object(), "{path} {said:?}");
        }
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(ada.get(path).await.body, json!({ "status": "ok" }));
    }
}
