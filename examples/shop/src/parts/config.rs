//! Where a service finds its data and the others: flags first, then the environment, then the defaults.

use super::failure::Failure;
use std::env::var;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Set means real. These are not built yet, so a shop that is told to use them must not open with something else.
const NOT_YET: [&str; 10] = [
    "DATABASE_URL",
    "USER_DATABASE_URL",
    "PRODUCT_DATABASE_URL",
    "ORDER_DATABASE_URL",
    "PAYMENT_DATABASE_URL",
    "AMQP_URL",
    "CONSUL_HTTP_ADDR",
    "REDIS_URL",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "SHOP_TLS",
];

/// A service of the shop, or what stands beside it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum Name {
    Gateway,
    User,
    Product,
    Order,
    Payment,
    /// The simulated bank behind the payments.
    Bank,
    /// What shows the others; only `up` has it.
    #[value(skip)]
    Ops,
}

impl Name {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::User => "user",
            Self::Product => "product",
            Self::Order => "order",
            Self::Payment => "payment",
            Self::Bank => "bank",
            Self::Ops => "ops",
        }
    }

    /// The port, counted from the shop's first. The bank is nobody's business but payment's, and takes any.
    pub fn offset(self) -> Option<u16> {
        match self {
            Self::Gateway => Some(0),
            Self::User => Some(1),
            Self::Product => Some(2),
            Self::Order => Some(4),
            Self::Payment => Some(5),
            Self::Ops => Some(8),
            Self::Bank => None,
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a service is started with.
#[derive(Clone, Debug)]
pub struct Config {
    pub data_dir: PathBuf,
    pub port_base: u16,
    /// `BANK_URL`, or the simulated bank.
    pub bank_url: Option<String>,
    /// `SHOP_TOKEN`, or a new one each time.
    pub ops_token: String,
    /// `SHOP_SESSION_SECONDS`: how long a log-in lasts. Default: an hour.
    pub session: Duration,
    /// `SHOP_CHEAP_PASSWORDS=1`: for tests.
    pub cheap_passwords: bool,
}

impl Config {
    /// # Errors
    ///
    /// When a variable asks for what is not there, or cannot be understood.
    pub fn new(data_dir: PathBuf, port_base: u16) -> Result<Self, Failure> {
        if let Some(name) = NOT_YET.into_iter().find(|name| set(name).is_some()) {
            return Err(Failure::new(format!(
                "{name} is set, but this shop runs on its embedded parts alone so far: unset it to open the shop."
            )));
        }
        let seconds = set("SHOP_SESSION_SECONDS").map_or(Ok(3600), |seconds| {
            seconds.parse().map_err(|_| Failure::new("SHOP_SESSION_SECONDS must be a number of seconds."))
        })?;
        Ok(Self {
            data_dir,
            port_base,
            bank_url: set("BANK_URL").map(|url| url.trim_end_matches('/').to_owned()),
            ops_token: set("SHOP_TOKEN").map_or_else(random_token, Ok)?,
            session: Duration::from_secs(seconds),
            cheap_passwords: set("SHOP_CHEAP_PASSWORDS").is_some_and(|value| value == "1"),
        })
    }

    /// Where a service of this process listens.
    pub fn local(&self, service: Name) -> String {
        format!("http://127.0.0.1:{}", self.port_base.saturating_add(service.offset().unwrap_or_default()))
    }

    /// Where a service listens, for the others: `<SERVICE>_URL`, or its port on loopback.
    pub fn url(&self, service: Name) -> String {
        let named = set(&format!("{}_URL", service.as_str().to_uppercase()));
        named.map_or_else(|| self.local(service), |url| url.trim_end_matches('/').to_owned())
    }
}

/// A variable that is set to something.
fn set(name: &str) -> Option<String> {
    var(name).ok().filter(|value| !value.is_empty())
}

fn random_token() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|why| Failure::new(format!("the system gives no randomness: {why}.")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
