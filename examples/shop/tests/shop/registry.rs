//! The contract of a registry, as the shop uses it: kept by the embedded one, and by a real agent where there is one.

use super::customer::{Customer, Said};
use super::ops::{self, Ops};
use super::process::{Http, LONG, Shop, client, folder, free_base, program, signal_to};
use bartizan::client::Body;
use http::Method;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Whoever keeps the contract.
struct Registry {
    url: String,
    http: Http,
    /// How long it may take to let go of who is critical for too long.
    reaps_in: Duration,
}

impl Registry {
    fn new(url: String, reaps_in: Duration) -> Self {
        let http = client(LONG * 2);
        Self { url, http, reaps_in }
    }

    fn of(shop: &Shop) -> Self {
        Self::new(shop.at(9), LONG)
    }

    async fn ask(&self, method: Method, path: &str, body: impl Into<Body>) -> Said {
        let request = self.http.request(method, format!("{}{path}", self.url)).body(body);
        super::customer::say(request).await
    }

    async fn get(&self, path: &str) -> Said {
        let said = self.ask(Method::GET, path, "").await;
        assert_eq!(said.status, 200, "{path}: {said:?}");
        said
    }

    async fn put(&self, path: &str) -> Said {
        self.ask(Method::PUT, path, "").await
    }

    async fn register(&self, service: &Value) {
        let said = self.ask(Method::PUT, "/v1/agent/service/register", service.to_string()).await;
        assert_eq!(said.status, 200, "{service}: {said:?}");
    }

    async fn passes(&self, id: &str) {
        assert_eq!(self.put(&format!("/v1/agent/check/pass/service:{id}?note=well")).await.status, 200);
    }

    async fn deregister(&self, id: &str) {
        assert_eq!(self.put(&format!("/v1/agent/service/deregister/{id}")).await.status, 200);
    }

    /// Those of a name, and the index of the answer.
    async fn health(&self, name: &str, query: &str) -> (Vec<Value>, u64) {
        let said = self.get(&format!("/v1/health/service/{name}?{query}")).await;
        (said.body.as_array().unwrap_or_else(|| panic!("{said:?}")).clone(), index(&said))
    }

    /// The ids of those of a name.
    async fn ids(&self, name: &str, query: &str) -> Vec<String> {
        let mut ids: Vec<_> = self.health(name, query).await.0.iter().map(id).collect();
        ids.sort();
        ids
    }

    /// Waits until these are the ids of a name.
    async fn until(&self, name: &str, query: &str, wanted: &[&str], patience: Duration) {
        let waited = async {
            while self.ids(name, query).await != wanted {
                sleep(Duration::from_millis(50)).await;
            }
        };
        assert!(
            timeout(patience, waited).await.is_ok(),
            "{:?} are never {wanted:?}",
            self.ids(name, "").await
        );
    }
}

fn index(said: &Said) -> u64 {
    said.headers["x-consul-index"].to_str().unwrap().parse().unwrap()
}

fn id(instance: &Value) -> String {
    instance["Service"]["ID"].as_str().unwrap_or_else(|| panic!("{instance}")).to_owned()
}

/// What a service says of itself by its check.
fn check(instance: &Value) -> &Value {
    let own = format!("service:{}", id(instance));
    let checks = instance["Checks"].as_array().unwrap();
    checks.iter().find(|check| check["CheckID"] == own).unwrap_or_else(|| panic!("{instance}"))
}

/// A name that nobody else has.
fn fresh() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("contract-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn service(id: &str, name: &str, ttl: &str) -> Value {
    json!({ "ID": id, "Name": name, "Address": "127.0.0.1", "Port": 8081, "Check": { "TTL": ttl } })
}

async fn who_registers_is_found_until_it_deregisters(registry: &Registry) {
    let name = fresh();
    let (one, two) = (format!("{name}-1"), format!("{name}-2"));
    let mut first = service(&one, &name, "60s");
    first["Meta"] = json!({ "replica": "1" });
    registry.register(&first).await;
    registry.register(&service(&two, &name, "60s")).await;
    assert_eq!(registry.ids(&name, "passing").await, [""; 0], "nobody has said that it is well");
    assert_eq!(registry.ids(&name, "").await, [one.as_str(), &two]);
    registry.passes(&one).await;
    let (found, _) = registry.health(&name, "passing=1").await;
    let it = &found[0]["Service"];
    assert_eq!((found.len(), &it["ID"], &it["Service"]), (1, &json!(one), &json!(name)));
    assert_eq!((&it["Address"], &it["Port"]), (&json!("127.0.0.1"), &json!(8081)));
    assert_eq!((&it["Meta"]["replica"], &found[0]["Node"]["Datacenter"]), (&json!("1"), &json!("dc1")));
    let check = check(&found[0]);
    assert_eq!((&check["Status"], &check["Output"]), (&json!("passing"), &json!("well")));
    assert_eq!((&check["ServiceID"], &check["Type"]), (&json!(one), &json!("ttl")));
    let here = registry.get("/v1/agent/services").await.body;
    assert_eq!((&here[&one]["Service"], &here[&two]["Port"]), (&json!(name), &json!(8081)));
    registry.deregister(&one).await;
    assert_eq!(registry.ids(&name, "").await, [two.as_str()]);
    registry.deregister(&two).await;
    assert_eq!(registry.ids(&name, "").await, [""; 0]);
    assert_eq!(registry.get("/v1/agent/services").await.body[&two], Value::Null);
}

async fn a_question_waits_for_a_change(registry: &Registry) {
    let name = fresh();
    registry.register(&service(&name, &name, "60s")).await;
    let (_, before) = registry.health(&name, "passing").await;
    let question = format!("passing&index={before}&wait=20s");
    let change = async {
        sleep(Duration::from_millis(200)).await;
        registry.passes(&name).await;
    };
    let (answer, ()) = tokio::join!(registry.health(&name, &question), change);
    assert_eq!((answer.0.len(), answer.1 > before), (1, true), "{answer:?}");
    let question = format!("passing&index={}&wait=20s", answer.1);
    let change = async {
        sleep(Duration::from_millis(200)).await;
        registry.deregister(&name).await;
    };
    let (gone, ()) = tokio::join!(registry.health(&name, &question), change);
    assert_eq!((gone.0.len(), gone.1 > answer.1), (0, true), "{gone:?}");
}

async fn a_question_without_a_change_waits_as_long_as_it_says(registry: &Registry) {
    let name = fresh();
    registry.register(&service(&name, &name, "60s")).await;
    registry.passes(&name).await;
    let (known, index) = registry.health(&name, "").await;
    let start = Instant::now();
    // A heartbeat that says the same is no change.
    let heartbeat = async {
        sleep(Duration::from_millis(100)).await;
        registry.passes(&name).await;
    };
    let question = format!("index={index}&wait=1s");
    let (answer, ()) = tokio::join!(registry.health(&name, &question), heartbeat);
    assert!(Instant::now().duration_since(start) >= Duration::from_secs(1), "{answer:?}");
    assert_eq!((answer.0.len(), answer.1), (known.len(), index));
    registry.deregister(&name).await;
}

async fn an_index_only_grows(registry: &Registry) {
    let (name, other) = (fresh(), fresh());
    let mut last = registry.health(&name, "").await.1;
    assert!(last > 0, "zero would be no index");
    for step in 0..4 {
        registry.register(&service(&name, &name, "60s")).await;
        registry.passes(&name).await;
        registry.register(&service(&other, &other, "60s")).await;
        registry.deregister(&other).await;
        if step % 2 == 1 {
            registry.deregister(&name).await;
        }
        let (_, index) = registry.health(&name, "").await;
        assert!(index >= last, "{index} after {last}");
        last = index;
    }
}

/// As after a restart: the index that somebody knows is from another time. It is told the new one, after its wait at
/// the latest.
async fn an_index_from_another_time_is_told_the_new_one(registry: &Registry) {
    let name = fresh();
    registry.register(&service(&name, &name, "60s")).await;
    let (known, index) = registry.health(&name, "index=900000000000000&wait=1s").await;
    assert!(index < 900_000_000_000_000 && known.len() == 1, "{index}");
    registry.deregister(&name).await;
}

async fn who_is_silent_is_out_and_who_speaks_is_in_again(registry: &Registry) {
    let name = fresh();
    registry.register(&service(&name, &name, "1s")).await;
    registry.passes(&name).await;
    let (well, index) = registry.health(&name, "passing").await;
    assert_eq!(well.len(), 1);
    let (silent, later) = registry.health(&name, &format!("passing&index={index}&wait=20s")).await;
    assert!(silent.is_empty() && later > index, "{silent:?}");
    let (all, _) = registry.health(&name, "").await;
    assert_eq!(check(&all[0])["Status"], "critical");
    registry.passes(&name).await;
    assert_eq!(registry.ids(&name, "passing").await, [name.as_str()]);
    registry.deregister(&name).await;
}

async fn a_check_says_how_it_is(registry: &Registry) {
    let name = fresh();
    registry.register(&service(&name, &name, "60s")).await;
    for (verb, status, passing) in [("pass", "passing", 1), ("warn", "warning", 0), ("fail", "critical", 0)] {
        assert_eq!(registry.put(&format!("/v1/agent/check/{verb}/service:{name}")).await.status, 200);
        assert_eq!(check(&registry.health(&name, "").await.0[0])["Status"], status);
        assert_eq!(registry.health(&name, "passing").await.0.len(), passing);
    }
    let path = format!("/v1/agent/check/update/service:{name}");
    let update = json!({ "Status": "passing", "Output": "much better" });
    assert_eq!(registry.ask(Method::PUT, &path, update.to_string()).await.status, 200);
    assert_eq!(check(&registry.health(&name, "passing").await.0[0])["Output"], "much better");
    for bad in ["", "{", r#"{"Status": "fine"}"#, r#"{"Output": "well"}"#, r#"["passing"]"#] {
        let said = registry.ask(Method::PUT, &path, bad).await;
        assert_eq!(said.status, 400, "{bad}: {said:?}");
    }
    assert_eq!(registry.ids(&name, "passing").await, [name.as_str()]);
    registry.deregister(&name).await;
}

async fn who_registers_again_keeps_its_health(registry: &Registry) {
    let name = fresh();
    let mut again = service(&name, &name, "60s");
    registry.register(&again).await;
    registry.passes(&name).await;
    again["Port"] = json!(8082);
    registry.register(&again).await;
    let (found, _) = registry.health(&name, "passing").await;
    assert_eq!((found.len(), &found[0]["Service"]["Port"]), (1, &json!(8082)));
    registry.deregister(&name).await;
}

async fn tags_and_weights_are_told(registry: &Registry) {
    let name = fresh();
    let (one, two) = (format!("{name}-1"), format!("{name}-2"));
    for (id, tags, passing) in [(&one, json!(["http", "new"]), 10), (&two, json!(["http"]), 1)] {
        let mut service = service(id, &name, "60s");
        service["Tags"] = tags;
        service["Weights"] = json!({ "Passing": passing, "Warning": 1 });
        registry.register(&service).await;
    }
    assert_eq!(registry.ids(&name, "tag=http").await, [one.as_str(), &two]);
    assert_eq!(registry.ids(&name, "tag=new&tag=http").await, [one.as_str()]);
    assert_eq!(registry.ids(&name, "tag=old").await, [""; 0]);
    let (found, _) = registry.health(&name, "tag=new").await;
    assert_eq!(found[0]["Service"]["Weights"], json!({ "Passing": 10, "Warning": 1 }));
    assert_eq!(found[0]["Service"]["Tags"], json!(["http", "new"]));
    let names = registry.get("/v1/catalog/services").await;
    let mut tags: Vec<_> = names.body[&name].as_array().unwrap().iter().collect();
    tags.sort_by_key(ToString::to_string);
    assert_eq!((json!(tags), index(&names) > 0), (json!(["http", "new"]), true));
    registry.deregister(&one).await;
    registry.deregister(&two).await;
    let said = registry.get("/v1/health/service/consul").await;
    assert_eq!(said.headers["x-consul-knownleader"], "true");
}

async fn who_is_critical_for_too_long_is_gone(registry: &Registry) {
    let name = fresh();
    let (stays, goes) = (format!("{name}-1"), format!("{name}-2"));
    registry.register(&service(&stays, &name, "500ms")).await;
    let mut short = service(&goes, &name, "500ms");
    short["Check"]["DeregisterCriticalServiceAfter"] = json!("1s");
    registry.register(&short).await;
    registry.passes(&stays).await;
    registry.passes(&goes).await;
    registry.until(&name, "passing", &[], LONG).await;
    registry.until(&name, "", &[&stays], registry.reaps_in).await;
    assert_eq!(registry.put(&format!("/v1/agent/check/pass/service:{goes}")).await.status, 404);
    registry.deregister(&stays).await;
}

async fn nobody_of_a_name_is_an_empty_list(registry: &Registry) {
    let (nobody, index) = registry.health(&fresh(), "passing").await;
    assert!(nobody.is_empty() && index > 0);
    let name = fresh();
    let question = format!("passing&index={}&wait=20s", registry.health(&name, "").await.1);
    let register = async {
        sleep(Duration::from_millis(100)).await;
        let mut well = service(&name, &name, "60s");
        well["Check"]["Status"] = json!("passing");
        registry.register(&well).await;
    };
    let ((mut found, mut index), ()) = tokio::join!(registry.health(&name, &question), register);
    // It may have been told of somebody else's change first.
    while found.is_empty() {
        (found, index) = registry.health(&name, &format!("passing&index={index}&wait=20s")).await;
    }
    assert_eq!(id(&found[0]), name, "it begins as it says");
    registry.deregister(&name).await;
}

async fn what_nobody_has_registered_is_unknown(registry: &Registry) {
    let nobody = fresh();
    for path in [
        format!("/v1/agent/check/pass/service:{nobody}"),
        format!("/v1/agent/check/warn/service:{nobody}"),
        format!("/v1/agent/check/fail/{nobody}"),
        format!("/v1/agent/service/deregister/{nobody}"),
    ] {
        let said = registry.put(&path).await;
        // An agent of before 1.11 says 500.
        assert!(said.status == 404 || said.status == 500, "{path}: {said:?}");
        assert!(said.body.as_str().unwrap().contains(&nobody), "{path}: {said:?}");
    }
    let update = json!({ "Status": "passing" }).to_string();
    let said = registry.ask(Method::PUT, &format!("/v1/agent/check/update/service:{nobody}"), update).await;
    assert!(said.status == 404 || said.status == 500, "{said:?}");
}

async fn bad_input_is_refused_and_changes_nothing(registry: &Registry) {
    let name = fresh();
    registry.register(&service(&name, &name, "60s")).await;
    let before = registry.health(&name, "").await;
    let with = |field: &str, value: Value| {
        let mut bad = service(&name, &name, "60s");
        bad[field] = value;
        bad.to_string()
    };
    for bad in [
        String::new(),
        "{".into(),
        "[]".into(),
        "null {}".into(),
        "\u{0}".into(),
        r#"{"ID": "nobody"}"#.into(),
        with("Name", json!("")),
        with("Name", json!(["tea"])),
        with("Port", json!("80")),
        with("Port", json!(1.5)),
        with("Tags", json!("http")),
        with("Meta", json!({ "k": 1 })),
        with("Nmae", json!("tea")),
        with("Weights", json!({ "Passing": 0, "Warning": 0 })),
        with("Weights", json!({ "Passing": -1, "Warning": 1 })),
        with("Weights", json!({ "Passing": 65_536, "Warning": 1 })),
        with("Check", json!({ "TTL": "soon" })),
        with("Check", json!({ "TTL": "10s", "Interval": "10s", "HTTP": "http://127.0.0.1" })),
        with("Check", json!({ "TTL": "10s", "Status": "fine" })),
    ] {
        let said = registry.ask(Method::PUT, "/v1/agent/service/register", bad.clone()).await;
        assert_eq!(said.status, 400, "{bad}: {said:?}");
        assert!(said.body.as_str().is_some_and(|why| !why.is_empty()), "{bad}: {said:?}");
    }
    for query in ["index=-1", "index=soon", "wait=soon", "index=1&wait=10", "passing=perhaps"] {
        let path = format!("/v1/health/service/{name}?{query}");
        let said = registry.ask(Method::GET, &path, "").await;
        assert_eq!(said.status, 400, "{query}: {said:?}");
    }
    let wrong = registry.ask(Method::GET, "/v1/agent/service/register", "").await;
    assert_eq!((wrong.status.as_u16(), &wrong.headers["allow"]), (405, &"PUT".parse().unwrap()));
    assert_eq!(registry.ask(Method::GET, "/v1/nothing", "").await.status, 404);
    assert_eq!(registry.health(&name, "").await, before);
    registry.deregister(&name).await;
}

async fn it_says_who_it_is(registry: &Registry) {
    let leader = registry.get("/v1/status/leader").await.body;
    assert!(leader.as_str().is_some_and(|leader| leader.contains(':')), "{leader}");
    let itself = registry.get("/v1/agent/self").await.body;
    assert!(itself["Config"]["NodeName"].is_string() && itself["Member"]["Name"].is_string(), "{itself}");
}

/// Any server may answer such a question, and says how old its answer is.
async fn a_stale_answer_is_as_good(registry: &Registry) {
    let name = fresh();
    registry.register(&service(&name, &name, "60s")).await;
    registry.passes(&name).await;
    assert_eq!(registry.ids(&name, "passing&stale").await, [name.as_str()]);
    let said = registry.get(&format!("/v1/health/service/{name}?stale")).await;
    assert!(said.headers["x-consul-lastcontact"].to_str().unwrap().parse::<u64>().is_ok(), "{said:?}");
    registry.deregister(&name).await;
}

/// Every case, one after another. Each leaves nothing behind.
async fn contract(registry: &Registry) {
    it_says_who_it_is(registry).await;
    a_stale_answer_is_as_good(registry).await;
    who_registers_is_found_until_it_deregisters(registry).await;
    a_question_waits_for_a_change(registry).await;
    a_question_without_a_change_waits_as_long_as_it_says(registry).await;
    an_index_only_grows(registry).await;
    an_index_from_another_time_is_told_the_new_one(registry).await;
    who_is_silent_is_out_and_who_speaks_is_in_again(registry).await;
    a_check_says_how_it_is(registry).await;
    who_registers_again_keeps_its_health(registry).await;
    tags_and_weights_are_told(registry).await;
    nobody_of_a_name_is_an_empty_list(registry).await;
    what_nobody_has_registered_is_unknown(registry).await;
    bad_input_is_refused_and_changes_nothing(registry).await;
    who_is_critical_for_too_long_is_gone(registry).await;
}

#[tokio::test]
async fn the_embedded_registry_keeps_the_contract() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    contract(&Registry::of(&shop)).await;
}

/// Those that ask a real agent, with `CONSUL_HTTP_ADDR=127.0.0.1:8500`, say. It lets a service be critical for a minute at
/// least, and looks every half.
mod consul {
    use super::*;

    fn agent() -> Registry {
        let address = std::env::var("CONSUL_HTTP_ADDR").expect("CONSUL_HTTP_ADDR says where an agent is");
        let url = if address.contains("://") { address } else { format!("http://{address}") };
        Registry::new(url, Duration::from_secs(150))
    }

    #[tokio::test]
    #[ignore = "it asks the agent of CONSUL_HTTP_ADDR"]
    async fn a_real_agent_keeps_the_contract() {
        contract(&agent()).await;
    }

    #[tokio::test]
    #[ignore = "it asks the agent of CONSUL_HTTP_ADDR"]
    async fn a_shop_registers_with_a_real_agent_and_sells() {
        let (agent, folder) = (agent(), folder());
        let shop = Shop::open_with(folder.path(), &[("CONSUL_HTTP_ADDR", &agent.url)]).await;
        let ada = Customer::new(&shop).await;
        for (name, offsets) in ALL {
            until_well(&agent, &shop, name, offsets).await;
        }
        assert_eq!(ada.order("k", &[("tea-mint", 1)]).await.status, 201);
        assert_eq!(shop.stop("TERM").await, Some(0));
        for (name, _) in ALL {
            agent.until(name, "", &[], LONG).await;
        }
    }
}

#[tokio::test]
async fn a_restart_forgets() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let (registry, ops, name) = (Registry::of(&shop), Ops(&shop), fresh());
    for n in 0..20 {
        registry.register(&service(&format!("{name}-{n}"), &name, "60s")).await;
    }
    let (known, index) = registry.health(&name, "").await;
    assert_eq!(known.len(), 20);
    // Whoever waits meanwhile is answered by the old one, as it goes.
    let question = format!("index={index}&wait=40s");
    let waits = registry.health(&name, &question);
    let restart = async {
        sleep(Duration::from_millis(200)).await;
        ops.set("registry", "restart", json!({})).await;
    };
    let ((old, _), ()) = tokio::join!(waits, restart);
    assert_eq!(old.len(), 20);
    let fresh = Registry::of(&shop);
    // It was in memory. A connection that is kept alive may be answered by the old one once more.
    fresh.until(&name, "", &[], LONG).await;
    assert!(fresh.health(&name, "").await.1 < index, "and counts from the beginning");
    let said = fresh.put(&format!("/v1/agent/check/pass/service:{name}-1")).await;
    assert_eq!(said.status, 404, "{said:?}: so a service knows that it must register again");
}

#[tokio::test]
async fn it_is_bounded() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let (registry, name) = (Registry::of(&shop), fresh());
    let mut long = service(&name, &name, "60s");
    long["Meta"] = json!({ "k": "v".repeat(100_000) });
    let said = registry.ask(Method::PUT, "/v1/agent/service/register", long.to_string()).await;
    assert_eq!(said.status, 413, "{said:?}");
    let foreign = registry.http.get(format!("{}/v1/agent/services", registry.url));
    let said = super::customer::say(foreign.header("host", "shop.example.org")).await;
    assert_eq!(said.status, 421, "a page that has a name lead here is not answered: {said:?}");
    let mut full = None;
    for n in 0..600 {
        let body = service(&format!("{name}-{n}"), &name, "60s").to_string();
        let said = registry.ask(Method::PUT, "/v1/agent/service/register", body).await;
        if said.status != 200 {
            full = Some((n, said));
            break;
        }
    }
    let (n, said) = full.expect("there is an end");
    assert_eq!(said.status, 507, "{said:?}");
    assert_eq!(registry.ids(&name, "").await.len(), n);
    registry.deregister(&format!("{name}-0")).await;
    registry.register(&service(&format!("{name}-{n}"), &name, "60s")).await;
}

#[tokio::test]
async fn it_is_killed_held_and_down_like_the_others() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ops = Ops(&shop);
    ops.wish(json!({ "target": "payment", "kind": "registry_down" })).await.is_problem(422);
    ops.wish(json!({ "target": "registry", "kind": "registry_down", "share": 0.5 })).await.is_problem(422);
    for (kind, state) in [("registry_down", "killed"), ("kill", "killed"), ("pause", "paused")] {
        ops.set("registry", kind, json!({ "ttl_s": 600 })).await;
        assert_eq!(ops.states("service", "registry").await, [state]);
        let asked = client(Duration::from_millis(300));
        let url = format!("{}/v1/status/leader", shop.at(9));
        assert!(asked.get(url).send().await.is_err(), "{kind}");
        ops.clear().await;
        ops.until("service", "registry", "up").await;
        it_says_who_it_is(&Registry::of(&shop)).await;
    }
    ops.set("registry", "error", json!({ "ttl_s": 600 })).await;
    let said = Registry::of(&shop).ask(Method::GET, "/v1/status/leader", "").await;
    assert!(said.status.is_server_error(), "{said:?}");
}

/// The registry of another shop is as good as an agent.
#[tokio::test]
async fn a_shop_that_is_given_an_agent_brings_no_registry() {
    let (here, there) = (folder(), folder());
    let other = Shop::open(here.path()).await;
    let agent = other.at(9);
    let shop = Shop::open_with(there.path(), &[("CONSUL_HTTP_ADDR", &agent)]).await;
    let ops = Ops(&shop);
    assert_eq!(ops.states("service", "registry").await, [""; 0]);
    assert!(std::net::TcpListener::bind(("127.0.0.1", shop.base + 9)).is_ok(), "its port is free");
    let said = ops.wish(json!({ "target": "registry", "kind": "registry_down" })).await;
    said.is_problem(422);
    assert!(said.text("detail").contains("`target`"), "{said:?}");
    assert!(ops.faults().await.is_empty());
}

/// The ports of those of a name who are well.
async fn ports(registry: &Registry, name: &str) -> Vec<u64> {
    let (found, _) = registry.health(name, "passing").await;
    let mut ports: Vec<_> = found.iter().map(|it| it["Service"]["Port"].as_u64().unwrap()).collect();
    ports.sort_unstable();
    ports
}

/// Waits until those who are well listen on these ports, counted from the shop's first.
async fn until_well(registry: &Registry, shop: &Shop, name: &str, offsets: &[u16]) {
    let wanted: Vec<_> = offsets.iter().map(|offset| u64::from(shop.base + offset)).collect();
    let waited = async {
        while ports(registry, name).await != wanted {
            sleep(Duration::from_millis(50)).await;
        }
    };
    let waited = timeout(LONG * 2, waited).await;
    assert!(waited.is_ok(), "{name}: {:?}, not {wanted:?}", ports(registry, name).await);
}

const ALL: [(&str, &[u16]); 5] =
    [("gateway", &[0]), ("user", &[1]), ("product", &[2, 3]), ("order", &[4]), ("payment", &[5, 6, 7])];

#[tokio::test]
async fn every_instance_is_registered_and_registers_again() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let (registry, ops) = (Registry::of(&shop), Ops(&shop));
    for (name, offsets) in ALL {
        until_well(&registry, &shop, name, offsets).await;
    }
    assert_eq!((ports(&registry, "mail").await.len(), ports(&registry, "bank").await.len()), (1, 1));
    assert_eq!(ports(&registry, "ops").await, [0; 0]);

    ops.set("product", "rolling", json!({})).await;
    assert_eq!(ports(&registry, "product").await.len(), 2, "who takes over is there as the one before");
    ops.set("payment-2", "kill", json!({ "ttl_s": 600 })).await;
    ops.set("product-1", "pause", json!({ "ttl_s": 600 })).await;
    until_well(&registry, &shop, "payment", &[5, 7]).await;
    until_well(&registry, &shop, "product", &[3]).await;
    assert_eq!(registry.ids("payment", "").await.len(), 3, "it is critical, and not yet forgotten");
    ops.clear().await;
    until_well(&registry, &shop, "payment", &[5, 6, 7]).await;
    until_well(&registry, &shop, "product", &[2, 3]).await;

    ops.set("registry", "restart", json!({})).await;
    let registry = Registry::of(&shop);
    for (name, offsets) in ALL {
        until_well(&registry, &shop, name, offsets).await;
    }
}

#[tokio::test]
async fn who_is_drained_is_out_at_once() {
    let (here, there) = (folder(), folder());
    let shop = Shop::open(here.path()).await;
    let (registry, base) = (Registry::of(&shop), free_base());
    let agent = shop.at(9);
    let mut process =
        program(&["run", "user"], there.path(), base).env("CONSUL_HTTP_ADDR", agent).spawn().unwrap();
    let another = async {
        while ports(&registry, "user").await.len() < 2 {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(LONG, another).await.expect("it registers");
    assert!(ports(&registry, "user").await.contains(&u64::from(base + 1)));
    signal_to(&process, "TERM").await;
    assert_eq!(timeout(LONG, process.wait()).await.expect("it ends in time").unwrap().code(), Some(0));
    assert_eq!(
        ports(&registry, "user").await,
        [u64::from(shop.base + 1)],
        "and not only when its time is over"
    );
}

/// Without the registry nothing is missing, neither for those who knew each other nor for those who start meanwhile.
#[tokio::test]
async fn the_shop_sells_without_its_registry() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let (ops, ada) = (Ops(&shop), Customer::new(&shop).await);
    let sells = async |when: &str| {
        for n in 0..10 {
            let order = ada.order(&format!("{when}-{n}"), &[("tea-mint", 1)]).await;
            assert_eq!(order.status, 201, "{when}: {order:?}");
            assert_eq!(ada.get("/api/v1/products").await.status, 200, "{when}");
        }
    };
    sells("before").await;
    for kind in ["registry_down", "kill", "pause"] {
        ops.set("registry", kind, json!({ "ttl_s": 600 })).await;
        sells(kind).await;
        for (target, how) in
            [("order", "restart"), ("gateway", "restart"), ("product", "rolling"), ("payment", "rolling")]
        {
            ops.set(target, how, json!({})).await;
        }
        sells(&format!("{kind}-restarted")).await;
        ops.clear().await;
        ops.until("service", "registry", "up").await;
        sells(&format!("{kind}-after")).await;
    }
    let registry = Registry::of(&shop);
    for (name, offsets) in ALL {
        until_well(&registry, &shop, name, offsets).await;
    }
    ops::check(folder.path(), shop.base).await;
}
