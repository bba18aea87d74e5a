use metrics::{IntoF64, Key, Level, Metadata, Recorder, with_recorder};
use std::cell::Cell;

pub(crate) const METADATA: Metadata<'static> =
    Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

/// A number that notes that somebody asked for it.
struct Asked<'a>(f64, &'a Cell<bool>);

impl IntoF64 for Asked<'_> {
    fn into_f64(self) -> f64 {
        self.1.set(true);
        self.0
    }
}

/// Sets a gauge, and says whether it is kept: a gauge of no recorder does not ask for its number.
pub(crate) fn is_kept(name: &'static str, number: f64) -> bool {
    let asked = Cell::new(false);
    with_recorder(|recorder: &dyn Recorder| {
        recorder.register_gauge(&Key::from_static_name(name), &METADATA).set(Asked(number, &asked));
    });
    asked.get()
}
