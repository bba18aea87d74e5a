/// How far each reader is. Mostly there is one, and then nothing is allocated.
pub(super) struct Places {
    first: Option<Place>,
    more: Vec<Place>,
    /// The last number that a reader was given.
    ids: u64,
}

/// How far a reader is: the number of the frame that it sees next.
struct Place {
    id: u64,
    at: u64,
}

impl Places {
    /// Of a body that one reader begins to read.
    pub(super) const fn of_first() -> Self {
        Self { first: Some(Place { id: Self::FIRST, at: 0 }), more: Vec::new(), ids: Self::FIRST }
    }

    /// The number of the first reader.
    pub(super) const FIRST: u64 = 1;

    pub(super) fn enter(&mut self) -> u64 {
        self.ids += 1;
        let place = Place { id: self.ids, at: 0 };
        match &mut self.first {
            None => self.first = Some(place),
            Some(_) => self.more.push(place),
        }
        self.ids
    }

    pub(super) fn leave(&mut self, id: u64) {
        self.retain(|place| place.id != id);
    }

    /// Forgets those who still need a frame.
    pub(super) fn leave_behind(&mut self, frame: u64) {
        self.retain(|place| place.at > frame);
    }

    fn retain(&mut self, stays: impl Fn(&Place) -> bool) {
        self.first = self.first.take().filter(&stays);
        self.more.retain(stays);
    }

    /// Where a reader is; `None` if it was left behind.
    pub(super) fn of(&self, id: u64) -> Option<u64> {
        self.iter().find(|place| place.id == id).map(|place| place.at)
    }

    pub(super) fn advance(&mut self, id: u64) {
        let place = self.first.iter_mut().chain(&mut self.more).find(|place| place.id == id);
        if let Some(place) = place {
            place.at += 1;
        }
    }

    /// The first frame that somebody has still to see.
    pub(super) fn least(&self) -> Option<u64> {
        self.iter().map(|place| place.at).min()
    }

    pub(super) fn is_one(&self) -> bool {
        usize::from(self.first.is_some()) + self.more.len() == 1
    }

    fn iter(&self) -> impl Iterator<Item = &Place> {
        self.first.iter().chain(&self.more)
    }
}
