//! A real browser for walkthroughs: Chromium, spoken to by WebDriver. Everything has a limit of time,
//! and nothing outlives [`Browser`].

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Value, json};

use super::wait_for;

/// A browser that starts beside a compiler.
const START_WAIT: Duration = Duration::from_secs(40);
/// A page and what it needs.
const LOAD_MILLIS: u64 = 30_000;
/// A script that a test runs.
const SCRIPT_MILLIS: u64 = 15_000;
/// Longer than the browser's own limits, so that its words are heard and not only our silence.
const ANSWER_WAIT: Duration = Duration::from_secs(45);
/// How long an element may take to appear.
const FIND_WAIT: Duration = Duration::from_secs(8);
/// How long an orderly end may take before it is a kill.
const END_WAIT: Duration = Duration::from_secs(5);
/// WebDriver's name for a reference to an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// What the reader's browser is like.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// In pixels of a page, whatever the least width of a window is.
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) javascript: bool,
    /// As `Accept-Language`, such as `ar,en;q=0.5`.
    pub(crate) languages: &'static str,
    pub(crate) dark: bool,
    /// In percent, as the browser's own zoom: 200 halves the page's width.
    pub(crate) zoom: u32,
    /// Rules before the last one, such as `MAP *.blogs.test 127.0.2.1`. Any host that no rule names and
    /// that is not on this machine is not found.
    pub(crate) hosts: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            width: 1280,
            height: 900,
            javascript: true,
            languages: "en",
            dark: false,
            zoom: 100,
            hosts: vec![],
        }
    }
}

impl Options {
    /// A telephone, without JavaScript.
    pub(crate) fn phone() -> Self {
        Self {
            width: 390,
            height: 844,
            javascript: false,
            ..Self::default()
        }
    }
}

/// A running browser with one window.
#[derive(Debug)]
pub(crate) struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    /// The profile; its path also tells our processes from all others.
    profile: tempfile::TempDir,
}

/// An element of the page that is shown.
#[derive(Debug)]
pub(crate) struct Element<'a> {
    browser: &'a Browser,
    id: String,
}

impl Browser {
    pub(crate) fn start(options: &Options) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let said = fs::File::create(profile.path().join("driver.log")).unwrap();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={}", address.port()))
            .env("TMPDIR", profile.path())
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .spawn()
            .expect("chromedriver is needed by this test (Debian: chromium-driver)");
        let mut browser = Self {
            driver,
            address,
            session: String::new(),
            profile,
        };
        wait_for("chromedriver answers", START_WAIT, || {
            browser.exchange("GET", "/status", None).ok()
        });
        let asked = json!({ "capabilities": { "alwaysMatch": browser.capabilities(options) } });
        let opened = browser.exchange("POST", "/session", Some(&asked));
        let opened = opened.unwrap_or_else(|why| panic!("no browser: {why}"));
        opened["sessionId"]
            .as_str()
            .unwrap()
            .clone_into(&mut browser.session);
        browser.resize(options.width, options.height, options.zoom);
        browser.set_dark(options.dark);
        browser
    }

    fn capabilities(&self, options: &Options) -> Value {
        let profile = self.profile.path().join("profile");
        let mut rules = options.hosts.clone();
        rules.push("MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost".to_owned());
        // An address needs no resolver, but a rule for all hosts would catch it.
        rules.push("EXCLUDE 127.*".to_owned());
        let arguments = [
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-quic".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            format!("--host-resolver-rules={}", rules.join(", ")),
            format!("--accept-lang={}", options.languages),
            format!("--user-data-dir={}", profile.display()),
        ];
        // 1 allows, 2 blocks: as a reader sets it for all sites.
        let script = if options.javascript { 1 } else { 2 };
        json!({
            "browserName": "chrome",
            "pageLoadStrategy": "normal",
            // An alert stays open, so that a test can see it.
            "unhandledPromptBehavior": "ignore",
            "timeouts": { "implicit": 0, "pageLoad": LOAD_MILLIS, "script": SCRIPT_MILLIS },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
            "goog:chromeOptions": {
                "args": arguments,
                "prefs": {
                    "profile.default_content_setting_values.javascript": script,
                    "intl.accept_languages": options.languages.replace(' ', ""),
                    "download.default_directory": self.profile.path().join("downloads"),
                    "download.prompt_for_download": false,
                },
            },
        })
    }

    /// One exchange with chromedriver; its `value`, or what it says is wrong.
    fn exchange(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            self.address,
            body.len()
        );
        let answer = converse(self.address, &[head.as_bytes(), body.as_bytes()].concat())
            .map_err(|e| format!("{method} {path}: {e}"))?;
        let mut answer: Value =
            serde_json::from_slice(&answer).map_err(|e| format!("{method} {path}: {e}"))?;
        let value = answer["value"].take();
        match value["error"].as_str() {
            Some(error) => Err(format!(
                "{method} {path}: {error}: {}",
                value["message"].as_str().unwrap_or_default()
            )),
            None => Ok(value),
        }
    }

    fn try_command(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
        self.exchange(method, &format!("/session/{}/{path}", self.session), body)
    }

    fn ask(&self, path: &str) -> Value {
        let answered = self.try_command("GET", path, None);
        answered.unwrap_or_else(|why| panic!("{why}"))
    }

    fn tell(&self, path: &str, body: &Value) -> Value {
        let answered = self.try_command("POST", path, Some(body));
        answered.unwrap_or_else(|why| panic!("{why}"))
    }

    /// A command of Chromium's own protocol.
    pub(crate) fn devtools(&self, command: &str, parameters: &Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.tell("goog/cdp/execute", &body)
    }

    /// Another size of the page. A zoom shows fewer of its pixels, larger, as the browser's does.
    pub(crate) fn resize(&self, width: u32, height: u32, zoom: u32) {
        let size = json!({
            "width": width * 100 / zoom,
            "height": height * 100 / zoom,
            "deviceScaleFactor": f64::from(zoom) / 100.0,
            "mobile": false,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
    }

    pub(crate) fn set_dark(&self, dark: bool) {
        let value = if dark { "dark" } else { "light" };
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": value }] });
        self.devtools("Emulation.setEmulatedMedia", &features);
    }

    /// Opens a page and waits until it is there; false when the browser cannot, as for a download.
    pub(crate) fn try_go(&self, url: &str) -> bool {
        self.try_command("POST", "url", Some(&json!({ "url": url })))
            .is_ok()
    }

    pub(crate) fn go(&self, url: &str) {
        self.tell("url", &json!({ "url": url }));
    }

    pub(crate) fn back(&self) {
        self.tell("back", &json!({}));
    }

    pub(crate) fn reload(&self) {
        self.tell("refresh", &json!({}));
    }

    pub(crate) fn url(&self) -> String {
        self.ask("url").as_str().unwrap().to_owned()
    }

    pub(crate) fn title(&self) -> String {
        self.ask("title").as_str().unwrap().to_owned()
    }

    /// The page as the browser has it now.
    pub(crate) fn source(&self) -> String {
        self.ask("source").as_str().unwrap().to_owned()
    }

    /// All words that a reader sees.
    pub(crate) fn text(&self) -> String {
        self.find("body").text()
    }

    pub(crate) fn cookies(&self) -> Vec<Value> {
        self.ask("cookie").as_array().unwrap().clone()
    }

    pub(crate) fn delete_cookies(&self) {
        let deleted = self.try_command("DELETE", "cookie", None);
        deleted.unwrap_or_else(|why| panic!("{why}"));
    }

    fn locate(&self, using: &str, value: &str) -> Vec<Element<'_>> {
        let found = self.tell("elements", &json!({ "using": using, "value": value }));
        let element = |found: &Value| Element {
            browser: self,
            id: found[ELEMENT].as_str().unwrap().to_owned(),
        };
        found.as_array().unwrap().iter().map(element).collect()
    }

    /// All elements that match, at once.
    pub(crate) fn all(&self, css: &str) -> Vec<Element<'_>> {
        self.locate("css selector", css)
    }

    pub(crate) fn has(&self, css: &str) -> bool {
        !self.all(css).is_empty()
    }

    fn await_first<'a>(&'a self, what: &str, look: impl Fn() -> Vec<Element<'a>>) -> Element<'a> {
        let until = Instant::now() + FIND_WAIT;
        loop {
            if let Some(found) = look().into_iter().next() {
                return found;
            }
            assert!(
                Instant::now() < until,
                "{what} is not in {}, which says:\n{}",
                self.url(),
                self.locate("css selector", "body")
                    .first()
                    .map(Element::text)
                    .unwrap_or_default()
            );
            std::thread::sleep(super::LOOK_EVERY);
        }
    }

    /// The first element that matches, as soon as there is one.
    pub(crate) fn find(&self, css: &str) -> Element<'_> {
        self.await_first(css, || self.all(css))
    }

    /// Clicks what leads to another page, and waits until that is there.
    pub(crate) fn follow(&self, css: &str) {
        let before = self.find("html").id;
        self.find(css).click();
        wait_for("another page", FIND_WAIT, || {
            (self.find("html").id != before).then_some(())
        });
    }

    /// The innermost element that shows these words: a link, a button, a sentence.
    pub(crate) fn find_text(&self, words: &str) -> Element<'_> {
        let words = xpath_text(words);
        let says = format!("contains(normalize-space(.), {words})");
        let path = format!(
            "//body//*[{says} and not(.//*[{says}]) and not(self::script or self::style)] | \
             //input[(@type='submit' or @type='button') and contains(@value, {words})]"
        );
        self.await_first(&words, || self.locate("xpath", &path))
    }

    /// The link or button that is called so.
    pub(crate) fn find_control(&self, words: &str) -> Element<'_> {
        let words = xpath_text(words);
        let path = format!(
            "//*[(self::a or self::button or self::summary) and contains(normalize-space(.), {words})] | \
             //input[(@type='submit' or @type='button') and contains(@value, {words})]"
        );
        self.await_first(&words, || self.locate("xpath", &path))
    }

    /// The field of a form that a label names.
    pub(crate) fn find_field(&self, label: &str) -> Element<'_> {
        let words = xpath_text(label);
        let path = format!(
            "//*[self::input or self::textarea or self::select]\
             [@id = //label[contains(normalize-space(.), {words})]/@for \
              or ancestor::label[contains(normalize-space(.), {words})] \
              or contains(@aria-label, {words})]"
        );
        self.await_first(label, || self.locate("xpath", &path))
    }

    /// Where the keyboard is.
    pub(crate) fn focused(&self) -> Element<'_> {
        let found = self.ask("element/active");
        Element {
            browser: self,
            id: found[ELEMENT].as_str().unwrap().to_owned(),
        }
    }

    /// One key, wherever the keyboard is: a letter, or a name below [`keys`].
    pub(crate) fn press(&self, key: char) {
        let key = key.to_string();
        let actions = json!([{ "type": "key", "id": "keyboard", "actions": [
            { "type": "keyDown", "value": key }, { "type": "keyUp", "value": key },
        ] }]);
        self.tell("actions", &json!({ "actions": actions }));
    }

    /// Runs a script in the page; what it returns. Also where the page's own scripts may not run.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.tell("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Runs a script that ends when it calls the function that is its last argument, with what that gets.
    pub(crate) fn run_until_called(&self, script: &str) -> Value {
        self.tell("execute/async", &json!({ "script": script, "args": [] }))
    }

    /// What an open alert says, if there is one.
    pub(crate) fn alert(&self) -> Option<String> {
        let text = self.try_command("GET", "alert/text", None).ok()?;
        Some(text.as_str().unwrap_or_default().to_owned())
    }

    pub(crate) fn dismiss_alert(&self) {
        self.tell("alert/dismiss", &json!({}));
    }

    /// What the browser said since the last look: errors of pages, reports of their policy.
    pub(crate) fn log(&self) -> Vec<String> {
        let lines = self.tell("se/log", &json!({ "type": "browser" }));
        let line = |line: &Value| {
            let [level, from, message] =
                ["level", "source", "message"].map(|part| line[part].as_str().unwrap_or_default());
            format!("{level} {from}: {message}")
        };
        lines.as_array().unwrap().iter().map(line).collect()
    }

    /// What pages asked for since the last look, whether or not it was answered.
    pub(crate) fn requests(&self) -> Vec<String> {
        let lines = self.tell("se/log", &json!({ "type": "performance" }));
        let asked = |line: &Value| {
            let event: Value = serde_json::from_str(line["message"].as_str()?).ok()?;
            let sent = event["message"]["method"] == "Network.requestWillBeSent";
            let url = event["message"]["params"]["request"]["url"].as_str()?;
            sent.then(|| url.to_owned())
        };
        lines.as_array().unwrap().iter().filter_map(asked).collect()
    }

    /// The whole page, not only what fits the window, as a PNG.
    pub(crate) fn screenshot(&self, to: &Path) {
        let asked = json!({ "format": "png", "captureBeyondViewport": true });
        let image = self.devtools("Page.captureScreenshot", &asked);
        let image = BASE64.decode(image["data"].as_str().unwrap()).unwrap();
        fs::write(to, image).unwrap();
    }

    /// Where downloads arrive.
    pub(crate) fn downloads(&self) -> std::path::PathBuf {
        self.profile.path().join("downloads")
    }

    /// The processes that this browser is made of: they name its profile on their command line.
    pub(crate) fn processes(&self) -> Vec<u32> {
        processes_of(&self.profile.path().display().to_string())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // An orderly end lets the driver reap what it started. It must not take for ever.
        let (address, path) = (self.address, format!("/session/{}", self.session));
        let asked =
            format!("DELETE {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        let asking = std::thread::spawn(move || drop(converse(address, asked.as_bytes())));
        let until = Instant::now() + END_WAIT;
        while Instant::now() < until && !(asking.is_finished() && self.processes().is_empty()) {
            std::thread::sleep(super::LOOK_EVERY);
        }
        for pid in self.processes() {
            let pid = i32::try_from(pid).ok();
            if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
                // It may have ended by itself meanwhile.
                rustix::process::kill_process(pid, rustix::process::Signal::KILL).ok();
            }
        }
        drop(self.driver.kill());
        drop(self.driver.wait());
    }
}

impl Element<'_> {
    fn path(&self, what: &str) -> String {
        format!("element/{}/{what}", self.id)
    }

    /// A click; a page that it opens is there when this returns.
    pub(crate) fn click(&self) {
        self.browser.tell(&self.path("click"), &json!({}));
    }

    /// Adds words to a field, key by key.
    pub(crate) fn type_in(&self, words: &str) {
        self.browser
            .tell(&self.path("value"), &json!({ "text": words }));
    }

    pub(crate) fn clear(&self) {
        self.browser.tell(&self.path("clear"), &json!({}));
    }

    /// Replaces what stands in a field. For long texts: they are put there, not typed.
    pub(crate) fn fill(&self, words: &str) {
        let script = "arguments[0].value = arguments[1]";
        let arguments = json!([{ ELEMENT: self.id }, words]);
        let body = json!({ "script": script, "args": arguments });
        self.browser.tell("execute/sync", &body);
    }

    /// Chooses a file in a field for files.
    pub(crate) fn upload(&self, file: &Path) {
        self.type_in(file.to_str().unwrap());
    }

    /// The words that a reader sees.
    pub(crate) fn text(&self) -> String {
        let text = self.browser.ask(&self.path("text"));
        text.as_str().unwrap().to_owned()
    }

    pub(crate) fn tag(&self) -> String {
        let name = self.browser.ask(&self.path("name"));
        name.as_str().unwrap().to_owned()
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<String> {
        let value = self.browser.ask(&self.path(&format!("attribute/{name}")));
        value.as_str().map(str::to_owned)
    }

    /// What stands in a field now.
    pub(crate) fn value(&self) -> String {
        let value = self.browser.ask(&self.path("property/value"));
        value.as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn is_shown(&self) -> bool {
        self.browser.ask(&self.path("displayed")) == true
    }
}

/// Keys that are no letters, as WebDriver writes them.
pub(crate) mod keys {
    pub(crate) const TAB: char = '\u{e004}';
    pub(crate) const ENTER: char = '\u{e007}';
    pub(crate) const ESCAPE: char = '\u{e00c}';
    pub(crate) const SPACE: char = '\u{e00d}';
}

/// A literal of XPath, which knows no escapes.
fn xpath_text(words: &str) -> String {
    if !words.contains('\'') {
        return format!("'{words}'");
    }
    let parts: Vec<String> = words.split('\'').map(|part| format!("'{part}'")).collect();
    format!("concat({})", parts.join(", \"'\", "))
}

/// Sends a request and reads one answer of the length that its head tells.
fn converse(to: SocketAddr, request: &[u8]) -> Result<Vec<u8>, String> {
    let mut stream =
        TcpStream::connect_timeout(&to, Duration::from_secs(2)).map_err(|e| e.to_string())?;
    let limited = [
        stream.set_read_timeout(Some(ANSWER_WAIT)),
        stream.set_write_timeout(Some(ANSWER_WAIT)),
    ];
    limited
        .into_iter()
        .chain([stream.write_all(request)])
        .collect::<Result<(), _>>()
        .map_err(|e| e.to_string())?;
    let mut answer = Vec::new();
    let mut piece = [0; 1 << 16];
    loop {
        if let Some(body) = whole(&answer) {
            return Ok(body.to_vec());
        }
        match stream.read(&mut piece).map_err(|e| e.to_string())? {
            0 => return Err("the answer ended early".to_owned()),
            length => answer.extend_from_slice(&piece[..length]),
        }
    }
}

/// The body, once all of it is there.
fn whole(answer: &[u8]) -> Option<&[u8]> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let (_, length) = head.split_once("content-length:")?;
    let length: usize = length.lines().next()?.trim().parse().ok()?;
    answer.get(end + 4..end + 4 + length)
}

/// Running processes whose command line names this.
fn processes_of(mark: &str) -> Vec<u32> {
    let Ok(all) = fs::read_dir("/proc") else {
        return vec![];
    };
    let pids = all
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(mark)
    })
    .collect()
}
