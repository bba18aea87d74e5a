//! What can be done to the shop, and to what.

use crate::parts::config::{Config, Instance, Name};
use crate::stage::proxy::Harm;
use bartizan::fault::Fault;
use http::{StatusCode, Uri};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

/// A fault by its name in the API.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Kind {
    /// Answers come later by `ms`
    Latency,
    /// Answers come later by `ms`
    Delay,
    /// No answer comes, and nothing is done
    Blackhole,
    /// No answer comes, and nothing is done
    Hang,
    /// The connection breaks instead of an answer
    Reset,
    /// Nobody takes the connection
    Refuse,
    /// The answer comes in drips, `ms` apart
    Drip,
    /// The answer is an error
    Error,
    /// The handler panics
    Panic,
    /// All is done, and the answer never comes
    ReplyLost,
    /// The process is gone
    Kill,
    /// The process is held
    Pause,
    /// A new process takes over from the old one
    Restart,
    /// The same, one replica after another
    Rolling,
    /// The answers have a shape that nobody can read
    Schema,
    /// Somebody else holds the write lock of the store
    DbLocked,
    /// Reads and commits of the store take longer by `ms`
    DbSlow,
    /// The way to the bus is gone
    BusDown,
    /// The registry is gone
    RegistryDown,
    /// The config service is gone
    ConfigDown,
    /// A crowd comes that only looks
    Load,
}

/// Bytes of an answer that come at a time.
const DRIP: NonZeroUsize = NonZeroUsize::new(64).unwrap();

impl Kind {
    /// Every name, as the API spells it.
    pub(super) fn names() -> String {
        let kinds = <Self as clap::ValueEnum>::value_variants().iter().map(|kind| kind.as_str());
        kinds.collect::<Vec<_>>().join(", ")
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Delay => "delay",
            Self::Blackhole => "blackhole",
            Self::Hang => "hang",
            Self::Reset => "reset",
            Self::Refuse => "refuse",
            Self::Drip => "drip",
            Self::Error => "error",
            Self::Panic => "panic",
            Self::ReplyLost => "reply_lost",
            Self::Kill => "kill",
            Self::Pause => "pause",
            Self::Restart => "restart",
            Self::Rolling => "rolling",
            Self::Schema => "schema",
            Self::DbLocked => "db_locked",
            Self::DbSlow => "db_slow",
            Self::BusDown => "bus_down",
            Self::RegistryDown => "registry_down",
            Self::ConfigDown => "config_down",
            Self::Load => "load",
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        <Self as clap::ValueEnum>::value_variants().iter().copied().find(|kind| kind.as_str() == name)
    }

    /// Whether it is done to processes, and not to calls.
    pub(super) fn is_of_processes(self) -> bool {
        self == Self::Pause || self.kills() || self.is_momentary()
    }

    /// Whether the instance is gone as long as it lasts.
    pub(super) fn kills(self) -> bool {
        matches!(self, Self::Kill | Self::RegistryDown | Self::ConfigDown)
    }

    /// What it does to a call, if it is done to calls.
    pub(super) fn injected(self, time: Duration) -> Option<Fault> {
        match self {
            Self::Latency | Self::Delay => Some(Fault::delay(time)),
            Self::Blackhole | Self::Hang => Some(Fault::hang()),
            Self::Reset => Some(Fault::reset()),
            Self::Drip => Some(Fault::drip(DRIP, time)),
            Self::Error => Some(Fault::error()),
            Self::Panic => Some(Fault::panic()),
            Self::ReplyLost => Some(Fault::lose_reply()),
            // A problem where something good is promised; to a gRPC client, no message and no status.
            Self::Schema => Some(Fault::status(StatusCode::OK)),
            Self::DbSlow => Some(Fault::delay(time)),
            Self::BusDown => Some(Fault::error()),
            Self::DbLocked | Self::Refuse => None,
            Self::Kill | Self::Pause | Self::Restart | Self::Rolling => None,
            Self::RegistryDown | Self::ConfigDown | Self::Load => None,
        }
    }

    /// Whether it is over as soon as it is done.
    pub(super) fn is_momentary(self) -> bool {
        matches!(self, Self::Restart | Self::Rolling)
    }

    /// Whether it says how long something takes.
    pub(super) fn has_time(self) -> bool {
        matches!(self, Self::Latency | Self::Delay | Self::Drip | Self::DbSlow)
    }

    /// What it does to the bytes of a connection, if it is done to connections.
    pub(super) fn harm(self, time: Duration) -> Option<Harm> {
        match self {
            Self::Latency => Some(Harm::Latency(time)),
            Self::Blackhole => Some(Harm::Blackhole),
            Self::Reset => Some(Harm::Reset),
            Self::Refuse => Some(Harm::Refuse),
            Self::Drip => Some(Harm::Drip(DRIP, time)),
            _ => None,
        }
    }

    /// Whether it can be done to the requests alone that carry a header.
    pub(super) fn has_scope(self) -> bool {
        matches!(self, Self::Delay | Self::Error | Self::Hang | Self::Panic | Self::ReplyLost | Self::Schema)
    }

    /// Who can have it, if not all can.
    pub(super) fn of(self) -> Option<Vec<String>> {
        let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        match self {
            Self::RegistryDown => Some(owned(&["registry"])),
            Self::ConfigDown => Some(owned(&["config"])),
            Self::Load => Some(owned(&["gateway"])),
            // Replicas share their store.
            Self::DbLocked => Some(Name::stores().map(str::to_owned).collect()),
            Self::DbSlow => Some(connected()),
            Self::BusDown => Some(["bus".to_owned()].into_iter().chain(on_the_bus()).collect()),
            Self::Refuse => Some(owned(&CALLED)),
            _ => None,
        }
    }

    /// The place of `parts::faults` at which it is done to somebody.
    pub(super) fn place(self, of: &str) -> String {
        match self {
            Self::DbSlow => format!("store of {of}"),
            Self::BusDown => format!("bus of {of}"),
            _ => of.to_owned(),
        }
    }
}

/// Who has a store, and each replica that is connected to it.
fn connected() -> Vec<String> {
    let stores: Vec<_> = Name::stores().collect();
    let of = |name: Name| {
        let replicas = (name.replicas() > 1).then(|| name.instances().map(|it| it.to_string()));
        [name.to_string()].into_iter().chain(replicas.into_iter().flatten())
    };
    Name::services().filter(|name| stores.contains(&name.as_str())).flat_map(of).collect()
}

/// Who has something to say to the bus, or hears it.
fn on_the_bus() -> impl Iterator<Item = String> {
    Name::services().filter(|name| name.is_on_the_bus()).map(|name| name.to_string())
}

/// Whom others call, and their calls.
const CALLED: [&str; 18] = [
    "user",
    "product",
    "product-1",
    "product-2",
    "order",
    "payment",
    "payment-1",
    "payment-2",
    "payment-3",
    "bank",
    HOPS[0],
    HOPS[1],
    HOPS[2],
    HOPS[3],
    HOPS[4],
    HOPS[5],
    HOPS[6],
    HOPS[7],
];

/// Who may be hurt.
fn services() -> impl Iterator<Item = Name> {
    Name::services().chain([Name::Registry, Name::Config])
}

/// The calls from one service to another.
const HOPS: [&str; 8] = [
    "gateway->user",
    "gateway->product",
    "gateway->order",
    "gateway->payment",
    "order->user",
    "order->product",
    "order->payment",
    "payment->bank",
];

/// What a fault is done to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    /// The replicas of a service, or one of them.
    Instances(Vec<Instance>),
    Hop(&'static str),
    /// The bus, and so the way of all to it.
    Bus,
}

impl Target {
    /// A service, a replica (`payment-2`), a hop (`order->payment`) or the bus.
    pub(super) fn parse(name: &str) -> Option<Self> {
        if let Some(hop) = HOPS.into_iter().find(|hop| *hop == name) {
            return Some(Self::Hop(hop));
        }
        if name == "bus" {
            return Some(Self::Bus);
        }
        let all = || services().flat_map(Name::instances);
        let of = |wanted: &dyn Fn(Instance) -> bool| {
            all().filter(|instance| wanted(*instance)).collect::<Vec<_>>()
        };
        let instances = of(&|instance| instance.service.as_str() == name || instance.to_string() == name);
        (!instances.is_empty()).then_some(Self::Instances(instances))
    }

    /// The places of `parts::faults` that it stands for.
    pub(super) fn places(&self) -> Vec<String> {
        match self {
            Self::Instances(instances) => instances.iter().map(ToString::to_string).collect(),
            Self::Hop(hop) => vec![(*hop).to_owned()],
            Self::Bus => on_the_bus().collect(),
        }
    }

    pub(super) fn instances(&self) -> &[Instance] {
        match self {
            Self::Instances(instances) => instances,
            Self::Hop(_) | Self::Bus => &[],
        }
    }

    /// Where connections to it go, and of which hop alone. Nobody of the shop calls the gateway, or what stands beside the services.
    pub(super) fn addresses(&self, config: &Config) -> (Option<&'static str>, Vec<SocketAddr>) {
        let of = |service: Name| {
            let address = |url: String| url.parse::<Uri>().ok()?.authority()?.as_str().parse().ok();
            config.urls(service).into_iter().filter_map(address).collect::<Vec<_>>()
        };
        let is_called = |name: Name| CALLED.contains(&name.as_str());
        match self {
            Self::Bus => (None, Vec::new()),
            Self::Hop(hop) => {
                let called = hop.split_once("->").map_or("", |(_, called)| called);
                (Some(*hop), services().find(|name| name.as_str() == called).map(of).unwrap_or_default())
            }
            Self::Instances(instances) => {
                let called = instances.iter().filter(|instance| is_called(instance.service));
                let replica = |instance: &Instance| {
                    of(instance.service).get(usize::from(instance.replica) - 1).copied()
                };
                (None, called.filter_map(replica).collect())
            }
        }
    }

    pub(super) fn all() -> String {
        let replicas = services().filter(|name| name.replicas() > 1).flat_map(Name::instances);
        let names = services().map(|it| it.to_string()).chain(replicas.map(|it| it.to_string()));
        names.chain(["bus".to_owned()]).chain(HOPS.map(str::to_owned)).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_a_replica_and_a_hop_are_targets() {
        let places = |name| Target::parse(name).map(|target| target.places());
        assert_eq!(places("payment").unwrap(), ["payment-1", "payment-2", "payment-3"]);
        assert_eq!(places("payment-2").unwrap(), ["payment-2"]);
        assert_eq!(places("order").unwrap(), ["order"]);
        assert_eq!(places("order->payment").unwrap(), ["order->payment"]);
        for nobody in
            ["", "ops", "payment-0", "payment-4", "order-1", "payment->order", "ORDER", "order -> payment"]
        {
            assert_eq!(places(nobody), None, "{nobody:?}");
        }
    }

    #[test]
    fn every_kind_has_one_name() {
        for kind in <Kind as clap::ValueEnum>::value_variants() {
            assert_eq!(Kind::parse(kind.as_str()), Some(*kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            let flag = clap::ValueEnum::to_possible_value(kind).unwrap();
            assert_eq!(flag.get_name(), kind.as_str());
        }
    }
}
