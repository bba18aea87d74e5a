//! Drives a Chromium by its DevTools protocol, over a pipe.

use serde_json::{Value, json};
use std::collections::VecDeque;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{sleep, timeout};

/// So long a test waits for what should come soon.
const PATIENCE: Duration = Duration::from_secs(90);

/// A browser with one tab. It is killed when this is dropped.
#[derive(Debug)]
pub struct Tab {
    _browser: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    session: Option<String>,
    last: u64,
    /// What the browser has told unasked.
    pub events: VecDeque<Value>,
}

impl Tab {
    /// Opens a browser that knows no other host than this machine.
    pub async fn open() -> Self {
        let mut browser = Command::new("sh")
            .args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#])
            .args(["chromium-headless-shell", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu"])
            .args([
                "--no-proxy-server",
                "--hide-scrollbars",
                "--force-color-profile=srgb",
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (to, from) = (browser.stdin.take().unwrap(), browser.stdout.take().unwrap());
        let mut tab = Self {
            _browser: browser,
            to,
            from: BufReader::new(from),
            session: None,
            last: 0,
            events: VecDeque::new(),
        };
        let target = tab.send("Target.createTarget", json!({ "url": "about:blank" })).await;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = tab.send("Target.attachToTarget", attach).await;
        tab.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Accessibility"] {
            tab.send(&format!("{domain}.enable"), json!({})).await;
        }
        tab
    }

    /// Sends a command, and waits for its result.
    pub async fn send(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let mut command = json!({ "id": self.last, "method": method, "params": params });
        if let Some(session) = &self.session {
            command["sessionId"] = session.as_str().into();
        }
        let mut command = command.to_string().into_bytes();
        command.push(0);
        self.to.write_all(&command).await.unwrap();
        loop {
            let mut told = Vec::new();
            timeout(PATIENCE, self.from.read_until(0, &mut told)).await.expect(method).unwrap();
            told.pop();
            let mut told: Value = serde_json::from_slice(&told).expect("the browser is gone");
            if told["id"] == self.last {
                assert_eq!(told["error"], Value::Null, "{method}");
                return told["result"].take();
            }
            self.events.push_back(told);
        }
    }

    /// What an expression is worth in the page.
    pub async fn eval(&mut self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut told = self.send("Runtime.evaluate", params).await;
        assert_eq!(told["exceptionDetails"], Value::Null, "{expression}");
        told["result"]["value"].take()
    }

    pub async fn text(&mut self, selector: &str) -> String {
        let text = self.eval(&format!("document.querySelector({selector:?})?.textContent ?? ''")).await;
        text.as_str().unwrap().to_owned()
    }

    /// Waits until an expression is true in the page.
    pub async fn until(&mut self, expression: &str) {
        let wait = async {
            // What is not there yet is not true, either.
            while self
                .eval(&format!(
                    "(() => {{ try {{ return Boolean({expression}); }} catch {{ return false; }} }})()"
                ))
                .await
                != true
            {
                sleep(Duration::from_millis(20)).await;
            }
        };
        if timeout(PATIENCE, wait).await.is_err() {
            panic!("never: {expression}");
        }
    }

    pub async fn go(&mut self, url: &str) {
        self.send("Page.navigate", json!({ "url": url })).await;
    }

    /// Emulates a screen of a width, with what its user prefers.
    pub async fn screen(&mut self, width: u32, prefers: &[(&str, &str)]) {
        let phone = width < 500;
        let screen = json!({ "width": width, "height": if phone { 844 } else { 800 }, "deviceScaleFactor": 1, "mobile": phone });
        self.send("Emulation.setDeviceMetricsOverride", screen).await;
        let features: Vec<_> =
            prefers.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        self.send("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// Presses a key, as a keyboard does.
    pub async fn press(&mut self, key: &str) {
        let (code, text, number) = match key {
            "Tab" => ("Tab", "", 9),
            "Enter" => ("Enter", "\r", 13),
            "Escape" => ("Escape", "", 27),
            "ArrowRight" => ("ArrowRight", "", 39),
            "ArrowDown" => ("ArrowDown", "", 40),
            " " => ("Space", " ", 32),
            _ => ("", key, 0),
        };
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" { text } else { "" };
            let event = json!({ "type": kind, "key": key, "code": code, "text": text, "windowsVirtualKeyCode": number });
            self.send("Input.dispatchKeyEvent", event).await;
        }
    }

    /// What is seen of the page, or all of it, as a picture, in base64.
    pub async fn picture(&mut self, whole: bool) -> String {
        let size = self.eval("[innerWidth, innerHeight, document.documentElement.scrollHeight]").await;
        let height = if whole { &size[2] } else { &size[1] };
        let clip = json!({ "x": 0, "y": 0, "width": size[0], "height": height, "scale": 1 });
        let params = json!({ "format": "png", "captureBeyondViewport": whole, "clip": clip });
        self.send("Page.captureScreenshot", params).await["data"].as_str().unwrap().to_owned()
    }
}
