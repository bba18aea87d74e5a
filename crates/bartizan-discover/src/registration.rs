use crate::agent::{Agent, go_time};
use crate::error::BoxError;
use crate::exchange::{Client, Payload};
use crate::{Registered, pace, place};
use bartizan_core::{Health, Invalid};
use http::{Request, Response, Uri};
use http_body::Body;
use serde_json::{Map, Value, json};
use std::time::Duration;
use tower_service::Service;

/// An instance of a service, to be made known to a Consul agent, with a check that fails when nobody is heard for its TTL.
///
/// ```no_run
/// use bartizan_discover::Registration;
///
/// # async fn serve() {}
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let registered = Registration::new("http://127.0.0.1:8500", "product", "http://10.0.0.7:8080").zone("eu-1").start();
/// serve().await;
/// registered.leave().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Registration {
    pub(crate) agent: Agent,
    pub(crate) id: String,
    name: String,
    host: String,
    port: u16,
    tags: Vec<String>,
    meta: Map<String, Value>,
    weight: u32,
    pub(crate) ttl: Duration,
    deregister_after: Duration,
    pub(crate) health: Health,
}

impl Registration {
    /// TTL of a check for which none was set: 15 s.
    pub const DEFAULT_TTL: Duration = Duration::from_secs(15);
    /// How long the check may be critical until the agent forgets the service, if none was set: 1 minute.
    pub const DEFAULT_DEREGISTER_AFTER: Duration = Duration::from_secs(60);
    /// Longest step of an exchange with the agent if none was set: 10 s, and never more than a third of the TTL.
    pub const DEFAULT_TIME_OUT: Duration = Agent::DEFAULT_TIME_OUT;

    const INVALID: Invalid = Invalid::new("address", "address must have a scheme and a host, and no port 0");

    /// Creates a registration of an instance of the service `name` with the agent at `base`. `address` is where others call it: host
    /// and port count. Its id is made of name, host and port.
    ///
    /// # Panics
    ///
    /// If `base` or `address` is no `Uri` with a scheme and a host.
    #[must_use]
    #[track_caller]
    pub fn new<U: TryInto<Uri>, A: TryInto<Uri>>(base: U, name: impl Into<String>, address: A) -> Self {
        match Self::try_new(base, name, address) {
            Ok(registration) => registration,
            Err(invalid) => panic!("{invalid}"),
        }
    }

    /// As [`new`](Self::new), for what comes out of a file.
    ///
    /// # Errors
    ///
    /// If `base` or `address` is no `Uri` with a scheme and a host.
    pub fn try_new<U: TryInto<Uri>, A: TryInto<Uri>>(
        base: U,
        name: impl Into<String>,
        address: A,
    ) -> Result<Self, Invalid> {
        let address = place::required(address, Self::INVALID)?;
        let (name, host, port) = (name.into(), String::from(place::host(&address)), place::port(&address));
        Ok(Self {
            agent: Agent::new(base)?,
            id: format!("{name}-{host}-{port}"),
            name,
            host,
            port,
            tags: Vec::new(),
            meta: Map::new(),
            weight: 1,
            ttl: Self::DEFAULT_TTL,
            deregister_after: Self::DEFAULT_DEREGISTER_AFTER,
            health: Health::Up,
        })
    }

    /// Sets the id, by which the agent tells instances apart. Another registration under it takes this one's place.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// Adds a tag. Default: none.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Sets an entry of the metadata. Default: none.
    #[must_use]
    pub fn meta(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.meta.insert(key.into(), Value::String(value.into()));
        self
    }

    /// Sets the zone, as the entry `zone` of the metadata. Default: none.
    #[must_use]
    pub fn zone(self, zone: impl Into<String>) -> Self {
        self.meta("zone", zone)
    }

    /// Sets the weight while the check passes. Consul wants at least 1, and zero is taken for it. Default: 1.
    #[must_use]
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight.max(1);
        self
    }

    /// Sets after how long without a heartbeat the check is critical. A heartbeat is sent each third of it. Default:
    /// [`DEFAULT_TTL`](Self::DEFAULT_TTL).
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = pace::interval(ttl);
        self
    }

    /// Sets how long the check may be critical until the agent forgets the service. Consul takes less than a minute for a minute.
    /// Default: [`DEFAULT_DEREGISTER_AFTER`](Self::DEFAULT_DEREGISTER_AFTER).
    #[must_use]
    pub fn deregister_after(mut self, after: Duration) -> Self {
        self.deregister_after = pace::interval(after);
        self
    }

    /// Sets the health to begin with: `Down` for a service that has to warm up first. Default: `Up`.
    #[must_use]
    pub fn health(mut self, health: Health) -> Self {
        self.health = health;
        self
    }

    /// Sets the token of Consul's access control. It is sent as `X-Consul-Token`. Default: none.
    ///
    /// # Errors
    ///
    /// If it cannot stand in a header.
    pub fn token(mut self, token: &str) -> Result<Self, Invalid> {
        self.agent.set_token(token)?;
        Ok(self)
    }

    /// Sets how long the agent may take to accept a connection, then to answer, then to end its answer. Default:
    /// [`DEFAULT_TIME_OUT`](Self::DEFAULT_TIME_OUT).
    #[must_use]
    pub fn time_out(mut self, time_out: Duration) -> Self {
        self.agent.time_out = pace::interval(time_out);
        self
    }

    /// Sets the client to send by, one with TLS, say: a tower service, cloned for each exchange. Default: a connection for each,
    /// without TLS.
    #[must_use]
    pub fn client<S, B>(mut self, client: S) -> Self
    where
        S: Service<Request<Payload>, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        self.agent.client = Client::new(client);
        self
    }

    /// Begins to register, and to send heartbeats, in a task of tokio's that ends with the handle.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    #[track_caller]
    pub fn start(self) -> Registered {
        Registered::start(self)
    }

    /// The body of `/v1/agent/service/register`.
    pub(crate) fn body(&self, health: Health) -> Vec<u8> {
        let body = json!({
            "ID": self.id,
            "Name": self.name,
            "Address": self.host,
            "Port": self.port,
            "Tags": self.tags,
            "Meta": self.meta,
            "Weights": { "Passing": self.weight, "Warning": 1 },
            "Check": {
                "CheckID": format!("service:{}", self.id),
                "TTL": go_time(self.ttl),
                "Status": match health {
                    Health::Up | Health::Unknown => "passing",
                    Health::Draining => "warning",
                    Health::Down => "critical",
                },
                "DeregisterCriticalServiceAfter": go_time(self.deregister_after),
            },
        });
        body.to_string().into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_consul_wants_to_know() {
        let registration = Registration::new("http://agent:8500", "product", "https://[::1]:8443/path")
            .tag("blue")
            .zone("eu-1");
        let body: Value = serde_json::from_slice(&registration.weight(0).body(Health::Draining)).unwrap();
        let expected = json!({
            "ID": "product-::1-8443", "Name": "product", "Address": "::1", "Port": 8443,
            "Tags": ["blue"], "Meta": { "zone": "eu-1" }, "Weights": { "Passing": 1, "Warning": 1 },
            "Check": {
                "CheckID": "service:product-::1-8443", "TTL": "15s", "Status": "warning",
                "DeregisterCriticalServiceAfter": "60s",
            },
        });
        assert_eq!(body, expected);
    }
}
