//! r3: retries in three tiers, one behind the other, whose leaf fails.

use std::{cell::RefCell, convert::Infallible, pin::Pin, rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use clap::Args;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tower::{retry::budget::TpsBudget, service_fn};
use tower_service::Service;

use super::{
    crew, dice,
    kept::{Kept, KeptFuture},
    retries::tries,
    stage::{Stage, play},
};
use crate::{
    board::{Board, Cell as Shown, Column, Judgement, Role, Unit},
    ground::BoxError,
    options::Common,
    ours::{
        self,
        again::{self, Budget, RetrySettings},
        stack,
    },
    peers::again::{Purse, Unlimited, tower_retry},
    progress, stats,
};

/// Options of r3.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Calls per second.
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
    /// Tiers that retry; the leaf stands behind the last.
    #[arg(long, default_value_t = 3)]
    tiers: u32,
    /// Attempts of each tier.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    attempts: u32,
    /// Share of the leaf's answers that are failures in the second table; in the first it is down.
    #[arg(long, default_value_t = 0.5)]
    failing: f64,
    /// Milliseconds that each tier takes, the leaf included.
    #[arg(long, default_value_t = 1)]
    service: u64,
    /// Seconds within which a caller wants its answer.
    #[arg(long, default_value_t = 10)]
    deadline: u64,
    /// Milliseconds of traffic that a full purse of ours is worth.
    #[arg(long, default_value_t = Budget::DEFAULT_CAP.as_millis() as u64)]
    cap: u64,
    /// Seconds before the leaf begins to fail.
    #[arg(long, default_value_t = 10)]
    before: u64,
    /// Seconds for which it fails.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

pub(crate) const TITLE: &str = "r3: retries in three tiers";

/// What each tier does when it gets no good answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tier {
    Passes,
    Plain,
    Tower,
    Ours,
    Standard,
}

impl Tier {
    const ALL: [Self; 5] = [Self::Passes, Self::Plain, Self::Tower, Self::Ours, Self::Standard];

    fn name(self) -> &'static str {
        match self {
            Self::Passes => "no retry",
            Self::Plain => "tower retry, no budget",
            Self::Tower => "tower retry, TpsBudget",
            Self::Ours => "ours",
            Self::Standard => stack::NAME,
        }
    }

    fn role(self) -> Role {
        match self {
            Self::Passes => Role::Bare,
            Self::Ours | Self::Standard => Role::Ours,
            Self::Plain | Self::Tower => Role::Peer,
        }
    }
}

const MOST_IN_A_SECOND: f64 = 1.35;
const MOST_OVERALL: f64 = 1.3;

/// Runs the experiment: a table for a leaf that is down, and one for a leaf that fails at times.
pub(crate) fn run(options: &Options) -> Vec<Board> {
    let shares = [1.0, options.failing];
    let mut jobs = Vec::new();
    for share in shares {
        for tier in Tier::ALL {
            jobs.extend(options.common.seeds().map(|seed| (share, tier, seed)));
        }
    }
    let bar = progress::bar(TITLE, jobs.len());
    let logs = crew::each(&jobs, &bar, |&(share, tier, seed)| one(*options, share, tier, seed));
    bar.finish_and_clear();
    let runs = options.common.runs() as usize;
    let boards = shares.iter().zip(logs.chunks(runs * Tier::ALL.len()));
    boards.map(|(share, logs)| board(options, *share, logs)).collect()
}

fn board(options: &Options, share: f64, logs: &[Log]) -> Board {
    let state =
        if share < 1.0 { format!("the leaf failing {:.0} %", share * 100.0) } else { "the leaf down".into() };
    let columns = vec![
        Column::new("in the worst second", Unit::Times).plotted(),
        Column::new("overall", Unit::Times).plotted(),
        Column::new("succeeded", Unit::Percent).more().plotted(),
    ];
    let mut board = Board::new(format!("{TITLE}, {state}"), columns);
    for (tier, logs) in Tier::ALL.iter().zip(logs.chunks(options.common.runs() as usize)) {
        let means = stats::means(&logs.iter().map(|log| log.summary(options)).collect::<Vec<_>>());
        board.row(tier.role(), tier.name(), means.map(Shown::from).into());
        if tier.role() == Role::Ours {
            board.judge(vec![
                Some(Judgement::at_most(MOST_IN_A_SECOND, means[0], Unit::Times)),
                Some(Judgement::at_most(MOST_OVERALL, means[1], Unit::Times)),
                None,
            ]);
        }
        if let Some(first) = logs.first() {
            let points = first.seconds.iter().enumerate();
            let points = points.map(|(second, counts)| (second as f64, counts.leaf as f64)).collect();
            board.curve("what the leaf is asked [calls per second], first seed", tier.name(), points);
        }
    }
    board.note(format!(
        "{} calls/s through {} tiers, each with a deadline and {} attempts; the leaf fails from {} s on for {} s. Mean of {} runs, first seed {}.",
        options.rate,
        options.tiers,
        options.attempts,
        options.before,
        options.seconds,
        options.common.runs(),
        options.common.seed,
    ));
    board.note("Of the standard stacks all but the number of attempts is as it is by default: deadlines, breakers, shedding.");
    board.note("What the leaf is asked, as a multiple of the calls that begin in the same time. The peers' tiers know nothing of each other.");
    board
}

/// What happened in each second.
#[derive(Clone, Debug, Default)]
struct Log {
    seconds: Vec<Second>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Second {
    calls: u64,
    succeeded: u64,
    leaf: u64,
}

impl Log {
    fn second(&mut self, at: Duration) -> &mut Second {
        let second = at.as_secs() as usize;
        self.seconds.resize(self.seconds.len().max(second + 1), Second::default());
        &mut self.seconds[second]
    }

    /// The leaf's share in its worst second and overall, and what succeeded, from when the leaf fails.
    fn summary(&self, options: &Options) -> [f64; 3] {
        let from = options.before as usize;
        let seconds = &self.seconds[from..(from + options.seconds as usize).min(self.seconds.len())];
        let worst = seconds.iter().map(|second| second.leaf as f64 / second.calls.max(1) as f64);
        let sum = |count: fn(&Second) -> u64| seconds.iter().map(count).sum::<u64>() as f64;
        let calls = sum(|second| second.calls);
        [
            worst.fold(0.0, f64::max),
            sum(|second| second.leaf) / calls,
            100.0 * sum(|second| second.succeeded) / calls,
        ]
    }
}

type Wire = Full<Bytes>;

/// A way to somebody else's server: nothing but what travels in an HTTP request gets through.
type Hop = Rc<dyn Fn(Request<Wire>) -> Pin<Box<dyn Future<Output = Response<Wire>>>>>;

/// What would be read off the wire.
fn head<B>(request: Request<B>) -> Request<Wire> {
    let (sent, _) = request.into_parts();
    let mut received = Request::new(Full::default());
    *received.method_mut() = sent.method;
    *received.uri_mut() = sent.uri;
    *received.headers_mut() = sent.headers;
    received
}

fn through<S, B>(service: S) -> Hop
where
    S: Service<Request<Wire>, Response = Response<B>, Error: std::fmt::Debug, Future: 'static>
        + Clone
        + 'static,
    B: http_body::Body<Error: Into<BoxError>> + 'static,
{
    Rc::new(move |request| {
        let mut service = service.clone();
        Box::pin(async move {
            let ready = std::future::poll_fn(|cx| service.poll_ready(cx)).await;
            ready.expect("all are ready");
            let (answer, body) = service.call(request).await.expect("answers are HTTP's").into_parts();
            // An answer that breaks off is a failure as well.
            let whole = body.collect().await.is_ok();
            let mut received = Response::new(Full::default());
            *received.status_mut() = if whole { answer.status } else { StatusCode::BAD_GATEWAY };
            *received.headers_mut() = answer.headers;
            received
        })
    })
}

impl Tier {
    /// What a tier calls the next one through.
    fn client(self, next: Hop, options: &Options, seed: u64) -> Hop {
        let retries = options.attempts - 1;
        match self {
            Self::Passes => next,
            Self::Plain => Self::tower(next, Unlimited, retries, seed),
            Self::Tower => Self::tower(next, TpsBudget::default(), retries, seed),
            Self::Ours => {
                let network = service_fn(move |request| {
                    let answer = next(head(request));
                    async move { Ok::<_, Infallible>(answer.await) }
                });
                let budget = Budget::new().cap(Duration::from_millis(options.cap)).seed(seed);
                let settings = RetrySettings::new().max_retries(retries).budget(budget).seed(seed);
                let retry = again::http_retry(network, settings);
                through(ours::http_client_deadline(retry, Duration::from_secs(options.deadline)))
            }
            Self::Standard => {
                let next = Arc::new(Kept::new(next));
                let network = service_fn(move |request| {
                    let answer = next.get()(head(request));
                    KeptFuture::new(async move { Ok::<_, Infallible>(answer.await) })
                });
                through(stack::client(network, options.attempts, seed))
            }
        }
    }

    fn tower(next: Hop, budget: impl Purse + 'static, retries: u32, seed: u64) -> Hop {
        let network = service_fn(move |request: Request<Wire>| {
            let answer = next(head(request));
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let failed = |answer: &Result<Response<Wire>, Infallible>| {
            answer.as_ref().is_ok_and(|answer| answer.status().is_server_error())
        };
        through(tower_retry(network, budget, tries(retries), failed, seed))
    }

    /// A tier's server, which asks the next one.
    fn server(self, client: Hop, stage: &Stage, options: &Options, seed: u64) -> Hop {
        let (stage, service) = (stage.clone(), Duration::from_millis(options.service));
        let handler = service_fn(move |_: Request<Wire>| {
            let (stage, client) = (stage.clone(), client.clone());
            async move {
                stage.sleep(service).await;
                Ok::<_, Infallible>(client(Request::new(Full::default())).await)
            }
        });
        match self {
            Self::Ours => through(ours::http_deadline(handler, Duration::from_secs(options.deadline))),
            Self::Standard => through(stack::server(handler, seed)),
            _ => through(handler),
        }
    }
}

fn one(options: Options, share: f64, tier: Tier, seed: u64) -> Log {
    play(1, move |stage| async move {
        let log = Rc::new(RefCell::new(Log::default()));
        let begin = Duration::from_secs(options.before);
        let end = begin + Duration::from_secs(options.seconds);

        let (counted, on) = (log.clone(), stage.clone());
        let leaf_dice = RefCell::new(dice::of(seed, 0, 0));
        let mut next: Hop = Rc::new(move |_| {
            let now = on.now();
            counted.borrow_mut().second(now).leaf += 1;
            let fails = leaf_dice.borrow_mut().f64() < share && now >= begin;
            let served = on.sleep(Duration::from_millis(options.service));
            Box::pin(async move {
                served.await;
                let mut answer = Response::new(Full::default());
                *answer.status_mut() = if fails { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
                answer
            })
        });
        for number in 0..options.tiers {
            let seed = seed ^ (u64::from(number) << 32);
            let client = tier.client(next, &options, seed);
            let outermost = number + 1 == options.tiers;
            next = if outermost { client } else { tier.server(client, &stage, &options, seed) };
        }

        let mut dice = dice::of(seed, 0, 1);
        let gap = Duration::from_secs_f64(1.0 / options.rate);
        loop {
            stage.sleep(dice::exponential(&mut dice, gap)).await;
            let now = stage.now();
            if now >= end {
                break;
            }
            log.borrow_mut().second(now).calls += 1;
            let (answer, log) = (next(Request::new(Full::default())), log.clone());
            stage.enter(async move {
                if answer.await.status().is_success() {
                    log.borrow_mut().second(now).succeeded += 1;
                }
            });
        }
        stage.sleep(Duration::from_secs(options.deadline)).await;
        log.take()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Options = Options {
        common: Common::QUICK,
        rate: 10.0,
        tiers: 3,
        attempts: 4,
        failing: 0.5,
        service: 1,
        deadline: 10,
        cap: 100,
        before: 5,
        seconds: 20,
    };

    #[test]
    fn without_retries_the_leaf_sees_each_call_once() {
        let [worst, overall, succeeded] = one(SHAPE, 1.0, Tier::Passes, 1).summary(&SHAPE);
        // Calls near the end of a second reach the leaf in the next.
        assert!(worst < 1.5, "{worst}");
        assert!((0.98..1.02).contains(&overall), "{overall}");
        assert_eq!(succeeded, 0.0);
    }

    #[test]
    fn tiers_that_know_nothing_of_each_other_multiply() {
        let [_, overall, _] = one(SHAPE, 1.0, Tier::Plain, 1).summary(&SHAPE);
        // The last calls' retries come after the end.
        assert!((40.0..=64.0).contains(&overall), "{overall}");
    }

    #[test]
    fn the_standard_stacks_do_not_multiply() {
        for share in [0.5, 1.0] {
            let [_, overall, _] = one(SHAPE, share, Tier::Standard, 1).summary(&SHAPE);
            assert!(overall < MOST_OVERALL, "{share}: {overall}");
        }
    }

    #[test]
    fn nothing_but_the_head_travels() {
        let mut sent = Request::new(Full::new(Bytes::from_static(b"body")));
        sent.headers_mut().insert("x-request-attempt", 1.into());
        sent.extensions_mut().insert(7_u32);
        let received = head(sent);
        assert_eq!(received.headers()["x-request-attempt"], "1");
        assert!(received.extensions().is_empty());
        assert!(
            crate::ground::finish(received.into_body().collect()).expect("it is empty").to_bytes().is_empty()
        );
    }
}
