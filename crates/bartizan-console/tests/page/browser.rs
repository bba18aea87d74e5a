use crate::chromium::Tab;
use crate::scene::Scene;
use bartizan_console::Console;
use base64::Engine;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const TOKEN: &str = "0123456789abcdef";
const WIDTHS: [u32; 2] = [1280, 390];
const SCHEMES: [&str; 2] = ["light", "dark"];

async fn open(scene: &Scene) -> Tab {
    let mut tab = Tab::open().await;
    tab.screen(1280, &[]).await;
    tab.go(&format!("{}/console", scene.url)).await;
    tab.until("document.querySelector('#news').dataset.tone === 'good'").await;
    tab.until("document.querySelectorAll('.card').length > 10").await;
    tab
}

/// Writes the page as a picture into the folder that `SCREENSHOTS` names, if it does.
async fn keep_picture(tab: &mut Tab, name: &str) {
    let Ok(folder) = std::env::var("SCREENSHOTS") else { return };
    let picture = base64::engine::general_purpose::STANDARD.decode(tab.picture().await).unwrap();
    std::fs::write(format!("{folder}/{name}.png"), picture).unwrap();
}

/// What can be read only with effort: texts of too little contrast, by the measure of WCAG 2.
const PALE: &str = r"(() => {
  const pixel = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const paint = (colors) => {
    pixel.clearRect(0, 0, 1, 1);
    for (const color of colors) { pixel.fillStyle = color; pixel.fillRect(0, 0, 1, 1); }
    return [...pixel.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const pale = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !element.checkVisibility() || element.closest('.skip, noscript, script, template')) continue;
    const behind = [];
    for (let at = element; at; at = at.parentElement) behind.unshift(getComputedStyle(at).backgroundColor);
    const below = paint(['#fff', ...behind]);
    const ink = paint([`rgb(${below})`, getComputedStyle(element).color]);
    const [a, b] = [light(below), light(ink)].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < 4.5) pale.push(`${walk.currentNode.data.trim()}: ${contrast.toFixed(2)}`);
  }
  return pale;
})()";

/// Controls and pictures without a name, by what a screen reader is told.
async fn nameless(tab: &mut Tab) -> Vec<Value> {
    const NAMED: [&str; 11] = [
        "button",
        "textbox",
        "searchbox",
        "switch",
        "checkbox",
        "spinbutton",
        "link",
        "meter",
        "image",
        "DisclosureTriangle",
        "heading",
    ];
    let tree = tab.send("Accessibility.getFullAXTree", json!({})).await;
    let nodes = tree["nodes"].as_array().unwrap();
    let is_nameless = |node: &&Value| {
        let role = node["role"]["value"].as_str().unwrap_or_default();
        node["ignored"] == false
            && NAMED.contains(&role)
            && node["name"]["value"].as_str().is_none_or(str::is_empty)
    };
    nodes.iter().filter(is_nameless).cloned().collect()
}

#[tokio::test]
#[ignore = "needs a Chromium"]
async fn it_is_right_on_every_screen_in_every_state() {
    let scene = Scene::set(Console::new().writable()).await;
    let mut tab = open(&scene).await;
    // Pictures show lines of some length.
    for second in 0_u32..if std::env::var_os("SCREENSHOTS").is_some() { 100 } else { 0 } {
        scene.work(1.0 + f64::from(second * second % 7) / 40.0);
        sleep(Duration::from_millis(1_000 - u64::from(second % 4) * 90)).await;
    }
    for (state, verdict) in [("green", "All is quiet"), ("failing", "open"), ("recovering", "probes")] {
        match state {
            "failing" => scene.fail(),
            "recovering" => scene.recover(),
            _ => {}
        }
        for _ in 0..6 {
            scene.work(if state == "failing" { 2.5 } else { 1.0 });
            if state == "failing" {
                scene.at("shed", "gateway").number("refused+", 30.0);
            }
            sleep(Duration::from_millis(1_000)).await;
        }
        tab.until(&format!("document.querySelector('#verdict').textContent.includes({verdict:?})")).await;
        for width in WIDTHS {
            for scheme in SCHEMES {
                tab.screen(width, &[("prefers-color-scheme", scheme)]).await;
                sleep(Duration::from_millis(350)).await;
                let which = format!("{state}-{width}-{scheme}");
                assert_eq!(
                    tab.eval("document.documentElement.scrollWidth <= innerWidth").await,
                    true,
                    "{which}"
                );
                assert_eq!(tab.eval(PALE).await, json!([]), "{which}");
                let nameless = nameless(&mut tab).await;
                assert!(nameless.is_empty(), "{which}: {nameless:#?}");
                keep_picture(&mut tab, &which).await;
            }
        }
    }
}

#[tokio::test]
#[ignore = "needs a Chromium"]
async fn what_is_wrong_is_told_first_and_why() {
    let scene = Scene::set(Console::new()).await;
    let mut tab = open(&scene).await;
    assert_eq!(tab.text("#verdict").await, "All is quiet: nothing refuses, trips or is ejected.");
    assert_eq!(tab.eval("document.querySelector('#verdict').getAttribute('aria-live')").await, "polite");
    assert_eq!(tab.eval("document.querySelector('#troubles').hidden").await, true);
    scene.fail();
    tab.until("document.querySelector('#verdict').dataset.tone === 'bad'").await;
    let verdict = tab.text("#verdict").await;
    assert!(verdict.contains("reaker payment is open"), "{verdict}");
    let rows = tab.eval("[...document.querySelectorAll('#troubles li')].map((row) => row.textContent)").await;
    let rows: Vec<_> = rows.as_array().unwrap().iter().map(|row| row.as_str().unwrap()).collect();
    let why = |name: &str, why: &str| rows.iter().any(|row| row.contains(name) && row.contains(why));
    assert!(why("payment", "Forced") || why("payment", "forced"), "{rows:?}");
    assert!(why("127.0.0.1:9002", "consecutive failures"), "{rows:?}");
    assert!(why("deadline", "mostly too little"), "who refuses is told, whatever its state: {rows:?}");
    // A row leads to its card.
    tab.eval("document.querySelector('#troubles a').click()").await;
    assert_eq!(tab.eval("document.querySelector('.card:target h3')?.textContent").await, "payment");
}

#[tokio::test]
#[ignore = "needs a Chromium"]
async fn a_breaker_is_seen_to_open_and_to_close() {
    let scene = Scene::set(Console::new()).await;
    let mut tab = open(&scene).await;
    let card = "document.getElementById('handle-breaker_payment')";
    let lever = format!("getComputedStyle({card}.querySelector('.lever')).transform");
    let closed = tab.eval(&lever).await;
    for _ in 0..3 {
        let began = Instant::now();
        scene.breaker.force_open_for(Duration::from_secs(60));
        tab.until(&format!("{card}.dataset.state === 'open'")).await;
        let opened = Instant::now() - began;
        tab.until(&format!("{card}.querySelector('.pause').textContent.startsWith('probes in ')")).await;
        tab.until(&format!("{lever} !== {closed}")).await;
        let began = Instant::now();
        scene.breaker.reset();
        tab.until(&format!("{card}.dataset.state === 'closed'")).await;
        println!("seen open after {opened:?}, closed after {:?}", Instant::now() - began);
        tab.until(&format!("{card}.querySelector('.pause').hidden")).await;
        tab.until(&format!("{lever} === {closed}")).await;
    }
    tab.until("document.querySelector('#events').textContent.includes('open → closed')").await;
}

#[tokio::test]
#[ignore = "needs a Chromium"]
async fn it_asks_nobody_else_and_is_small_and_breaks_no_rule() {
    let scene = Scene::set(Console::new().writable()).await;
    let mut tab = open(&scene).await;
    scene.fail();
    tab.until("document.querySelector('#verdict').dataset.tone === 'bad'").await;
    let of = |tab: &Tab, method: &str| -> Vec<Value> {
        tab.events
            .iter()
            .filter(|event| event["method"] == method)
            .map(|event| event["params"].clone())
            .collect()
    };
    let asked = of(&tab, "Network.requestWillBeSent");
    for request in &asked {
        let url = request["request"]["url"].as_str().unwrap();
        assert!(url.starts_with(&scene.url), "{url}");
    }
    assert_eq!(of(&tab, "Runtime.exceptionThrown"), Vec::<Value>::new());
    assert_eq!(of(&tab, "Log.entryAdded"), Vec::<Value>::new());
    let files: Vec<_> = asked
        .iter()
        .filter(|request| request["request"]["url"].as_str().unwrap().contains("/console"))
        .collect();
    let weight = |request: &&Value| {
        let finished = of(&tab, "Network.loadingFinished")
            .into_iter()
            .find(|done| done["requestId"] == request["requestId"]);
        finished.map_or(0.0, |done| done["encodedDataLength"].as_f64().unwrap())
    };
    let weight: f64 = files.iter().map(weight).sum();
    assert!(
        files.len() > 10 && (10_000.0..100_000.0).contains(&weight),
        "{weight} bytes in {} files",
        files.len()
    );
}

#[tokio::test]
#[ignore = "needs a Chromium"]
async fn all_can_be_done_by_keyboard() {
    let scene = Scene::set(Console::new().writable()).await;
    let mut tab = open(&scene).await;
    let focus = "document.activeElement";
    tab.press("/").await;
    tab.until(&format!("{focus}.id === 'find'")).await;
    for key in "retry".chars() {
        tab.press(&key.to_string()).await;
    }
    tab.until("document.querySelectorAll('.card').length === 1").await;
    // To the switch beside it, the numbers of the one card that is left, and what can be changed of it.
    let mut order = Vec::new();
    for _ in 0..4 {
        tab.press("Tab").await;
        let of = tab.eval(&format!("{focus}.id || {focus}.textContent")).await;
        order.push(of.as_str().unwrap().to_owned());
        if order.last().unwrap() == "Change" {
            break;
        }
    }
    assert_eq!(order, ["only", "All numbers", "Change"]);
    let outline = tab.eval(&format!("getComputedStyle({focus}).outlineStyle")).await;
    assert_eq!(outline, "solid", "where the focus is can be seen");
    tab.press("Enter").await;
    tab.until("document.querySelector('[role=switch].toggle')").await;
    tab.press("Tab").await;
    assert_eq!(tab.eval(&format!("{focus}.getAttribute('role')")).await, "switch");
    tab.press(" ").await;
    tab.until(&format!("{focus}.textContent === 'Press again to disable'")).await;
    assert_eq!(scene.at("retry", "stock").state_now(), "enabled", "what hurts is asked twice");
    tab.press(" ").await;
    tab.until(&format!("{focus}.getAttribute('aria-checked') === 'false'")).await;
    assert_eq!(scene.at("retry", "stock").state_now(), "disabled");
    tab.press(" ").await;
    tab.until(&format!("{focus}.getAttribute('aria-checked') === 'true'")).await;
    tab.press("Tab").await;
    tab.eval(&format!("{focus}.select()")).await;
    tab.press("5").await;
    tab.press("Enter").await;
    tab.until("document.querySelector('.said').textContent === 'Max retries: set.'").await;
    assert_eq!(scene.at("retry", "stock").setting("max_retries"), 5.0);
    tab.press("/").await;
    tab.eval(&format!("{focus}.id === 'find' || document.querySelector('#find').focus()")).await;
    tab.press("Escape").await;
    tab.until("document.querySelectorAll('.card').length > 10").await;
}

#[tokio::test]
#[ignore = "needs a Chromium"]
async fn what_cannot_be_is_told_and_changes_nothing() {
    let scene = Scene::set(Console::new().writable().token(TOKEN)).await;
    let mut tab = open(&scene).await;
    let card = "document.getElementById('handle-retry_stock')";
    let said = format!("{card}.querySelector('.said').textContent");
    let enter = |value: &str| {
        format!(
            "(() => {{ const field = {card}.querySelector('.setting input'); field.value = {value:?}; \
             field.dispatchEvent(new Event('input')); {card}.querySelector('.setting button').click(); }})()"
        )
    };
    tab.until("!document.querySelector('#key').hidden").await;
    tab.eval(&format!("{card}.querySelector('.change').open = true")).await;
    tab.until(&format!("{card}.querySelector('.setting')")).await;
    tab.eval(&enter("7")).await;
    tab.until(&format!("{said} === \"The console's token is missing, or it is another.\"")).await;
    tab.eval(&format!("(() => {{ const field = document.querySelector('#token'); field.value = {TOKEN:?}; field.dispatchEvent(new Event('change')); }})()")).await;
    tab.eval(&enter("-1")).await;
    tab.until(&format!("{said} === 'max_retries is below 0. Nothing was changed.'")).await;
    assert_eq!(scene.at("retry", "stock").setting("max_retries"), 2.0);
    tab.eval(&enter("7")).await;
    tab.until(&format!("{said} === 'Max retries: set.'")).await;
    assert_eq!(scene.at("retry", "stock").setting("max_retries"), 7.0);
    // Names hold slashes.
    let endpoint = "document.getElementById('handle-endpoint_stock/http://127.0.0.1:9001/')";
    tab.eval(&format!("{endpoint}.querySelector('.change').open = true")).await;
    tab.until(&format!("{endpoint}.querySelector('.verbs button')")).await;
    for _ in 0..2 {
        tab.eval(&format!("{endpoint}.querySelector('.verbs button').click()")).await;
    }
    tab.until(&format!("{endpoint}.querySelector('[aria-pressed=true]')?.textContent === 'Drain'")).await;
    assert_eq!(scene.at("endpoint", "stock/http://127.0.0.1:9001/").state_now(), "draining");
    let payment = "document.getElementById('handle-breaker_payment').querySelector('.change').open = true";
    tab.eval(payment).await;
    sleep(Duration::from_millis(350)).await;
    assert_eq!(tab.eval(PALE).await, json!([]), "of what can be changed");
    keep_picture(&mut tab, "changing").await;
    let kept =
        tab.eval("JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])").await;
    assert_eq!(kept, r#"[{},{},""]"#, "the token is kept in memory alone");
}

#[tokio::test]
#[ignore = "needs a Chromium"]
async fn nothing_can_be_changed_where_it_is_read_only() {
    let scene = Scene::set(Console::new()).await;
    let mut tab = open(&scene).await;
    assert_eq!(tab.eval("document.querySelectorAll('.change').length").await, 0);
    assert_eq!(tab.eval("document.querySelector('#key').hidden").await, true);
}

#[tokio::test]
#[ignore = "needs a Chromium"]
async fn who_comes_late_sees_what_was_before() {
    let scene = Scene::set(Console::new()).await;
    let watch = tokio::spawn(scene.console.watch());
    for state in ["open", "closed"] {
        sleep(Duration::from_millis(1_100)).await;
        match state {
            "open" => scene.breaker.force_open(),
            _ => scene.breaker.reset(),
        }
        scene.work(1.0);
    }
    sleep(Duration::from_millis(1_100)).await;
    let mut tab = open(&scene).await;
    tab.until("document.querySelector('#events').textContent.includes('forced open → closed')").await;
    let line = tab.eval("document.querySelector('#handle-meter_gateway .line').getAttribute('d')").await;
    assert!(line.as_str().unwrap().contains('L'), "{line}");
    watch.abort();
}

#[tokio::test]
#[ignore = "needs a Chromium"]
async fn who_wants_no_motion_sees_none() {
    let scene = Scene::set(Console::new()).await;
    let mut tab = open(&scene).await;
    let moves = "getComputedStyle(document.querySelector('.lever')).transitionProperty";
    assert_ne!(tab.eval(moves).await, "none");
    tab.screen(1280, &[("prefers-reduced-motion", "reduce")]).await;
    assert_eq!(tab.eval(moves).await, "none");
    let scroll = tab.eval("getComputedStyle(document.documentElement).scrollBehavior").await;
    assert_eq!(scroll, "auto");
}

#[tokio::test]
#[ignore = "needs a Chromium"]
async fn what_is_old_looks_old() {
    let scene = Scene::set(Console::new()).await;
    let mut tab = open(&scene).await;
    scene.console.close();
    tab.until("document.querySelector('#news').textContent === 'The streams are closed.'").await;
    assert_eq!(tab.eval("document.body.dataset.stale").await, "true");
}

#[tokio::test]
#[ignore = "needs a Chromium"]
async fn who_is_told_seldom_waits_long() {
    let scene = Scene::set(Console::new().every(Duration::from_secs(600))).await;
    let mut tab = Tab::open().await;
    // How long it waits for what.
    let watch = "const wait = setTimeout; globalThis.waits = [];
        globalThis.setTimeout = (what, time) => { waits.push(time); return wait(what, time); };";
    tab.send("Page.addScriptToEvaluateOnNewDocument", json!({ "source": watch })).await;
    tab.go(&format!("{}/console", scene.url)).await;
    tab.until("document.querySelector('#news').dataset.tone === 'good'").await;
    let waits = tab.eval("[waits.includes(1_800_000), waits.includes(12_000)]").await;
    assert_eq!(waits, json!([true, false]), "three looks, and no less");
}

#[tokio::test]
#[ignore = "needs a Chromium"]
async fn a_thousand_handles_do_not_drown_it() {
    let scene = Scene::set(Console::new()).await;
    let names: Vec<_> = (0..1000).map(|n| format!("many/{n}")).collect();
    let many: Vec<_> = names
        .iter()
        .map(|name| {
            bartizan_breaker::BreakerLayer::new(bartizan_breaker::Breaker::new())
                .named(name.as_str())
                .handle()
        })
        .collect();
    let mut tab = open(&scene).await;
    tab.until("document.querySelector('#census').textContent.startsWith('1019 handles')").await;
    assert!(tab.eval("document.querySelectorAll('.card').length").await.as_u64().unwrap() < 100);
    many[999].force_open();
    tab.until("document.getElementById('handle-breaker_many/999')?.dataset.state === 'forced open'").await;
    let began = Instant::now();
    many[999].reset();
    tab.until("!document.getElementById('handle-breaker_many/999')").await;
    println!("of a thousand, one is seen after {:?}", Instant::now() - began);
}
