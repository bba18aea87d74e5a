//! The connection: to a server that is there, comes and goes, or is none.

use crate::server::{Mood, Proxy};
use bartizan_limit::{Ask, RedisStore, Store, StoreError, Told, Verb};
use std::time::Duration;

const ONE: Ask<'_> = Ask {
    name: "line",
    bucket: 1,
    interval: Duration::from_millis(1),
    burst: 1000,
    cost: 1,
    verb: Verb::Take,
};

/// Asks as a layer does, with a time-out.
async fn ask(store: &RedisStore) -> Option<Result<Told, StoreError>> {
    tokio::time::timeout(Duration::from_millis(50), store.ask(ONE)).await.ok()
}

/// Asks until there is an answer, which must be soon.
async fn answered(store: &RedisStore) {
    let answered = async { while !matches!(ask(store).await, Some(Ok(_))) {} };
    tokio::time::timeout(Duration::from_secs(20), answered).await.expect("it is asked again");
}

#[tokio::test]
async fn where_nobody_listens_there_is_an_error() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://user:secret@{}/3", listener.local_addr().unwrap());
    drop(listener);
    let store = RedisStore::open(&url).unwrap();
    for _ in 0..3 {
        let error = tokio::time::timeout(Duration::from_secs(20), store.ask(ONE)).await.unwrap().unwrap_err();
        assert!(error.to_string().to_lowercase().contains("refused"), "{error}");
    }
    assert!(!format!("{store:?}").contains("secret") && !format!("{store:?}").contains("user"), "{store:?}");
}

#[tokio::test]
async fn one_who_is_silent_is_given_up_and_holds_nobody() {
    let proxy = Proxy::start(Mood::Silent).await;
    let store = RedisStore::open(&proxy.url).unwrap();
    for _ in 0..5 {
        assert!(ask(&store).await.is_none());
    }
}

#[test]
fn what_is_no_url_is_said_at_once() {
    for url in ["", "127.0.0.1", "http://127.0.0.1", "rediss://127.0.0.1", "redis://127.0.0.1/x"] {
        let error = RedisStore::open(url).unwrap_err();
        assert!(error.to_string().starts_with("no URL of a Redis server: "), "{url}: {error}");
    }
}

#[tokio::test]
#[ignore = "it asks the server of REDIS_URL"]
async fn a_connection_that_is_cut_is_made_anew() {
    let proxy = Proxy::start(Mood::Well).await;
    let store = RedisStore::open(&proxy.url).unwrap();
    answered(&store).await;
    for _ in 0..3 {
        proxy.behave(Mood::Cut);
        while ask(&store).await.is_some_and(|answer| answer.is_ok()) {}
        proxy.behave(Mood::Well);
        answered(&store).await;
    }
}

#[tokio::test]
#[ignore = "it asks the server of REDIS_URL"]
async fn a_connection_that_has_fallen_silent_is_made_anew() {
    let proxy = Proxy::start(Mood::Well).await;
    let store = RedisStore::open(&proxy.url).unwrap();
    answered(&store).await;
    for _ in 0..3 {
        proxy.behave(Mood::Silent);
        while ask(&store).await.is_some() {}
        proxy.behave(Mood::Well);
        answered(&store).await;
    }
}

#[tokio::test]
#[ignore = "it asks the server of REDIS_URL"]
async fn it_outlives_the_runtime_that_connected() {
    let store = RedisStore::open(&crate::server::url()).unwrap();
    for _ in 0..3 {
        let store = store.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(answered(&store));
        });
        tokio::task::spawn_blocking(move || thread.join()).await.unwrap().unwrap();
    }
    answered(&store).await;
}
