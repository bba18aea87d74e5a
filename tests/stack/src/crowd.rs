use bartizan_client::Client;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Callers at a time.
const CALLERS: u64 = 12;
/// Calls of each.
const CALLS: usize = 25;

/// Sends callers at once to a [`Player`](crate::Player), who leave when their patience is over: before the head, in the body, or after
/// it. They are the same every time.
pub async fn crowd(client: &Client, url: &str) {
    let mut callers = JoinSet::new();
    for seed in 0..CALLERS {
        callers.spawn(ask_and_leave(client.clone(), url.to_owned(), fastrand::Rng::with_seed(seed)));
    }
    crate::soon(callers.join_all()).await;
}

async fn ask_and_leave(client: Client, url: String, mut dice: fastrand::Rng) {
    const PARTS: [&str; 7] = ["ok", "fail", "panic", "hang", "drip", "tear", "burst"];
    for _ in 0..CALLS {
        let part = PARTS[dice.usize(..PARTS.len())];
        let asked = async {
            let mut answer = client.get(format!("{url}/?{part}")).send().await.ok()?;
            while answer.chunk().await.ok()?.is_some() {}
            Some(())
        };
        let _ = timeout(Duration::from_micros(dice.u64(..6_000)), asked).await;
    }
}
