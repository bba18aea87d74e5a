use bartizan_limit::RedisStore;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The server of `REDIS_URL`.
pub(crate) fn url() -> String {
    std::env::var("REDIS_URL").expect("REDIS_URL says where a server is")
}

/// A store with buckets that nobody else has, and what their names begin with.
pub(crate) fn store() -> (RedisStore, String) {
    let prefix = format!("bartizan-test-{:016x}:", RandomState::new().hash_one(()));
    let store = RedisStore::open(&url()).unwrap().prefix(prefix.as_str());
    // None of these tests is about the time-out.
    (store.with_time_out(Duration::from_secs(20)), prefix)
}

/// Where the server listens.
pub(crate) fn address() -> String {
    let url = url();
    let address = url.strip_prefix("redis://").expect("a plain URL").trim_end_matches('/').to_owned();
    if address.contains(':') { address } else { format!("{address}:6379") }
}

/// Says something to the server, and returns its answer, the lines of an array one below the other.
pub(crate) async fn say(words: &[&str]) -> String {
    let mut stream = BufReader::new(TcpStream::connect(address()).await.unwrap());
    let mut said = format!("*{}\r\n", words.len());
    for word in words {
        said += &format!("${}\r\n{word}\r\n", word.len());
    }
    stream.write_all(said.as_bytes()).await.unwrap();
    let head = line(&mut stream).await;
    let mut left: usize = match head.as_bytes()[0] {
        b'*' => head[1..].parse().unwrap(),
        b'$' => return bulk(&mut stream, &head).await,
        _ => return head,
    };
    let mut all = Vec::new();
    while left > 0 {
        let head = line(&mut stream).await;
        all.push(bulk(&mut stream, &head).await);
        left -= 1;
    }
    all.join("\n")
}

async fn line(stream: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).await.unwrap();
    line.trim_end().to_owned()
}

async fn bulk(stream: &mut BufReader<TcpStream>, head: &str) -> String {
    let Ok(length) = head[1..].parse::<usize>() else { return String::from("nil") };
    let mut bytes = vec![0; length + 2];
    stream.read_exact(&mut bytes).await.unwrap();
    String::from_utf8(bytes[..length].to_vec()).unwrap()
}

/// How a [`Proxy`] behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It passes on what is said.
    Well,
    /// It takes connections and is silent, also on those that it has; when it is well again, they stay silent.
    Silent,
    /// It cuts connections, those that it has as well.
    Cut,
}

/// What stands between a store and the server.
pub(crate) struct Proxy {
    pub(crate) url: String,
    mood: watch::Sender<Mood>,
}

impl Proxy {
    pub(crate) async fn start(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let (tell, mood) = watch::channel(mood);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(pass(stream, mood.clone()));
            }
        });
        Self { url, mood: tell }
    }

    pub(crate) fn behave(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }
}

async fn pass(mut near: TcpStream, mut mood: watch::Receiver<Mood>) {
    let begun = *mood.borrow_and_update();
    if begun == Mood::Well {
        let mut far = TcpStream::connect(address()).await.unwrap();
        tokio::select! {
            _ = copy_bidirectional(&mut near, &mut far) => return,
            _ = mood.changed() => {}
        }
    }
    if begun != Mood::Cut && *mood.borrow() != Mood::Cut {
        // It is kept, and nobody reads it.
        let _ = mood.wait_for(|mood| *mood == Mood::Cut).await;
    }
    near.set_zero_linger().unwrap();
}
