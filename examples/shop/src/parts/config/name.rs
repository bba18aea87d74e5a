//! Who a shop is made of.

use super::super::failure::Failure;
use clap::ValueEnum;
use std::fmt;

/// A service of the shop, or what stands beside it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Name {
    Gateway,
    User,
    Product,
    Order,
    Payment,
    Mail,
    Bank,
    /// What shows the others; only `up` has it.
    #[value(skip)]
    Ops,
    /// What knows where the others are; only `up` has it, unless `CONSUL_HTTP_ADDR` names an agent.
    #[value(skip)]
    Registry,
    /// What knows the values of the layers; only `up` has it, unless `CONFIG_URL` names another.
    #[value(skip)]
    Config,
}

/// What there is to know of a service.
struct Row {
    name: &'static str,
    replicas: u16,
    /// Of the first replica, counted from the shop's first port. Who has none is nobody's business, and takes any.
    port: Option<u16>,
    has_store: bool,
    /// Whether it tells the bus something, or hears it.
    is_on_the_bus: bool,
}

const fn row(name: &'static str, replicas: u16, port: Option<u16>) -> Row {
    Row { name, replicas, port, has_store: false, is_on_the_bus: false }
}

impl Row {
    const fn stores(self) -> Self {
        Self { has_store: true, ..self }
    }

    const fn speaks(self) -> Self {
        Self { is_on_the_bus: true, ..self }
    }
}

impl Name {
    /// The services that may be found by `<SERVICE>_URL`.
    pub const ASKED: [Self; 4] = [Self::User, Self::Product, Self::Order, Self::Payment];

    /// Its name, how many of it a shop has, and at which ports. Nobody asks mail, which listens to the bus; the bank is
    /// the simulated one behind the payments.
    const fn row(self) -> Row {
        match self {
            Self::Gateway => row("gateway", 1, Some(0)),
            Self::User => row("user", 1, Some(1)).stores().speaks(),
            Self::Product => row("product", 2, Some(2)).stores(),
            Self::Order => row("order", 1, Some(4)).stores().speaks(),
            Self::Payment => row("payment", 3, Some(5)).stores(),
            Self::Mail => row("mail", 1, None).stores().speaks(),
            Self::Bank => row("bank", 1, None).stores(),
            Self::Ops => row("ops", 1, Some(8)),
            Self::Registry => row("registry", 1, Some(9)),
            Self::Config => row("config", 1, Some(10)),
        }
    }

    /// All but what stands beside them.
    pub fn services() -> impl Iterator<Item = Self> {
        Self::value_variants().iter().copied()
    }

    /// The names of those that have a store.
    pub fn stores() -> impl Iterator<Item = &'static str> {
        Self::services().filter(|service| service.row().has_store).map(Self::as_str)
    }

    pub fn as_str(self) -> &'static str {
        self.row().name
    }

    /// How many of it a shop has.
    pub fn replicas(self) -> u16 {
        self.row().replicas
    }

    /// The port of the first replica, counted from the shop's first.
    pub fn port(self) -> Option<u16> {
        self.row().port
    }

    /// Whether it tells the bus something, or hears it.
    pub fn is_on_the_bus(self) -> bool {
        self.row().is_on_the_bus
    }

    /// One of its replicas, counted from 1.
    ///
    /// # Errors
    ///
    /// When there are not so many.
    pub fn replica(self, replica: u16) -> Result<Instance, Failure> {
        let most = self.replicas();
        if most == 1 && replica != 1 {
            return Err(Failure::new(format!(
                "--replica must be 1: there is one {self}, and no replica {replica}."
            )));
        }
        if !(1..=most).contains(&replica) {
            return Err(Failure::new(format!("--replica of {self} must be 1 to {most}, not {replica}.")));
        }
        Ok(Instance { service: self, replica })
    }

    /// All of its replicas.
    pub fn instances(self) -> impl Iterator<Item = Instance> {
        (1..=self.replicas()).map(move |replica| Instance { service: self, replica })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One replica of a service.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Instance {
    pub service: Name,
    /// Counted from 1.
    pub replica: u16,
}

/// `gateway`, `payment-2`: the number is left out where there is one.
impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.service.replicas() {
            1 => self.service.fmt(f),
            _ => write!(f, "{}-{}", self.service, self.replica),
        }
    }
}
