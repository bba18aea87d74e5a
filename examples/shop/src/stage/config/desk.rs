//! What the config service knows: the file, and the protections that are switched off.

use super::kept::{Kept, Switch};
use super::patch::{SWITCHED, of, off};
use super::reference;
use super::spring::Environment;
use super::start;
use crate::parts::config::Config;
use crate::parts::failure::Failure;
use crate::parts::policy::Refresh;
use crate::parts::problem::Problem;
use crate::parts::switches::Switches;
use crate::stage::reach::Reach;
use bartizan::core::registry::{self, Observed};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Below the data folder.
pub const FILE: &str = "policy.toml";
const PROTECTIONS: &str = "protections.json";

/// Clones are one desk. It outlives the service, so that what is asked of it while that is away is done when it is back.
#[derive(Clone, Debug)]
pub struct Desk(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    file: PathBuf,
    kept: Kept,
    refresh: Refresh,
    switches: Switches,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// What was judged last, good or not.
    read: Result<String, String>,
    /// What the file had when it was looked at last. It may have been half written.
    seen: Result<String, String>,
    /// The last good text, as a tree.
    values: Value,
    /// Why what was read last is not what is in force.
    refusal: Option<Refusal>,
    off: BTreeSet<Switch>,
    /// The way to services that are processes of their own.
    reach: Option<Reach>,
    /// How often something has changed.
    changes: u64,
}

/// Why the file changes nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// Counted from 1.
    pub line: Option<usize>,
    pub field: Option<String>,
    pub why: String,
}

impl Desk {
    /// Reads the file, or writes a new one in which everything is a comment; and turns what is switched off.
    ///
    /// # Errors
    ///
    /// When a file is there that is no good. Nothing is in force yet that could stay.
    pub fn open(config: &Config) -> Result<Self, Failure> {
        let file = config.data_dir.join(FILE);
        let failed = |why: io::Error| Failure::new(format!("{} cannot be used: {why}.", file.display()));
        if !file.try_exists().map_err(failed)? {
            std::fs::write(&file, start::text()).map_err(failed)?;
        }
        let read = std::fs::read_to_string(&file).map_err(failed)?;
        let kept = Kept::new(config.data_dir.join(PROTECTIONS));
        let off = kept.read()?;
        let values = reference::take(&read, &super::patch::off(&off));
        let values = values.map_err(|refusal| Failure::new(format!("{}: {refusal}.", file.display())))?;
        let (refresh, switches) = (config.refresh.clone(), config.switches.clone());
        off.iter().for_each(|switch| turn(&switches, switch, false));
        let state = State {
            seen: Ok(read.clone()),
            read: Ok(read),
            values,
            refusal: None,
            off,
            reach: None,
            changes: 0,
        };
        let desk = Self(Arc::new(Shared { file, kept, refresh, switches, state: Mutex::new(state) }));
        let observed: Arc<dyn Observed> = desk.0.clone();
        registry::register(&observed);
        Ok(desk)
    }

    /// The services are processes of their own, and are told what is switched off.
    pub fn tells(&self, reach: Reach) {
        let mut state = self.0.lock();
        state.reach = Some(reach);
        state.tell();
    }

    /// What is in force for a service.
    pub(super) fn environment(&self, service: &str, profile: &str) -> Environment {
        let state = self.0.lock();
        let (above, file) = (of(service, &off(&state.off)), of(service, &state.values));
        Environment::new(service, profile, &[("protections", &above), (FILE, &file)])
    }

    /// Looks at the file. What was new the last time, is there still and is good is in force from here on, and the services ask for it at
    /// once.
    pub(super) fn look(&self) -> Option<Refusal> {
        self.read(false)
    }

    fn read(&self, is_whole: bool) -> Option<Refusal> {
        let read = std::fs::read_to_string(&self.0.file).map_err(|why| why.to_string());
        let mut state = self.0.lock();
        let is_whole = is_whole || read == state.seen;
        state.seen.clone_from(&read);
        if is_whole && read != state.read {
            state.changes += 1;
            let taken = match &read {
                Ok(text) => reference::take(text, &off(&state.off)),
                Err(why) => {
                    Err(Refusal { line: None, field: None, why: format!("it cannot be read: {why}") })
                }
            };
            state.read = read;
            match taken {
                Ok(values) => {
                    tracing::info!(file = %self.0.file.display(), "its values are in force");
                    (state.values, state.refusal) = (values, None);
                    self.0.refresh.ask();
                }
                Err(refusal) => {
                    tracing::warn!(file = %self.0.file.display(), %refusal, "it changes nothing");
                    state.refusal = Some(refusal);
                }
            }
        }
        state.refusal.clone()
    }

    /// Takes the file as it is: who asks for that has written it. The services ask whether there is anything new or not.
    pub(super) fn refresh(&self) -> Option<Refusal> {
        let refusal = self.read(true);
        self.0.refresh.ask();
        refusal
    }

    /// The layers that are switched off.
    pub fn off(&self) -> BTreeSet<Switch> {
        self.0.lock().off.clone()
    }

    /// Switches layers off or on.
    ///
    /// # Errors
    ///
    /// When what would be in force then does not fit together, or cannot be written down.
    pub fn turn(&self, layers: &[Switch], on: bool) -> Result<(), Problem> {
        let mut state = self.0.lock();
        let mut wanted = state.off.clone();
        for switch in layers {
            if on {
                wanted.remove(switch)
            } else {
                wanted.insert(switch.clone())
            };
        }
        if wanted == state.off {
            return Ok(());
        }
        let misfit =
            |refusal: Refusal| Problem::invalid(format!("the layers would not fit together: {refusal}"));
        reference::fits(&state.values, &off(&wanted)).map_err(misfit)?;
        let unwritten =
            |why: io::Error| Problem::unavailable(format!("the protections cannot be written down: {why}"));
        self.0.kept.write(&wanted).map_err(unwritten)?;
        wanted.symmetric_difference(&state.off).for_each(|switch| turn(&self.0.switches, switch, on));
        state.off = wanted;
        state.tell();
        state.changes += 1;
        drop(state);
        self.0.refresh.ask();
        Ok(())
    }
}

/// Whether it is none that a policy knows.
fn is_switched(switch: &Switch) -> bool {
    SWITCHED.contains(&switch.layer.as_str())
}

/// Turns every switch that no policy knows to where it is wanted.
pub fn turn_all(switches: &Switches, off: &BTreeSet<Switch>) {
    for switch in off {
        turn(switches, switch, false);
    }
    for (call, layer) in switches.off() {
        let switch = Switch { call, layer: layer.to_owned() };
        if !off.contains(&switch) {
            turn(switches, &switch, true);
        }
    }
}

fn turn(switches: &Switches, Switch { call, layer }: &Switch, on: bool) {
    if let Some(layer) = SWITCHED.into_iter().find(|switched| switched == layer) {
        switches.turn(call, layer, on);
    }
}

impl State {
    fn tell(&self) {
        if let Some(reach) = &self.reach {
            reach.off(self.off.iter().filter(|switch| is_switched(switch)).cloned().collect());
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observed for Shared {
    fn layer(&self) -> &'static str {
        "config"
    }

    fn name(&self) -> &str {
        FILE
    }

    fn state(&self) -> &'static str {
        if self.lock().refusal.is_some() { "refused" } else { "in force" }
    }

    fn note(&self) -> Option<Cow<'static, str>> {
        self.lock().refusal.as_ref().map(|refusal| refusal.to_string().into())
    }

    fn numbers(&self, show: &mut dyn FnMut(&'static str, f64)) {
        let state = self.lock();
        show("changes", state.changes as f64);
        show("switched_off", state.off.len() as f64);
        let line = state.refusal.as_ref().and_then(|refusal| refusal.line);
        show("line", line.unwrap_or_default() as f64);
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}, ")?;
        }
        if let Some(field) = &self.field {
            write!(f, "{field}: ")?;
        }
        f.write_str(&self.why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_half_written_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let desk = Desk::open(&Config::new(folder.path().into(), 1).unwrap()).unwrap();
        let write = |text: &str| std::fs::write(folder.path().join(FILE), text).unwrap();
        let told = || desk.environment("order", "default").body;
        write("servers.order.deadline.total = \"3s\"\n");
        desk.look();
        desk.look();
        let before = told();
        assert!(before.contains("3s"), "{before}");
        // Whoever writes it in place empties it first.
        write("");
        desk.look();
        assert_eq!(told(), before);
        write("servers.order.deadline.total = \"2s\"\n");
        desk.look();
        assert_eq!(told(), before);
        desk.look();
        assert!(told().contains("2s"), "{}", told());
        write("");
        assert_eq!(desk.refresh(), None, "whoever asks for it has written it");
        assert!(!told().contains("2s"), "{}", told());
    }
}
