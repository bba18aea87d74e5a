//! Independent runs, spread over the machine's threads.

use std::{
    num::NonZero,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use indicatif::ProgressBar;

/// Does `work` on every job and returns the results in the order of the jobs.
pub(crate) fn each<J: Sync, T: Send>(jobs: &[J], bar: &ProgressBar, work: impl Fn(&J) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let hand = || {
        let mut done = Vec::new();
        while let Some((index, job)) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            jobs.get(index).map(|job| (index, job))
        } {
            done.push((index, work(job)));
            bar.inc(1);
        }
        done
    };
    let mut done: Vec<(usize, T)> = thread::scope(|scope| {
        let hands = thread::available_parallelism().map_or(1, NonZero::get);
        let hands: Vec<_> = (0..hands).map(|_| scope.spawn(hand)).collect();
        hands.into_iter().flat_map(|hand| hand.join().expect("no run panics")).collect()
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_stand_in_the_order_of_their_jobs() {
        let jobs: Vec<u64> = (0..100).collect();
        let doubled = each(&jobs, &ProgressBar::hidden(), |job| job * 2);
        assert_eq!(doubled, (0..100).map(|job| job * 2).collect::<Vec<u64>>());
    }
}
