//! A real browser with one page open, driven as a person drives it: clicks, keys, looks.
//!
//! Speaks the DevTools protocol over the browser's own pipe; there is no port and no driver
//! between. Invariant: what the page complains of, asks the network for, or pops up is kept, and
//! [`Browser::silent`] tells of it.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use zaudit_tests::{Result, repository, target_dir};

/// Seconds that a browser lives at most: a page that hangs is a failure, not a hang.
const PATIENCE: &str = "180";

/// How the page is looked at.
#[derive(Clone, Copy)]
pub struct Look {
    pub scripts: bool,
    pub dark: bool,
    pub width: u32,
}

impl Default for Look {
    fn default() -> Self {
        Self { scripts: true, dark: false, width: 1280 }
    }
}

/// Chromium cuts long texts of a page after 10,000 UTF-16 units, also between the two halves of a
/// character. JSON has no escape for one half: it becomes U+FFFD.
fn without_lone_surrogates(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let unit = |text: &str| u16::from_str_radix(text.get(2..6)?, 16).ok();
        let is_unit = rest.starts_with("\\u");
        let length = match is_unit.then(|| unit(rest)).flatten() {
            Some(0xd800..=0xdbff) => {
                let next = rest.get(6..).filter(|next| next.starts_with("\\u")).and_then(unit);
                if matches!(next, Some(0xdc00..=0xdfff)) { 12 } else { 0 }
            }
            Some(0xdc00..=0xdfff) => 0,
            // The escaped letter is not looked at again: it may be a backslash.
            _ => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
        };
        if length == 0 {
            out.push_str("\\ufffd");
            rest = &rest[6..];
        } else {
            out.push_str(&rest[..length]);
            rest = &rest[length..];
        }
    }
    out + rest
}

pub struct Browser {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    session: Option<String>,
    calls: u64,
    /// Events that came during calls, in their order.
    events: Vec<Value>,
    profile: PathBuf,
}

/// The program, or why there is none.
pub fn program() -> Result<PathBuf> {
    let script = repository().join("scripts/chromium");
    let output =
        Command::new(&script).output().map_err(|error| format!("{}: {error}", script.display()))?;
    if output.status.success() {
        Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

impl Browser {
    /// A browser that has loaded the page.
    pub fn open(program: &Path, page: &Path, look: Look) -> Result<Self> {
        let mut browser = Self::started(program)?;
        let created = browser.call("Target.createTarget", json!({"url": "about:blank"}))?;
        let attach = json!({"targetId": created["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", attach)?;
        browser.session = attached["sessionId"].as_str().map(String::from);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}))?;
        }
        let scheme = if look.dark { "dark" } else { "light" };
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        browser.call("Emulation.setEmulatedMedia", features)?;
        let metrics = json!({"width": look.width, "height": 900, "deviceScaleFactor": 1, "mobile": look.width < 600});
        browser.call("Emulation.setDeviceMetricsOverride", metrics)?;
        if !look.scripts {
            browser.call("Emulation.setScriptExecutionDisabled", json!({"value": true}))?;
        }
        browser.call("Page.navigate", json!({"url": format!("file://{}", page.display())}))?;
        // The empty page that a browser begins with has been loaded, too.
        let ours = |event: &&Value| {
            event["method"] == "Page.frameNavigated"
                && event["params"]["frame"]["url"]
                    .as_str()
                    .is_some_and(|url| url.starts_with("file:"))
        };
        let loaded = |events: &[Value]| {
            let since = events.iter().position(|event| ours(&event));
            let since = since.and_then(|at| events.get(at..)).unwrap_or_default();
            since.iter().any(|event| event["method"] == "Page.loadEventFired")
        };
        while !loaded(&browser.events) {
            let message = browser.message()?;
            browser.events.push(message);
        }
        Ok(browser)
    }

    fn started(program: &Path) -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let profile = target_dir().join(format!("page/profile-{}-{number}", std::process::id()));
        // The browser reads commands from descriptor 3 and answers on 4.
        let mut child = Command::new("sh")
            .args([
                "-c",
                "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1",
                "sh",
                "timeout",
                "-k",
                "5",
                PATIENCE,
            ])
            .arg(program)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
            ])
            .args(["--no-first-run", "--disable-background-networking", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("a browser without pipes".into());
        };
        let from = BufReader::new(from);
        Ok(Self { child, to, from, session: None, calls: 0, events: Vec::new(), profile })
    }

    fn message(&mut self) -> Result<Value> {
        let mut bytes = Vec::new();
        self.from.read_until(0, &mut bytes).map_err(|error| format!("the browser: {error}"))?;
        if bytes.pop() != Some(0) {
            return Err("the browser is gone".into());
        }
        let text = String::from_utf8_lossy(&bytes);
        serde_json::from_str(&without_lone_surrogates(&text))
            .map_err(|error| format!("the browser sent invalid JSON: {error}"))
    }

    /// One command and its answer.
    pub fn call(&mut self, method: &str, parameters: Value) -> Result<Value> {
        self.calls += 1;
        let mut call = json!({"id": self.calls, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            call["sessionId"] = json!(session);
        }
        self.to
            .write_all(format!("{call}\0").as_bytes())
            .map_err(|error| format!("{method}: {error}"))?;
        loop {
            let message = self.message()?;
            if message["id"] == self.calls {
                return match &message["error"] {
                    Value::Null => Ok(message["result"].clone()),
                    error => Err(format!("{method}: {error}")),
                };
            }
            // A dialog stops the page until it is answered; `silent` fails because of it.
            if message["method"] == "Page.javascriptDialogOpening" {
                let answer = json!({"id": 0, "method": "Page.handleJavaScriptDialog", "params": {"accept": true}, "sessionId": self.session});
                self.to
                    .write_all(format!("{answer}\0").as_bytes())
                    .map_err(|error| error.to_string())?;
            }
            self.events.push(message);
        }
    }

    /// What an expression comes to in the page.
    pub fn ask(&mut self, expression: &str) -> Result<Value> {
        let parameters =
            json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.call("Runtime.evaluate", parameters)?;
        match &answer["exceptionDetails"] {
            Value::Null => Ok(answer["result"]["value"].clone()),
            thrown => Err(format!("{expression}: {thrown}")),
        }
    }

    /// Ensures that an expression comes to this.
    pub fn ensure(&mut self, expression: &str, expected: impl Into<Value>) -> Result<()> {
        let (found, expected) = (self.ask(expression)?, expected.into());
        if found == expected {
            Ok(())
        } else {
            Err(format!("{expression} is {found}, not {expected}"))
        }
    }

    /// Ensures that an expression comes to this before long: the page has something to do first.
    pub fn settles(&mut self, expression: &str, expected: impl Into<Value>) -> Result<()> {
        let expected = expected.into();
        let patient = format!(
            "(async () => {{ for (let n = 0; ; n++) {{ const found = await ({expression}); \
             if (n > 100 || JSON.stringify(found) === {:?}) return found; \
             await new Promise(then => setTimeout(then, 20)) }} }})()",
            expected.to_string()
        );
        let found = self.ask(&patient)?;
        if found == expected {
            Ok(())
        } else {
            Err(format!("{expression} is {found}, not {expected}"))
        }
    }

    /// A click with the mouse in the middle of the first element of these, where it can be seen.
    pub fn click(&mut self, selector: &str) -> Result<()> {
        let [x, y] = self.middle(selector)?;
        for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
            let event = json!({"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", event)?;
        }
        Ok(())
    }

    /// Found through the DOM, not by a script: there may be none.
    fn middle(&mut self, selector: &str) -> Result<[f64; 2]> {
        let node = self.node(selector)?;
        self.call("DOM.scrollIntoViewIfNeeded", json!({"nodeId": node}))?;
        let quads = self.call("DOM.getContentQuads", json!({"nodeId": node}))?;
        let corner =
            |at: usize| quads["quads"][0][at].as_f64().ok_or(format!("{selector} cannot be seen"));
        Ok([(corner(0)? + corner(4)?) / 2.0, (corner(1)? + corner(5)?) / 2.0])
    }

    fn node(&mut self, selector: &str) -> Result<u64> {
        let document = self.call("DOM.getDocument", json!({"depth": 0}))?;
        let query = json!({"nodeId": document["root"]["nodeId"], "selector": selector});
        match self.call("DOM.querySelector", query)?["nodeId"].as_u64() {
            Some(0) | None => Err(format!("the page has no {selector}")),
            Some(node) => Ok(node),
        }
    }

    /// Whether the first element of these can be seen. It is the browser that answers, so it does
    /// where the page's scripts are off.
    pub fn sees(&mut self, selector: &str) -> Result<bool> {
        let visible = format!(
            "document.querySelector({selector:?}).checkVisibility({{contentVisibilityAuto: true}})"
        );
        Ok(self.ask(&visible)? == true)
    }

    /// One key, as `KeyboardEvent.key` names it.
    pub fn press(&mut self, key: &str) -> Result<()> {
        let (code, text) = match key {
            "Enter" => (13, "\r"),
            " " => (32, " "),
            "Tab" => (9, ""),
            "Escape" => (27, ""),
            "Home" => (36, ""),
            "ArrowLeft" => (37, ""),
            "ArrowUp" => (38, ""),
            "ArrowRight" => (39, ""),
            "ArrowDown" => (40, ""),
            other => return Err(format!("no such key: {other}")),
        };
        for kind in ["keyDown", "keyUp"] {
            let event = json!({"type": kind, "key": key, "text": if kind == "keyDown" { text } else { "" }, "windowsVirtualKeyCode": code});
            self.call("Input.dispatchKeyEvent", event)?;
        }
        Ok(())
    }

    /// Text typed where the focus is.
    pub fn write(&mut self, text: &str) -> Result<()> {
        self.call("Input.insertText", json!({"text": text})).map(drop)
    }

    /// A picture of the page, or of one element with a little room around it.
    pub fn picture(&mut self, selector: Option<&str>) -> Result<String> {
        let metrics = self.call("Page.getLayoutMetrics", json!({}))?;
        let mut clip = metrics["cssContentSize"].clone();
        if let Some(selector) = selector {
            let box_of = format!(
                "(({{x, y, width, height}}) => ({{x: x + scrollX - 16, y: y + scrollY - 16, width: width + 32, height: \
                 height + 32}}))(document.querySelector({selector:?}).getBoundingClientRect())"
            );
            clip = self.ask(&box_of)?;
        }
        clip["scale"] = json!(1);
        let parameters = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let shot = self.call("Page.captureScreenshot", parameters)?;
        shot["data"].as_str().map(String::from).ok_or_else(|| "no picture".into())
    }

    /// Ensures that the page complained of nothing, loaded nothing but itself, and popped nothing
    /// up.
    pub fn silent(&mut self) -> Result<()> {
        self.call("Page.getLayoutMetrics", json!({}))?;
        let loud = |event: &&Value| match event["method"].as_str() {
            Some(
                "Runtime.exceptionThrown"
                | "Runtime.consoleAPICalled"
                | "Log.entryAdded"
                | "Page.javascriptDialogOpening",
            ) => true,
            Some("Network.requestWillBeSent") => event["params"]["type"] != "Document",
            _ => false,
        };
        match self.events.iter().find(loud) {
            None => Ok(()),
            Some(event) => Err(format!("the page is not silent: {event}")),
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.session = None;
        if self.call("Browser.close", json!({})).is_err() {
            // It is gone already, or does not listen: either way it ends here.
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}
