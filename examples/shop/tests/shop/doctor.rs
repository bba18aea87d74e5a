//! What `shop doctor` finds, and that it changes nothing.

use super::process::{LONG, Shop, folder, free_base, program};
use serde_json::Value;
use std::net::TcpListener;
use std::path::Path;
use tokio::time::timeout;

/// What it said, to people and to programs.
struct Said {
    code: Option<i32>,
    text: String,
    json: Value,
}

impl Said {
    /// What it has to complain about.
    fn ills(&self) -> Vec<&str> {
        let findings = self.json["findings"].as_array().unwrap_or_else(|| panic!("{}", self.text));
        findings.iter().filter(|it| it["well"] == false).filter_map(|it| it["says"].as_str()).collect()
    }

    fn is_well(&self) {
        assert_eq!((self.code, self.ills().len()), (Some(0), 0), "{}", self.text);
        assert_eq!(self.json["well"], true, "{}", self.text);
    }

    /// Checks that this, and nothing else, is what it complains about, in a sentence each.
    fn is_ill(&self, of: &[&str]) {
        let ills = self.ills();
        assert_eq!((self.code, ills.len()), (Some(1), of.len()), "{}", self.text);
        for part in of {
            let about = ills.iter().filter(|ill| ill.contains(part)).count();
            assert_eq!(about, 1, "{part:?} in {}", self.text);
        }
        for ill in ills {
            assert!(ill.ends_with('.') && !ill.contains('\n'), "{ill:?}");
            assert!(self.text.contains(ill), "{}", self.text);
        }
        assert!(!self.text.contains("s3cret") && !self.text.contains("panicked"), "{}", self.text);
    }
}

async fn doctor(folder: &Path, base: u16, variables: &[(&str, &str)]) -> Said {
    let ask = async |args: &[&str]| {
        let mut process = program(args, folder, base);
        let output = process.envs(variables.iter().copied()).output();
        timeout(LONG * 2, output).await.expect("it ends in time").unwrap()
    };
    // Not at once: each takes the ports that are free, for an instant.
    let (text, json) = (ask(&["doctor"]).await, ask(&["doctor", "--json"]).await);
    assert_eq!(text.status.code(), json.status.code());
    let text = String::from_utf8([text.stdout, text.stderr].concat()).unwrap();
    assert!(!String::from_utf8_lossy(&json.stdout).contains("s3cret"));
    Said { code: json.status.code(), text, json: serde_json::from_slice(&json.stdout).unwrap_or_default() }
}

#[tokio::test]
async fn a_machine_on_which_a_shop_can_open_is_well() {
    let folder = folder();
    let said = doctor(folder.path(), free_base(), &[]).await;
    said.is_well();
    assert!(said.text.contains("✓ clock: ") && said.text.contains("✓ open files: "), "{}", said.text);
    assert_eq!(folder.path().read_dir().unwrap().count(), 0, "nothing was written");
}

#[tokio::test]
async fn a_shop_that_is_open_is_asked_how_it_is() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let said = doctor(folder.path(), shop.base, &[]).await;
    said.is_well();
    let all = if cfg!(feature = "stage") { "all 12 are ready" } else { "all are ready" };
    assert!(said.text.contains("0 are free") && said.text.contains(all), "{}", said.text);
    // Elsewhere nobody would find it.
    let said = doctor(folder.path(), free_base(), &[]).await;
    assert!(said.ills().iter().any(|ill| ill.starts_with("gateway belongs to a shop")), "{}", said.text);
    assert_eq!(shop.stop("TERM").await, Some(0));
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let (folder, base) = (folder(), free_base());
    let _taken = TcpListener::bind(("127.0.0.1", base + 4)).unwrap();
    let said = doctor(folder.path(), base, &[]).await;
    said.is_ill(&[&format!("port {} of order is taken", base + 4)]);
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_named() {
    let said = doctor("/dev/null/shop".as_ref(), free_base(), &[]).await;
    said.is_ill(&["--data-dir /dev/null/shop cannot be used: Not a directory"]);
}

/// Every one of them is named, not only the first.
#[cfg(feature = "servers")]
#[tokio::test]
async fn whom_a_variable_names_and_nobody_reaches_is_named() {
    let (folder, base, nobody) = (folder(), free_base(), format!("127.0.0.1:{}", free_base()));
    let of = |scheme: &str| format!("{scheme}://ada:s3cret@{nobody}/shop");
    let (database, mysql) = (of("postgres"), of("mysql"));
    let (broker, redis, http) =
        (of("amqp"), format!("redis://ada:s3cret@{nobody}/"), format!("http://{nobody}"));
    let variables = [
        ("DATABASE_URL", &*database),
        ("MAIL_DATABASE_URL", &mysql),
        ("AMQP_URL", &broker),
        ("REDIS_URL", &redis),
        ("CONSUL_HTTP_ADDR", &nobody),
        ("CONFIG_URL", &http),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &http),
        ("USER_URL", &http),
        ("BANK_URL", &http),
    ];
    doctor(folder.path(), base, &variables).await.is_ill(&[
        "of DATABASE_URL cannot be opened",
        "of MAIL_DATABASE_URL cannot be opened",
        "AMQP_URL is set, but",
        "REDIS_URL is set, but",
        "CONSUL_HTTP_ADDR is set, but",
        "CONFIG_URL is set, but",
        "OTEL_EXPORTER_OTLP_ENDPOINT is set, but",
        "no user can be used at",
        "no bank can be used at",
    ]);
    assert_eq!(folder.path().read_dir().unwrap().count(), 0, "nothing was written");
}

#[tokio::test]
async fn what_cannot_be_understood_is_named() {
    let variables = [
        ("DATABASE_URL", "oracle://shop:s3cret@127.0.0.1/shop"),
        ("AMQP_URL", "http://ada:s3cret@127.0.0.1"),
        ("CONSUL_HTTP_ADDR", "localhost:port"),
        ("CONFIG_URL", "file:policy.toml"),
        ("REDIS_URL", "redis://ada:s3cret@127.0.0.1/first"),
        ("ORDER_URL", "ftp://127.0.0.1:1"),
        ("SHOP_TLS_CA", "/nowhere/ca.pem"),
        ("SHOP_TLS", "1"),
        ("SHOP_SESSION_SECONDS", "soon"),
    ];
    let (folder, said) = (folder(), Vec::from(variables).into_iter().map(|(name, _)| name));
    // The file is what is wrong with TLS.
    let named: Vec<_> = said.filter(|name| *name != "SHOP_TLS").collect();
    doctor(folder.path(), free_base(), &variables).await.is_ill(&named);
}

#[tokio::test]
async fn a_file_that_is_no_store_is_named() {
    let folder = folder();
    std::fs::write(folder.path().join("bus.db"), [7; 8192]).unwrap();
    std::fs::write(folder.path().join("policy.toml"), "servers.gateway.limit = 7").unwrap();
    let said = doctor(folder.path(), free_base(), &[]).await;
    // Where a broker has the queues, nobody looks.
    match std::env::var_os("SHOP_TEST_AMQP_URL") {
        Some(_) => said.is_ill(&["policy.toml"]),
        None => said.is_ill(&["bus.db cannot be opened: file is not a database", "policy.toml"]),
    }
}
