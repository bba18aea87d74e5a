use super::ejection::EjectionTable;
use super::settings::{Judged, settings};
use super::{Share, Switched, Time, spelled};
use crate::tree::Fault;
use bartizan_balance::{Balance, Choice, RingHash};
use schemars::JsonSchema;
use serde::Deserialize;
use std::num::NonZeroU32;

settings! {
    /// How calls are spread over the endpoints, and which of them get none.
    BalanceTable for Balance;

    /// How an endpoint is chosen.
    #[schemars(extend("default" = "latency"))]
    choice: ChoiceTable = |balance, choice: ChoiceTable| choice.make().map(|choice| balance.choice(choice));
    /// When an endpoint that fails is left out for a while.
    #[schemars(with = "Option<Switched<EjectionTable>>")]
    ejection: EjectionTable = |balance, ejection: EjectionTable| {
        let base = balance.ejects();
        ejection.onto(base, Judged::Whole).map(|ejection| balance.ejection(ejection))
    };
    /// The share of usable endpoints below which all of them are used. Zero never does.
    #[schemars(with = "Option<Share>", extend("default" = Balance::DEFAULT_PANIC_THRESHOLD))]
    panic_threshold: f64 = Balance::try_panic_threshold;
    /// Over how long the share of an endpoint grows that has come, or come back.
    #[schemars(extend("default" = spelled(Balance::DEFAULT_SLOW_START)))]
    slow_start: Time = Balance::slow_start;
    /// How many calls may be in flight over all endpoints. Without it: no limit.
    #[schemars(range(min = 1))]
    max_in_flight: usize = |balance, calls| match calls {
        0 => Err(Fault::new("max_in_flight must be at least 1: zero refuses every call")),
        calls => Ok(balance.max_in_flight(calls)),
    };
    /// How long a call waits for a first endpoint while there is none.
    #[schemars(extend("default" = "0s"))]
    wait_for_endpoints: Time = Balance::wait_for_endpoints;
    /// In which zone this process runs. Without it: zones do not matter.
    zone: String = |balance, zone: String| balance.zone(zone);
    /// How many times its share an endpoint can serve: tiers give up calls as they lose endpoints. Without it: when all are lost.
    #[schemars(range(min = 1.0))]
    gentle_failover: f64 = Balance::try_gentle_failover;
    /// Over how long latencies are averaged and failures forgotten.
    #[schemars(extend("default" = spelled(Balance::DEFAULT_MEMORY)))]
    memory: Time = Balance::memory;
    /// The seed of all that is random, for runs that repeat.
    seed: u64 = Balance::seed;
    /// Whether endpoints are chosen by what is known of them. If not, they have their turns.
    #[schemars(extend("default" = true))]
    enabled: bool = Balance::enabled;
}

/// How an endpoint is chosen.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChoiceTable {
    Latency,
    RoundRobin,
    Random,
    Weighted,
    LeastRequests,
    P2c,
    RingHash(RingTable),
}

/// The settings of a choice by hash.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RingTable {
    /// How many points an endpoint of weight 1 has on the ring.
    #[schemars(range(min = 1), extend("default" = RingHash::DEFAULT_POINTS.get()))]
    points: Option<u32>,
    /// How many calls an endpoint may have in flight, as a multiple of the mean.
    #[schemars(range(min = 1.0), extend("default" = RingHash::DEFAULT_BOUND))]
    bound: Option<f64>,
}

super::given!(ChoiceTable);

impl ChoiceTable {
    fn make(&self) -> Result<Choice, Fault> {
        Ok(match self {
            Self::Latency => Choice::Latency,
            Self::RoundRobin => Choice::RoundRobin,
            Self::Random => Choice::Random,
            Self::Weighted => Choice::Weighted,
            Self::LeastRequests => Choice::LeastRequests,
            Self::P2c => Choice::P2c,
            Self::RingHash(table) => {
                Choice::RingHash(table.make().map_err(|fault| fault.within("ring_hash"))?)
            }
        })
    }
}

impl RingTable {
    fn make(&self) -> Result<RingHash, Fault> {
        let mut ring = RingHash::new();
        if let Some(points) = self.points {
            let points = NonZeroU32::new(points)
                .ok_or_else(|| Fault::new("points must be at least 1").within("points"))?;
            ring = ring.points(points);
        }
        match self.bound {
            Some(bound) => ring.try_bound(bound).map_err(|invalid| Fault::from(invalid).within("bound")),
            None => Ok(ring),
        }
    }
}

impl JsonSchema for ChoiceTable {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Choice".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let ring = generator.subschema_for::<RingTable>();
        schemars::json_schema!({
            "description": "How an endpoint is chosen.",
            "anyOf": [
                { "enum": ["latency", "round_robin", "random", "weighted", "least_requests", "p2c", "ring_hash"] },
                {
                    "type": "object",
                    "properties": { "ring_hash": ring },
                    "required": ["ring_hash"],
                    "additionalProperties": false,
                },
            ],
        })
    }
}
