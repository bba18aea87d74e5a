//! tokio's clock, paused, and moved by hand.
//!
//! A simulation moves it to the very instant of its next event. Nothing waits on a tokio timer, whose steps of 1 ms
//! would round, and nothing costs more than the calls themselves.

use std::{
    pin::pin,
    task::{Context, Waker},
    time::Duration,
};

use tokio::{runtime::Builder, time::advance};

/// Runs `simulation` on this thread, inside a runtime of its own whose clock stands still.
pub(crate) fn paused<T>(simulation: impl FnOnce() -> T) -> T {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime without I/O asks nothing of the system");
    let _inside = runtime.enter();
    simulation()
}

/// Moves the clock on.
pub(crate) fn pass(time: Duration) {
    // The first poll moves the clock; what follows gives way to other tasks, and there are none.
    _ = pin!(advance(time)).poll(&mut Context::from_waker(Waker::noop()));
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[test]
    fn time_passes_when_told_and_to_the_nanosecond() {
        paused(|| {
            let start = Instant::now();
            assert_eq!(Instant::now(), start);
            pass(Duration::from_nanos(10_000_001));
            assert_eq!(Instant::now() - start, Duration::from_nanos(10_000_001));
        });
    }
}
