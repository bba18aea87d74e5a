use bartizan_core::Health;

/// How a member is taken to be, by what its heartbeats said so far. The first one decides alone.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hysteresis {
    is: Health,
    /// What the last ones said against it, and how many in a row.
    against: (Health, u32),
}

impl Hysteresis {
    /// Hears a beat, and returns how the member is if the beat agrees with that. `Unknown` says nothing.
    pub(crate) fn hear(&mut self, beat: Health, rise: u32, fall: u32) -> Option<Health> {
        let needed = match beat {
            Health::Unknown => return None,
            // It says so itself, and is not heard in vain.
            Health::Draining => 1,
            _ if self.is == Health::Unknown => 1,
            Health::Up => rise,
            Health::Down => fall,
        };
        let before = if self.against.0 == beat { self.against.1 } else { 0 };
        self.against = (beat, before.saturating_add(1));
        if self.is == beat || self.against.1 >= needed {
            *self = Self { is: beat, against: (Health::Unknown, 0) };
            return Some(beat);
        }
        None
    }

    /// How the member is taken to be.
    pub(crate) const fn is(&self) -> Health {
        self.is
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hears `F`ailures, `S`uccesses, `D`raining and `?`, and expects how the member is after each; `.` where nothing is told.
    fn check(beats: &str, states: &str, told: &str) {
        let mut member = Hysteresis::default();
        let (mut is, mut tells) = (String::new(), String::new());
        let letter = |health| match health {
            Health::Up => 'H',
            Health::Down => 'U',
            Health::Draining => 'D',
            Health::Unknown => '?',
        };
        for beat in beats.chars() {
            let beat = match beat {
                'S' => Health::Up,
                'F' => Health::Down,
                'D' => Health::Draining,
                _ => Health::Unknown,
            };
            tells.push(member.hear(beat, 2, 3).map_or('.', letter));
            is.push(letter(member.is()));
        }
        assert_eq!((is.as_str(), tells.as_str()), (states, told), "{beats}");
    }

    #[test]
    fn it_falls_after_three_and_rises_after_two() {
        check("SFFSFFFSS", "HHHHHHUUH", "H..H..U.H");
        check("SFFFFSFSS", "HHHUUUUUH", "H..UU.U.H");
    }

    #[test]
    fn the_first_decides_alone() {
        check("FSS", "UUH", "U.H");
        check("SS", "HH", "HH");
        check("??F", "??U", "..U");
    }

    #[test]
    fn draining_is_heard_at_once_and_left_by_rising() {
        check("SDSS", "HDDH", "HD.H");
        check("SDFFF", "HDDDU", "HD..U");
        check("DDF", "DDD", "DD.");
        check("FD", "UD", "UD");
    }

    #[test]
    fn what_says_nothing_changes_nothing() {
        check("SFF?F", "HHHHU", "H...U");
    }

    #[test]
    fn beats_that_differ_do_not_add_up() {
        check("DSFSFFF", "DDDDDDU", "D.....U");
    }
}
