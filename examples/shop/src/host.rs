//! One service on its own thread, runtime and socket.

use crate::parts::config::{Config, Name};
use crate::parts::failure::Failure;
use crate::parts::serve::{Limits, serve};
use crate::services;
use axum::Router;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;
use tokio::runtime;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

/// Threads of each runtime.
const WORKERS: usize = 2;

/// How long the requests under way have when a service is stopped.
const DRAIN: Duration = Duration::from_secs(5);

/// What a service is before it runs: its name and its socket.
pub struct Bound {
    pub name: Name,
    pub listener: TcpListener,
    pub address: SocketAddr,
}

/// Takes the port of a service.
///
/// # Errors
///
/// When somebody else has it.
pub fn bind(config: &Config, name: Name) -> Result<Bound, Failure> {
    let port = name.offset().map_or(0, |offset| config.port_base + offset);
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).and_then(|listener| {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Bound { name, listener, address })
    });
    bound.map_err(|why| {
        Failure::new(match why.kind() {
            std::io::ErrorKind::AddrInUse => {
                format!(
                    "port {port} of {name} is taken: stop what listens there, or choose another --port-base."
                )
            }
            _ => format!("port {port} of {name} cannot be opened: {why}."),
        })
    })
}

/// A service that runs.
pub struct Running {
    pub name: Name,
    pub address: SocketAddr,
    stop: watch::Sender<bool>,
    ended: oneshot::Receiver<()>,
}

/// The services of this process, and where they listen.
pub type Neighbours = Vec<(Name, SocketAddr)>;

/// Starts a service and returns when it can be asked.
///
/// # Errors
///
/// When it cannot start.
pub async fn start(bound: Bound, config: &Config, neighbours: Neighbours) -> Result<Running, Failure> {
    let Bound { name, listener, address } = bound;
    let (stop, stopped) = watch::channel(false);
    let (ready, readied) = oneshot::channel();
    let (ending, ended) = oneshot::channel();
    let config = config.clone();
    let service = move || {
        let _ending = ending;
        let mut runtime = runtime::Builder::new_multi_thread();
        let runtime = match runtime.worker_threads(WORKERS).thread_name(name.as_str()).enable_all().build() {
            Ok(runtime) => runtime,
            Err(why) => return drop(ready.send(Err(Failure::new(format!("{name} has no runtime: {why}."))))),
        };
        runtime.block_on(async {
            let opened = async {
                let routes = routes(name, &config, &neighbours).await?;
                let listener = tokio::net::TcpListener::from_std(listener);
                Ok((routes, listener.map_err(|why| Failure::new(format!("{name} cannot listen: {why}.")))?))
            };
            match opened.await {
                Ok((routes, listener)) => {
                    let _ = ready.send(Ok(()));
                    run(listener, routes, stopped).await;
                }
                Err(failure) => drop(ready.send(Err(failure))),
            }
        });
        runtime.shutdown_timeout(Duration::from_secs(1));
    };
    let spawned = thread::Builder::new().name(name.to_string()).spawn(service);
    spawned.map_err(|why| Failure::new(format!("{name} has no thread: {why}.")))?;
    readied.await.unwrap_or_else(|_| Err(Failure::new(format!("{name} fell over while it started."))))?;
    Ok(Running { name, address, stop, ended })
}

async fn run(listener: tokio::net::TcpListener, routes: Router, mut stopped: watch::Receiver<bool>) {
    let stop = stopped.clone();
    let drained = async {
        let _ = stopped.wait_for(|stop| *stop).await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        () = serve(listener, routes, Limits::default(), stop) => {}
        () = drained => {}
    }
}

async fn routes(name: Name, config: &Config, neighbours: &Neighbours) -> Result<Router, Failure> {
    match name {
        Name::Gateway => services::gateway::start(config),
        Name::User => services::user::start(config).await,
        Name::Product => services::product::start(config).await,
        Name::Order => services::order::start(config).await,
        Name::Payment => {
            let here = neighbours.iter().find(|(name, _)| *name == Name::Bank);
            let bank =
                here.map(|(_, address)| format!("http://{address}")).or_else(|| config.bank_url.clone());
            let bank = bank.ok_or_else(|| Failure::new("payment has no bank: set BANK_URL."))?;
            services::payment::start(config, &bank).await
        }
        Name::Bank => services::bank::start(config).await,
        #[cfg(feature = "stage")]
        Name::Ops => crate::stage::ops::start(config, neighbours.clone()),
        #[cfg(not(feature = "stage"))]
        Name::Ops => Err(Failure::new("this shop was built without its stage, and has no ops.")),
    }
}

impl Running {
    /// Lets the requests under way finish, and ends.
    pub async fn drain(self) {
        let _ = self.stop.send(true);
        if timeout(DRAIN + Duration::from_secs(2), self.ended).await.is_err() {
            tracing::warn!(service = self.name.as_str(), "did not end in time");
        }
    }

    /// Returns when the service has ended without being told to.
    pub async fn ended(&mut self) -> Name {
        let _ = (&mut self.ended).await;
        self.name
    }
}
