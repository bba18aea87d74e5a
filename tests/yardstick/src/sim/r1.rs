//! r1: a service that was slow for a while, and the retries that may keep it from coming back.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use clap::Args;
use tower::service_fn;

use super::{
    call::{Call, Caller},
    crew, dice,
    fifo::Fifo,
    retries::Retrier,
    stage::{Stage, play, within},
};
use crate::{
    board::{Board, Cell as Shown, Column, Judgement, Role, Unit},
    ground::Fault,
    options::Common,
    progress, stats,
};

/// Options of r1.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    shape: Shape,
    /// Offered calls, as shares of the capacity; each has a table.
    #[arg(long, value_delimiter = ',', default_values_t = [0.7, 0.8])]
    loads: Vec<f64>,
    /// Share of attempts that fail in the last table, where the service is never slow.
    #[arg(long, default_value_t = 0.05)]
    failures: f64,
    /// Load of the last table.
    #[arg(long, default_value_t = 0.7)]
    failing_load: f64,
}

#[derive(Clone, Copy, Debug, Args)]
struct Shape {
    /// Requests that the server works on at once; the others wait in line.
    #[arg(long, default_value_t = 10)]
    workers: usize,
    /// Requests per second that it serves.
    #[arg(long, default_value_t = 1000.0)]
    capacity: f64,
    /// Share of its capacity that is left while it is slow.
    #[arg(long, default_value_t = 0.3)]
    left: f64,
    /// Seconds for which it is slow.
    #[arg(long, default_value_t = 10)]
    slow_seconds: u64,
    /// Milliseconds after which an attempt is given up; the server works on it all the same.
    #[arg(long, default_value_t = 1000)]
    timeout: u64,
    /// Attempts at one call.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    attempts: u32,
    /// Clients that share the load.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    clients: u64,
    /// All clients call through one layer with one budget, and not each through its own.
    #[arg(long)]
    shared: bool,
    /// Seconds before the server gets slow.
    #[arg(long, default_value_t = 20)]
    before: u64,
    /// Seconds from when it is fast again to the end.
    #[arg(long, default_value_t = 62)]
    after: u64,
}

pub(crate) const TITLE: &str = "r1: recovery from a retry storm";

/// Length of the bins in which success is looked at.
const BIN: Duration = Duration::from_millis(500);
/// The share of the calls of a bin that must succeed in a service that has recovered.
const RECOVERED: f64 = 0.99;

impl Shape {
    const fn time_out(&self) -> Duration {
        Duration::from_millis(self.timeout)
    }

    const fn retriers(&self) -> [Retrier; 5] {
        let standard = Retrier::Standard(self.time_out());
        [Retrier::None, Retrier::Tower, Retrier::Finagle, Retrier::Ours, standard]
    }
}

/// What disturbs a run.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trouble {
    Slow,
    /// This share of all attempts fails.
    Failures(f64),
}

/// Runs the experiment: a table for each load, and one for independent failures.
pub(crate) fn run(options: &Options) -> Vec<Board> {
    let slow = options.loads.iter().map(|load| (*load, Trouble::Slow));
    let settings: Vec<(f64, Trouble)> =
        slow.chain([(options.failing_load, Trouble::Failures(options.failures))]).collect();
    let mut jobs = Vec::new();
    for &(load, trouble) in &settings {
        for retrier in options.shape.retriers() {
            jobs.extend(options.common.seeds().map(|seed| (load, trouble, retrier, seed)));
        }
    }
    let bar = progress::bar(TITLE, jobs.len());
    let logs = crew::each(&jobs, &bar, |&(load, trouble, retrier, seed)| {
        one(options.shape, load, trouble, retrier, seed)
    });
    bar.finish_and_clear();

    let runs = options.common.runs() as usize;
    let each = runs * options.shape.retriers().len();
    let boards = settings.iter().zip(logs.chunks(each)).map(|(&(load, trouble), logs)| {
        let mut board = match trouble {
            Trouble::Slow => slow_board(options, load, logs),
            Trouble::Failures(share) => failures_board(options, load, share, logs),
        };
        board.note("Of the standard stack all but the time-out and the number of attempts is as it is by default.");
        let Shape { workers, capacity, clients, timeout, attempts, shared, .. } = options.shape;
        board.note(format!(
            "{workers} workers, {capacity} requests/s, FIFO, works on what its caller gave up; {clients} clients with {} budget{}, time-out {timeout} ms, {attempts} attempts; mean of {runs} runs, first seed {}.",
            if shared { "one" } else { "each its own" },
            if shared { " for all" } else { "" },
            options.common.seed,
        ));
        board
    });
    boards.collect()
}

fn slow_board(options: &Options, load: f64, logs: &[Log]) -> Board {
    let Shape { left, slow_seconds, after, .. } = options.shape;
    let columns = [("recovered after", Unit::Seconds), ("attempts at the peak", Unit::Times)];
    let mut columns = columns.map(|(title, unit)| Column::new(title, unit).plotted()).to_vec();
    columns.push(Column::new("succeeded", Unit::Percent).more().plotted());
    let mut board = Board::new(format!("{TITLE}, load {load}"), columns);
    for (retrier, logs) in options.shape.retriers().iter().zip(logs.chunks(options.common.runs() as usize)) {
        let figures: Vec<[f64; 3]> = logs.iter().map(|log| log.after_slowness(&options.shape)).collect();
        let means = stats::means(&figures);
        board.row(retrier.role(), retrier.name(), means.map(Shown::from).into());
        if retrier.role() == Role::Ours {
            let [recovered, peak, _] = means;
            let limit = match load {
                0.7 => Some(13.0),
                0.8 => Some(24.0),
                _ => None,
            };
            board.judge(vec![
                limit.map(|limit| Judgement::at_most(limit, recovered, Unit::Seconds)),
                Some(Judgement::at_most(1.45, peak, Unit::Times)),
                None,
            ]);
        }
        if let Some(first) = logs.first() {
            board.curve(
                "calls that succeed [per second], first seed",
                retrier.name(),
                first.successes_per_second(),
            );
        }
    }
    board.note(format!(
        "Capacity × {left} for {slow_seconds} s. Recovered: from when it is fast again to the end of the last half second of whose calls fewer than 99 % succeeded; never, if that is in one of {after} s.",
    ));
    board.note("Attempts at the peak: the most in any second, of the calls that began in it. Succeeded: of all calls.");
    board
}

fn failures_board(options: &Options, load: f64, share: f64, logs: &[Log]) -> Board {
    let columns = [("succeeded", Unit::Percent), ("extra", Unit::Percent)];
    let columns = columns.map(|(title, unit)| Column::new(title, unit).plotted());
    let title = format!("{TITLE}, {:.0} % of attempts fail, load {load}", share * 100.0);
    let mut board = Board::new(title, columns.into());
    for (retrier, logs) in options.shape.retriers().iter().zip(logs.chunks(options.common.runs() as usize)) {
        let means = stats::means(&logs.iter().map(Log::overall).collect::<Vec<_>>());
        board.row(retrier.role(), retrier.name(), means.map(Shown::from).into());
        if retrier.role() == Role::Ours {
            let [succeeded, extra] = means;
            board.judge(vec![
                Some(Judgement::at_least(99.8, succeeded, Unit::Percent)),
                Some(Judgement::at_most(5.3, extra, Unit::Percent)),
            ]);
        }
    }
    board.note("Extra: attempts beyond the first, of all calls.");
    board
}

/// Calls, successes and attempts by the bin in which the call, or the attempt, began.
#[derive(Clone, Debug, Default)]
struct Log {
    bins: Vec<Bin>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bin {
    calls: u64,
    succeeded: u64,
    attempts: u64,
}

impl Log {
    fn bin(&mut self, at: Duration) -> &mut Bin {
        let bin = (at.as_nanos() / BIN.as_nanos()) as usize;
        self.bins.resize(self.bins.len().max(bin + 1), Bin::default());
        &mut self.bins[bin]
    }

    /// How long it took to recover, attempts at the peak, and the share that succeeded.
    fn after_slowness(&self, shape: &Shape) -> [f64; 3] {
        let fast_again = ((shape.before + shape.slow_seconds) as f64 / BIN.as_secs_f64()) as usize;
        let whole = ((shape.before + shape.slow_seconds + shape.after) as f64 / BIN.as_secs_f64()) as usize;
        let bins = &self.bins[..whole.min(self.bins.len())];
        let ill = |bin: &Bin| (bin.succeeded as f64) < RECOVERED * bin.calls as f64;
        let ended = bins.iter().rposition(ill).map_or(fast_again, |last| last + 1);
        let recovered = if ended >= bins.len() {
            f64::INFINITY
        } else {
            ended.saturating_sub(fast_again) as f64 * BIN.as_secs_f64()
        };
        let per_second = (1.0 / BIN.as_secs_f64()) as usize;
        let peak = bins.windows(per_second).map(|second| {
            let sum = |count: fn(&Bin) -> u64| second.iter().map(count).sum::<u64>() as f64;
            sum(|bin| bin.attempts) / sum(|bin| bin.calls).max(1.0)
        });
        [recovered, peak.fold(0.0, f64::max), self.overall()[0]]
    }

    /// Shares of calls that succeeded, and of attempts beyond the first.
    fn overall(&self) -> [f64; 2] {
        let sum = |count: fn(&Bin) -> u64| self.bins.iter().map(count).sum::<u64>() as f64;
        let calls = sum(|bin| bin.calls);
        [100.0 * sum(|bin| bin.succeeded) / calls, 100.0 * (sum(|bin| bin.attempts) / calls - 1.0)]
    }

    fn successes_per_second(&self) -> Vec<(f64, f64)> {
        let rate = 1.0 / BIN.as_secs_f64();
        let points = self.bins.iter().enumerate();
        points.map(|(bin, counts)| (bin as f64 / rate, counts.succeeded as f64 * rate)).collect()
    }
}

fn one(shape: Shape, load: f64, trouble: Trouble, retrier: Retrier, seed: u64) -> Log {
    play(1, move |stage| async move {
        let server = Fifo::new(&stage, shape.workers, false);
        let log = Rc::new(RefCell::new(Log::default()));
        let mean = Duration::from_secs_f64(shape.workers as f64 / shape.capacity);
        let (counted, on, at) = (log.clone(), stage.clone(), server.clone());
        let service = service_fn(move |call: Call| {
            counted.borrow_mut().bin(on.now()).attempts += 1;
            let mut dice = dice::of(seed, call.number(), call.copy());
            let served = at.serve(dice::exponential(&mut dice, mean));
            let fails = matches!(trouble, Trouble::Failures(share) if dice.f64() < share);
            let on = on.clone();
            async move {
                let answer = match retrier {
                    // It has a time-out of its own.
                    Retrier::Standard(_) => {
                        served.await;
                        Some(())
                    }
                    _ => within(&on, shape.time_out(), served).await,
                };
                answer.filter(|()| !fails).ok_or(Fault::Down)
            }
        });
        if trouble == Trouble::Slow {
            let begin = Duration::from_secs(shape.before);
            for (time, speed) in [(begin, shape.left), (begin + Duration::from_secs(shape.slow_seconds), 1.0)]
            {
                let server = server.clone();
                stage.later(time, move || server.set_speed(speed));
            }
        }
        let length = Duration::from_secs(shape.before + shape.slow_seconds + shape.after);
        let gap = Duration::from_secs_f64(shape.clients as f64 / (load * shape.capacity));
        let layered = |client| retrier.around(service.clone(), shape.attempts - 1, seed ^ (client << 32));
        let common = shape.shared.then(|| Rc::new(RefCell::new(layered(0))));
        for client in 0..shape.clients {
            let caller = common.clone().unwrap_or_else(|| Rc::new(RefCell::new(layered(client))));
            let calls = Calls { stage: stage.clone(), caller, log: log.clone(), client, gap, length };
            stage.enter(calls.all(seed));
        }
        // Whoever calls last tries for this long at most.
        let patience = Duration::from_millis(shape.timeout + 2000) * shape.attempts;
        stage.sleep(length + patience).await;
        log.take()
    })
}

/// One client.
struct Calls {
    stage: Stage,
    caller: Rc<RefCell<Caller>>,
    log: Rc<RefCell<Log>>,
    client: u64,
    gap: Duration,
    length: Duration,
}

impl Calls {
    async fn all(self, seed: u64) {
        let mut dice = dice::of(seed, u64::MAX, self.client);
        let number = Cell::new(self.client << 32);
        loop {
            self.stage.sleep(dice::exponential(&mut dice, self.gap)).await;
            let began = self.stage.now();
            if began >= self.length {
                return;
            }
            self.log.borrow_mut().bin(began).calls += 1;
            let answer = self.caller.borrow_mut()(Call::new(number.replace(number.get() + 1)));
            let log = self.log.clone();
            self.stage.enter(async move {
                if answer.await {
                    log.borrow_mut().bin(began).succeeded += 1;
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape {
        workers: 10,
        capacity: 1000.0,
        left: 0.3,
        slow_seconds: 5,
        timeout: 1000,
        attempts: 3,
        clients: 100,
        shared: false,
        before: 5,
        after: 20,
    };

    #[test]
    fn without_retries_the_backlog_alone_must_go() {
        let log = one(SHAPE, 0.7, Trouble::Slow, Retrier::None, 1);
        let [recovered, peak, _] = log.after_slowness(&SHAPE);
        // 2000 requests too many wait in line, of which 1000 are too old; 300 a second go.
        assert!((2.5..5.5).contains(&recovered), "{recovered}");
        assert_eq!(peak, 1.0);
    }

    #[test]
    fn a_storm_is_seen_to_stay() {
        let log = one(SHAPE, 0.7, Trouble::Slow, Retrier::Tower, 1);
        let [recovered, peak, _] = log.after_slowness(&SHAPE);
        assert_eq!(recovered, f64::INFINITY);
        assert!(peak > 2.0, "{peak}");
    }

    #[test]
    fn retries_make_good_what_fails_by_chance() {
        let failing = |retrier| one(SHAPE, 0.5, Trouble::Failures(0.05), retrier, 1).overall();
        let [succeeded, extra] = failing(Retrier::None);
        assert!((94.0..96.0).contains(&succeeded) && extra == 0.0, "{succeeded} {extra}");
        let [succeeded, extra] = failing(Retrier::Tower);
        assert!(succeeded > 99.9 && (4.5..6.0).contains(&extra), "{succeeded} {extra}");
        let [succeeded, extra] = failing(Retrier::Standard(SHAPE.time_out()));
        assert!(succeeded > 99.5 && (4.5..8.0).contains(&extra), "{succeeded} {extra}");
    }

    #[test]
    fn the_standard_stack_gives_attempts_up_itself() {
        let standard = Retrier::Standard(SHAPE.time_out());
        let [recovered, peak, succeeded] = one(SHAPE, 0.7, Trouble::Slow, standard, 1).after_slowness(&SHAPE);
        assert!(recovered.is_finite() && peak > 1.0 && succeeded < 100.0, "{recovered} {peak} {succeeded}");
    }
}
