use std::time::Duration;

/// By which index the next blocking query waits, and how soon it may be sent: Consul's rules for clients.
///
/// The index of an answer is used as it is, with three exceptions. One that is less than the last begins anew, as the servers have.
/// Zero must not be sent on, since nothing would block. What is no number is none. See Consul's API documentation, "Blocking queries".
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// Zero: ask for what there is now.
    value: u64,
    /// Answers in a row whose index nobody can wait by.
    odd: u32,
}

/// Between the beginnings of two queries: after news, and after an answer that brought none.
const AFTER_NEWS: Duration = Duration::from_millis(100);
const AFTER_NONE: Duration = Duration::from_secs(1);
/// The most, where the index is of no use and the service has to be polled.
const AT_MOST: Duration = Duration::from_secs(30);

impl Index {
    /// The index to wait by. None: the query does not block.
    pub(crate) fn waits_by(&self) -> Option<u64> {
        (self.value > 0).then_some(self.value)
    }

    /// Takes the index of an answer, and returns how long after the beginning of its query the next one may begin.
    pub(crate) fn answered(&mut self, header: Option<&str>, news: bool) -> Duration {
        let told = header.and_then(|text| text.trim().parse::<u64>().ok());
        match told {
            Some(told) if told > 0 => {
                self.value = if told < self.value { 0 } else { told };
                self.odd = 0;
                if news { AFTER_NEWS } else { AFTER_NONE }
            }
            _ => {
                self.value = told.map_or(0, |_| 1);
                self.odd = self.odd.saturating_add(1);
                AFTER_NONE.saturating_mul(1 << (self.odd - 1).min(16)).min(AT_MOST)
            }
        }
    }

    /// There was no answer. What it waited by may be another server's.
    pub(crate) fn lost(&mut self) {
        self.value = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers one after the other, and expects what is waited by, and for how many milliseconds.
    fn check(answers: &[(Option<&str>, bool, Option<u64>, u64)]) {
        let mut index = Index::default();
        assert_eq!(index.waits_by(), None);
        for (at, &(header, news, by, wait)) in answers.iter().enumerate() {
            let waited = index.answered(header, news);
            assert_eq!(
                (index.waits_by(), waited.as_millis()),
                (by, u128::from(wait)),
                "answer {at}: {header:?}"
            );
        }
    }

    #[test]
    fn waits_by_the_last_and_begins_anew_when_it_goes_back() {
        check(&[
            (Some("7"), true, Some(7), 100),
            (Some("7"), false, Some(7), 1000),
            (Some(" 19 "), true, Some(19), 100),
            (Some("18"), false, None, 1000),
            (Some("18"), false, Some(18), 1000),
            (Some("18446744073709551615"), true, Some(u64::MAX), 100),
            (Some("1"), true, None, 100),
        ]);
    }

    #[test]
    fn what_is_no_index_is_polled_ever_less() {
        check(&[
            (Some("7"), true, Some(7), 100),
            (Some("abc"), true, None, 1000),
            (None, false, None, 2000),
            (Some("-5"), true, None, 4000),
            (Some("1.5"), false, None, 8000),
            (Some("18446744073709551616"), false, None, 16_000),
            (Some(""), false, None, 30_000),
            (Some("8"), false, Some(8), 1000),
            (None, false, None, 1000),
        ]);
    }

    #[test]
    fn zero_is_never_sent_on() {
        check(&[
            (Some("0"), true, Some(1), 1000),
            (Some("0"), false, Some(1), 2000),
            (Some("3"), true, Some(3), 100),
        ]);
    }

    #[test]
    fn nothing_is_waited_by_after_a_failure() {
        let mut index = Index::default();
        index.answered(Some("9"), true);
        index.lost();
        assert_eq!(index.waits_by(), None);
        assert_eq!(index.answered(Some("3"), false), AFTER_NONE);
        assert_eq!(index.waits_by(), Some(3), "a restarted agent counts from the beginning");
    }
}
