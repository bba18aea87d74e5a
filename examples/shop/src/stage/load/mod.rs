//! `shop load`: customers who come whether or not the shop keeps up.
//!
//! The load is an open loop. When somebody comes is settled before the start, and nobody waits for an answer to
//! somebody else; latency is counted from the moment at which a customer was to come. So a shop that stands still
//! shows all of the waiting that it causes.

mod bar;
mod crowd;
mod customer;
mod desk;
mod drive;
mod errand;
mod flags;
pub(super) mod gateway;
mod html;
mod insist;
mod journal;
pub(super) mod outcome;
mod plot;
mod profile;
mod report;
mod schedule;
mod seen;
mod series;
mod shopping;
mod surge;
mod table;
mod tally;
mod wish;

use crate::parts::config::Config;
use crate::parts::failure::Failure;
use crate::parts::tls::TLS;
use crate::up::asked_to_stop;
use bar::Bar;
use drive::{Plan, Pulse};
use errand::{Journey, Mix};
use gateway::Gateway;
use http::uri::Scheme;
use http::{HeaderValue, Uri};
use journal::Journal;
use profile::Profile;
use report::Report;
use shopping::Shopping;
use std::io::{Write, stdout};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime;

pub(super) use desk::routes;
pub use surge::{Surge, Surges};

/// Where `up` leaves the ops token, in the data folder.
const TOKEN_FILE: &str = "ops.token";

#[derive(Debug, clap::Args)]
pub struct LoadArgs {
    /// How many customers come each second, on average: 1 to 10000
    #[arg(long, value_name = "N", default_value_t = 50, allow_negative_numbers = true,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(flags::FASTEST)))]
    rps: u32,

    /// In the place of --rps: more or fewer each second, from the first number to the second
    #[arg(long, value_name = "N..N", allow_hyphen_values = true, conflicts_with_all = ["rps", "steps"],
          value_parser = flags::ramp)]
    ramp: Option<Profile>,

    /// In the place of --rps: so many each second, and then so many, each for as long as the others
    #[arg(long, value_name = "N,N,…", allow_hyphen_values = true, conflicts_with = "rps", value_parser = flags::steps)]
    steps: Option<Profile>,

    /// For how long they come, like 500ms, 30s, 5m; at most 1h
    #[arg(long = "for", value_name = "D", default_value = "30s", allow_hyphen_values = true,
          value_parser = flags::duration)]
    lasts: Duration,

    /// Where they come to; the gateway of this shop when it is not given
    #[arg(long, value_name = "URL", value_parser = flags::gateway)]
    gateway: Option<String>,

    /// How many accounts they share: 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 64, allow_negative_numbers = true,
          value_parser = clap::value_parser!(u16).range(1..=1000))]
    customers: u16,

    /// Only those who care for their orders, or only those who look around; all when it is not given
    #[arg(long, value_name = "WHO")]
    only: Option<Only>,

    /// The share of all that places an order; the others keep their shares among each other: 0 to 1
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true, conflicts_with = "only", value_parser = flags::share)]
    orders: Option<f64>,

    /// What they come for, in parts of a whole: browse=70,order=20,account=10
    #[arg(long, value_name = "PARTS", allow_hyphen_values = true, conflicts_with_all = ["only", "orders"],
          value_parser = flags::mix)]
    mix: Option<Mix>,

    /// Asks for an order until the shop answers for it, for up to a minute
    #[arg(long)]
    insist: bool,

    /// Prints one JSON object, and no tables
    #[arg(long)]
    json: bool,

    /// Writes report.html with plots, and report.json, into this folder as well
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
}

/// Some of the customers.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Only {
    Orders,
    Browsing,
}

impl Only {
    fn journeys(self) -> &'static [Journey] {
        match self {
            Self::Orders => &Journey::ORDERS,
            Self::Browsing => &Journey::BROWSING,
        }
    }
}

impl LoadArgs {
    fn profile(&self) -> Profile {
        let profile = self.ramp.as_ref().or(self.steps.as_ref());
        profile.cloned().unwrap_or(Profile::Steady(self.rps))
    }

    fn mix(&self) -> Mix {
        match (self.mix, self.orders, self.only) {
            (Some(mix), ..) => mix,
            (None, Some(share), _) => Mix::orders(share),
            (None, None, only) => Mix::only(only.map_or(&Journey::ALL, Only::journeys)),
        }
    }
}

/// Sends customers, and prints how they fared. The first Ctrl-C ends the load early, the second at once.
///
/// # Errors
///
/// When the gateway cannot be reached or takes no customers, or the journal or the report cannot be written.
pub fn run(config: &Config, args: &LoadArgs) -> Result<(), Failure> {
    let runtime = runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|why| Failure::new(format!("no runtime can be started: {why}.")))?;
    runtime.block_on(send(config, args))
}

async fn send(config: &Config, args: &LoadArgs) -> Result<(), Failure> {
    let own = config.at(&format!("127.0.0.1:{}", config.port_base));
    let url = args.gateway.clone().unwrap_or(own);
    if url.starts_with("https:") && !config.tls.is_on() {
        return Err(Failure::new(format!(
            "--gateway {url} cannot be asked without {TLS}=1 and a SHOP_TLS_CA that it is signed by."
        )));
    }
    // What lies in the data folder belongs to the shop whose gateway is on this port, and is no other's business.
    let is_own = is_loopback_at(&url, config.port_base);
    let gateway = Gateway::new(url, token(config, is_own)?, &config.tls);
    // A report that cannot be written is told before the load, and not after it.
    args.report.iter().try_for_each(|folder| html::prepare(folder))?;
    let bar = Bar::new(!args.json);
    let crowd = crowd::gather(&gateway, args.customers.into(), &bar).await?;
    let products = shopping::products(&gateway).await?;
    let journal = if is_own { Journal::open(&config.data_dir)? } else { None };
    let plan = Plan {
        profile: args.profile(),
        lasts: args.lasts,
        customers: crowd.customers.len(),
        products: products.len(),
        mix: args.mix(),
    };
    let shopping =
        Arc::new(Shopping { gateway, crowd: Arc::new(crowd), products, journal, insists: args.insist });
    let walk = |errand| {
        let shopping = shopping.clone();
        async move { shopping.run(errand).await }
    };
    let journal = shopping.journal.as_ref();
    let pulse = |pulse: Pulse<'_>| {
        journal.iter().for_each(|journal| journal.flush());
        let gone = pulse.gone.min(plan.lasts);
        let good = pulse.tally.good() as f64 / gone.as_secs_f64().max(0.001);
        let message = format!("{good:.1} good a second, {} in the shop", pulse.in_flight);
        bar.show(gone.as_millis() as u64, message);
    };
    bar.begin(plan.lasts.as_millis() as u64, "");
    let course = drive::drive(&plan, walk, asked_to_stop()?, pulse).await;
    let report = Report {
        gateway: shopping.gateway.url().to_owned(),
        plan,
        course,
        logged_in_again: shopping.crowd.logged_in_again(),
        journal: journal.map(|journal| journal.path().to_owned()),
    };
    bar.clear();
    let told = report.json();
    // A reader who has left is no error.
    _ = if args.json { writeln!(stdout(), "{told}") } else { writeln!(stdout(), "{report}") };
    let written = args.report.iter().try_for_each(|folder| html::write(folder, &told));
    journal.map_or(Ok(()), Journal::close).and(written)
}

/// Whether a URL names a port of this machine's loopback.
fn is_loopback_at(url: &str, port: u16) -> bool {
    let Ok(url) = url.parse::<Uri>() else { return false };
    let loopback = matches!(url.host(), Some("127.0.0.1" | "localhost" | "[::1]"));
    let by_default = if url.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
    loopback && url.port_u16().unwrap_or(by_default) == port
}

/// The ops token: `SHOP_TOKEN`, or for the own shop what `up` has left in its data folder.
fn token(config: &Config, own: bool) -> Result<Option<HeaderValue>, Failure> {
    let token = match std::env::var("SHOP_TOKEN") {
        Ok(token) if !token.is_empty() => Some(token),
        _ if own => std::fs::read_to_string(config.data_dir.join(TOKEN_FILE)).ok(),
        _ => None,
    };
    let Some(token) = token else { return Ok(None) };
    match HeaderValue::from_str(token.trim()) {
        Ok(mut token) => {
            token.set_sensitive(true);
            Ok(Some(token))
        }
        Err(_) => Err(Failure::new(format!(
            "the ops token in {} is none: it must be of visible ASCII characters.",
            config.data_dir.join(TOKEN_FILE).display()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_gateway_is_on_loopback_and_on_its_port() {
        for url in
            ["http://127.0.0.1:8080", "https://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:8080"]
        {
            assert!(is_loopback_at(url, 8080), "{url}");
        }
        for url in ["http://127.0.0.1:9080", "http://127.0.0.1", "http://10.0.0.7:8080", "nonsense at all"] {
            assert!(!is_loopback_at(url, 8080), "{url}");
        }
    }
}
