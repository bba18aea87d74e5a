//! How the shop starts, and how it says that it cannot.

use super::customer::Customer;
use super::process::{LONG, Shop, at, client, folder, free_base, program, signal_to, stderr};
use std::ffi::OsStr;
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;
use tokio::time::timeout;

/// Starts the shop where it must not open, and returns the sentence it says.
async fn refusal<V: AsRef<OsStr>>(args: &[&str], base: u16, variables: &[(&str, V)]) -> String {
    let folder = folder();
    let variables = variables.iter().map(|(name, value)| (name, value));
    let mut process = program(args, folder.path(), base).envs(variables).spawn().unwrap();
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
        let said = refusal::<&str>(&[], base, &[]).await;
        assert!(said.contains(&format!("port {} of {name} is taken", base + offset)), "{said}");
    }
}

#[cfg(feature = "otlp")]
#[tokio::test]
async fn a_collector_that_is_named_must_be_there() {
    let name = "OTEL_EXPORTER_OTLP_ENDPOINT";
    let nobody = format!("http://127.0.0.1:{}", free_base());
    for args in [&["up"][..], &["run", "bank"]] {
        let said = refusal(args, free_base(), &[(name, nobody.as_str())]).await;
        let sentence = format!("shop: {name} is set, but no collector can be used at {nobody}: ");
        assert!(said.starts_with(&sentence), "{said}");
    }
    let said = refusal(&["up"], free_base(), &[(name, "localhost")]).await;
    assert!(said.starts_with(&format!("shop: {name} must be like http://")), "{said}");
}

#[tokio::test]
async fn a_database_that_is_named_must_be_one() {
    for (name, value, says) in [
        ("DATABASE_URL", "s3cret", "is no URL"),
        ("MAIL_DATABASE_URL", "oracle://shop:s3cret@127.0.0.1/shop", "nothing here speaks \"oracle\""),
        ("ORDER_DATABASE_URL", "mysql://shop:s3cret@127.0.0.1", "names no host or no database"),
    ] {
        let said = refusal(&["up"], free_base(), &[(name, value)]).await;
        assert!(said.starts_with(&format!("shop: {name} must be like postgres://")), "{said}");
        assert!(said.contains(says) && !said.contains("s3cret"), "{said}");
    }
}

/// Its place is not taken by a file.
#[cfg(all(feature = "mysql", feature = "postgres"))]
#[tokio::test]
async fn a_database_that_is_named_must_be_there() {
    for scheme in ["postgres", "mysql"] {
        let (folder, nobody) = (folder(), format!("{scheme}://shop:s3cret@127.0.0.1:{}/shop", free_base()));
        let mut process = program(&["run", "payment"], folder.path(), free_base());
        let mut process = process.env("PAYMENT_DATABASE_URL", nobody).spawn().unwrap();
        let said = stderr(&mut process).await;
        assert_eq!(timeout(LONG, process.wait()).await.expect("it ends in time").unwrap().code(), Some(1));
        assert_eq!(said.trim_end().lines().count(), 1, "{said}");
        assert!(said.contains("/shop of PAYMENT_DATABASE_URL cannot be opened: "), "{said}");
        assert!(said.to_lowercase().contains("refused") && !said.contains("s3cret"), "{said}");
        assert!(!folder.path().join("payment.db").exists());
    }
}

#[tokio::test]
async fn an_agent_that_is_named_must_be_there() {
    let nobody = format!("127.0.0.1:{}", free_base());
    for args in [&["up"][..], &["run", "user"]] {
        let said = refusal(args, free_base(), &[("CONSUL_HTTP_ADDR", &nobody)]).await;
        let sentence =
            format!("CONSUL_HTTP_ADDR is set, but no Consul agent can be used at http://{nobody}: ");
        assert!(said.contains(&sentence) && said.contains("refused"), "{said}");
    }
}

#[cfg(feature = "redis")]
#[tokio::test]
async fn a_redis_that_is_named_must_be_there() {
    let nobody = format!("127.0.0.1:{}", free_base());
    // Somebody who says nothing, and is no Redis.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().to_string();
    for args in [&["up"][..], &["run", "gateway"]] {
        for (address, why) in [(&nobody, "refused"), (&silent, "timed out")] {
            let url = format!("redis://ada:secret@{address}/");
            let said = refusal(args, free_base(), &[("REDIS_URL", &url)]).await;
            assert!(said.starts_with("shop: REDIS_URL is set, but") && said.contains(why), "{said}");
            assert!(!said.contains("secret"), "{said}");
        }
    }
}

#[tokio::test]
async fn a_config_service_that_is_named_must_be_there() {
    let nobody = format!("http://127.0.0.1:{}", free_base());
    for args in [&["up"][..], &["run", "user"]] {
        let said = refusal(args, free_base(), &[("CONFIG_URL", &nobody)]).await;
        let sentence = format!("CONFIG_URL is set, but no config service can be used at {nobody}: ");
        assert!(said.contains(&sentence) && said.contains("refused"), "{said}");
    }
}

/// It is no silent fall-back either.
#[cfg(not(any(
    feature = "mysql",
    feature = "otlp",
    feature = "postgres",
    feature = "rabbitmq",
    feature = "redis"
)))]
#[tokio::test]
async fn a_server_that_is_left_out_is_a_sentence() {
    for (name, url, (server, feature)) in [
        ("DATABASE_URL", "postgres://shop:s3cret@127.0.0.1/shop", ("a PostgreSQL", "postgres")),
        ("MAIL_DATABASE_URL", "mysql://shop:s3cret@127.0.0.1/shop", ("a MySQL", "mysql")),
        ("AMQP_URL", "amqp://shop:s3cret@127.0.0.1", ("a RabbitMQ", "rabbitmq")),
        ("REDIS_URL", "redis://127.0.0.1:6379", ("a Redis", "redis")),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318", ("a collector", "otlp")),
    ] {
        let said = refusal(&["up"], free_base(), &[(name, url)]).await;
        let sentence = format!(
            "shop: {name} names {server}, but this shop was built without the feature `{feature}`.\n"
        );
        assert_eq!(said, sentence);
        let (folder, base) = (folder(), free_base());
        let mut doctor = program(&["doctor"], folder.path(), base);
        let said = doctor.env(name, url).output().await.unwrap();
        let (code, said) = (said.status.code(), String::from_utf8(said.stdout).unwrap());
        assert!(code == Some(1) && said.contains(sentence.trim_start_matches("shop: ").trim_end()), "{said}");
    }
}

#[tokio::test]
async fn https_needs_somebody_to_trust() {
    for name in ["CONSUL_HTTP_ADDR", "CONFIG_URL", "BANK_URL", "ORDER_URL"] {
        let said = refusal(&[], free_base(), &[("SHOP_TLS", "0"), (name, "https://127.0.0.1:1")]).await;
        assert!(
            said.starts_with(&format!("shop: {name} https://127.0.0.1:1 cannot be asked without SHOP_TLS=1")),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_bad_setting_is_a_sentence() {
    for (name, value) in [
        ("SHOP_SESSION_SECONDS", "soon"),
        ("SHOP_SESSION_SECONDS", "-1"),
        ("SHOP_SESSION_SECONDS", "99999999999"),
        ("SHOP_LOG", "loud"),
        ("SHOP_TOKEN", "two words"),
        ("SHOP_CHEAP_PASSWORDS", "yes"),
        ("BANK_URL", "bank"),
        ("PAYMENT_URL", "http://127.0.0.1:1,"),
        ("PAYMENT_URL", "ftp://127.0.0.1:1"),
        ("ORDER_URL", "http://127.0.0.1:1/orders"),
        ("ORDER_URL", "http://127.0.0.1:99999"),
        ("ORDER_URL", "http://127.0.0.1:0"),
        ("ORDER_URL", "http://127.0.0.1:"),
        ("ORDER_URL", "http://ada:secret@127.0.0.1:1"),
        ("ORDER_URL", "http://127.0.0.1:1#orders"),
        ("BANK_URL", "http://"),
        ("SHOP_TLS", "yes"),
        ("CONSUL_HTTP_ADDR", "unix:///run/consul"),
        ("CONSUL_HTTP_ADDR", "localhost:port"),
        ("CONSUL_HTTP_ADDR", "localhost:1/v1"),
        ("REDIS_URL", "127.0.0.1:6379"),
        ("REDIS_URL", "http://127.0.0.1:6379"),
        ("REDIS_URL", "rediss://127.0.0.1:6379"),
        ("REDIS_URL", "redis://127.0.0.1/first"),
    ] {
        let said = refusal(&[], free_base(), &[(name, value)]).await;
        assert!(said.contains(name) && !said.contains("panicked"), "{said}");
    }
    for name in
        ["SHOP_TOKEN", "SHOP_LOG", "SHOP_SESSION_SECONDS", "SHOP_CHEAP_PASSWORDS", "USER_URL", "AMQP_URL"]
    {
        let said = refusal(&[], free_base(), &[(name, OsStr::from_bytes(b"\xff"))]).await;
        assert!(said.contains(&format!("{name} must be text")), "{said}");
    }
    for (args, name) in [
        (["run", "payment", "--replica", "4"], "--replica"),
        (["run", "order", "--replica", "2"], "--replica"),
        (["run", "payment", "--replica", "0"], "--replica"),
    ] {
        let said = refusal::<&str>(&args, free_base(), &[]).await;
        assert!(said.contains(name), "{said}");
    }
    let mut process = program(&["up"], "/nowhere".as_ref(), 65_521).spawn().unwrap();
    assert!(stderr(&mut process).await.contains("--port-base"));
    let mut process = program(&["run", "warehouse"], "/nowhere".as_ref(), free_base()).spawn().unwrap();
    assert!(stderr(&mut process).await.contains("warehouse"));
    let mut process = program(&[], "/dev/null/shop".as_ref(), free_base()).spawn().unwrap();
    assert!(stderr(&mut process).await.contains("--data-dir /dev/null/shop cannot be used"));
}

/// Starts one service, and returns it with the line that it says.
async fn alone(args: &[&str], folder: &Path, base: u16) -> (Child, String) {
    let mut process = program(args, folder, base).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let line = timeout(LONG, lines.next_line()).await.expect("it opens in time").unwrap();
    (process, line.unwrap_or_default())
}

#[tokio::test]
async fn a_process_each_is_a_shop_too() {
    let (folder, base) = (folder(), free_base());
    let mut processes = Vec::new();
    for (service, replica, name, offset) in [
        ("payment", "3", "payment-3", 7),
        ("payment", "2", "payment-2", 6),
        ("payment", "1", "payment-1", 5),
        ("product", "2", "product-2", 3),
        ("product", "1", "product-1", 2),
        ("user", "1", "user", 1),
        ("order", "1", "order", 4),
        ("gateway", "1", "gateway", 0),
    ] {
        let (process, line) = alone(&["run", service, "--replica", replica], folder.path(), base).await;
        assert_eq!(line, format!("{name} is open at {}", at(base + offset)));
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

#[cfg(feature = "stage")]
/// Who starts before those whom it needs waits for them, and is not started again.
#[tokio::test]
async fn services_start_in_any_order() {
    const ALL: [(&str, &str); 9] = [
        ("gateway", "1"),
        ("order", "1"),
        ("mail", "1"),
        ("payment", "2"),
        ("user", "1"),
        ("payment", "1"),
        ("product", "2"),
        ("payment", "3"),
        ("product", "1"),
    ];
    for at_once in [false, true] {
        let (folder, base) = (folder(), free_base());
        let start = |(service, replica): (&'static str, &'static str)| {
            let path = folder.path().to_owned();
            async move {
                let run = ["run", service, "--replica", replica];
                let (process, line) = alone(&run, &path, base).await;
                assert!(line.starts_with(service), "{service}-{replica}: {line}");
                process
            }
        };
        let mut processes = vec![start(ALL[0]).await];
        // The gateway is asked, and has nobody yet who could answer.
        let asked = client(LONG).get(format!("{}/api/v1/products", at(base))).send();
        assert!(asked.await.unwrap().status().is_server_error());
        if at_once {
            processes.extend(
                ALL[1..].iter().map(|one| start(*one)).collect::<tokio::task::JoinSet<_>>().join_all().await,
            );
        } else {
            for one in &ALL[1..] {
                processes.push(start(*one).await);
            }
        }
        let shop = Shop::of(processes.remove(0), base);
        let ready = async {
            let nobody = serde_json::json!({ "email": "nobody@example.org", "password": "nobody knows" });
            let products = || shop.http.get(shop.url("/api/v1/products"));
            let log_in = || shop.http.post(shop.url("/api/v1/sessions")).json(&nobody);
            for (ask, status) in [(&products as &dyn Fn() -> super::process::Request, 200), (&log_in, 401)] {
                while ask().send().await.unwrap().status() != status {
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            }
            let ada = Customer::new(&shop).await;
            let order = super::survives::insist(&ada, "k", "tea-mint").await;
            assert_eq!(ada.settled(order.text("id")).await["status"], "CONFIRMED");
        };
        timeout(LONG * 2, ready).await.expect("they find each other");
        assert!(processes.iter_mut().all(|process| process.try_wait().unwrap().is_none()), "all still run");
    }
}

#[tokio::test]
async fn a_service_that_runs_alone_follows_the_policy_of_its_folder() {
    let (folder, base) = (folder(), free_base());
    let file = folder.path().join("policy.toml");
    std::fs::write(&file, "servers.product.limit = { rate = 1, per = \"600s\", burst = 1 }").unwrap();
    let (mut product, _) = alone(&["run", "product"], folder.path(), base).await;
    let http = client(LONG);
    let answers = async |wanted: u16| {
        let asked = async {
            let ask = || http.get(format!("{}/products", at(base + 2))).send();
            while ask().await.unwrap().status() != wanted {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        timeout(LONG, asked).await.unwrap_or_else(|_| panic!("it does not answer {wanted}"));
    };
    answers(429).await;
    std::fs::write(&file, "").unwrap();
    answers(200).await;
    signal_to(&product, "TERM").await;
    assert_eq!(timeout(LONG, product.wait()).await.expect("it ends in time").unwrap().code(), Some(0));
}

#[tokio::test]
async fn two_shops_run_side_by_side() {
    let (here, there) = (folder(), folder());
    let (here, there) = tokio::join!(Shop::open(here.path()), Shop::open(there.path()));
    assert_ne!(here.base, there.base);
    assert_eq!((here.stop("TERM").await, there.stop("INT").await), (Some(0), Some(0)));
}

#[tokio::test]
async fn a_file_that_is_no_store_is_named() {
    let folder = folder();
    std::fs::write(folder.path().join("order.db"), [7; 8192]).unwrap();
    let mut process = program(&[], folder.path(), free_base());
    let mut process = process.env_remove("DATABASE_URL").env_remove("AMQP_URL").spawn().unwrap();
    let said = stderr(&mut process).await;
    assert_eq!(timeout(LONG, process.wait()).await.expect("it ends in time").unwrap().code(), Some(1));
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    assert!(said.contains("order.db cannot be opened") && said.contains("not a database"), "{said}");
}

#[tokio::test]
async fn a_data_folder_has_one_shop() {
    let folder = folder();
    let _shop = Shop::open(folder.path()).await;
    let before = folder.path().read_dir().unwrap().count();
    let mut process = program(&[], folder.path(), free_base()).spawn().unwrap();
    let said = stderr(&mut process).await;
    assert_eq!(timeout(LONG, process.wait()).await.expect("it ends in time").unwrap().code(), Some(1));
    assert!(said.starts_with("shop: another ") && said.contains("--data-dir"), "{said}");
    assert_eq!(folder.path().read_dir().unwrap().count(), before);
}

#[cfg(feature = "stage")]
#[tokio::test]
async fn ops_tells_the_health_of_all() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let said = super::ops::Ops(&shop).get("/health").await;
    assert_eq!((said.status.as_u16(), &said.body["ready"]), (200, &true.into()), "{said:?}");
    let names: Vec<_> =
        said.body["services"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "bank",
            "config",
            "gateway",
            "mail",
            "order",
            "payment-1",
            "payment-2",
            "payment-3",
            "product-1",
            "product-2",
            "registry",
            "user"
        ]
    );
}
