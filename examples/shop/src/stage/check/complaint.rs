//! What an invariant has to say of one reading.

use super::books::Books;
use super::calm::{Age, Calm};

/// Something that must always be true.
#[derive(Debug)]
pub struct Invariant {
    /// What must be true; it is the invariant's name.
    pub sentence: &'static str,
    /// What it is counted in.
    pub things: &'static str,
    /// Where it looks.
    pub reads: &'static str,
    pub examine: fn(&Books, Calm) -> Findings,
}

/// That something is wrong. It is the same complaint as long as it is about the same thing, in the same way.
#[derive(Clone, Debug)]
pub struct Complaint {
    pub about: String,
    pub what: &'static str,
    /// The whole of it, with ids and amounts.
    pub text: String,
}

#[derive(Debug, Default)]
pub struct Findings {
    /// How many things were looked at.
    pub looked_at: usize,
    pub complaints: Vec<Complaint>,
    /// What is not at its end, and has the time for it.
    pub waiting: Vec<String>,
    /// What has only begun.
    pub at_work: usize,
}

impl Findings {
    pub fn of(looked_at: usize) -> Self {
        Self { looked_at, ..Self::default() }
    }

    pub fn complain(&mut self, about: &str, what: &'static str, text: String) {
        self.complaints.push(Complaint { about: about.to_owned(), what, text });
    }

    /// Takes down what is not at its end: as a complaint when it is overdue.
    pub fn open(&mut self, age: Age, about: &str, what: &'static str, text: impl FnOnce() -> String) {
        match age {
            Age::AtWork => self.at_work += 1,
            Age::Waiting => self.waiting.push(text()),
            Age::Overdue => self.complain(about, what, text()),
        }
    }
}
