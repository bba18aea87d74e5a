//! Every layer stack of the shop: which layers guard which route and which call. Change a line, and it is changed.
//!
//! A deadline of who is served goes along with each call that is made for it, and only ever gets shorter.

use crate::contracts::payment::payments_client::PaymentsClient;
use crate::parts::auth::{self, Gatekeeper, Guesses};
use crate::parts::buckets::Buckets;
use crate::parts::bus::{Gate, Work};
use crate::parts::config::{Config, Name};
use crate::parts::failure::Failure;
use crate::parts::faults::{Line, Mark};
use crate::parts::peer::Peer;
use crate::parts::problem;
use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use bartizan::balance::Ejection;
use bartizan::breaker::BreakerService;
use bartizan::client::AnyBody;
use bartizan::core::{Change, recognise};
use bartizan::deadline::DeadlineService;
use bartizan::discover::{Error, Heartbeats};
use bartizan::fault::FaultService;
use bartizan::limit::{Address, KeyedHandle};
use bartizan::meter::MeterService;
use bartizan::retry::RetryService;
use bartizan::shed::{Backlog, BacklogService};
use bartizan::stack::ServerLayer;
use bartizan::trace::TraceService;
use bartizan::{
    Balance, BalanceLayer, BalanceService, Breaker, BreakerLayer, Client, DeadlineLayer, Limit, LimitLayer,
    Meter, MeterLayer, Priority, Shed, ShedLayer, Trace, TraceLayer,
};
use futures_core::Stream;
use http::{Method, Uri};
use std::pin::Pin;
use std::time::Duration;
use tonic::transport::Channel;
use tower::{Layer, ServiceBuilder};
use tower_http::catch_panic::CatchPanicLayer;

mod call;
mod guards;
mod heads;
mod replicas;
mod routes;
mod shape;
#[cfg(test)]
mod tests;

pub use call::Call;
pub use routes::Routes;

use call::{call, somebody};
use guards::{Guards, say};
use heads::{caller, is_log_in, own_load, rank, route, tell_trace, template, user};
use routes::routes;
use shape::ShapeLayer;

// Before the routes of a service: its deadline, and whether a breaker stands before its store.
pub const GATEWAY: Routes = routes(Name::Gateway, ms(3000), false);
pub const USER: Routes = routes(Name::User, ms(3000), true);
pub const PRODUCT: Routes = routes(Name::Product, ms(500), true);
pub const ORDER: Routes = routes(Name::Order, ms(2000), true);
pub const PAYMENT: Routes = routes(Name::Payment, ms(800), true);
pub const MAIL: Routes = routes(Name::Mail, ms(800), true);
pub const BANK: Routes = routes(Name::Bank, ms(800), false);

/// All of them.
pub const ROUTES: &[Routes] = &[GATEWAY, USER, PRODUCT, ORDER, PAYMENT, MAIL, BANK];

// Before a call: the deadline of an attempt, the deadline of the whole, how many may be in flight, how often it may be made again, and
// whether a copy is sent when it takes long. Only what may be repeated is: reads, and writes that carry a key. Each goes to the
// replica that is expected to answer soonest, and a breaker stands before each. A payment that fails more than the others gets no
// calls for a while. What was seen of the products stands in for them when they are gone, and a customer without a name for a user.
pub const GATEWAY_TO_USER_REGISTER: Call =
    call(Name::Gateway, Name::User, " register", ms(2500), ms(2500), 4);
pub const GATEWAY_TO_USER_LOGIN: Call = call(Name::Gateway, Name::User, " login", ms(1000), ms(1000), 4);
pub const GATEWAY_TO_USER_GET: Call = call(Name::Gateway, Name::User, " GET", ms(300), ms(600), 64).retry(1);
pub const GATEWAY_TO_PRODUCT: Call =
    call(Name::Gateway, Name::Product, "", ms(150), ms(500), 64).retry(2).hedge().waits(ms(50)).stale();
pub const GATEWAY_TO_ORDER_POST: Call =
    call(Name::Gateway, Name::Order, " POST", ms(1500), ms(2000), 64).retry(1);
pub const GATEWAY_TO_ORDER_GET: Call =
    call(Name::Gateway, Name::Order, " GET", ms(300), ms(600), 64).retry(1);
pub const GATEWAY_TO_PAYMENT: Call =
    call(Name::Gateway, Name::Payment, "", ms(300), ms(600), 64).retry(1).eject();
pub const ORDER_TO_USER: Call =
    call(Name::Order, Name::User, "", ms(150), ms(400), 64).retry(2).hedge().instead(somebody);
pub const PRODUCT_TO_USER: Call = call(Name::Product, Name::User, "", ms(150), ms(300), 16).retry(1);
pub const ORDER_TO_PRODUCT: Call = call(Name::Order, Name::Product, "", ms(200), ms(500), 32).retry(2);
pub const ORDER_TO_PAYMENT: Call =
    call(Name::Order, Name::Payment, "", ms(300), ms(800), 32).retry(1).eject();
pub const PAYMENT_TO_BANK: Call = call(Name::Payment, Name::Bank, "", ms(250), ms(350), 16);

/// All of them.
pub const CALLS: [Call; 12] = [
    GATEWAY_TO_USER_REGISTER,
    GATEWAY_TO_USER_LOGIN,
    GATEWAY_TO_USER_GET,
    GATEWAY_TO_PRODUCT,
    GATEWAY_TO_ORDER_POST,
    GATEWAY_TO_ORDER_GET,
    GATEWAY_TO_PAYMENT,
    ORDER_TO_USER,
    PRODUCT_TO_USER,
    ORDER_TO_PRODUCT,
    ORDER_TO_PAYMENT,
    PAYMENT_TO_BANK,
];

/// Who wait when too many come at once: as long as they can still be served in time.
const WAITING: Backlog = Backlog::new(64).target(Duration::MAX);

// How much one may ask for; with `REDIS_URL`, of all gateways together. A load that shows the ops token is limited by customer alone.
const BY_USER: Limit = Limit::per_second(50).burst(200);
const BY_ADDRESS: Limit = Limit::per_second(2000).burst(4000);
const LOG_INS: Limit = Limit::per_second(20).burst(100);

/// For a while after a wrong password, log-ins to its account are limited.
const SUSPICION: Limit = Limit::per(1, ms(60_000));
const GUESSES: Limit = Limit::per(10, ms(60_000));

/// Before the gateway. It grants three seconds, of which little is to be spent on waiting: half by an order, a fiftieth by a report.
const FRONT: Shed =
    Shed::new().critical(0.5).normal(0.1).sheddable(0.02).assumed_deadline(ms(3000)).min_in_flight(BURST);

/// Before the services, whose calls have little time.
const INSIDE: Shed = Shed::new().min_in_flight(BURST);
const BURST: usize = 128; // at once are always served: who idled knows too little of itself to refuse them

/// One trace for each request from outside. The gateway leaves unread what strangers say of theirs.
const TRACE: Trace = Trace::new();

/// Who is served when there is not enough for all: checkout before browsing before reports.
fn priority(method: &Method, path: &str) -> Priority {
    match (method, path.strip_prefix("/api/v1").unwrap_or(path)) {
        (&Method::POST, "/orders" | "/orders/{id}/cancel") => Priority::CRITICAL,
        (&Method::GET, "/products" | "/products/{id}") => Priority::new(192),
        (&Method::GET, "/orders") => Priority::SHEDDABLE,
        _ => Priority::NORMAL,
    }
}

/// Opens on the evidence of failures, and asks again soon: what is down for a moment must not hold orders up for long.
const BREAKER: Breaker = Breaker::new().open_for(ms(1000)).max_open_for(ms(8000));

/// Over the replicas, of which the first are told a moment after the start. Who was down for a moment must not be left out for long.
fn balance() -> Balance {
    Balance::new().wait_for_endpoints(ms(250)).memory(ms(3000)).slow_start(ms(3000))
}

/// Whoever is ejected stays out for its pause: that a payment is ready does not say that its charges succeed.
const EJECTION: Ejection = Ejection::new().pause(ms(5000)).max_pause(ms(30_000)).pardon(false);

/// How often each replica is asked whether it is ready. Soon enough for one that has come back.
const HEARTBEAT: Duration = ms(1000);

/// Before what is done with the bus.
const BUS: Duration = ms(2000);

impl Routes {
    /// trace → meter → panics answered → deadline → limit, if the policy has one → shed with priorities → breaker per route → fault → handler
    pub fn guard(self, routes: Router, config: &Config) -> Router {
        let here = config.here.as_str();
        let standard = ServerLayer::new(self.stack()).named(here);
        let follows = standard.handle();
        config.policy.routes(self.name(), self.stack(), move |stack| drop(follows.update(stack.clone())));
        let stack = ServiceBuilder::new()
            .layer(TraceLayer::new(TRACE).route(template).named(here))
            .layer(MeterLayer::new(Meter::new()).named(here))
            .layer(CatchPanicLayer::custom(problem::of_panic))
            .layer(standard)
            .layer(BreakerLayer::new(BREAKER.enabled(self.breaker)).named(here).key(route))
            .layer(config.faults.heed())
            .layer(config.faults.layer(here));
        routes.layer(stack)
    }

    /// trace → meter → panics answered → priority of the route → deadline → limit by address, and of its log-ins → shed with priorities →
    /// who asks → limit by user → fault → handler
    pub fn guard_front(self, routes: Router, who: Gatekeeper, buckets: &Buckets, config: &Config) -> Router {
        let here = config.here.as_str();
        let own = own_load(config);
        let told = own.clone();
        let by_address = LimitLayer::new(BY_ADDRESS).exempt(own.clone()).address(Address::new(caller));
        let log_ins = LimitLayer::new(LOG_INS).exempt(move |head| !is_log_in(head) || own(head));
        let log_ins = log_ins.address(Address::new(caller));
        let deadline = DeadlineLayer::new(self.total).named(here);
        let shed = ShedLayer::new(FRONT).named(here);
        let follows = (deadline.handle(), by_address.handle(), shed.handle());
        config.policy.routes(self.name(), self.stack(), move |stack| {
            follows.0.update(*stack.deadline_value());
            follows.1.update(*stack.limit_value().unwrap_or(&BY_ADDRESS));
            follows.2.update(*stack.shed_value());
        });
        let by_user = LimitLayer::new(BY_USER).exempt(|head| user(head).is_none()).key(user);
        let stack = ServiceBuilder::new()
            .layer(TraceLayer::new(TRACE.restart(true)).route(template).named(here))
            .layer(from_fn(move |request, next| tell_trace(told.clone(), request, next)))
            .layer(MeterLayer::new(Meter::new()).named(here))
            .layer(CatchPanicLayer::custom(problem::of_panic))
            .map_request(rank)
            .layer(deadline)
            .layer(buckets.keep(by_address.named("gateway by address")))
            .layer(buckets.keep(log_ins.named("gateway log-ins by address")))
            .layer(shed)
            .layer(from_fn_with_state(who, auth::identify))
            .layer(buckets.keep(by_user.named("gateway by user")))
            .layer(config.faults.heed())
            .layer(config.faults.layer(here));
        routes.layer(stack)
    }
}

impl Call {
    /// trace → meter → what is said instead → the last good answer → deadline of the call → retry → hedge → in flight → balance → for each:
    /// trace of the attempt → breaker → deadline of the attempt → shape of the answer → scope of faults → fault → HTTP
    pub fn http(self, config: &Config) -> Result<Peer, Failure> {
        let base = self.first(config)?;
        let guards = Guards::new(self, config);
        let replicas = guards.replicas.clone();
        let balance = BalanceLayer::new(guards.balance()).each(move |url: &Uri| {
            let (trace, breaker, attempt, scope, fault) = replicas.before(url);
            (trace, breaker, attempt, ShapeLayer(self.to), scope, fault)
        });
        let balance = balance.named(guards.name.as_str());
        guards.follow(config, balance.handle());
        let stack = ServiceBuilder::new()
            .layer(guards.trace)
            .layer(guards.meter)
            .layer(guards.fallback.key(self.said()).with(say))
            .layer(guards.stale)
            .layer(guards.deadline)
            .layer(guards.retry)
            .layer(guards.hedge)
            .layer(guards.in_flight)
            .layer(balance.discover(self.endpoints(config)))
            .service(config.tls.http_by(self.line(config)));
        Ok(Peer::new(self.to.as_str(), Client::new(stack).base_url(base).boxed()))
    }

    /// trace → meter → deadline of the call → retry → in flight → balance → for each: trace of the attempt → breaker → deadline of the
    /// attempt → scope of faults → fault → gRPC
    pub fn grpc(self, config: &Config) -> Result<Payments, Failure> {
        self.first(config)?;
        // So that a connection that is refused is seen for what it is.
        recognise::<tonic::transport::Error>();
        let guards = Guards::new(self, config);
        let (replicas, tls, line) = (guards.replicas.clone(), config.tls.clone(), self.line(config));
        let balance = BalanceService::new(guards.balance(), move |url: &Uri| {
            let channel = tls.channel(url, line.clone());
            replicas.before(url).layer(AnyBody::new(channel, tonic::body::Body::new as _))
        });
        let balance = balance.named(guards.name.as_str());
        guards.follow(config, balance.handle());
        let stack = ServiceBuilder::new().layer(guards.trace).layer(guards.meter);
        let stack = stack.layer(guards.deadline).layer(guards.retry).layer(guards.in_flight);
        Ok(PaymentsClient::new(stack.service(balance.discover(self.endpoints(config)))))
    }

    /// The replicas, as the registry and their own heartbeats tell of them. A bank is nobody's, and has none.
    fn endpoints(self, config: &Config) -> Pin<Box<dyn Stream<Item = Result<Change<Uri>, Error>> + Send>> {
        let endpoints = config.endpoints(self.to);
        match self.to {
            Name::Bank => Box::pin(endpoints),
            _ => Box::pin(Heartbeats::new(config.tls.heartbeat("/readyz")).every(HEARTBEAT).watch(endpoints)),
        }
    }

    /// The way of its connections.
    fn line(self, config: &Config) -> Option<Line> {
        config.faults.line(&format!("{}->{}", self.from, self.to))
    }

    /// One of the replicas that are configured.
    fn first(self, config: &Config) -> Result<Uri, Failure> {
        let Some(url) = config.urls(self.to).into_iter().next() else {
            let name = self.to.as_str().to_uppercase();
            return Err(Failure::new(format!("{} has no {}: set {name}_URL.", config.here, self.to)));
        };
        url.parse().map_err(|why| Failure::new(format!("{url:?} is no URL of {}: {why}.", self.to)))
    }
}

/// in flight → breaker → deadline → fault → the bus
pub fn bus(config: &Config) -> Gate {
    let name = format!("{}->bus", config.here);
    let stack = ServiceBuilder::new()
        .layer(ShedLayer::new(Shed::fixed(8)).typed().backlog(WAITING).named(name.as_str()))
        .layer(BreakerLayer::new(BREAKER).named(name.as_str()).typed())
        .layer(DeadlineLayer::new(BUS).typed().named(name.as_str()));
    let door = config.faults.door(&format!("bus of {}", config.here));
    Gate::new(stack.service_fn(|work: Work| work), door)
}

/// What limits the guesses of passwords.
pub fn guesses(buckets: &Buckets) -> Guesses {
    let limit = |limit, name: &'static str| buckets.keep_asked(KeyedHandle::new(limit).named(name));
    Guesses::new(limit(SUSPICION, "gateway suspects"), limit(GUESSES, "gateway guesses"))
}

/// Payments, through their stack.
pub type Payments =
    PaymentsClient<TraceService<MeterService<DeadlineService<RetryService<BacklogService<Balanced>>>>>>;

type Balanced =
    BalanceService<Uri, TraceService<BreakerService<DeadlineService<Mark<FaultService<AnyChannel>>>>>>;

/// tonic's channel, for the bodies that the layers make.
type AnyChannel = AnyBody<Channel, fn(bartizan::client::Body) -> tonic::body::Body>;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
