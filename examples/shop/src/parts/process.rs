//! What a process has used: its time on the processors, and its memory. Only Linux tells.

use std::fs::read_to_string;

/// Figures of a process, at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// Of all processors, from its start on.
    pub cpu_seconds: f64,
    /// What of its memory is not elsewhere.
    pub resident_bytes: f64,
}

impl Figures {
    /// Those of this process; none where the system does not tell.
    pub fn own() -> Option<Self> {
        Self::read("self")
    }

    /// Those of another process of this user; none when it has ended.
    pub fn of(process: u32) -> Option<Self> {
        Self::read(&process.to_string())
    }

    fn read(process: &str) -> Option<Self> {
        let stat = read_to_string(format!("/proc/{process}/stat")).ok()?;
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        Self::parse(&stat, ticks, rustix::param::page_size() as f64)
    }

    /// Reads `/proc/<pid>/stat`, as proc(5) has it.
    fn parse(stat: &str, ticks: f64, page: f64) -> Option<Self> {
        // The name of the program is in parentheses, and may have some of its own.
        let fields: Vec<_> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let number = |field: usize| fields.get(field - 3)?.trim().parse::<f64>().ok();
        let (user, system, resident) = (number(14)?, number(15)?, number(24)?);
        Some(Self { cpu_seconds: (user + system) / ticks, resident_bytes: resident * page })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_those_of_proc_5() {
        let stat =
            "7 (a (b) c) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 9 9 20 0 9 0 1 1000 3 18446744073709551615";
        let figures = Figures { cpu_seconds: 3.0, resident_bytes: 12_288.0 };
        assert_eq!(Figures::parse(stat, 100.0, 4096.0), Some(figures));
        for torn in
            ["", "7 (a", "7 (a) S 1 7", "7 (a) S 1 7 7 0 -1 4194560 1 0 0 0 x 50 9 9 20 0 9 0 1 1000 3"]
        {
            assert_eq!(Figures::parse(torn, 100.0, 4096.0), None, "{torn:?}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_used_something_and_one_that_is_none_nothing() {
        let own = Figures::own().unwrap();
        assert!(own.resident_bytes > 100_000.0 && own.cpu_seconds < 1e6, "{own:?}");
        assert_eq!(
            Figures::of(std::process::id()).map(|figures| figures.resident_bytes > 100_000.0),
            Some(true)
        );
        assert_eq!(Figures::of(u32::MAX), None);
    }
}
