//! TLS: who this shop is, and whom it trusts. One CA signs for all of its parts, and no other is believed.
//!
//! Servers prove who they are, and clients do not: what a caller may do is said by its token.

mod given;
#[cfg(test)]
mod tests;

use super::failure::Failure;
use super::faults::{Connector, Line};
use super::serve::KEEP;
use bartizan::client::HyperService;
use bartizan::discover::Http;
use http::Uri;
use http::uri::Scheme;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, Error, RootCertStore, ServerConfig};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};

/// Whether the shop speaks TLS.
pub const TLS: &str = "SHOP_TLS";

/// When, and then how often, a connection that says nothing is looked at, and how often in vain before it is given up.
const SILENT: Duration = Duration::from_secs(15);
const IN_VAIN: u32 = 3;

/// A client of HTTP/1, over TLS or not as a URL says. It knows no proxy, and follows nobody elsewhere.
pub type Https = HyperService<HttpsConnector<Connector>>;

/// How a shop speaks with its parts, and they with each other. Clones are the same.
#[derive(Clone, Debug)]
pub struct Tls(Arc<State>);

#[derive(Debug)]
struct State {
    /// Whether TLS is spoken.
    on: bool,
    roots: RootCertStore,
    asks: Arc<ClientConfig>,
    /// None: this is somebody who only asks.
    serves: Option<Arc<ServerConfig>>,
    /// A connection for each exchange, so that none is stale.
    each: Option<Https>,
}

/// A certificate with those that lead from it to the root, and its key.
pub type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl Default for Tls {
    /// Plain HTTP.
    fn default() -> Self {
        let roots = RootCertStore::empty();
        let asks = asking(RootCertStore::empty());
        Self(Arc::new(State { on: false, roots, asks, serves: None, each: None }))
    }
}

impl Tls {
    /// TLS that is wanted, while nobody is known yet who could be trusted.
    fn wanted() -> Self {
        let roots = RootCertStore::empty();
        let asks = asking(RootCertStore::empty());
        Self(Arc::new(State { on: true, roots, asks, serves: None, each: None }))
    }

    /// TLS by which these roots are trusted; with an identity, servers show it.
    ///
    /// # Errors
    ///
    /// When a certificate or key is none that can be used, or they do not belong together.
    pub fn new(roots: RootCertStore, identity: Option<Identity>) -> Result<Self, Error> {
        let asks = asking(roots.clone());
        let each = Some(client(&asks, 0, None));
        let serves = identity.map(serving).transpose()?;
        Ok(Self(Arc::new(State { on: true, roots, asks, serves, each })))
    }

    pub fn is_on(&self) -> bool {
        self.0.on
    }

    /// Whether it is on, and nobody is known who could be trusted.
    pub fn is_in_want(&self) -> bool {
        self.0.on && self.0.roots.is_empty()
    }

    /// `https`, or `http` without TLS.
    pub fn scheme(&self) -> Scheme {
        if self.0.on { Scheme::HTTPS } else { Scheme::HTTP }
    }

    /// What a server speaks; none when it is plain HTTP.
    ///
    /// # Errors
    ///
    /// When it is to be TLS, and there is no certificate.
    pub fn acceptor(&self) -> Result<Option<TlsAcceptor>, Failure> {
        match &self.0.serves {
            None if self.0.on => Err(given::nothing()),
            serves => Ok(serves.clone().map(TlsAcceptor::from)),
        }
    }

    /// A client that trusts whom the shop trusts, with connections of its own.
    pub fn http(&self) -> Https {
        self.http_by(None)
    }

    /// The same, whose connections go by a line.
    pub fn http_by(&self, line: Option<Line>) -> Https {
        client(&self.0.asks, usize::MAX, line)
    }

    /// A client that makes a connection for each exchange; none without TLS, where those who ask in the background have one of
    /// their own.
    pub fn each(&self) -> Option<Https> {
        self.0.each.clone()
    }

    /// A heartbeat that asks at a path.
    pub fn heartbeat(&self, path: &str) -> Http {
        let heartbeat = Http::path(path);
        match self.each() {
            Some(client) => heartbeat.client(client),
            None => heartbeat,
        }
    }

    /// A gRPC channel, which connects when it is used, by a line.
    pub fn channel(&self, url: &Uri, line: Option<Line>) -> Channel {
        let (endpoint, connector) = (Endpoint::from(url.clone()), Connector::new(tcp(), line));
        if url.scheme() != Some(&Scheme::HTTPS) {
            return endpoint.connect_with_connector_lazy(connector);
        }
        let tls = ClientTlsConfig::new().trust_anchors(self.0.roots.roots.iter().cloned());
        // Without it, the endpoint refuses to speak to https at all.
        endpoint.clone().tls_config(tls).unwrap_or(endpoint).connect_with_connector_lazy(connector)
    }
}

/// A client that keeps so many connections to a host that nobody uses, and each of them for less time than its server does.
fn client(asks: &Arc<ClientConfig>, idle: usize, line: Option<Line>) -> Https {
    let mut client = Client::builder(TokioExecutor::new());
    client.timer(TokioTimer::new()).pool_timer(TokioTimer::new());
    client.pool_idle_timeout(KEEP).pool_max_idle_per_host(idle);
    HyperService::new(client.build(HttpsConnector::from((Connector::new(tcp(), line), asks.clone()))))
}

/// Makes connections that are looked at when nothing comes.
fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(SILENT));
    tcp.set_keepalive_interval(Some(SILENT));
    tcp.set_keepalive_retries(Some(IN_VAIN));
    tcp
}

/// How somebody asks who trusts these roots and no others.
fn asking(roots: RootCertStore) -> Arc<ClientConfig> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().expect("ring speaks TLS 1.2 and 1.3");
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

/// How somebody serves.
fn serving((chain, key): Identity) -> Result<Arc<ServerConfig>, Error> {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().expect("ring speaks TLS 1.2 and 1.3");
    let mut config = config.with_no_client_auth().with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
