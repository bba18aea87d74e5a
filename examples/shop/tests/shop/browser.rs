//! The page in a real browser, without a window. It needs a Chromium, by the name of Debian's package.

use super::chromium::Tab;
use super::ops::Ops;
use super::process::{LONG, Shop, TOKEN, folder, free_base, program};
use base64::Engine;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::time::{sleep, timeout};

const WIDTHS: [u32; 2] = [1280, 390];
const SCHEMES: [&str; 2] = ["light", "dark"];
const FOCUS: &str = "document.activeElement";

/// What can be read only with effort: texts of too little contrast, by the measure of WCAG 2. A text in a picture stands on the
/// boxes of the groups that it is in.
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
  const below = (at) => {
    if (!at.closest('svg') || at.matches('svg')) return getComputedStyle(at).backgroundColor;
    const box = at.querySelector(':scope > rect');
    return box ? getComputedStyle(box).fill : 'transparent';
  };
  const pale = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !element.checkVisibility() || element.closest('#aloud, title, noscript, script, template')) continue;
    const behind = [];
    for (let at = element; at; at = at.parentElement) behind.unshift(below(at));
    const paper = paint(['#fff', ...behind]);
    const style = getComputedStyle(element);
    const ink = paint([`rgb(${paper})`, element.closest('svg') ? style.fill : style.color]);
    const [a, b] = [light(paper), light(ink)].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < 4.5 && !element.closest(':disabled')) pale.push(`${walk.currentNode.data.trim()}: ${contrast.toFixed(2)}`);
  }
  return pale;
})()";

/// A browser with the page of a shop, once its customers shop.
async fn open(shop: &Shop) -> Tab {
    let mut tab = Tab::open().await;
    tab.screen(1280, &[]).await;
    tab.go(&shop.at(8)).await;
    tab.until("document.querySelector('#verdict').dataset.tone === 'good'").await;
    tab.until("document.querySelectorAll('shop-calls article').length === 12").await;
    tab.until("document.querySelectorAll('.cells li').length === 64").await;
    tab.until("document.querySelectorAll('.cells [data-outcome=ok]').length > 32").await;
    tab
}

/// A browser with the page, and the token in its address, once all layers can be switched.
async fn open_as_ops(shop: &Shop) -> Tab {
    let mut tab = Tab::open().await;
    tab.screen(1280, &[]).await;
    tab.go(&format!("{}/#token={TOKEN}", shop.at(8))).await;
    tab.until("document.querySelectorAll('.flip input').length > 30").await;
    tab
}

/// Writes what is seen as a picture into the folder that `SHOP_SCREENSHOTS` names, if it does.
async fn keep_picture(tab: &mut Tab, name: &str, whole: bool) {
    let Ok(folder) = std::env::var("SHOP_SCREENSHOTS") else { return };
    let picture = base64::engine::general_purpose::STANDARD.decode(tab.picture(whole).await).unwrap();
    std::fs::write(format!("{folder}/{name}.png"), picture).unwrap();
}

/// Controls and pictures without a name, by what a screen reader is told.
async fn nameless(tab: &mut Tab) -> Vec<Value> {
    const NAMED: [&str; 14] = [
        "button",
        "textbox",
        "switch",
        "checkbox",
        "slider",
        "spinbutton",
        "combobox",
        "listbox",
        "option",
        "tab",
        "tabpanel",
        "link",
        "meter",
        "dialog",
    ];
    let tree = tab.send("Accessibility.getFullAXTree", json!({})).await;
    let nodes = tree["nodes"].as_array().unwrap();
    let is_nameless = |node: &&Value| {
        let role = node["role"]["value"].as_str().unwrap_or_default();
        node["ignored"] == false
            && (NAMED.contains(&role) || role == "image")
            && node["name"]["value"].as_str().is_none_or(str::is_empty)
    };
    nodes.iter().filter(is_nameless).cloned().collect()
}

/// Looks at the page as it is, on a wide and on a narrow screen, by day and by night.
async fn look(tab: &mut Tab, state: &str) {
    for width in WIDTHS {
        for scheme in SCHEMES {
            tab.screen(width, &[("prefers-color-scheme", scheme), ("prefers-reduced-motion", "reduce")])
                .await;
            // Two frames later the styles are those of this screen.
            tab.eval("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
                .await;
            let which = format!("{state}-{width}-{scheme}");
            let fits = tab.eval("document.documentElement.scrollWidth <= innerWidth").await;
            assert_eq!(fits, true, "{which} is too wide");
            assert_eq!(tab.eval(PALE).await, json!([]), "{which}");
            let nameless = nameless(tab).await;
            assert!(nameless.is_empty(), "{which}: {nameless:#?}");
            keep_picture(tab, &which, false).await;
        }
    }
    tab.screen(1280, &[("prefers-reduced-motion", "reduce")]).await;
}

/// Waits until the sentence of the page is that of `/stage`, and returns what `/stage` says with it.
async fn same_sentence(tab: &mut Tab, ops: &Ops<'_>, fits: impl Fn(&Value) -> bool) -> Value {
    let same = async {
        loop {
            let stage = ops.get("/stage").await.body;
            let shown = tab.text("#verdict").await;
            if shown == stage["verdict"]["sentence"].as_str().unwrap() && fits(&stage["verdict"]) {
                return stage;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(LONG * 2, same).await.expect("the page says what /stage says")
}

/// What the browser complained of, and what it asked elsewhere.
async fn complaints(tab: &mut Tab, shop: &Shop) -> Vec<Value> {
    let names = "performance.getEntriesByType('resource').map((it) => it.name)";
    let asked = tab.eval(names).await;
    let elsewhere =
        asked.as_array().unwrap().iter().filter(|url| !url.as_str().unwrap().starts_with(&shop.at(8)));
    let mut all: Vec<_> = elsewhere.cloned().collect();
    let told = ["Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled"];
    all.extend(tab.events.iter().filter(|event| told.iter().any(|name| event["method"] == *name)).cloned());
    all
}

#[tokio::test]
#[ignore = "needs a Chromium"]
async fn it_is_right_on_every_screen_green_and_in_failure() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ops = Ops(&shop);
    let mut tab = open(&shop).await;
    same_sentence(&mut tab, &ops, |_| true).await;
    look(&mut tab, "green").await;
    ops.set("payment", "kill", json!({ "ttl_s": 300 })).await;
    let open = "document.querySelector('[data-key^=\"order->payment\"] [data-state=open]')";
    tab.until(open).await;
    tab.until("document.querySelector('[data-key^=payment].node').dataset.tone === 'bad'").await;
    let fails = |verdict: &Value| {
        verdict["tone"] != "good" && verdict["sentence"].as_str().unwrap().to_lowercase().contains("payment")
    };
    same_sentence(&mut tab, &ops, fails).await;
    tab.until("document.querySelector('#done').textContent.startsWith('payment: kill')").await;
    tab.until("document.querySelector('shop-incidents li')").await;
    look(&mut tab, "failing").await;
    ops.clear().await;
    tab.until("document.querySelector('[data-key^=payment].node').dataset.tone === 'good'").await;
    assert_eq!(complaints(&mut tab, &shop).await, Vec::<Value>::new());
}

/// Presses Tab until an expression is true.
async fn tab_to(tab: &mut Tab, expression: &str) {
    for _ in 0..40 {
        tab.press("Tab").await;
        if tab.eval(&format!("Boolean({expression})")).await == true {
            return;
        }
    }
    panic!("no way by Tab: {expression}");
}

async fn types(tab: &mut Tab, text: &str) {
    for key in text.chars() {
        tab.press(&key.to_string()).await;
    }
}

#[tokio::test]
#[ignore = "needs a Chromium"]
async fn a_fault_is_set_and_cleared_by_keyboard() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ops = Ops(&shop);
    let mut tab = open(&shop).await;
    let said = "document.querySelector('#said').textContent";
    tab_to(&mut tab, &format!("{FOCUS}.dataset.opens === 'faults'")).await;
    assert_eq!(tab.eval(&format!("getComputedStyle({FOCUS}).outlineStyle")).await, "solid", "it is seen");
    tab.press("Enter").await;
    tab.until(&format!("{FOCUS}.id === 'tab-faults'")).await;
    assert_eq!(tab.eval("document.querySelector('#drawer').open").await, true);
    for (token, answer) in [("another", "The token is not the one"), (TOKEN, "payment: kill is set.")] {
        tab_to(&mut tab, &format!("{FOCUS}.id === 'token-field'")).await;
        types(&mut tab, token).await;
        tab.press("Enter").await;
        tab.until(&format!("{FOCUS}.textContent === 'Kill payment'")).await;
        tab.press("Enter").await;
        tab.until(&format!("{said}.startsWith({answer:?})")).await;
        // Who is asked for the token again stands at its field: one step back, and forward again.
        if token != TOKEN {
            assert_eq!(ops.faults().await, Vec::<Value>::new());
            tab.until(&format!("{FOCUS}.id === 'token-field'")).await;
            tab.eval("document.querySelector('#tab-faults').focus()").await;
        }
    }
    assert_eq!(ops.faults().await[0]["target"], "payment");
    tab_to(&mut tab, &format!("{FOCUS}.getAttribute('aria-label') === 'Clear payment: kill'")).await;
    tab.press("Enter").await;
    tab.until(&format!("{said} === 'The fault is cleared.'")).await;
    assert_eq!(ops.faults().await, Vec::<Value>::new());
    // The arrow keys go from tab to tab, and Escape back to where one came from.
    tab.eval("document.querySelector('#tab-faults').focus()").await;
    tab.press("ArrowRight").await;
    tab.until(&format!("{FOCUS}.id === 'tab-protections'")).await;
    tab.press("Escape").await;
    tab.until(&format!("{FOCUS}.dataset.opens === 'faults' && !document.querySelector('#drawer').open"))
        .await;
    // The customers are one stop, in which the arrow keys go on.
    tab_to(&mut tab, &format!("{FOCUS}.getAttribute('role') === 'listbox'")).await;
    tab.press("ArrowDown").await;
    tab.until("document.querySelector('.told').textContent.startsWith('Customer 9 ')").await;
}

#[tokio::test]
#[ignore = "needs a Chromium"]
async fn the_token_of_the_address_stays_in_the_tab() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ops = Ops(&shop);
    let mut tab = open_as_ops(&shop).await;
    assert_eq!(tab.eval("location.hash").await, "");
    assert_eq!(
        tab.eval("JSON.stringify([sessionStorage.length, localStorage.length, document.cookie])").await,
        r#"[1,0,""]"#
    );
    tab.eval("document.querySelector('[data-opens=protections]').click()").await;
    assert_eq!(tab.eval("document.querySelector('#token').hidden").await, true);
    tab.eval("document.querySelector('[aria-label=\"retry of order → payment\"]').click()").await;
    tab.until("document.querySelector('#said').textContent === 'retry of order → payment: off'").await;
    let off = async |ops: &Ops<'_>| {
        let all = ops.get("/protections").await.body["protections"].clone();
        all.as_array().unwrap().iter().filter(|it| it["on"] == false).cloned().collect::<Vec<_>>()
    };
    assert_eq!(off(&ops).await, [json!({ "call": "order->payment", "layer": "retry", "on": false })]);
    // A place of the map leads to its faults.
    tab.eval("document.querySelector('[data-target=\"gateway->product\"]').dispatchEvent(new MouseEvent('click', { bubbles: true }))").await;
    tab.until("document.querySelector('#fault-target').value === 'gateway->product'").await;
    tab.until("!document.querySelector('#panel-faults').hidden").await;
    // A process is not between two others.
    let kill = tab
        .eval("[...document.querySelector('#fault-kind').options].find((it) => it.value === 'kill').disabled")
        .await;
    assert_eq!(kill, true);
    tab.eval("document.querySelector('#forget button').click()").await;
    assert_eq!(tab.eval("sessionStorage.length").await, 0);
}

#[tokio::test]
#[ignore = "needs a Chromium"]
async fn what_is_said_in_the_drawer_is_what_is_asked() {
    let folder = folder();
    let shop = Shop::open(folder.path()).await;
    let ops = Ops(&shop);
    let mut tab = open_as_ops(&shop).await;
    let said = "document.querySelector('#said').textContent";
    // A fault that hurts only those who ask for it.
    tab.eval("document.querySelector('[data-opens=faults]').click()").await;
    tab.eval("document.querySelector('#fault-target').value = 'order'").await;
    let choose = |kind: &str| {
        format!(
            "(() => {{ const kind = document.querySelector('#fault-kind'); kind.value = '{kind}'; kind.dispatchEvent(new Event('change', {{ bubbles: true }})); }})()"
        )
    };
    tab.eval(&choose("latency")).await;
    assert_eq!(tab.eval("document.querySelector('#fault-scope').disabled").await, true);
    tab.eval(&choose("delay")).await;
    tab.eval("document.querySelector('#fault-scope').value = 'me'").await;
    tab.eval("document.querySelector('#fault-scope').form.requestSubmit()").await;
    tab.until(&format!("{said} === 'order: delay is set.'")).await;
    let fault = ops.faults().await[0].clone();
    assert_eq!(
        (&fault["target"], &fault["kind"], &fault["header"]),
        (&json!("order"), &json!("delay"), &json!("me"))
    );
    tab.until("document.querySelector('shop-faults li').textContent.includes('x-shop-fault: me')").await;
    keep_picture(&mut tab, "drawer-faults", false).await;
    ops.clear().await;
    // Load that comes, and goes when it is told to.
    tab.eval("document.querySelector('[data-opens=load]').click()").await;
    tab.eval("document.querySelector('#load-only').value = 'browsing'").await;
    tab.eval("document.querySelector('shop-load form').requestSubmit()").await;
    tab.until(&format!("{said} === '50 requests a second come.'")).await;
    let now = "document.querySelector('shop-load .now').textContent";
    tab.until(&format!("/^50 a second, browsing only, for \\d+ s still$/.test({now})")).await;
    tab.until("document.querySelector('shop-load dl').textContent.includes('goodput')").await;
    keep_picture(&mut tab, "drawer-load", false).await;
    let running = ops.get("/load").await.body["running"].clone();
    assert_eq!((&running["rps"], &running["only"]), (&json!(50), &json!("browsing")));
    tab.eval(
        "[...document.querySelectorAll('shop-load button')].find((it) => it.textContent === 'Stop').click()",
    )
    .await;
    tab.until(&format!(
        "{now}.startsWith('No load comes. The last one, 50 a second, browsing only, was stopped')"
    ))
    .await;
    assert_eq!(ops.get("/load").await.body["running"], Value::Null);
    assert_eq!(complaints(&mut tab, &shop).await, Vec::<Value>::new());
}

/// What the sentence must say of a verdict: who fails, how many are hurt, and what protects them.
fn is_told(verdict: &Value) -> bool {
    let sentence = verdict["sentence"].as_str().unwrap().to_lowercase();
    let failing = verdict["failing"].as_array().unwrap();
    let names = failing.iter().map(|name| name.as_str().unwrap().replace("->", " → "));
    let services =
        names.map(|name| name.trim_end_matches(|c: char| c == '-' || c.is_ascii_digit()).to_owned());
    let who = failing.is_empty() || services.into_iter().any(|name| sentence.contains(&name));
    // To the nearest 5 %.
    let share = (verdict["hurt"]["share"].as_f64().unwrap() * 20.0).round() * 5.0;
    let hurt = match verdict["hurt"]["customers"].as_u64().unwrap() {
        0 => !sentence.contains("are hurt"),
        _ if share < 5.0 => {
            !sentence.contains("are hurt") || sentence.contains("under 5 % of the customers are hurt")
        }
        _ => sentence.contains(&format!("{share} % of the customers are hurt")),
    };
    let protects = verdict["protected_by"].as_str().is_none_or(|layer| {
        let (_, call) = layer.split_once(' ').unwrap();
        sentence.contains(&format!("{} protects", call.replace("->", " → ")).to_lowercase())
    });
    who && hurt && protects
}

/// The story of `shop demo`, seen in the browser: in each scene the sentence is that of `/stage`, and says all of it.
#[tokio::test]
#[ignore = "needs a Chromium"]
async fn every_scene_is_told_as_it_is() {
    const TEN: Duration = Duration::from_secs(10);
    let folder = folder();
    let base = free_base();
    let mut demo =
        program(&["demo", "--fast", "--json", "--hold", "2"], folder.path(), base).spawn().unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    let mut complaints = demo.stderr.take().unwrap();
    let complained = tokio::spawn(async move {
        let mut said = String::new();
        complaints.read_to_string(&mut said).await.map(|_| said)
    });
    let shop = Shop::of(demo, base);
    let ops = Ops(&shop);
    let mut tab = Tab::open().await;
    tab.screen(1280, &[("prefers-reduced-motion", "reduce")]).await;
    let mut scenes = 0;
    while let Some(line) = timeout(LONG * 6, lines.next_line()).await.expect("a scene in time").unwrap() {
        let Ok(scene) = serde_json::from_str::<Value>(&line) else { continue };
        if !scene["scene"].is_u64() {
            continue;
        }
        if scenes == 0 {
            tab.go(scene["ops"].as_str().unwrap()).await;
        }
        scenes += 1;
        let same = async {
            loop {
                let stage = ops.get("/stage").await.body;
                let shown = tab.text("#verdict").await;
                if shown == stage["verdict"]["sentence"] && is_told(&stage["verdict"]) {
                    return stage;
                }
                sleep(Duration::from_millis(50)).await;
            }
        };
        let Ok(stage) = timeout(TEN, same).await else {
            let (shown, stage) =
                (tab.text("#verdict").await, ops.get("/stage").await.body["verdict"].clone());
            panic!("{line}: the page says {shown:?}, and /stage {stage}");
        };
        println!("{}: {}", scene["title"], stage["verdict"]["sentence"]);
        keep_picture(&mut tab, &format!("scene-{}", scene["scene"]), false).await;
    }
    assert!(scenes > 8, "{scenes} scenes; {:?}", complained.await);
    // Whether its figures were met is asked where nothing else runs.
    shop.ended().await;
}
