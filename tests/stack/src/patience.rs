use std::time::Duration;

/// How long a test waits before it says that something hangs. No test is about this time.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for what must come soon.
pub async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("it does not hang")
}

/// Waits until `condition` holds, which must be soon.
pub async fn until(condition: impl Fn() -> bool) {
    let held = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    soon(held).await;
}
