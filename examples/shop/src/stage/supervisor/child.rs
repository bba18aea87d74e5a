//! An instance that is a process of its own: `shop run` of this program, with a socket that is handed down.

use super::program::Program;
use crate::handed;
use crate::host::Bound;
use crate::parts::config::{CONFIG, CONSUL, Config, Instance};
use crate::parts::failure::Failure;
use crate::stage::reach::{self, Link, Reach};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{create_dir_all, read_to_string, remove_file, write};
use std::io::{Write, stderr};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{ChildStderr, ChildStdout, Command};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long a process has until it can be asked.
const START: Duration = Duration::from_secs(30);

/// How long it has to drain, and how long the system has to end one that is killed.
const DRAIN: Duration = Duration::from_secs(10);
const END: Duration = Duration::from_secs(5);

/// Below the data folder: a file for each instance, with the id of its process.
const PIDS: &str = "pids";

/// What it says before its last sentence, the one on why it ends.
const SENTENCE: &str = "shop: ";

/// A process. Dropped, it is killed, and nobody waits for it.
#[derive(Debug)]
pub struct Child {
    instance: Instance,
    program: Program,
    reach: Reach,
    /// Where it can be steered, once it has said so.
    steered_at: Arc<OnceLock<String>>,
    life: Arc<Life>,
    ended: oneshot::Receiver<String>,
}

/// A process that may be sent signals. When it has ended, its id may be somebody else's.
#[derive(Debug)]
struct Life(Mutex<Option<Pid>>);

/// Starts a program as an instance, and returns when it can be asked. What it says on its standard error is passed on, with
/// its name.
///
/// # Errors
///
/// When it cannot start, in its own words.
pub async fn start(program: Program, bound: Bound, config: Config, reach: Reach) -> Result<Child, Failure> {
    let instance = bound.instance;
    let failed = |why| Failure::new(format!("{instance} cannot be started as a process: {why}."));
    let mut process = command(&program, bound, &config, &reach).spawn().map_err(failed)?;
    let (Some(id), Some(said), Some(complaints)) =
        (process.id(), process.stdout.take(), process.stderr.take())
    else {
        return Err(Failure::new(format!("{instance} ended before it began.")));
    };
    let life = Arc::new(Life(Mutex::new(Pid::from_raw(id.cast_signed()))));
    let file = config.data_dir.join(PIDS).join(instance.to_string());
    let noted = file.clone();
    let mut said = BufReader::new(said).lines();
    let (ending, ended) = oneshot::channel();
    let lasting = life.clone();
    let (open, opened) = oneshot::channel();
    let steered_at = Arc::new(OnceLock::new());
    let (steering, way) = (steered_at.clone(), reach.clone());
    tokio::spawn(async move {
        let last_words = pass_on(instance, complaints);
        let heard = listen(&mut said, &way, &steering, open);
        let (status, last_words, ()) = tokio::join!(
            async {
                let status = process.wait().await;
                lasting.ends();
                forget(&noted, id);
                status
            },
            last_words,
            heard,
        );
        let how = status.map_or_else(|why| format!("nobody knows how it ended: {why}"), how);
        let _ = ending.send(last_words.unwrap_or(how));
    });
    let mut child = Child { instance, program, reach, steered_at, life, ended };
    let outcome = timeout(START, async {
        tokio::select! {
            biased;
            Ok(()) = opened => None,
            why = &mut child.ended => Some(why.unwrap_or_default()),
        }
    });
    match outcome.await {
        Ok(None) => {
            note(&file, instance, id);
            // It may have ended since.
            if child.has_ended() {
                forget(&file, id);
            }
            Ok(child)
        }
        Ok(Some(why)) => {
            Err(Failure::new(format!("{instance} did not start: {}.", why.trim_end_matches('.'))))
        }
        Err(_) => {
            child.kill().await;
            Err(Failure::new(format!("{instance} could not be asked after {} s.", START.as_secs())))
        }
    }
}

fn command(program: &Program, bound: Bound, config: &Config, reach: &Reach) -> Command {
    let Bound { instance, listener, .. } = bound;
    let mut command = Command::new(program.file());
    command.arg0(program.path());
    command.arg("run").arg(instance.service.as_str()).arg("--replica").arg(instance.replica.to_string());
    command.arg("--data-dir").arg(&config.data_dir).arg("--port-base").arg(config.port_base.to_string());
    command.env(handed::VARIABLE, "stdin").env("SHOP_TOKEN", &config.ops_token);
    command.env(reach::VARIABLE, reach.text());
    let told = [(CONSUL, &config.registry), (CONFIG, &config.settings), ("BANK_URL", &config.bank_url)];
    command.envs(told.into_iter().filter_map(|(name, url)| Some((name, url.as_ref()?))));
    command.stdin(Stdio::from(OwnedFd::from(listener))).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Ctrl-C is for this process alone, which then drains them one after another.
    command.process_group(0).kill_on_drop(true);
    command
}

/// Says when the process is open, and reads on, for it lives as long as somebody does. One that can be steered is, as long as it
/// lives.
async fn listen(
    said: &mut Lines<BufReader<ChildStdout>>,
    reach: &Reach,
    steered_at: &OnceLock<String>,
    open: oneshot::Sender<()>,
) {
    let (mut open, mut link) = (Some(open), None);
    while let Ok(Some(line)) = said.next_line().await {
        match line.strip_prefix(reach::SAYS) {
            Some(url) if link.is_none() => {
                let _ = steered_at.set(url.to_owned());
                link = Some(Link::new(reach, url.to_owned()));
            }
            _ => drop(open.take().map(|open| open.send(()))),
        }
    }
}

/// Passes complaints on, with the name in front; its last sentence is returned instead.
async fn pass_on(instance: Instance, complaints: ChildStderr) -> Option<String> {
    let mut complaints = BufReader::new(complaints).split(b'\n');
    let mut last_words = None;
    while let Ok(Some(line)) = complaints.next_segment().await {
        let line = String::from_utf8_lossy(&line);
        match line.strip_prefix(SENTENCE) {
            Some(sentence) => last_words = Some(sentence.to_owned()),
            None => drop(writeln!(stderr(), "{instance}: {line}")),
        }
    }
    last_words
}

fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("it ended with exit code {code}"),
        (_, Some(signal)) => format!("it was ended by signal {signal}"),
        _ => "it ended".to_owned(),
    }
}

/// Writes down which process an instance is. Nothing depends on it but who looks.
fn note(file: &Path, instance: Instance, id: u32) {
    let folder = file.parent().unwrap_or(file);
    if let Err(error) = create_dir_all(folder).and_then(|()| write(file, id.to_string())) {
        tracing::warn!(%instance, %error, "the id of its process cannot be written down");
    }
}

/// Takes it back, unless another has taken over.
fn forget(file: &Path, id: u32) {
    if read_to_string(file).is_ok_and(|known| known == id.to_string()) {
        let _ = remove_file(file);
    }
}

impl Life {
    fn pid(&self) -> MutexGuard<'_, Option<Pid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ends(&self) {
        *self.pid() = None;
    }

    fn send(&self, signal: Signal) {
        // Who has ended needs no signal.
        if let Some(pid) = *self.pid() {
            let _ = kill_process(pid, signal);
        }
    }
}

impl Child {
    pub fn id(&self) -> Option<u32> {
        self.life.pid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs())
    }

    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Returns when it says that it is ready. Of one that cannot be asked more is not known than that it is open.
    ///
    /// # Errors
    ///
    /// When it does not, in time, or has ended.
    pub async fn ready(&mut self) -> Result<(), Failure> {
        let Self { instance, reach, steered_at, ended, .. } = self;
        let Some(url) = steered_at.get() else { return Ok(()) };
        let ready = timeout(START, async {
            tokio::select! {
                biased;
                why = ended => Err(why.unwrap_or_default()),
                () = reach.ready(url) => Ok(()),
            }
        });
        ready.await.unwrap_or_else(|_| Err(format!("it was not ready after {} s", START.as_secs()))).map_err(
            |why| Failure::new(format!("{instance} did not become ready: {}.", why.trim_end_matches('.'))),
        )
    }

    /// Lets the requests under way finish, and ends; killed, if that takes too long.
    pub async fn drain(mut self) {
        self.life.send(Signal::TERM);
        if timeout(DRAIN, &mut self.ended).await.is_err() {
            tracing::warn!(instance = %self.instance, "did not end in time, and is killed");
            self.kill().await;
        }
    }

    /// Leaves the field to who listens on the same socket. It ends when everybody has gone over.
    pub fn hand_over(&self) {
        self.life.send(Signal::USR1);
    }

    /// Ends it at once.
    pub async fn kill(mut self) {
        self.life.send(Signal::KILL);
        if timeout(END, &mut self.ended).await.is_err() {
            tracing::warn!(instance = %self.instance, "did not end in time");
        }
    }

    /// Holds the process until this is dropped.
    pub fn pause(&self) -> Held {
        self.life.send(Signal::STOP);
        Held(self.life.clone())
    }

    /// Ready when it has ended, with the reason; not to be polled again then.
    pub fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<String> {
        let ended = std::pin::Pin::new(&mut self.ended).poll(cx);
        ended.map(Result::unwrap_or_default)
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.life.pid().is_none()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.life.send(Signal::KILL);
    }
}

/// A process that is held, until this is dropped.
#[derive(Debug)]
pub struct Held(Arc<Life>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.send(Signal::CONT);
    }
}
