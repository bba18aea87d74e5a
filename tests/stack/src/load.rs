use std::fmt;
use std::pin::pin;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};

/// What came of some load.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// How many calls were made.
    pub calls: usize,
    /// What those that failed have said.
    pub errors: Vec<String>,
}

impl Load {
    /// Adds what came of more.
    #[must_use]
    pub fn and(mut self, more: Self) -> Self {
        self.calls += more.calls;
        self.errors.extend(more.errors);
        self
    }

    /// Fails the test if a call has failed.
    pub fn assert_no_errors(&self) {
        assert!(self.errors.is_empty(), "{} of {} calls: {:?}", self.errors.len(), self.calls, self.errors);
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} calls failed {:?}", self.errors.len(), self.calls, self.errors.first())
    }
}

/// Makes so many calls a second for so long, whether or not those before have been answered, and waits for them all.
pub async fn load<F, E>(per_second: u32, time: Duration, call: impl Fn() -> F) -> Load
where
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: fmt::Display + Send + 'static,
{
    let mut pace = pace(per_second);
    // Late as they may be, there are as many as there ought to be.
    let calls = (time.as_secs_f64() * f64::from(per_second)) as usize;
    let mut running = JoinSet::new();
    for _ in 0..calls {
        pace.tick().await;
        running.spawn(call());
    }
    ended(running).await
}

/// Makes so many calls a second while something happens, and for a moment before and after it.
pub async fn meanwhile<F, E>(per_second: u32, call: impl Fn() -> F, happens: impl Future<Output = ()>) -> Load
where
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: fmt::Display + Send + 'static,
{
    const MOMENT: Duration = Duration::from_millis(250);
    let (mut pace, mut running) = (pace(per_second), JoinSet::new());
    let mut happens = pin!(async {
        sleep(MOMENT).await;
        happens.await;
        sleep(MOMENT).await;
    });
    loop {
        tokio::select! {
            () = &mut happens => return ended(running).await,
            _ = pace.tick() => drop(running.spawn(call())),
        }
    }
}

fn pace(per_second: u32) -> Interval {
    let mut pace = interval(Duration::from_secs(1) / per_second);
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    pace
}

async fn ended<E: fmt::Display + 'static>(running: JoinSet<Result<(), E>>) -> Load {
    let ended = crate::soon(running.join_all()).await;
    let calls = ended.len();
    Load {
        calls,
        errors: ended.into_iter().filter_map(|end| end.err().map(|error| error.to_string())).collect(),
    }
}
