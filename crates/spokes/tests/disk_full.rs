//! The disk of one server is full: its authors hear so and keep what they wrote, readers go on
//! reading, and with room again the same entry is taken. A server with no room at all still starts.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

mod common;

use std::{fs, net::SocketAddr, path::Path, time::Duration};

use common::{
    author::{Author, Signed, article, draft, now, picture, put},
    demo::{Demo, answers, program},
    http::{self, Reply},
    recorded::Process,
    run,
    small_disk::SmallDisk,
    wait_for,
};
use spokes_log::draft::Says;

/// Room for the data of a small network, and some.
const KIBIBYTES: usize = 6_144;
/// Room for a few entries, but for no picture of this test.
const FOR_ENTRIES: usize = 128 * 1024;
const PICTURE_REPEATS: usize = 40_000;
const START_WAIT: Duration = Duration::from_secs(20);
/// What came in past its primary reaches the other members when they compare heads: each 30 s.
const CATCH_UP_WAIT: Duration = Duration::from_secs(70);

/// A node of a demo that goes on on a small disk.
struct Moved {
    disk: SmallDisk,
    home: tempfile::TempDir,
    process: Option<Process>,
    address: SocketAddr,
    command: &'static [&'static str],
}

impl Moved {
    /// None, with the reason, where nobody may make a file system.
    fn new(demo: &Demo, label: &str) -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().canonicalize().unwrap().join("small");
        fs::create_dir(&folder).unwrap();
        let disk = match SmallDisk::new(&folder, KIBIBYTES) {
            Ok(disk) => disk,
            Err(why) => {
                eprintln!("skipped: no small file system can be made here ({why})");
                return None;
            }
        };
        let node = demo.node(label);
        demo.kill(label);
        let to = disk.outside("node");
        let (code, said) = run(
            "cp",
            &["-a", node.data.to_str().unwrap(), to.to_str().unwrap()],
        );
        assert_eq!(code, 0, "{said}");
        // This is about what fills up between two looks at the disk: `room.rs` tells of the floor.
        let config = disk.outside("node/config.toml");
        let text = fs::read_to_string(&config).unwrap();
        if let Some(floor) = text.lines().find(|line| line.starts_with("disk_floor")) {
            fs::write(&config, text.replace(floor, "disk_floor = \"0\"")).unwrap();
        }
        let council = label.starts_with("council");
        let mut moved = Self {
            disk,
            home,
            process: None,
            address: node.address,
            command: if council {
                &["council", "serve"]
            } else {
                &["serve"]
            },
        };
        moved.start();
        Some(moved)
    }

    fn begin(&mut self) {
        let mut command = self.disk.command(&program());
        let dir = self.disk.inside.join("node");
        command
            .args(self.command)
            .arg("--until-stdin-closes")
            .arg("--dir")
            .arg(dir);
        self.process = Some(Process::begin(
            &mut command,
            &self.home.path().join("said.log"),
        ));
    }

    fn start(&mut self) {
        self.begin();
        let address = self.address;
        wait_for("it answers", START_WAIT, || answers(address).then_some(()));
    }

    fn end(&mut self) {
        self.process.take().map(Process::end);
    }

    fn said(&self) -> String {
        fs::read_to_string(self.home.path().join("said.log")).unwrap()
    }
}

/// Says that the disk is full, what is safe, and what to do.
fn is_full(reply: &Reply) {
    assert_eq!(
        (reply.status, reply.kind().as_str()),
        (507, "full"),
        "{}",
        reply.text()
    );
    for words in ["is full", "not kept", "is safe", "Send it again"] {
        assert!(reply.detail().contains(words), "{}", reply.detail());
    }
    assert!(
        !reply.detail().contains('/'),
        "a path is nobody's business: {}",
        reply.detail()
    );
}

fn post(author: &mut Author, slug: &str, body: &str) -> Signed {
    author.sign(&draft(Says::Post(article(slug)), body))
}

/// What a member has of a blog: its head and how many entries.
fn head(demo: &Demo, label: &str) -> serde_json::Value {
    demo.api(label, "blogs/maria/head").json()
}

fn safe(author: &mut Author, to: SocketAddr, signed: &Signed) {
    wait_for("it is safe", START_WAIT, || {
        (author.send(to, signed)?.status == 201).then_some(())
    });
    author.parent = Some(signed.place());
}

#[test]
fn a_spoke_whose_disk_is_full_gives_the_entry_back() {
    let demo = Demo::start_with(3, &["--empty"]);
    let mut maria = Author::with_blog(&demo, "maria", "a");
    maria.post(&demo, "a", "early", "Early words.");
    let primary = demo.members("maria")[0].clone();
    let other = demo.members("maria")[1].clone();
    let Some(mut moved) = Moved::new(&demo, &primary) else {
        return;
    };
    let to = moved.address;
    let before = post(&mut maria, "before", "Before it is full.");
    safe(&mut maria, to, &before);

    moved.disk.fill_but(0);
    let was = head(&demo, &primary);
    let long = "Many words.\n".repeat(2_000);
    let refused = post(&mut maria, "refused", long.trim_end());
    for _ in 0..3 {
        is_full(&maria.send(to, &refused).unwrap());
        assert_eq!(head(&demo, &primary), was, "nothing half-kept");
    }
    reading_goes_on(&demo, &primary);
    moved.disk.free();
    safe(&mut maria, to, &refused);
    assert_eq!(demo.http(&primary, "maria", "/refused").status, 200);

    // Another member has room; what it took reaches the full one as soon as that has some, too.
    moved.disk.fill_but(0);
    let around = post(&mut maria, "around", long.trim_end());
    is_full(&maria.send(to, &around).unwrap());
    let path = "/api/v1/blogs/maria/entries";
    let to_other = demo.address(&other);
    let refused_by = [("Spokes-Refused-By", primary.as_str())];
    wait_for("it is safe without the full one", CATCH_UP_WAIT, || {
        let host = to_other.to_string();
        let body = around.json.as_bytes();
        let reply = http::request(to_other, "POST", &host, path, &refused_by, body)?;
        (reply.status == 201).then_some(())
    });
    maria.parent = Some(around.place());
    assert_eq!(demo.http(&primary, "maria", "/early").status, 200);
    moved.disk.free();
    wait_for("the full one has it, too", CATCH_UP_WAIT, || {
        (demo.http(&primary, "maria", "/around").status == 200).then_some(())
    });

    media_likewise(&demo, &mut maria, &mut moved, &primary);
    it_starts_without_room(&demo, &mut maria, &mut moved, &primary);
    assert!(!moved.said().contains("panicked"), "{}", moved.said());
    demo.assert_no_panic();
}

fn reading_goes_on(demo: &Demo, label: &str) {
    for path in ["/", "/early", "/early.asc", "/feed.atom"] {
        assert_eq!(demo.http(label, "maria", path).status, 200, "{path}");
    }
    assert_eq!(demo.api(label, "blogs/maria/entries").status, 200);
}

/// There is room for the entry, but not for its picture; no part of it stays.
fn media_likewise(demo: &Demo, maria: &mut Author, moved: &mut Moved, label: &str) {
    let to = moved.address;
    let (bytes, medium) = picture(&"dots ".repeat(PICTURE_REPEATS));
    let hash = medium.hash;
    let mut album = article("album");
    album.media.push(medium);
    let signed = maria.sign(&draft(Says::Post(album), "With a picture."));
    moved.disk.fill_but(FOR_ENTRIES);
    assert!(bytes.len() > FOR_ENTRIES);
    let staged = maria.send(to, &signed).unwrap();
    assert_eq!(
        (staged.status, &staged.json()["status"]),
        (202, &"staged".into())
    );
    is_full(&put(to, "maria", hash, &bytes));
    let media = fs::read_dir(moved.disk.outside("node/media"))
        .unwrap()
        .count();
    assert_eq!(media, 0, "nothing half-kept");
    reading_goes_on(demo, label);
    moved.disk.free();
    assert_eq!(put(to, "maria", hash, &bytes).status, 201);
    safe(maria, to, &signed);
}

/// It was stopped and started with no byte free: it says so, loses nothing, and starts with room.
fn it_starts_without_room(demo: &Demo, maria: &mut Author, moved: &mut Moved, label: &str) {
    let was = head(demo, label);
    moved.end();
    moved.disk.fill_but(0);
    moved.begin();
    let address = moved.address;
    let ended = wait_for("it starts or says why not", START_WAIT, || {
        let ended = moved.process.as_mut().unwrap().poll();
        (ended.is_some() || answers(address)).then_some(ended)
    });
    if let Some(status) = ended {
        assert_eq!(status.code(), Some(1));
        let said = moved.said();
        let last = said.trim_end().lines().last().unwrap();
        assert!(last.contains("is full"), "{said}");
        moved.disk.free();
        moved.start();
    } else {
        reading_goes_on(demo, label);
        moved.disk.free();
    }
    assert_eq!(head(demo, label), was);
    let late = post(maria, "late", "Late words.");
    safe(maria, address, &late);
}

#[test]
fn a_council_whose_disk_is_full_gives_no_name() {
    let demo = Demo::start_with(3, &["--empty"]);
    let Some(moved) = Moved::new(&demo, "council1") else {
        return;
    };
    let mut maria = Author::with_blog(&demo, "maria", "a");
    moved.disk.fill_but(0);
    let was = http::get(moved.address, "council", "/api/v1/registry/log?after=0").body;
    let mut nadia = Author::new("nadia");
    let first = nadia.first(&demo.network, "nadia", now() + 3_600);
    for _ in 0..3 {
        is_full(&nadia.send(demo.address("b"), &first).unwrap());
        let is = http::get(moved.address, "council", "/api/v1/registry/log?after=0").body;
        assert_eq!(is, was, "nothing half-kept");
    }
    // Names that were given resolve, and their blogs go on.
    assert!(
        !demo
            .dig(&["+short", "maria.blogs.localhost", "A"])
            .is_empty()
    );
    assert_eq!(
        demo.dig(&["+short", "nadia.blogs.localhost", "A"]).trim(),
        ""
    );
    maria.post(&demo, "c", "early", "Early words.");
    invitations_wait(moved.disk.inside.join("node").as_path(), &moved);
    moved.disk.free();
    assert_eq!(nadia.send(demo.address("b"), &first).unwrap().status, 201);
    nadia.parent = Some(first.place());
    nadia.post(&demo, "a", "first", "First words.");
    assert!(!moved.said().contains("panicked"), "{}", moved.said());
    demo.assert_no_panic();
}

/// Who leads, as this node sees it.
fn leader(demo: &Demo, node: &str) -> Option<String> {
    let to = demo.node(node).address;
    let status = http::get(to, node, "/api/v1/registry/status").json();
    status["leader"].as_str().map(str::to_owned)
}

#[test]
fn a_leader_without_room_lets_another_one_lead() {
    const SMALL: &str = "council1";
    let demo = Demo::start_with(3, &["--empty", "--council", "3"]);
    let Some(moved) = Moved::new(&demo, SMALL) else {
        return;
    };
    let witness = "council2";
    let lead = || wait_for("somebody leads", START_WAIT, || leader(&demo, witness));
    // Chance decides who leads: the others are put aside until it is the small one's turn.
    for _ in 0..20 {
        let leads = lead();
        if leads == SMALL {
            break;
        }
        demo.kill(&leads);
        // Longer than the others need to choose one of them.
        std::thread::sleep(Duration::from_secs(3));
        demo.restart(&leads);
    }
    assert_eq!(lead(), SMALL);
    let _maria = Author::with_blog(&demo, "maria", "a");
    moved.disk.fill_but(0);
    wait_for("another one leads", START_WAIT, || {
        leader(&demo, witness).filter(|leads| leads != SMALL)
    });
    let _nadia = Author::with_blog(&demo, "nadia", "b");
    moved.disk.free();
    assert!(
        moved.said().contains("so that another one leads"),
        "{}",
        moved.said()
    );
    assert!(!moved.said().contains("panicked"), "{}", moved.said());
    demo.assert_no_panic();
}

/// The organizer hears the same sentence.
fn invitations_wait(dir: &Path, moved: &Moved) {
    let mut command = moved.disk.command(&program());
    let output = command
        .args(["council", "invite", "--dir"])
        .arg(dir)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(1) && said.contains("is full"),
        "{said}"
    );
}
