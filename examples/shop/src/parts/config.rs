//! Where a service finds its data and the others: flags first, then the environment, then the defaults.

mod name;
mod urls;

pub use name::{Instance, Name};

use super::auth::{FirstAdmin, key_life};
use super::bus::Broker;
use super::failure::Failure;
use super::faults::Faults;
use super::health::Health;
use super::policy::{Refresh, Values};
use super::store::Databases;
use super::switches::Switches;
use super::tls::Tls;
use super::traces::OTLP;
use std::env::{VarError, var};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use urls::{checked, consul, file, named, spoken};

/// Names a real agent.
pub const CONSUL: &str = "CONSUL_HTTP_ADDR";

/// Names a config service.
pub const CONFIG: &str = "CONFIG_URL";

/// Names a Redis.
pub const REDIS: &str = "REDIS_URL";

/// Names a RabbitMQ.
pub const AMQP: &str = "AMQP_URL";

/// What a service is started with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who this is: the name of an instance, by which its layers are known; `shop` for what is none.
    pub here: String,
    pub data_dir: PathBuf,
    pub port_base: u16,
    /// `BANK_URL`, or the simulated bank.
    pub bank_url: Option<String>,
    /// The registry: the agent of `CONSUL_HTTP_ADDR`, or the embedded one, where there is one.
    pub registry: Option<String>,
    /// The config service: the one of `CONFIG_URL`, or the embedded one, where there is one.
    pub settings: Option<String>,
    /// `DATABASE_URL` and `<NAME>_DATABASE_URL`: where stores are that are no files.
    pub databases: Databases,
    /// The file of `CONFIG_URL`, in the place of a config service.
    pub policy_file: Option<PathBuf>,
    /// `REDIS_URL`: where gateways share the buckets of their limits.
    pub redis: Option<String>,
    /// The RabbitMQ of `AMQP_URL`, where everything that this shop has begins with `AMQP_PREFIX` (`shop`).
    pub amqp: Option<Broker>,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`: who gets the traces, by OTLP over HTTP.
    pub collector: Option<String>,
    /// `SHOP_TOKEN`, or a new one each time.
    pub ops_token: String,
    /// Whether `SHOP_TOKEN` is set.
    pub token_is_given: bool,
    /// `SHOP_SESSION_SECONDS`: how long a log-in lasts. Default: an hour.
    pub session: Duration,
    /// `SHOP_KEY_SECONDS`: how long a key signs log-ins.
    pub key_life: Duration,
    /// `SHOP_ADMIN_EMAIL` and `SHOP_ADMIN_PASSWORD`.
    pub admin: Option<FirstAdmin>,
    /// `SHOP_CHEAP_PASSWORDS=1`: for tests.
    pub cheap_passwords: bool,
    /// What is done to the calls on purpose.
    pub faults: Faults,
    /// The layers that are switched off, and no policy knows.
    pub switches: Switches,
    /// The values of the layers of this instance.
    pub policy: Values,
    /// Whether the instance of this process is ready, where somebody beside it asks.
    pub health: Health,
    /// By this the config service is asked at once.
    pub refresh: Refresh,
    /// How this shop and the others are asked.
    pub tls: Tls,
}

impl Config {
    /// # Errors
    ///
    /// When a variable asks for what is not there, or cannot be understood; the sentence names it.
    pub fn new(data_dir: PathBuf, port_base: u16) -> Result<Self, Failure> {
        let mut wrong = Vec::new();
        let this = Self::read(data_dir, port_base, &mut wrong);
        wrong.into_iter().next().map_or(Ok(this), Err)
    }

    /// The same, as far as the variables can be understood; what is wrong with the others is added to `wrong`.
    pub fn read(data_dir: PathBuf, port_base: u16, wrong: &mut Vec<Failure>) -> Self {
        let tls = noted(wrong, Tls::given());
        for name in Name::ASKED {
            let variable = format!("{}_URL", name.as_str().to_uppercase());
            let all = |urls: Option<Vec<_>>| {
                urls.iter().flatten().try_for_each(|url: &String| spoken(&variable, url, &tls))
            };
            noted(wrong, named(name).and_then(all));
        }
        let (settings, policy_file) = match noted(wrong, set(CONFIG)) {
            Some(url) if url.trim().starts_with("file:") => {
                (None, noted(wrong, file(CONFIG, url.trim()).map(Some)))
            }
            url => (noted(wrong, url.map(|url| checked(CONFIG, &url)).transpose()), None),
        };
        let http = |name: &str| set(name)?.map(|url| checked(name, &url)).transpose();
        let this = Self {
            here: "shop".into(),
            data_dir,
            port_base,
            bank_url: noted(wrong, http("BANK_URL")),
            registry: noted(wrong, set(CONSUL).and_then(|it| it.map(|it| consul(&it)).transpose())),
            settings,
            databases: noted(wrong, Databases::from_env()),
            policy_file,
            redis: noted(wrong, set(REDIS)),
            amqp: noted(wrong, amqp()),
            collector: noted(wrong, http(OTLP)),
            ops_token: noted(wrong, token()),
            token_is_given: set("SHOP_TOKEN").is_ok_and(|token| token.is_some()),
            session: noted(wrong, session()),
            key_life: noted(wrong, key_life()),
            admin: noted(wrong, FirstAdmin::from_env()),
            cheap_passwords: noted(wrong, flag("SHOP_CHEAP_PASSWORDS")),
            faults: Faults::default(),
            switches: Switches::default(),
            policy: Values::default(),
            health: Health::default(),
            refresh: Refresh::default(),
            tls,
        };
        for (name, url) in [
            ("BANK_URL", &this.bank_url),
            (CONSUL, &this.registry),
            (CONFIG, &this.settings),
            (OTLP, &this.collector),
        ] {
            noted(wrong, url.iter().try_for_each(|url| spoken(name, url, &this.tls)));
        }
        this
    }

    /// For a test: what it does not say is embedded, but for the broker of `SHOP_TEST_AMQP_URL`, where each folder has a
    /// prefix of its own.
    #[cfg(test)]
    pub fn test(folder: &std::path::Path) -> Self {
        let name = folder.file_name().expect("it has a name").to_string_lossy().replace('.', "");
        let broker = |url: String| Broker::parse(&url, &format!("test-{name}")).unwrap();
        let amqp = set("SHOP_TEST_AMQP_URL").unwrap().map(broker);
        Self { amqp, ..Self::new(folder.to_owned(), 8080).unwrap() }
    }

    /// The same, for one instance, with values of its own.
    pub fn of(&self, instance: Instance) -> Self {
        Self { here: instance.to_string(), policy: Values::default(), ..self.clone() }
    }

    /// The port of an instance; 0 is any.
    pub fn port(&self, Instance { service, replica }: Instance) -> u16 {
        service.port().map_or(0, |offset| self.port_base + offset + replica - 1)
    }

    /// Where an instance of this process listens.
    pub fn local(&self, instance: Instance) -> String {
        self.at(&format!("127.0.0.1:{}", self.port(instance)))
    }

    /// The URL of what this shop serves at an address.
    pub fn at(&self, address: &impl fmt::Display) -> String {
        format!("{}://{address}", self.tls.scheme())
    }

    /// Whether `<SERVICE>_URL` says where a service is, so that nobody else is asked.
    pub fn is_named(&self, service: Name) -> bool {
        service == Name::Bank || named(service).is_ok_and(|urls| urls.is_some())
    }

    /// Where the replicas of a service listen, for the others: `<SERVICE>_URL`, or their ports on loopback. The bank
    /// may be nowhere.
    pub fn urls(&self, service: Name) -> Vec<String> {
        match named(service) {
            _ if service == Name::Bank => self.bank_url.iter().cloned().collect(),
            Ok(Some(urls)) => urls,
            _ => service.instances().map(|instance| self.local(instance)).collect(),
        }
    }
}

/// What was read; nothing, and a note, when it cannot be understood.
fn noted<T: Default>(wrong: &mut Vec<Failure>, read: Result<T, Failure>) -> T {
    read.unwrap_or_else(|failure| {
        wrong.push(failure);
        T::default()
    })
}

/// `AMQP_URL` and `AMQP_PREFIX`.
fn amqp() -> Result<Option<Broker>, Failure> {
    let prefix = set("AMQP_PREFIX")?.unwrap_or_else(|| "shop".into());
    set(AMQP)?.map(|url| Broker::parse(&url, &prefix)).transpose()
}

/// `SHOP_TOKEN`, as it can stand in a header.
fn token() -> Result<String, Failure> {
    match set("SHOP_TOKEN")? {
        None => random_token(),
        Some(token) if token.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(token),
        Some(_) => Err(Failure::new("SHOP_TOKEN must be of visible ASCII characters, without blanks.")),
    }
}

/// `SHOP_SESSION_SECONDS`: up to a year.
fn session() -> Result<Duration, Failure> {
    let Some(seconds) = set("SHOP_SESSION_SECONDS")? else { return Ok(Duration::from_secs(3600)) };
    match seconds.parse() {
        Ok(seconds @ 0..=31_536_000) => Ok(Duration::from_secs(seconds)),
        _ => Err(Failure::new(format!("SHOP_SESSION_SECONDS must be 0 to 31536000, not {seconds:?}."))),
    }
}

/// A variable that is 1, 0 or not set.
fn flag(name: &str) -> Result<bool, Failure> {
    Ok(switch(name)? == Some(true))
}

/// The same, while it matters whether it is set.
///
/// # Errors
///
/// When it is neither.
pub fn switch(name: &str) -> Result<Option<bool>, Failure> {
    match set(name)?.as_deref() {
        None => Ok(None),
        Some("0") => Ok(Some(false)),
        Some("1") => Ok(Some(true)),
        Some(value) => Err(Failure::new(format!("{name} must be 0 or 1, not {value:?}."))),
    }
}

/// A variable that is set to something.
///
/// # Errors
///
/// When that is no text.
pub fn set(name: &str) -> Result<Option<String>, Failure> {
    match var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(value)) => {
            Err(Failure::new(format!("{name} must be text in UTF-8, not {value:?}.")))
        }
    }
}

fn random_token() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|why| Failure::new(format!("the system gives no randomness: {why}.")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
