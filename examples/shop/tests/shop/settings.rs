//! The contract of a config service, as a service that runs alone uses it: kept by the embedded one, by any server that has the
//! answers as files, and by a file.

use super::process::{LONG, Shop, at, client, folder, free_base, program, stderr};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// By this a product answers 200 once, and then 429.
const LIMIT: [(&str, &str); 3] = [("rate", "1"), ("per", "600s"), ("burst", "1")];

/// A product that runs alone, and takes its values from somewhere.
struct Product {
    process: Child,
    base: u16,
}

impl Product {
    async fn open(folder: &Path, url: &str) -> Self {
        let base = free_base();
        let mut command = program(&["run", "product"], folder, base);
        let mut process = command.env("CONFIG_URL", url).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = timeout(LONG, lines.next_line()).await.expect("it opens in time").unwrap();
        if line.is_none() {
            panic!("it does not open: {}", stderr(&mut process).await);
        }
        Self { process, base }
    }

    async fn status(&self) -> u16 {
        let asked = client(LONG).get(format!("{}/products", at(self.base + 2))).send();
        asked.await.unwrap().status().as_u16()
    }

    /// Waits until it answers so.
    async fn answers(&self, wanted: u16) {
        let asked = async {
            while self.status().await != wanted {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(LONG, asked).await.unwrap_or_else(|_| panic!("it does not answer {wanted}"));
    }

    /// Ends it with no time to say or write anything, and returns what it had to complain about.
    async fn killed(mut self) -> String {
        self.process.start_kill().unwrap();
        stderr(&mut self.process).await
    }
}

/// Where a product may not open, and what is said then.
async fn refusal(folder: &Path, url: &str) -> String {
    let mut process =
        program(&["run", "product"], folder, free_base()).env("CONFIG_URL", url).spawn().unwrap();
    let said = stderr(&mut process).await;
    assert_eq!(timeout(LONG, process.wait()).await.expect("it ends").unwrap().code(), Some(1), "{said}");
    said
}

/// Whoever has the values of a product.
trait Source {
    fn url(&self) -> String;
    /// What is said of the limit of a product from now on; nothing: what the code says.
    fn says(&self, limit: Option<&[(&str, &str)]>);
    /// Somebody writes what cannot be meant.
    fn is_broken(&self);
}

async fn contract(source: &dyn Source) {
    let folder = folder();
    source.says(Some(&LIMIT));
    let product = Product::open(folder.path(), &source.url()).await;
    product.answers(429).await;
    source.says(None);
    product.answers(200).await;
    source.says(Some(&LIMIT));
    product.answers(429).await;
    source.is_broken();
    sleep(Duration::from_secs(3)).await;
    assert_eq!([product.status().await, product.status().await], [429; 2], "a broken edit changes nothing");
    source.says(None);
    product.answers(200).await;
    product.killed().await;
}

/// The properties of a limit, in Spring's shape.
fn environment(limit: Option<&[(&str, &str)]>) -> Value {
    let properties = limit.into_iter().flatten();
    let properties =
        properties.map(|(name, value)| (format!("bartizan.servers.product.limit.{name}"), json!(value)));
    let properties: serde_json::Map<_, _> = properties.collect();
    json!({ "name": "product", "profiles": ["default"], "propertySources": [{ "name": "file", "source": properties }] })
}

/// The same in TOML.
fn policy(limit: Option<&[(&str, &str)]>) -> String {
    let Some(limit) = limit else { return String::new() };
    let lines = limit.iter().map(|(name, value)| match value.parse::<u32>() {
        Ok(number) => format!("{name} = {number}\n"),
        Err(_) => format!("{name} = {value:?}\n"),
    });
    format!("[servers.product.limit]\n{}", lines.collect::<String>())
}

fn write(file: &Path, text: &str) {
    let new = file.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, file).unwrap();
}

/// The config service of a shop.
struct Embedded {
    shop: Shop,
    file: PathBuf,
}

impl Source for Embedded {
    fn url(&self) -> String {
        self.shop.at(10)
    }

    fn says(&self, limit: Option<&[(&str, &str)]>) {
        write(&self.file, &policy(limit));
    }

    fn is_broken(&self) {
        write(&self.file, "[servers.product]\nlimits = { rate = 1 }\n");
    }
}

/// A server that has the answers as files.
struct Static {
    folder: TempDir,
    port: u16,
    process: Option<Child>,
}

impl Static {
    async fn open() -> Self {
        let folder = folder();
        for service in ["gateway", "product"] {
            std::fs::create_dir(folder.path().join(service)).unwrap();
            write(&folder.path().join(service).join("default"), &environment(None).to_string());
        }
        let mut this = Self { folder, port: free_base(), process: None };
        this.returns().await;
        this
    }

    async fn returns(&mut self) {
        let mut server = Command::new("python3");
        server.args(["-m", "http.server", "--bind", "127.0.0.1", "--directory"]).arg(self.folder.path());
        server.arg(self.port.to_string()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        self.process = Some(server.spawn().expect("there is a python3"));
        let there = async {
            while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(LONG, there).await.expect("it listens");
    }

    async fn goes(&mut self) {
        self.process.take().unwrap().kill().await.unwrap();
    }
}

impl Source for Static {
    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn says(&self, limit: Option<&[(&str, &str)]>) {
        write(&self.folder.path().join("product/default"), &environment(limit).to_string());
    }

    fn is_broken(&self) {
        let broken = environment(None).to_string().replace("propertySources", "propertySauces");
        write(&self.folder.path().join("product/default"), &broken);
    }
}

/// A file, as a container has it mounted.
struct Mounted {
    file: PathBuf,
}

impl Source for Mounted {
    fn url(&self) -> String {
        format!("file://{}", self.file.display())
    }

    fn says(&self, limit: Option<&[(&str, &str)]>) {
        write(&self.file, &policy(limit));
    }

    fn is_broken(&self) {
        write(&self.file, "[servers.product]\nlimit = { rate = ");
    }
}

#[tokio::test]
async fn the_embedded_config_service_keeps_the_contract() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    contract(&Embedded { shop, file: folder.path().join("policy.toml") }).await;
}

#[tokio::test]
async fn a_server_of_files_keeps_the_contract() {
    contract(&Static::open().await).await;
}

#[tokio::test]
async fn a_file_keeps_the_contract() {
    let folder = folder();
    let mounted = Mounted { file: folder.path().join("policy.toml") };
    let said = refusal(folder.path(), &mounted.url()).await;
    assert!(
        said.contains("CONFIG_URL is set, but") && said.contains("policy.toml: cannot be read"),
        "{said}"
    );
    mounted.is_broken();
    let said = refusal(folder.path(), &mounted.url()).await;
    assert!(said.contains("CONFIG_URL is set, but") && said.contains("line 2"), "{said}");
    for url in ["file:policy.toml", "file://policy.toml", "file:///etc/", "file://"] {
        assert!(
            refusal(folder.path(), url).await.contains("must be like file:///etc/shop/policy.toml"),
            "{url}"
        );
    }
    contract(&mounted).await;
}

/// Who is killed while the server is away starts with what was told last, and only with what is whole.
#[tokio::test]
async fn who_starts_while_the_server_is_away_knows_what_was_told_last() {
    let (folder, mut server) = (folder(), Static::open().await);
    let kept = folder.path().join("config/product-1.json");
    server.says(Some(&LIMIT));
    let product = Product::open(folder.path(), &server.url()).await;
    product.answers(429).await;
    server.goes().await;
    product.killed().await;
    let product = Product::open(folder.path(), &server.url()).await;
    product.answers(429).await;
    server.says(None);
    server.returns().await;
    product.answers(200).await;
    product.killed().await;

    server.goes().await;
    let whole = std::fs::read(&kept).unwrap();
    for torn in [&whole[..whole.len() / 2], b"", b"{}"] {
        std::fs::write(&kept, torn).unwrap();
        let said = refusal(folder.path(), &server.url()).await;
        assert!(said.contains("CONFIG_URL is set, but no config service can be used"), "{said}");
    }
    std::fs::write(&kept, &whole).unwrap();
    let said = refusal(folder.path(), &format!("http://127.0.0.1:{}", free_base())).await;
    assert!(said.contains("CONFIG_URL is set, but"), "what another told is not believed: {said}");
    Product::open(folder.path(), &server.url()).await.answers(200).await;
}

/// What cannot be written down is told, and is no harm.
#[tokio::test]
async fn who_cannot_write_it_down_follows_nevertheless() {
    let (folder, server) = (folder(), Static::open().await);
    std::fs::create_dir_all(folder.path().join("config/product-1.json/x")).unwrap();
    server.says(Some(&LIMIT));
    let product = Product::open(folder.path(), &server.url()).await;
    product.answers(429).await;
    server.says(None);
    product.answers(200).await;
    let said = product.killed().await;
    assert!(said.contains("policy cannot be kept"), "{said}");
}

/// How a server answers.
#[derive(Clone, Copy, Debug)]
enum Mood {
    Limits,
    Lifts,
    Fails,
    Hangs,
    Drips,
    Floods,
    SendsAway,
    Babbles,
}

type Moods = Arc<(Mutex<Mood>, watch::Sender<u32>)>;

async fn moody(State(moods): State<Moods>, request: Request<Body>) -> Response {
    let mood = *moods.0.lock().unwrap();
    let limits = environment(Some(&LIMIT)).to_string();
    if request.uri().path().starts_with("/elsewhere") {
        return environment(None).to_string().into_response();
    }
    moods.1.send_modify(|asked| *asked += 1);
    match mood {
        Mood::Limits => ([(header::ETAG, "\"limits\"")], limits).into_response(),
        Mood::Lifts => environment(None).to_string().into_response(),
        Mood::Fails => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Mood::Hangs => {
            sleep(LONG).await;
            environment(None).to_string().into_response()
        }
        // A head, and a body that does not come.
        Mood::Drips => Response::builder().header("content-length", "1000").body(Body::new(Silence)).unwrap(),
        Mood::Floods => [environment(None).to_string(), " ".repeat(5 << 20)].concat().into_response(),
        Mood::SendsAway => Redirect::temporary("/elsewhere").into_response(),
        Mood::Babbles => "<html>log in</html>".into_response(),
    }
}

/// A body of which nothing comes.
struct Silence;

impl http_body::Body for Silence {
    type Data = bytes::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
        std::task::Poll::Pending
    }
}

#[tokio::test]
async fn a_server_that_misbehaves_changes_nothing() {
    let (folder, moods) = (folder(), Moods::new((Mutex::new(Mood::Limits), watch::channel(0).0)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let routes = Router::new().fallback(moody).with_state(moods.clone());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let product = Product::open(folder.path(), &url).await;
    product.answers(429).await;
    for mood in [Mood::Fails, Mood::Hangs, Mood::Drips, Mood::Floods, Mood::SendsAway, Mood::Babbles] {
        *moods.0.lock().unwrap() = mood;
        let mut asked = moods.1.subscribe();
        let before = *asked.borrow();
        // The second question says that the first one is over.
        timeout(LONG, asked.wait_for(|asked| *asked >= before + 2)).await.expect("it asks").unwrap();
        assert_eq!([product.status().await, product.status().await], [429; 2], "{mood:?}");
        *moods.0.lock().unwrap() = Mood::Limits;
        let before = *asked.borrow_and_update();
        timeout(LONG, asked.wait_for(|asked| *asked > before)).await.expect("it asks again").unwrap();
    }
    *moods.0.lock().unwrap() = Mood::Lifts;
    product.answers(200).await;
    // Nor does one that misbehaves at the start, and of which nothing is known, count as one.
    for mood in [Mood::Fails, Mood::Hangs, Mood::Drips, Mood::Babbles] {
        *moods.0.lock().unwrap() = mood;
        let elsewhere = self::folder();
        let said = refusal(elsewhere.path(), &url).await;
        assert!(said.contains("CONFIG_URL is set, but no config service can be used"), "{mood:?}: {said}");
    }
}

/// With a `CONFIG_URL` of one's own, such as that of a Spring Cloud Config server.
#[tokio::test]
#[ignore = "it asks the server of CONFIG_URL"]
async fn the_server_of_config_url_speaks_as_the_shop_understands() {
    let url = std::env::var("CONFIG_URL").expect("CONFIG_URL says where a server is");
    let http = client(LONG);
    for service in ["gateway", "product", "nobody"] {
        let answer = http.get(format!("{url}/{service}/default")).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{service}");
        let tag = answer.headers().get("etag").cloned();
        let body: Value = answer.json().await.unwrap();
        let sources = body["propertySources"].as_array().unwrap_or_else(|| panic!("{body}"));
        assert!(sources.iter().all(|it| it["name"].is_string() && it["source"].is_object()), "{body}");
        if let Some(tag) = tag {
            let again = http.get(format!("{url}/{service}/default")).header("if-none-match", tag);
            assert_eq!(again.send().await.unwrap().status(), 304, "{service}");
        }
    }
    let folder = folder();
    let product = Product::open(folder.path(), &url).await;
    assert!(folder.path().join("config/product-1.json").exists(), "what it told is written down");
    product.killed().await;
}
