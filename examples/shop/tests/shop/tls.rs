//! The shop over TLS.

use super::certificates::{Certificates, trusting};
use super::customer::{Customer, Said, say};
use super::fare::nobody_is_lost;
use super::ops::{Ops, check};
use super::process::{LONG, Shop, client_by, client_of, folder, free_base, program, stderr};
use bartizan::core::find_cause;
use hyper_rustls::FixedServerNameResolver;
use hyper_util::client::legacy::Error;
use serde_json::json;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// The shop's program, told to speak TLS by its development CA.
fn secret(args: &[&str], folder: &Path, base: u16) -> Command {
    let mut command = program(args, folder, base);
    for name in ["SHOP_TLS_CA", "SHOP_TLS_CERT", "SHOP_TLS_KEY"] {
        command.env_remove(name);
    }
    command.env("SHOP_TLS", "1");
    command
}

/// Starts what opens something, and returns it with the first line that it says.
async fn open(mut command: Command) -> (Child, String) {
    let mut process = command.spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let line = timeout(LONG, lines.next_line()).await.expect("it opens in time").unwrap();
    let Some(line) = line else { panic!("it does not open: {}", stderr(&mut process).await) };
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (process, line)
}

/// A shop with a development CA, and who trusts that.
pub async fn shop(folder: &Path) -> Shop {
    let base = free_base();
    let (process, line) = open(secret(&[], folder, base)).await;
    assert_eq!(line, format!("shop is open at https://127.0.0.1:{base}"));
    let http = trusting(&folder.join("tls/ca.pem"));
    Shop::of(process, base).over_tls(http)
}

fn is_connect(error: &bartizan::client::Error) -> bool {
    find_cause::<Error>(error).is_some_and(Error::is_connect)
}

async fn output(mut command: Command) -> Output {
    timeout(LONG * 3, command.output()).await.expect("it ends in time").unwrap()
}

#[tokio::test]
async fn customers_shop_over_it_and_all_commands_speak_it() {
    let folder = folder();
    let shop = shop(folder.path()).await;
    let (ops, ada) = (Ops(&shop), Customer::new(&shop).await);
    let order = ada.order("k", &[("tea-mint", 2)]).await;
    assert_eq!((order.status.as_u16(), order.text("status")), (201, "CONFIRMED"), "{order:?}");
    assert_eq!(ada.payment(&order.body).await["status"], "CAPTURED", "gRPC as well");
    let health = ops.get("/health").await;
    assert_eq!((health.status.as_u16(), &health.body["ready"]), (200, &json!(true)), "{health:?}");
    // The registry and the config service are asked over it, and say where the others are.
    for (offset, path) in [(9, "/v1/health/service/payment?passing"), (10, "/order/default")] {
        let said = say(shop.http.get(format!("https://127.0.0.1:{}{path}", shop.base + offset))).await;
        assert_eq!(said.status, 200, "{said:?}");
    }
    ops.until("endpoint", "order->payment/https://", "up").await;
    for args in [
        &["fault", "set", "payment-2", "latency", "--ms", "1"][..],
        &["fault", "list"],
        &["fault", "clear"],
        &["protect"],
        &["load", "--rps", "20", "--for", "1s", "--customers", "2", "--json"],
        &["check", "--wait", "20s"],
    ] {
        let said = output(secret(args, folder.path(), shop.base)).await;
        assert!(said.status.success(), "{args:?}: {said:?}");
    }
    let email = ada.email.clone();
    let mode = std::fs::metadata(folder.path().join("tls/ca.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = std::fs::read(folder.path().join("tls/ca.pem")).unwrap();
    assert_eq!(shop.stop("TERM").await, Some(0));
    let again = self::shop(folder.path()).await;
    assert_eq!(std::fs::read(folder.path().join("tls/ca.pem")).unwrap(), before, "the CA is kept");
    Customer::log_in(&again, email).await;
}

#[tokio::test]
async fn who_trusts_another_ca_or_speaks_plainly_is_not_served() {
    let folder = folder();
    let shop = shop(folder.path()).await;
    let other = Certificates::until(2040);
    let stranger = trusting(&other.ca());
    let plain = client_of(b"", LONG);
    for offset in [0, 1, 2, 4, 5, 8, 9, 10] {
        let port = shop.base + offset;
        let refused = stranger.get(format!("https://127.0.0.1:{port}/healthz")).send().await.unwrap_err();
        assert!(
            is_connect(&refused) && format!("{refused:?}").contains("UnknownIssuer"),
            "{offset}: {refused:?}"
        );
        let said = say(plain.get(format!("http://127.0.0.1:{port}/healthz"))).await;
        said.is_problem(400);
        assert!(said.text("detail").contains("https"), "{said:?}");
    }
    // A name that it is not for.
    let ca = std::fs::read(folder.path().join("tls/ca.pem")).unwrap();
    let other = FixedServerNameResolver::new("shop.example".try_into().unwrap());
    let own = client_by(&ca, LONG, Arc::new(other));
    let refused = own.get(shop.url("/healthz")).send().await.unwrap_err();
    assert!(is_connect(&refused) && format!("{refused:?}").contains("NotValidForName"), "{refused:?}");
    assert_eq!(say(shop.http.get(format!("https://localhost:{}/healthz", shop.base))).await.status, 200);
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_cut() {
    let folder = folder();
    let shop = shop(folder.path()).await;
    let closed = async |sent: &[u8]| {
        let mut stream = TcpStream::connect(("127.0.0.1", shop.base)).await.unwrap();
        stream.write_all(sent).await.unwrap();
        let mut rest = Vec::new();
        let closed = timeout(LONG, stream.read_to_end(&mut rest)).await;
        closed.unwrap_or_else(|_| panic!("{sent:?}: nobody hangs up")).ok();
        rest
    };
    // Nothing, a head that never ends, a handshake that stops, one that is none, and what is neither.
    let (nothing, begun, nonsense, noise) = tokio::join!(
        closed(b""),
        closed(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        closed(b"\x16\x03\x01\x00\x05hello"),
        closed(&[0; 64]),
    );
    assert_eq!((nothing, begun, noise), (vec![], vec![], vec![]));
    assert!(nonsense.is_empty() || nonsense[0] == 21, "an alert: {nonsense:?}");
    let plain = closed(b"GET / HTTP/1.1\r\nhost: shop\r\n\r\n").await;
    assert!(plain.starts_with(b"HTTP/1.1 400 "), "{}", String::from_utf8_lossy(&plain));
    Customer::new(&shop).await;
}

#[tokio::test]
async fn restarts_under_load_lose_nobody() {
    let folder = folder();
    let shop = shop(folder.path()).await;
    let ops = Ops(&shop);
    let restarts = async {
        for (target, kind) in [
            ("product", "rolling"),
            ("gateway", "restart"),
            ("payment", "rolling"),
            ("order", "restart"),
            ("user", "restart"),
            ("gateway", "restart"),
        ] {
            ops.set(target, kind, json!({})).await;
            sleep(Duration::from_millis(500)).await;
        }
    };
    nobody_is_lost(&shop, restarts).await;
    check(folder.path(), shop.base).await;
}

/// Starts the shop where it must not open, and returns what it says.
async fn refusal<V: AsRef<OsStr>>(args: &[&str], variables: &[(&str, V)]) -> String {
    let folder = folder();
    let variables = variables.iter().map(|(name, value)| (name, value));
    let said = output({
        let mut command = secret(args, folder.path(), free_base());
        command.envs(variables);
        command
    });
    let said = said.await;
    let text = String::from_utf8(said.stderr).unwrap();
    assert_eq!((said.status.code(), text.trim_end().lines().count()), (Some(1), 1), "{text}");
    text
}

#[tokio::test]
async fn a_certificate_that_is_no_good_is_a_sentence() {
    let (good, other, old) =
        (Certificates::until(2040), Certificates::until(2040), Certificates::until(2021));
    let nowhere = good.path("nowhere.pem");
    let with = |ca: &Path, cert: &Path, key: &Path| {
        [("SHOP_TLS_CA", ca.to_owned()), ("SHOP_TLS_CERT", cert.to_owned()), ("SHOP_TLS_KEY", key.to_owned())]
    };
    let (ca, cert, key) = (good.ca(), good.path("cert.pem"), good.path("key.pem"));
    for (variables, words) in [
        (with(&nowhere, &cert, &key), "nowhere.pem cannot be read: No such file"),
        (with(&ca, &nowhere, &key), "nowhere.pem cannot be read: No such file"),
        (with(&ca, &cert, &nowhere), "nowhere.pem cannot be read: No such file"),
        (with(&key, &cert, &key), "key.pem holds no certificate in PEM"),
        (with(&ca, &cert, &cert), "cert.pem holds no private key in PEM"),
        (with(&ca, &cert, &other.path("key.pem")), "is not the key of SHOP_TLS_CERT"),
        (with(&other.ca(), &cert, &key), "SHOP_TLS_CERT"),
        (with(&old.ca(), &old.path("cert.pem"), &old.path("key.pem")), "cert.pem has expired"),
        (with(&ca, Path::new(""), &key), "SHOP_TLS_CERT is not set"),
        (with(Path::new(""), &cert, &key), "SHOP_TLS_CA is not set"),
        (with(&ca, &cert, Path::new("")), "SHOP_TLS_KEY is not set"),
        (with(&ca, Path::new(""), Path::new("")), "there is no certificate to show"),
    ] {
        for args in [&["up"][..], &["run", "user"]] {
            let said = refusal(args, &variables).await;
            assert!(said.starts_with("shop: SHOP_TLS") && said.contains(words), "{words}: {said}");
        }
    }
    let said = refusal(&["up"], &[("SHOP_TLS", ""), ("SHOP_TLS_CA", "ca.pem")]).await;
    assert!(said.contains("SHOP_TLS_CA is set, but SHOP_TLS is not"), "{said}");
    let said = refusal(&["load"], &[("SHOP_TLS", "1")]).await;
    assert!(said.contains("no shop has been open with SHOP_TLS=1"), "{said}");
}

/// As in containers: each service is a process, and is given its certificate.
#[tokio::test]
async fn a_process_each_with_given_certificates_is_a_shop_too() {
    let (folder, base, given) = (folder(), free_base(), Certificates::until(2040));
    let mut processes = Vec::new();
    for (service, replica) in [
        ("payment", "1"),
        ("payment", "2"),
        ("payment", "3"),
        ("product", "1"),
        ("product", "2"),
        ("user", "1"),
        ("order", "1"),
        ("gateway", "1"),
    ] {
        let mut command = program(&["run", service, "--replica", replica], folder.path(), base);
        command.envs(given.variables());
        let (process, line) = open(command).await;
        assert!(line.contains(" is open at https://127.0.0.1:"), "{line}");
        processes.push(process);
    }
    let http = trusting(&given.ca());
    let shop = Shop::of(processes.pop().unwrap(), base).over_tls(http);
    let ada = Customer::new(&shop).await;
    assert_eq!(ada.order("k", &[("tea-mint", 1)]).await.text("status"), "CONFIRMED");
    assert!(!folder.path().join("tls").exists(), "and no other CA is made");
    // Who is another's is not asked.
    let other = Certificates::until(2040);
    let elsewhere = self::folder();
    let mut command = program(&["run", "gateway"], elsewhere.path(), free_base());
    command.envs(other.variables()).env("PRODUCT_URL", format!("https://127.0.0.1:{}", base + 2));
    let (_gateway, line) = open(command).await;
    let url = line.rsplit(' ').next().unwrap();
    let stranger = trusting(&other.ca());
    let said: Said = say(stranger.get(format!("{url}/api/v1/products"))).await;
    assert_eq!(said.status, 503, "{said:?}");
}
