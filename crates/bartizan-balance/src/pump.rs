//! What carries the changes of a stream into a set.

use crate::events;
use crate::fleet::{Fleet, Key};
use bartizan_core::Change;
use futures_core::Stream;
use std::fmt::Display;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::Poll;

/// So many changes are taken over before others have their turn.
const AT_ONCE: u32 = 32;

/// Spawns the task that does so. It holds the set weakly.
pub(crate) fn spawn<K, M, D, E>(fleet: &Arc<Fleet<K, M>>, discovery: D)
where
    K: Key,
    M: Send + Sync + 'static,
    D: Stream<Item = Result<Change<K>, E>> + Send + 'static,
    E: Display,
{
    let fleet = Arc::downgrade(fleet);
    tokio::spawn(async move {
        let mut discovery = pin!(discovery);
        // Errors need not be `Send`: they are told where they are found.
        let one = |next: Option<Result<Change<K>, E>>| carry(&fleet, next);
        let mut gone = pin!(gone(&fleet));
        poll_fn(|cx| {
            // A stream that always has something must not keep the thread for itself.
            for _ in 0..AT_ONCE {
                if gone.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
                match discovery.as_mut().poll_next(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(next) => {
                        if !one(next) {
                            return Poll::Ready(());
                        }
                    }
                }
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    });
}

/// Takes a change over. False if there will be no further one, or nobody to hear of it.
fn carry<K: Key, M: Send + Sync + 'static, E: Display>(
    fleet: &Weak<Fleet<K, M>>,
    next: Option<Result<Change<K>, E>>,
) -> bool {
    match (fleet.upgrade(), next) {
        (Some(fleet), Some(Ok(change))) => fleet.change(change),
        (Some(fleet), Some(Err(error))) => events::discovery(fleet.name(), &error),
        (_, None) | (None, _) => return false,
    }
    true
}

/// Ends when nobody needs the set any more, which is looked at once a second.
async fn gone<K, M>(fleet: &Weak<Fleet<K, M>>) {
    while fleet.strong_count() > 0 {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
}
