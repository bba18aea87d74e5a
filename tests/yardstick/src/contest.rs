//! A timed experiment: cases with floors, lanes that compete in them, and the judgement.

use fastrand::Rng;

use crate::{
    board::{Board, Cell, Column, Judgement, Role, Unit},
    floor::{Floor, Prices, SYMBOLS},
    instructions,
    options::Timing,
    primitives, progress,
    race::{Figure, Lane, Place, race},
};

/// How much above the floor ours may lie.
pub(crate) const LEEWAY: f64 = 1.5;

/// One thing that is timed, with what it may cost.
pub(crate) struct Case {
    pub(crate) title: &'static str,
    pub(crate) floor: Floor,
    /// Whether the call reaches the inner service, whose price is then no layer's: the lane `bare` is subtracted.
    pub(crate) reaches: bool,
    /// The part of what somebody else takes that ours may take, in place of what lies above the floor.
    part: Option<(f64, Of)>,
}

/// Of whom ours may take a part.
#[derive(Clone, Copy)]
enum Of {
    Peer(&'static str),
    /// Ours in another case.
    Ours(usize),
}

impl Case {
    /// A case in which the inner service is called, and nothing may be allocated.
    pub(crate) fn new(title: &'static str, floor: Floor) -> Self {
        Self { title, floor, reaches: true, part: None }
    }

    /// The same where the call is refused before the inner service.
    pub(crate) fn refused(title: &'static str, floor: Floor) -> Self {
        Self { reaches: false, ..Self::new(title, floor) }
    }

    /// Where ours may take a part of what a peer takes, whatever the floor is.
    pub(crate) fn at_most(self, part: f64, peer: &'static str) -> Self {
        Self { part: Some((part, Of::Peer(peer))), ..self }
    }

    /// Where ours may take so many times what it takes in another case, whatever the floor is.
    pub(crate) fn at_most_times(self, times: f64, case: usize) -> Self {
        Self { part: Some((times, Of::Ours(case))), ..self }
    }
}

/// A timed experiment.
pub(crate) struct Contest {
    pub(crate) title: &'static str,
    pub(crate) cases: Vec<Case>,
    /// The lanes of each thread; the threads' lanes stand in the same order and work on the same instances.
    pub(crate) teams: Vec<Vec<Lane>>,
    pub(crate) notes: Vec<String>,
}

/// Rounds without which the figure of threads that should have shared says nothing.
const LEAST_ROUNDS: usize = 10;
/// How many rounds of batches one run has.
const ROUNDS_PER_RUN: usize = 25;

impl Contest {
    /// Runs the contest and judges it. Must be called inside a runtime with timers.
    pub(crate) fn run(mut self, timing: &Timing) -> Vec<Board> {
        if let Some(turn) = timing.turn {
            let lanes = self
                .teams
                .swap_remove(0)
                .into_iter()
                .chain(primitives::lanes(&primitives::Shared::default()));
            lanes.skip(turn.lane).take(1).for_each(|mut lane| lane.run(turn.calls));
            return Vec::new();
        }

        let runtime = tokio::runtime::Handle::current();
        let rounds = timing.common.runs() as usize * ROUNDS_PER_RUN;
        let dice = Rng::with_seed(timing.common.seed);
        let threads = self.teams.len();
        let bar = progress::bar(self.title, rounds * if threads > 1 { 2 } else { 1 });
        let mut prices = None;
        if threads > 1 {
            // A price is never below what it is for one thread alone.
            let mut alone = [primitives::lanes(&primitives::Shared::default())];
            prices = Some(primitives::prices(&race(&mut alone, rounds, &dice, &runtime, &bar)));
        }
        let shared = primitives::Shared::default();
        self.teams.iter_mut().for_each(|team| team.extend(primitives::lanes(&shared)));
        let figures = race(&mut self.teams, rounds, &dice, &runtime, &bar);
        bar.finish_and_clear();

        let alone = prices.unwrap_or_default();
        let mut prices = primitives::prices(&figures);
        prices.iter_mut().zip(alone).for_each(|(price, alone)| *price = price.max(alone));
        let counts: Vec<Option<f64>> = if timing.instructions && threads == 1 {
            instructions::count(figures.len())
        } else {
            vec![None; figures.len()]
        };
        let mut board = Results {
            cases: &self.cases,
            figures: &figures,
            counts: &counts,
            prices,
            least_rounds: LEAST_ROUNDS,
        }
        .board(self.title);
        board.notes.append(&mut self.notes);
        board.note(format!(
            "Medians of {rounds} alternating batches in thread CPU time, seed {}; judged: ours{} ≤ {LEEWAY} × floor, {}, ahead of every peer that is not below the floor.",
            timing.common.seed,
            if self.cases.iter().any(|case| case.reaches) { " less bare" } else { "" },
            "no allocation",
        ));
        if threads > 1 {
            let ours = figures.iter().filter(|figure| matches!(figure.place, Place::Ours(_)));
            let shared = ours.map(|figure| figure.rounds).min().unwrap_or_default();
            board.note(format!("The threads of ours ran side by side in {shared} of {rounds} rounds; the others are left out."));
        }
        if timing.instructions && counts.iter().all(Option::is_none) {
            board.note("No instruction counts: valgrind is not installed, or several threads run.");
        }
        vec![board]
    }
}

/// What the race gave, on the way to a table.
struct Results<'a> {
    cases: &'a [Case],
    figures: &'a [Figure],
    counts: &'a [Option<f64>],
    prices: Prices,
    /// Rounds without which a figure is none: threads that took turns have not shared anything.
    least_rounds: usize,
}

impl Results<'_> {
    fn board(&self, title: &str) -> Board {
        let columns = self.cases.iter().flat_map(|case| {
            [
                Column::new(case.title, Unit::Nanoseconds).plotted(),
                Column::new("", Unit::Allocations),
                Column::new("", Unit::Instructions),
            ]
        });
        let mut board = Board::new(title, columns.collect());
        for symbol in SYMBOLS {
            board.row(Role::Primitive, primitives::name(symbol), self.cells(|_| Place::Primitive(symbol)));
        }
        board.row(Role::Bare, "bare", self.cells(Place::Bare));
        for peer in self.peers() {
            board.row(Role::Peer, peer, self.cells(|case| Place::Peer(case, peer)));
        }
        board.row(Role::Ours, "ours", self.cells(Place::Ours));
        let floors = self.cases.iter().flat_map(|case| {
            let floor = format!("{} = {:.1}", case.floor, case.floor.at(&self.prices));
            [Cell::Text(floor), Cell::Empty, Cell::Empty]
        });
        board.row(Role::Floor, "floor", floors.collect());
        let judgements = (0..self.cases.len())
            .flat_map(|case| [self.judge_nanos(case), self.judge_allocations(case), None]);
        board.judge(judgements.collect());
        board
    }

    /// The peers in the order of their first lane.
    fn peers(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        for figure in self.figures {
            if let Place::Peer(_, name) = figure.place
                && !names.contains(&name)
            {
                names.push(name);
            }
        }
        names
    }

    /// Three cells for each case: those of the lane that `place` names. A primitive shows in the first case alone.
    fn cells(&self, place: impl Fn(usize) -> Place) -> Vec<Cell> {
        (0..self.cases.len())
            .flat_map(|case| {
                let place = place(case);
                let primitive = matches!(place, Place::Primitive(_));
                let found =
                    self.figures.iter().position(|figure| figure.place == place && !(primitive && case > 0));
                let figure = found.map(|index| &self.figures[index]);
                [
                    Cell::from(figure.map(|figure| figure.nanos)),
                    Cell::from(figure.map(|figure| figure.allocations)),
                    Cell::from(found.and_then(|index| self.counts[index])),
                ]
            })
            .collect()
    }

    fn figure(&self, place: Place) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.place == place)
    }

    /// What ours takes beyond the inner service, where the case reaches it.
    fn beyond_bare(&self, case: usize, read: impl Fn(&Figure) -> f64) -> Option<f64> {
        let bare = self.figure(Place::Bare(case)).filter(|_| self.cases[case].reaches).map_or(0.0, &read);
        self.figure(Place::Ours(case)).map(|ours| read(ours) - bare)
    }

    fn judge_nanos(&self, case: usize) -> Option<Judgement> {
        let Figure { nanos: ours, rounds, .. } = *self.figure(Place::Ours(case))?;
        let floor = self.cases[case].floor.at(&self.prices);
        let reaches = |_: &&Figure| self.cases[case].reaches;
        let bare = self.figure(Place::Bare(case)).filter(reaches).map_or(0.0, |bare| bare.nanos);
        let part = self.cases[case].part.and_then(|(part, of)| {
            let other = match of {
                Of::Peer(peer) => Place::Peer(case, peer),
                Of::Ours(other) => Place::Ours(other),
            };
            Some(part * self.figure(other)?.nanos - bare)
        });
        let limit = part.unwrap_or(LEEWAY * floor);
        let beyond_bare = self.beyond_bare(case, |figure| figure.nanos)?;
        let mut judgement = Judgement::at_most(limit, beyond_bare, Unit::Nanoseconds);
        if rounds < self.least_rounds {
            judgement.verdict = Err("the threads took turns on a busy machine".into());
            return Some(judgement);
        }
        let ahead = self.figures.iter().filter_map(|figure| match figure.place {
            // A peer below the floor pays for something else, and is no yardstick: the row shows it all the same.
            Place::Peer(of, name) if of == case && figure.nanos <= ours => {
                (figure.nanos - bare >= floor).then_some(name)
            }
            _ => None,
        });
        let ahead: Vec<&str> = ahead.collect();
        if !ahead.is_empty() {
            let mut why: Vec<String> = judgement.verdict.err().into_iter().collect();
            why.push(format!("behind {}", ahead.join(", ")));
            judgement.verdict = Err(why.join(", "));
        }
        Some(judgement)
    }

    /// Nothing may be allocated but what the floor's own primitives allocate: a header's value, a head.
    fn judge_allocations(&self, case: usize) -> Option<Judgement> {
        let of = |symbol| self.figure(Place::Primitive(symbol)).map_or(0.0, |figure| figure.allocations);
        let counts = self.cases[case].floor.counts();
        let limit = SYMBOLS.iter().zip(counts).map(|(symbol, count)| count * of(*symbol)).sum();
        let beyond_bare = self.beyond_bare(case, |figure| figure.allocations)?;
        Some(Judgement::at_most(limit, beyond_bare, Unit::Allocations))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::floor::{A, R};

    const PRICES: Prices = [14.0, 7.0, 18.0, 13.0, 127.0, 40.0, 90.0, 20.0];

    /// The verdicts on a row of bare 2 ns, a peer and ours, with a floor of 21 ns.
    fn judged(peer: f64, ours: f64, allocations: f64) -> Board {
        judged_as(Case::new("closed", A + R), peer, ours, allocations)
    }

    fn judged_as(case: Case, peer: f64, ours: f64, allocations: f64) -> Board {
        let figure = |place, nanos, allocations| Figure { place, nanos, allocations, rounds: 1 };
        let mut figures = vec![
            figure(Place::Bare(0), 2.0, 0.0),
            figure(Place::Peer(0, "recloser"), peer, 0.0),
            figure(Place::Ours(0), ours, allocations),
        ];
        figures.extend(
            SYMBOLS.iter().zip(PRICES).map(|(symbol, price)| figure(Place::Primitive(*symbol), price, 0.0)),
        );
        let counts = vec![None; figures.len()];
        let prices = primitives::prices(&figures);
        Results { cases: &[case], figures: &figures, counts: &counts, prices, least_rounds: 1 }.board("n0")
    }

    #[test]
    fn ours_may_take_half_as_much_again_as_the_floor() {
        assert!(!judged(60.0, 33.5, 0.0).missed());
        assert!(judged(60.0, 33.6, 0.0).missed());
    }

    #[test]
    fn ours_must_be_ahead_of_every_peer() {
        let behind = judged(30.0, 30.0, 0.0);
        assert!(behind.missed());
        assert!(behind.print().contains("missed: behind recloser"));
    }

    #[test]
    fn ours_may_take_no_more_than_a_part_of_a_peer() {
        let case = || Case::new("closed", A + R).at_most(0.5, "recloser");
        assert!(!judged_as(case(), 66.0, 33.0, 0.0).missed());
        assert!(judged_as(case(), 65.0, 33.0, 0.0).missed());
    }

    #[test]
    fn ours_may_take_no_more_than_so_many_times_what_it_takes_elsewhere() {
        let misses = |elsewhere: f64| {
            let figure = |place, nanos| Figure { place, nanos, allocations: 0.0, rounds: 1 };
            let mut figures = vec![figure(Place::Ours(0), elsewhere), figure(Place::Ours(1), 30.0)];
            figures.extend(
                SYMBOLS.iter().zip(PRICES).map(|(symbol, price)| figure(Place::Primitive(*symbol), price)),
            );
            let cases = [Case::new("plain", A + R), Case::new("watched", A + R).at_most_times(1.5, 0)];
            let counts = vec![None; figures.len()];
            Results { cases: &cases, figures: &figures, counts: &counts, prices: PRICES, least_rounds: 1 }
                .board("n0")
                .missed()
        };
        assert!(!misses(20.0));
        assert!(misses(19.9));
    }

    #[test]
    fn a_peer_below_the_floor_is_no_yardstick() {
        assert!(!judged(22.9, 30.0, 0.0).missed());
        assert!(judged(23.0, 30.0, 0.0).missed());
    }

    #[test]
    fn threads_that_took_turns_are_no_result() {
        let figure = |place, rounds| Figure { place, nanos: 1.0, allocations: 0.0, rounds };
        let mut figures = vec![figure(Place::Bare(0), 100), figure(Place::Ours(0), 9)];
        figures.extend(SYMBOLS.map(|symbol| figure(Place::Primitive(symbol), 100)));
        let counts = vec![None; figures.len()];
        let cases = [Case::new("closed", A + R)];
        let results =
            Results { cases: &cases, figures: &figures, counts: &counts, prices: PRICES, least_rounds: 10 };
        assert!(results.board("n0").missed());
    }

    #[test]
    fn an_allocation_is_a_miss() {
        assert!(judged(60.0, 20.0, 1.0).missed());
    }

    #[test]
    fn the_table_has_its_rows_in_order() {
        let names: Vec<String> =
            judged(60.0, 20.0, 0.0).rows.into_iter().map(|row| row.name).skip(SYMBOLS.len()).collect();
        assert_eq!(names, ["bare", "recloser", "ours", "floor", "target", "verdict"]);
    }
}
