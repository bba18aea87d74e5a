//! A shop in a process of its own, on ports of its own.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Long enough for every machine; no test waits for it unless it fails.
pub const LONG: Duration = Duration::from_secs(20);

pub const TOKEN: &str = "the-ops-token";

pub struct Shop {
    pub base: u16,
    pub http: reqwest::Client,
    process: Child,
}

/// The shop's program, with an environment that the tests know.
pub fn program(args: &[&str], folder: &Path, base: u16) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
    command.args(args).arg("--data-dir").arg(folder).arg("--port-base").arg(base.to_string());
    command.env_clear().env("SHOP_TOKEN", TOKEN).env("SHOP_CHEAP_PASSWORDS", "1");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// The first of sixteen ports in a row that were free a moment ago. No two tests of a run get the same.
pub fn free_base() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = (std::process::id() % 1500) as u16 * 16;
    loop {
        let base = 10_000 + (begin + NEXT.fetch_add(16, Ordering::Relaxed)) % 22_000;
        if (base..base + 16).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            return base;
        }
    }
}

pub fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder for the data")
}

impl Shop {
    pub async fn open(folder: &Path) -> Self {
        Self::open_with(folder, &[]).await
    }

    pub async fn open_with(folder: &Path, variables: &[(&str, &str)]) -> Self {
        let base = free_base();
        let mut process =
            program(&[], folder, base).envs(variables.iter().copied()).spawn().expect("the shop starts");
        let mut lines = BufReader::new(process.stdout.take().expect("stdout is piped")).lines();
        let opened = async {
            while let Some(line) = lines.next_line().await.expect("stdout is text") {
                if line == format!("shop is open at http://127.0.0.1:{base}") {
                    return true;
                }
            }
            false
        };
        if !timeout(LONG, opened).await.expect("the shop opens in time") {
            panic!("the shop did not open: {}", stderr(&mut process).await);
        }
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self::of(process, base)
    }

    /// A shop that is open already, by the process of its gateway.
    pub fn of(process: Child, base: u16) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(LONG).build().expect("a client");
        Self { base, http, process }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.base)
    }

    pub async fn signal(&self, name: &str) {
        signal_to(&self.process, name).await;
    }

    /// Sends a signal by its name, and returns the exit code.
    pub async fn stop(self, signal: &str) -> Option<i32> {
        self.signal(signal).await;
        self.ended().await
    }

    /// Waits for the end, and returns the exit code.
    pub async fn ended(mut self) -> Option<i32> {
        let status = timeout(LONG, self.process.wait()).await.expect("the shop closes in time");
        status.expect("the shop is a child").code()
    }
}

pub async fn signal_to(process: &Child, signal: &str) {
    let id = process.id().expect("it runs").to_string();
    let sent = Command::new("kill").args([format!("-{signal}"), id]).status().await;
    assert!(sent.expect("there is a kill").success());
}

/// What a process had to complain about, once it has ended.
pub async fn stderr(process: &mut Child) -> String {
    let mut said = String::new();
    let pipe = process.stderr.as_mut().expect("stderr is piped");
    timeout(LONG, pipe.read_to_string(&mut said)).await.expect("it ends in time").expect("stderr is text");
    said
}
