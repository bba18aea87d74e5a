//! The values of the layers while they run: those of the config service, of a file, or of the code.

mod agent;
mod follow;
mod values;

pub use agent::is_there;
pub use values::Values;

use tokio::sync::watch;

/// By this whoever follows the config service in this process asks it at once. Clones are one.
#[derive(Clone, Debug, Default)]
pub struct Refresh(watch::Sender<()>);

impl Refresh {
    pub fn ask(&self) {
        self.0.send_replace(());
    }

    fn asked(&self) -> watch::Receiver<()> {
        self.0.subscribe()
    }
}
