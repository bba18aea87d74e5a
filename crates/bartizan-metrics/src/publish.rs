use crate::publisher::{Publisher, describe as describe_to};
use metrics::with_recorder;
use std::convert::Infallible;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

/// One for the process, as the recorder and the registry are.
static PUBLISHER: LazyLock<Mutex<Publisher>> = LazyLock::new(Mutex::default);

/// Reads every named layer and tells its metrics to the recorder of the crate `metrics`. Call it before each scrape, or leave it to
/// [`every`].
///
/// Counters are told what has come since the last call, gauges what is now. Several layers of a name are added up, without what follows a
/// slash in it; of one that is dropped, what came after the last call is lost. Without a recorder it reads nothing. The first call
/// [describes](describe).
///
/// It takes a lock of its own, and of each layer what a snapshot takes. A histogram is told each length of time that was counted, as the facade has no other
/// way, and a recorder may keep each until it is read. So of one histogram a call tells 262 144 at most. Where more have come, it tells that many of them in
/// proportion, and the rest never: quantiles and means stay right, and the count of the histogram is then less than that of the calls, which counters have
/// exactly. Publish more often where that matters.
pub fn publish() {
    PUBLISHER.lock().unwrap_or_else(PoisonError::into_inner).publish();
}

/// [Publishes](publish) at once and then again and again, for a task of its own. A period of less than a millisecond is one.
///
/// # Cancel safety
///
/// Dropped, it publishes no more. Nothing is lost.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use std::time::Duration;
///
/// let publishing = tokio::spawn(bartizan_metrics::every(Duration::from_secs(5)));
/// # publishing.abort();
/// # }
/// ```
pub async fn every(period: Duration) -> Infallible {
    loop {
        publish();
        tokio::time::sleep(period.max(Duration::from_millis(1))).await;
    }
}

/// Tells the recorder the unit and the meaning of every metric. [`publish`] does so once; again is needed where a recorder came later.
pub fn describe() {
    with_recorder(|recorder| describe_to(recorder));
}
