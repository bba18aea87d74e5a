//! The shop of the demo: a process of this program, with its data and what it complains of.

use super::super::load::gateway::Gateway;
use crate::parts::config::{Config, Name};
use crate::parts::failure::Failure;
use crate::parts::id;
use rustix::process::{Pid, Signal, kill_process};
use std::env::{current_exe, temp_dir};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

/// How long it has to open, and to close.
const OPENS: Duration = Duration::from_secs(60);
const CLOSES: Duration = Duration::from_secs(15);

/// How long a check has: it waits for what is open.
const CHECKS: Duration = Duration::from_secs(90);

/// What the shop complains of, beside the report.
const LOG: &str = "shop.log";

/// Where the data is: given, or of the demo alone, and gone with this.
pub(super) struct Folder {
    root: PathBuf,
    is_own: bool,
}

impl Folder {
    pub(super) fn new(given: Option<PathBuf>) -> Result<Self, Failure> {
        match given {
            Some(root) => Ok(Self { root, is_own: false }),
            None => {
                let root = temp_dir().join(format!("shop-demo-{}", id::new()));
                let folder = Self { root, is_own: true };
                let failed =
                    |why| Failure::new(format!("{} cannot be made: {why}.", folder.data().display()));
                std::fs::create_dir_all(folder.data()).map_err(failed)?;
                Ok(folder)
            }
        }
    }

    pub(super) fn data(&self) -> PathBuf {
        if self.is_own { self.root.join("data") } else { self.root.clone() }
    }

    /// Outlives the data.
    pub(super) fn reports(&self) -> PathBuf {
        self.root.clone()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.is_own {
            let _ = std::fs::remove_dir_all(self.data());
            // It goes as well, if there is nothing left in it.
            let _ = std::fs::remove_dir(&self.root);
        }
    }
}

pub(super) struct House {
    config: Config,
    program: PathBuf,
    log: PathBuf,
    process: Child,
    token: String,
}

impl House {
    /// Starts to open it.
    pub(super) fn open(config: &Config, reports: &Path) -> Result<Self, Failure> {
        let program =
            current_exe().map_err(|why| Failure::new(format!("this program is nowhere: {why}.")))?;
        let log = reports.join(LOG);
        let no_log = |why| Failure::new(format!("{} cannot be written: {why}.", log.display()));
        let complaints = File::create(&log).map_err(no_log)?;
        let mut up = command(&program, config, &["up"]);
        up.env("SHOP_TOKEN", &config.ops_token).stdout(Stdio::null()).stderr(complaints);
        // Ctrl-C is for the demo, which then closes it.
        up.process_group(0);
        let failed = |why| Failure::new(format!("the shop cannot be started: {why}."));
        let process = up.spawn().map_err(failed)?;
        Ok(Self { config: config.clone(), program, log, process, token: config.ops_token.clone() })
    }

    /// Waits until it is open, and returns its token.
    pub(super) async fn opened(&mut self) -> Result<String, Failure> {
        let end = Instant::now() + OPENS;
        loop {
            if let Ok(Some(status)) = self.process.try_wait() {
                let said = std::fs::read_to_string(&self.log).unwrap_or_default();
                let why = said.lines().last().map(|line| line.trim_start_matches("shop: ").to_owned());
                return Err(Failure::new(why.unwrap_or_else(|| format!("the shop has closed: {status}."))));
            }
            let config = super::tls::known(&self.config);
            let ops = config.local(Name::Ops.replica(1)?);
            let ready = Gateway::new(ops, None, &config.tls).is_ready().await;
            if ready {
                return Ok(self.token.clone());
            }
            if Instant::now() > end {
                return Err(Failure::new(format!(
                    "the shop does not open; {} may say why.",
                    self.log.display()
                )));
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// `shop check`, on its stores: whether all holds, and what it said at last.
    pub(super) async fn check(&self) -> Result<(bool, String), Failure> {
        let mut check = command(&self.program, &self.config, &["check", "--wait", "60s"]);
        let failed = |why| Failure::new(format!("the check cannot be started: {why}."));
        let said = timeout(CHECKS, check.stdin(Stdio::null()).output()).await;
        let said = said.map_err(|_| Failure::new("the check does not come to an end."))?.map_err(failed)?;
        let text = String::from_utf8_lossy(if said.status.success() { &said.stdout } else { &said.stderr });
        let last = text.lines().rev().find(|line| !line.is_empty()).unwrap_or("it said nothing").to_owned();
        Ok((said.status.success(), last))
    }

    pub(super) async fn close(&mut self) {
        let id = self.process.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        if let Some(id) = id {
            let _ = kill_process(id, Signal::TERM);
        }
        if timeout(CLOSES, self.process.wait()).await.is_err() {
            let _ = self.process.kill().await;
        }
    }
}

/// This program again, on the same folder and ports.
fn command(program: &Path, config: &Config, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).arg("--data-dir").arg(&config.data_dir);
    command.arg("--port-base").arg(config.port_base.to_string());
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}
