//! What can be done to the shop, and to what.

use crate::parts::config::{Instance, Name};
use bartizan::fault::Fault;
use serde::{Deserialize, Serialize};
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
    /// The registry is gone
    RegistryDown,
    /// The config service is gone
    ConfigDown,
    /// A crowd comes that only looks
    Load,
}

/// Bytes of an answer that come at a time.
const DRIP: NonZeroUsize = NonZeroUsize::new(64).unwrap();

/// Names of the API that this shop has no fault for yet.
pub(super) const NOT_YET: [&str; 5] = ["refuse", "schema", "db_locked", "db_slow", "bus_down"];

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
            Self::Drip => "drip",
            Self::Error => "error",
            Self::Panic => "panic",
            Self::ReplyLost => "reply_lost",
            Self::Kill => "kill",
            Self::Pause => "pause",
            Self::Restart => "restart",
            Self::Rolling => "rolling",
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
            Self::Kill | Self::Pause | Self::Restart | Self::Rolling => None,
            Self::RegistryDown | Self::ConfigDown | Self::Load => None,
        }
    }

    /// The one service that it can be done to, if it is named for one.
    pub(super) fn only(self) -> Option<Name> {
        match self {
            Self::RegistryDown => Some(Name::Registry),
            Self::ConfigDown => Some(Name::Config),
            Self::Load => Some(Name::Gateway),
            _ => None,
        }
    }

    /// Whether it is over as soon as it is done.
    pub(super) fn is_momentary(self) -> bool {
        matches!(self, Self::Restart | Self::Rolling)
    }

    /// Whether it says how long something takes.
    pub(super) fn has_time(self) -> bool {
        matches!(self, Self::Latency | Self::Delay | Self::Drip)
    }
}

/// Who may be hurt.
const SERVICES: [Name; 9] = [
    Name::Gateway,
    Name::User,
    Name::Product,
    Name::Order,
    Name::Payment,
    Name::Mail,
    Name::Bank,
    Name::Registry,
    Name::Config,
];

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
}

impl Target {
    /// A service, a replica (`payment-2`) or a hop (`order->payment`).
    pub(super) fn parse(name: &str) -> Option<Self> {
        if let Some(hop) = HOPS.into_iter().find(|hop| *hop == name) {
            return Some(Self::Hop(hop));
        }
        let all = || SERVICES.into_iter().flat_map(Name::instances);
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
        }
    }

    pub(super) fn instances(&self) -> &[Instance] {
        match self {
            Self::Instances(instances) => instances,
            Self::Hop(_) => &[],
        }
    }

    pub(super) fn all() -> String {
        let replicas = SERVICES.into_iter().filter(|name| name.replicas() > 1).flat_map(Name::instances);
        let names = SERVICES.iter().map(ToString::to_string).chain(replicas.map(|it| it.to_string()));
        names.chain(HOPS.map(str::to_owned)).collect::<Vec<_>>().join(", ")
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
        assert!(NOT_YET.iter().all(|name| Kind::parse(name).is_none()));
    }
}
