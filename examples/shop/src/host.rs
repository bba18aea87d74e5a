//! One instance of a service on its own thread, runtime and socket.

use crate::parts::config::{Config, Instance, Name};
use crate::parts::failure::Failure;
use crate::parts::registry::Presence;
use crate::parts::serve::{LEAVE, Limits, Stop, serve};
use crate::services;
use axum::Router;
use std::future::{pending, poll_fn};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;
use tokio::runtime::{self, Handle};
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// Threads of each runtime.
const WORKERS: usize = 2;

/// How long the requests under way have when a service is stopped.
const DRAIN: Duration = Duration::from_secs(5);

/// What an instance is before it runs: its name and its socket.
#[derive(Debug)]
pub struct Bound {
    pub instance: Instance,
    pub listener: TcpListener,
    pub address: SocketAddr,
}

/// Takes the port of an instance.
///
/// # Errors
///
/// When somebody else has it.
pub fn bind(config: &Config, instance: Instance) -> Result<Bound, Failure> {
    let port = config.port(instance);
    bind_again(instance, (Ipv4Addr::LOCALHOST, port).into()).map_err(|why| {
        Failure::new(match why.kind() {
            io::ErrorKind::AddrInUse => {
                format!(
                    "port {port} of {instance} is taken: stop what listens there, or choose another --port-base."
                )
            }
            _ => format!("port {port} of {instance} cannot be opened: {why}."),
        })
    })
}

/// How many connections may wait to be accepted, if the system lets them: as many as are served at once.
const WAITING: i32 = 4096;

/// Takes an address.
///
/// # Errors
///
/// When somebody else has it.
pub fn bind_again(instance: Instance, address: SocketAddr) -> io::Result<Bound> {
    let listener = TcpListener::bind(address)?;
    // Bound by the standard library, 128 may wait; who comes then is not told, and tries again a second later.
    rustix::net::listen(&listener, WAITING)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok(Bound { instance, listener, address })
}

/// Makes the routes of an instance, on its own runtime.
pub type Build = Box<dyn FnOnce(Config, watch::Receiver<Stop>) -> Building + Send>;

/// The routes of an instance, in the making.
pub type Building = Pin<Box<dyn Future<Output = Result<Router, Failure>> + Send>>;

/// The routes of a service that knows nothing of the stage.
pub fn service(name: Name) -> Build {
    Box::new(move |config, _| {
        Box::pin(async move {
            match name {
                Name::Gateway => services::gateway::start(&config),
                Name::User => services::user::start(&config).await,
                Name::Product => services::product::start(&config).await,
                Name::Order => services::order::start(&config).await,
                Name::Payment => services::payment::start(&config).await,
                Name::Mail => services::mail::start(&config).await,
                Name::Bank => services::bank::start(&config).await,
                name @ (Name::Ops | Name::Registry | Name::Config) => {
                    Err(Failure::new(format!("{name} belongs to the stage, and is no service.")))
                }
            }
        })
    })
}

/// An instance that runs. Dropped, it is told to drain, and nobody waits for it.
#[derive(Debug)]
pub struct Running {
    pub instance: Instance,
    pub address: SocketAddr,
    stop: watch::Sender<Stop>,
    kill: watch::Sender<bool>,
    ended: oneshot::Receiver<()>,
    runtime: Handle,
}

/// Starts an instance and returns when it can be asked.
///
/// # Errors
///
/// When it cannot start.
pub async fn start(bound: Bound, config: &Config, build: Build) -> Result<Running, Failure> {
    let Bound { instance, listener, address } = bound;
    let ((stop, stopped), (kill, killed)) = (watch::channel(Stop::Not), watch::channel(false));
    let (ready, readied) = oneshot::channel();
    let (ending, ended) = oneshot::channel();
    let config = config.of(instance);
    let service = move || {
        let _ending = ending;
        let mut runtime = runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(WORKERS).thread_name(instance.to_string()).enable_all().build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(why) => {
                return drop(ready.send(Err(Failure::new(format!("{instance} has no runtime: {why}.")))));
            }
        };
        let killed = runtime.block_on(async {
            let opened = async {
                if !matches!(instance.service, Name::Ops | Name::Registry | Name::Config) {
                    config.policy.follow(&config, instance.service.as_str()).await?;
                }
                let tls = config.tls.acceptor()?;
                let routes = build(config.clone(), stopped.clone()).await?;
                let listener = tokio::net::TcpListener::from_std(listener);
                Ok((
                    tls,
                    routes,
                    listener.map_err(|why| Failure::new(format!("{instance} cannot listen: {why}.")))?,
                ))
            };
            match opened.await {
                Ok((tls, routes, listener)) => {
                    let presence = Presence::new(&config, instance, address, &routes);
                    let _ = ready.send(Ok(Handle::current()));
                    run(listener, tls, routes, presence, stopped, killed).await
                }
                Err(failure) => {
                    let _ = ready.send(Err(failure));
                    false
                }
            }
        });
        if killed {
            // Whatever is under way ends where it is.
            runtime.shutdown_background();
        } else {
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
    };
    let spawned = thread::Builder::new().name(instance.to_string()).spawn(service);
    spawned.map_err(|why| Failure::new(format!("{instance} has no thread: {why}.")))?;
    let fell = |_| Err(Failure::new(format!("{instance} fell over while it started.")));
    let runtime = readied.await.unwrap_or_else(fell)?;
    Ok(Running { instance, address, stop, kill, ended, runtime })
}

/// Serves until it is stopped and drained, or killed; true when it was killed.
async fn run(
    listener: tokio::net::TcpListener,
    tls: Option<TlsAcceptor>,
    routes: Router,
    presence: Presence,
    mut stopped: watch::Receiver<Stop>,
    mut killed: watch::Receiver<bool>,
) -> bool {
    let (tell, told) = watch::channel(Stop::Not);
    let farewell = farewell(presence, stopped.clone(), tell);
    let drained = async {
        let how = stopped.wait_for(|stop| *stop != Stop::Not).await.map_or(Stop::Now, |stop| *stop);
        // In a handover, requests may come until everybody has had the time to leave.
        if how == Stop::Handover {
            let _ = timeout(LEAVE, stopped.wait_for(|stop| *stop == Stop::Now)).await;
        }
        tokio::time::sleep(DRAIN).await;
    };
    let killed = async {
        // Without its sender nobody can kill it any more.
        if killed.wait_for(|kill| *kill).await.is_err() {
            pending::<()>().await;
        }
    };
    tokio::select! {
        () = serve(listener, tls, routes, Limits::default(), told) => false,
        () = farewell => false,
        () = drained => false,
        () = killed => true,
    }
}

/// Tells the server to stop when the others have been told that the instance goes. Where somebody takes over, it is there
/// under the same name, and stays so.
async fn farewell(presence: Presence, mut stopped: watch::Receiver<Stop>, tell: watch::Sender<Stop>) {
    let mut how = stopped.wait_for(|stop| *stop != Stop::Not).await.map_or(Stop::Now, |stop| *stop);
    match how {
        Stop::Now => presence.leave().await,
        _ => drop(presence),
    }
    loop {
        tell.send_replace(how);
        how = match stopped.changed().await {
            Ok(()) => *stopped.borrow(),
            Err(_) => break,
        };
    }
    // Nobody can say any more that it is to end sooner.
    tell.send_replace(Stop::Now);
    pending::<()>().await;
}

impl Running {
    /// Lets the requests under way finish, and ends.
    pub async fn drain(self) {
        let _ = self.stop.send(Stop::Now);
        if timeout(DRAIN + Duration::from_secs(2), self.ended).await.is_err() {
            tracing::warn!(instance = %self.instance, "did not end in time");
        }
    }

    /// Leaves the field to who listens on the same socket. It ends when everybody has gone over.
    pub fn hand_over(&self) {
        let _ = self.stop.send(Stop::Handover);
    }

    /// Ends it at once: its listener, its connections and everything that it was doing.
    pub async fn kill(self) {
        let _ = self.kill.send(true);
        if timeout(DRAIN, self.ended).await.is_err() {
            tracing::warn!(instance = %self.instance, "did not end in time");
        }
    }

    /// Holds all of its threads until the pause is dropped. Connections are still taken by the system, and nobody
    /// says anything on them, as when a process is stopped.
    pub fn pause(&self) -> Pause {
        let gate = Arc::new(Gate::default());
        for _ in 0..WORKERS {
            let gate = gate.clone();
            self.runtime.spawn(async move { gate.wait() });
        }
        Pause(gate)
    }

    /// Returns when the instance has ended without being told to.
    pub async fn ended(&mut self) -> Instance {
        poll_fn(|cx| self.poll_ended(cx)).await;
        self.instance
    }

    /// Ready when it has ended; not to be polled again then.
    pub fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.ended).poll(cx).map(drop)
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.ended.try_recv(), Err(TryRecvError::Empty))
    }
}

/// An instance that is held, until this is dropped.
#[derive(Debug)]
pub struct Pause(Arc<Gate>);

impl Drop for Pause {
    fn drop(&mut self) {
        self.0.open();
    }
}

/// Closed at first.
#[derive(Debug, Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn wait(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.opened.wait_while(open, |open| !*open));
    }

    fn open(&self) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.opened.notify_all();
    }
}
