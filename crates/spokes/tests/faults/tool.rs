//! An author at her own tool: one command after another, and the network found by its name alone.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use spokes_log::name::{EntryId, Hash};

use crate::{
    common::{author::random_key, demo::program, wait_for},
    network::DOMAIN,
};

/// How long she thinks between two commands.
const PAUSE: Duration = Duration::from_millis(500);
const NAME_WAIT: Duration = Duration::from_secs(20);

/// One command.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    pub(crate) slug: String,
    /// The entry, if it was said to be safe.
    pub(crate) safe: Option<EntryId>,
    pub(crate) said: String,
}

/// The author and her machine.
pub(crate) struct Tool {
    home: PathBuf,
    pub(crate) blog: String,
    turns: Mutex<Vec<Turn>>,
}

impl Tool {
    /// She asks for a name; the network chooses who holds the blog.
    pub(crate) fn with_blog(home: &Path, blog: &str) -> Self {
        let tool = Self {
            home: home.join("author"),
            blog: blog.to_owned(),
            turns: Mutex::default(),
        };
        fs::create_dir_all(&tool.home).unwrap();
        let key = random_key("Maria <maria@example.org>");
        fs::write(tool.home.join("key.asc"), key.armored()).unwrap();
        wait_for("maria has her name", NAME_WAIT, || {
            let (facts, said) = tool.say(&["create", &tool.blog, "--yes", "--json"]);
            if facts.is_empty() {
                eprintln!("maria: {said}");
            }
            (!facts.is_empty()).then_some(())
        });
        tool
    }

    pub(crate) fn turns(&self) -> Vec<Turn> {
        self.turns.lock().unwrap().clone()
    }

    /// Publishes until it is over. What is not safe yet is said again, as the tool advises.
    pub(crate) fn write(&self, over: &AtomicBool) {
        for number in 0.. {
            let slug = format!("letter-{number}");
            let file = self.home.join(format!("{slug}.md"));
            let text = format!("---\ntitle: Letter {number}\nslug: {slug}\n---\nDear all.\n");
            fs::write(&file, text).unwrap();
            loop {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let began = Instant::now();
                let path = file.to_str().unwrap();
                let (facts, said) =
                    self.say(&["publish", path, "--blog", &self.blog, "--yes", "--json"]);
                let safe = safe(&facts);
                self.turns.lock().unwrap().push(Turn {
                    began,
                    ended: Instant::now(),
                    slug: slug.clone(),
                    safe,
                    said: format!("{facts}{said}"),
                });
                thread::sleep(PAUSE);
                if safe.is_some() {
                    break;
                }
            }
        }
    }

    fn say(&self, words: &[&str]) -> (String, String) {
        let output = Command::new(program())
            .arg("blog")
            .args(words)
            .arg("--key-file")
            .arg(self.home.join("key.asc"))
            .args(["--network", &format!("http://{DOMAIN}")])
            .env("XDG_STATE_HOME", &self.home)
            .env_remove("http_proxy")
            .env_remove("HTTP_PROXY")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let words = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (words(&output.stdout), words(&output.stderr))
    }
}

/// The entry that an answer says is safe, or was already.
fn safe(facts: &str) -> Option<EntryId> {
    let facts: Value = serde_json::from_str(facts).ok()?;
    let rows = facts["entries"].as_array()?;
    let good = |row: &&Value| matches!(row["outcome"].as_str(), Some("safe" | "unchanged"));
    let row = rows.iter().rfind(good)?;
    Hash::parse(row["id"].as_str()?).ok()
}
