//! A shop whose services are processes of their own, so that one of them can be killed, held up or watched alone.

use super::ops::check;
use super::process::{Http, LONG, at, client, folder, free_base, program};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::{sleep, timeout};

/// In the order in which they are started.
const SERVICES: [&str; 7] = ["bank", "payment", "product", "user", "mail", "order", "gateway"];

pub struct Apart {
    pub base: u16,
    pub http: Http,
    pub token: String,
    folder: TempDir,
    bank: String,
    processes: BTreeMap<&'static str, Child>,
}

impl Apart {
    /// Opens every service, one of each, and lets a customer in.
    pub async fn open() -> Self {
        let (base, processes) = (free_base(), BTreeMap::new());
        let http = client(LONG);
        let mut shop =
            Self { base, http, token: String::new(), folder: folder(), bank: String::new(), processes };
        for service in SERVICES {
            shop.start(service).await;
        }
        let ada = json!({ "name": "Ada", "email": "ada@example.org", "password": "correct horse" });
        let made = shop.http.post(shop.url("user", "/users")).json(&ada).send().await.expect("users answer");
        assert_eq!(made.status(), 201);
        let session = shop.http.post(shop.url("user", "/sessions")).json(&ada).send().await;
        let session: Value = session.expect("users answer").json().await.expect("a session");
        session["token"].as_str().expect("a token").clone_into(&mut shop.token);
        shop
    }

    /// Starts a service, and returns when it is open.
    pub async fn start(&mut self, service: &'static str) {
        let mut command = program(&["run", service], self.folder.path(), self.base);
        command.env("PRODUCT_URL", format!("http://127.0.0.1:{}", self.base + 2));
        command.env("PAYMENT_URL", format!("http://127.0.0.1:{}", self.base + 5));
        if service == "payment" {
            command.env("BANK_URL", &self.bank);
        }
        let mut process = command.stderr(Stdio::inherit()).spawn().expect("the service starts");
        let mut lines = BufReader::new(process.stdout.take().expect("stdout is piped")).lines();
        let line = timeout(LONG, lines.next_line()).await.expect("it opens in time").expect("text");
        let address = line.as_deref().and_then(|line| line.split_once(" is open at "));
        let (_, address) = address.unwrap_or_else(|| panic!("{service} did not open: {line:?}"));
        if service == "bank" {
            address.clone_into(&mut self.bank);
        }
        self.processes.insert(service, process);
    }

    pub fn process(&self, service: &str) -> &Child {
        &self.processes[service]
    }

    /// The same, for who waits for its end.
    pub fn take(&mut self, service: &str) -> Child {
        self.processes.remove(service).expect("it was started")
    }

    /// The address of a path of a service.
    pub fn url(&self, service: &str, path: &str) -> String {
        let offset = match service {
            "gateway" => 0,
            "user" => 1,
            "product" => 2,
            "order" => 4,
            "payment" => 5,
            other => panic!("nobody asks {other}"),
        };
        format!("{}{path}", at(self.base + offset))
    }

    /// The files of a store, as strace is told to look at them alone.
    pub fn files(&self, store: &str) -> impl Iterator<Item = String> {
        let file = |end| self.folder.path().join(format!("{store}.db{end}")).display().to_string();
        ["", "-wal", "-shm"].map(file).into_iter().flat_map(|file| ["-P".to_owned(), file])
    }

    /// Asks a service for an order of one thing. No answer is `None`.
    pub async fn order(&self, service: &str, key: &str, product: &str) -> Option<(StatusCode, Value)> {
        let path = if service == "gateway" { "/api/v1/orders" } else { "/orders" };
        let order = self.http.post(self.url(service, path)).bearer_auth(&self.token);
        let body = json!({ "items": [{ "product_id": product, "quantity": 1 }] });
        let answer = order.header("idempotency-key", key).json(&body).send().await.ok()?;
        Some((answer.status(), answer.json().await.ok()?))
    }

    /// Asks the order service for an order until it is at its end, and returns its status.
    pub async fn settled(&self, id: &str) -> String {
        let asked = async {
            loop {
                let order = self.http.request(Method::GET, self.url("order", &format!("/orders/{id}")));
                if let Ok(answer) = order.bearer_auth(&self.token).send().await
                    && let Ok(order) = answer.json::<Value>().await
                    && let Some(status @ ("CONFIRMED" | "CANCELLED")) = order["status"].as_str()
                {
                    return status.to_owned();
                }
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(LONG * 9, asked).await.unwrap_or_else(|_| panic!("order {id} does not settle"))
    }

    /// Has every invariant checked, once nothing is on its way any more.
    pub async fn check(&self) {
        check(self.folder.path(), self.base).await;
    }

    /// How many orders are in each step, by `shop check`.
    pub async fn orders(&self) -> Value {
        let output = program(&["check", "--json"], self.folder.path(), self.base).output().await;
        let said: Value = serde_json::from_slice(&output.expect("it runs").stdout).expect("JSON");
        said["orders"].clone()
    }
}

/// strace, at the calls of a process. Dropped, it leaves the process alone.
pub struct Strace {
    process: Child,
    complaints: BufReader<ChildStderr>,
}

impl Strace {
    /// Begins with the next call of the process. `args` say what is done to which calls.
    pub async fn attach(process: &Child, args: &[String]) -> Self {
        let id = process.id().expect("it runs").to_string();
        let mut strace = Command::new("strace");
        strace.args(["-f", "-o", "/dev/null", "-p", &id]).args(args).stderr(Stdio::piped());
        let mut strace = strace.kill_on_drop(true).spawn().expect("there is a strace");
        let mut complaints = BufReader::new(strace.stderr.take().expect("it is piped"));
        let mut line = String::new();
        timeout(LONG, complaints.read_line(&mut line)).await.expect("it attaches in time").expect("text");
        assert!(line.contains(" attached"), "{line}");
        Self { process: strace, complaints }
    }

    /// Leaves the process to itself.
    pub async fn detach(mut self) {
        let id = self.process.id().expect("it runs").to_string();
        let told = Command::new("kill").args(["-INT", &id]).status().await;
        assert!(told.expect("there is a kill").success());
        let mut rest = String::new();
        let ended = timeout(LONG, self.complaints.read_to_string(&mut rest)).await;
        ended.expect("it leaves in time").expect("text");
        self.process.wait().await.expect("it is a child");
    }
}
