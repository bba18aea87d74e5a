//! How the shop starts, and how it says that it cannot.

use super::customer::Customer;
use super::process::{LONG, Shop, folder, free_base, program, signal_to, stderr};
use std::net::TcpListener;
use std::path::Path;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;
use tokio::time::timeout;

/// Starts the shop where it must not open, and returns the sentence it says.
async fn refusal(args: &[&str], base: u16, variables: &[(&str, &str)]) -> String {
    let folder = folder();
    let mut process = program(args, folder.path(), base).envs(variables.iter().copied()).spawn().unwrap();
    let said = stderr(&mut process).await;
    let status = timeout(LONG, process.wait()).await.expect("it ends in time").unwrap();
    assert_eq!(status.code(), Some(1), "{said}");
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    assert!(folder.path().read_dir().unwrap().next().is_none(), "nothing was written");
    said
}

#[tokio::test]
async fn a_taken_port_is_a_sentence() {
    for (offset, name) in [(0, "gateway"), (4, "order")] {
        let base = free_base();
        let _taken = TcpListener::bind(("127.0.0.1", base + offset)).unwrap();
        let said = refusal(&[], base, &[]).await;
        assert!(said.contains(&format!("port {} of {name} is taken", base + offset)), "{said}");
    }
}

#[tokio::test]
async fn what_is_not_built_yet_is_not_silently_replaced() {
    for (name, value) in [
        ("DATABASE_URL", "postgres://localhost/shop"),
        ("ORDER_DATABASE_URL", "mysql://localhost/shop"),
        ("AMQP_URL", "amqp://localhost"),
        ("CONSUL_HTTP_ADDR", "localhost:8500"),
        ("REDIS_URL", "redis://localhost"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4317"),
        ("SHOP_TLS", "1"),
    ] {
        let said = refusal(&["up"], free_base(), &[(name, value)]).await;
        assert!(said.starts_with(&format!("shop: {name} is set, but")), "{said}");
    }
}

#[tokio::test]
async fn a_bad_setting_is_a_sentence() {
    let said = refusal(&[], free_base(), &[("SHOP_SESSION_SECONDS", "soon")]).await;
    assert!(said.contains("SHOP_SESSION_SECONDS"), "{said}");
    let said = refusal(&[], free_base(), &[("SHOP_LOG", "loud")]).await;
    assert!(said.contains("SHOP_LOG"), "{said}");
    let mut process = program(&["run", "warehouse"], "/nowhere".as_ref(), free_base()).spawn().unwrap();
    assert!(stderr(&mut process).await.contains("warehouse"));
    let mut process = program(&[], "/dev/null/shop".as_ref(), free_base()).spawn().unwrap();
    assert!(stderr(&mut process).await.contains("cannot be opened"));
}

/// Starts one service, and returns it with the line that it says.
async fn alone(service: &str, folder: &Path, base: u16) -> (Child, String) {
    let mut process = program(&["run", service], folder, base).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let line = timeout(LONG, lines.next_line()).await.expect("it opens in time").unwrap();
    (process, line.unwrap_or_default())
}

#[tokio::test]
async fn five_processes_are_a_shop_too() {
    let (folder, base) = (folder(), free_base());
    let mut processes = Vec::new();
    for (service, offset) in [("payment", 5), ("product", 2), ("user", 1), ("order", 4), ("gateway", 0)] {
        let (process, line) = alone(service, folder.path(), base).await;
        assert_eq!(line, format!("{service} is open at http://127.0.0.1:{}", base + offset));
        processes.push(process);
    }
    let gateway = processes.pop().unwrap();
    let shop = Shop::of(gateway, base);
    let ada = Customer::new(&shop).await;
    assert_eq!(ada.order("k", &[("tea-mint", 1)]).await.text("status"), "CONFIRMED");
    assert_eq!(shop.stop("TERM").await, Some(0));
    for mut process in processes {
        signal_to(&process, "INT").await;
        assert_eq!(timeout(LONG, process.wait()).await.expect("it ends in time").unwrap().code(), Some(0));
    }
}

#[tokio::test]
async fn two_shops_run_side_by_side() {
    let (here, there) = (folder(), folder());
    let (here, there) = tokio::join!(Shop::open(here.path()), Shop::open(there.path()));
    assert_ne!(here.base, there.base);
    assert_eq!((here.stop("TERM").await, there.stop("INT").await), (Some(0), Some(0)));
}

#[cfg(feature = "stage")]
#[tokio::test]
async fn ops_tells_the_health_of_all_to_who_has_the_token() {
    use super::customer::say;
    use super::process::TOKEN;

    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let health = format!("http://127.0.0.1:{}/health", shop.base + 8);
    say(shop.http.get(&health)).await.is_problem(401);
    say(shop.http.get(&health).bearer_auth("guess")).await.is_problem(401);
    let said = say(shop.http.get(&health).bearer_auth(TOKEN)).await;
    assert_eq!((said.status.as_u16(), &said.body["ready"]), (200, &true.into()), "{said:?}");
    let names: Vec<_> =
        said.body["services"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["bank", "gateway", "order", "payment", "product", "user"]);
}
