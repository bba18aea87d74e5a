//! A shop in a process of its own, on ports of its own.

use super::stores;
use bartizan::client::{Boxed, HyperService, RequestBuilder};
use hyper_rustls::{DefaultServerNameResolver, HttpsConnector, ResolveServerName};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tower::ServiceBuilder;

/// Long enough for every machine; no test waits for it unless it fails.
pub const LONG: Duration = Duration::from_secs(20);

/// How long a connection on which nothing is asked is kept; half as long as the shop does.
const KEEP: Duration = Duration::from_millis(1500);

pub const TOKEN: &str = "the-ops-token-of-the-tests";

/// A client of the tests' own.
pub type Http = bartizan::Client;

/// What it asks.
pub type Request = RequestBuilder<Boxed>;

pub struct Shop {
    pub base: u16,
    pub http: Http,
    scheme: &'static str,
    process: Child,
}

/// The shop's program, with an environment that the tests know. Its stores are files, or where
/// `SHOP_TEST_DATABASE_URL` says.
pub fn program(args: &[&str], folder: &Path, base: u16) -> Command {
    let built = env!("CARGO_BIN_EXE_shop").into();
    let mut command = Command::new(std::env::var_os("SHOP_BIN").unwrap_or(built));
    command.args(args).arg("--data-dir").arg(folder).arg("--port-base").arg(base.to_string());
    command.env_clear().env("SHOP_TOKEN", TOKEN).env("SHOP_CHEAP_PASSWORDS", "1");
    command.envs(tls().into_iter().flatten());
    // A folder with a queue of its own has no need of a broker.
    let broker = std::env::var("SHOP_TEST_AMQP_URL").ok().filter(|_| !folder.join("bus.db").exists());
    if let Some(url) = broker {
        command.env("AMQP_URL", url).env("AMQP_PREFIX", prefix(folder));
    }
    if let Some(database) = stores::database(folder) {
        command.env("DATABASE_URL", database);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// What everything begins with that a shop has in a broker.
pub fn prefix(folder: &Path) -> String {
    let name = folder.file_name().expect("it has a name").to_string_lossy();
    format!("test-{}", name.replace('.', ""))
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

/// A client of the tests' own. It trusts what the shops of the tests are told to show.
pub fn client(patience: Duration) -> Http {
    client_of(&tls().map(|tls| std::fs::read(&tls[1].1).expect("a CA")).unwrap_or_default(), patience)
}

/// A client that trusts a CA in PEM, and waits so long for an answer.
pub fn client_of(ca: &[u8], patience: Duration) -> Http {
    client_by(ca, patience, Arc::new(DefaultServerNameResolver::default()))
}

/// The same, that takes those whom it asks for others.
pub fn client_by(ca: &[u8], patience: Duration, names: Arc<dyn ResolveServerName + Send + Sync>) -> Http {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(ca).flatten());
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let tls = tls.with_safe_default_protocol_versions().expect("ring speaks TLS");
    let tls = tls.with_root_certificates(roots).with_no_client_auth();
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let connector = HttpsConnector::new(tcp, tls, false, names);
    let mut client = legacy::Client::builder(TokioExecutor::new());
    // As all who ask the shop: a request that meets a closing connection is lost.
    client.pool_idle_timeout(KEEP).pool_timer(TokioTimer::new());
    let client = HyperService::new(client.build(connector));
    Http::new(Boxed::new(ServiceBuilder::new().timeout(patience).service(client)))
}

/// What a shop of the tests serves at a port.
pub fn at(port: u16) -> String {
    format!("{}://127.0.0.1:{port}", scheme())
}

fn scheme() -> &'static str {
    if tls().is_some() { "https" } else { "http" }
}

/// What makes a shop of the tests speak TLS, if all are to.
fn tls() -> Option<[(&'static str, PathBuf); 4]> {
    #[cfg(feature = "stage")]
    return super::certificates::of_all().map(super::certificates::Certificates::variables);
    #[cfg(not(feature = "stage"))]
    None
}

pub fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder for the data")
}

impl Shop {
    pub async fn open(folder: &Path) -> Self {
        Self::open_with(folder, &[]).await
    }

    pub async fn open_with(folder: &Path, variables: &[(&str, &str)]) -> Self {
        Self::open_as(&[], folder, variables).await
    }

    /// One whose services are processes of their own.
    #[cfg(feature = "stage")]
    pub async fn open_procs(folder: &Path) -> Self {
        Self::open_as(&["up", "--procs"], folder, &[]).await
    }

    pub async fn open_as(args: &[&str], folder: &Path, variables: &[(&str, &str)]) -> Self {
        let base = free_base();
        let mut process =
            program(args, folder, base).envs(variables.iter().copied()).spawn().expect("the shop starts");
        let mut lines = BufReader::new(process.stdout.take().expect("stdout is piped")).lines();
        let opened = async {
            while let Some(line) = lines.next_line().await.expect("stdout is text") {
                if line == format!("shop is open at {}", at(base)) {
                    return true;
                }
            }
            false
        };
        if !timeout(LONG, opened).await.expect("the shop opens in time") {
            panic!("the shop did not open: {}", stderr(&mut process).await);
        }
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        // A shop whose complaints nobody reads would stand still at last.
        let mut complaints = BufReader::new(process.stderr.take().expect("stderr is piped")).lines();
        tokio::spawn(async move {
            while let Ok(Some(line)) = complaints.next_line().await {
                eprintln!("{line}");
            }
        });
        Self::of(process, base)
    }

    /// A shop that is open already, by the process of its gateway.
    pub fn of(process: Child, base: u16) -> Self {
        let http = client(LONG);
        Self { base, http, scheme: scheme(), process }
    }

    /// The same, over TLS, for a client that trusts it.
    #[cfg(feature = "stage")]
    pub fn over_tls(self, http: Http) -> Self {
        Self { http, scheme: "https", ..self }
    }

    /// What it serves at a port, counted from its first.
    pub fn at(&self, offset: u16) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.base + offset)
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.at(0))
    }

    pub async fn signal(&self, name: &str) {
        signal_to(&self.process, name).await;
    }

    /// Sends a signal by its name, and returns the exit code.
    pub async fn stop(self, signal: &str) -> Option<i32> {
        self.signal(signal).await;
        self.ended().await
    }

    #[cfg(feature = "stage")]
    pub fn into_process(self) -> Child {
        self.process
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
