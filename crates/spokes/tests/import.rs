//! Maria brings the blogs that she had elsewhere into a running network, twice, and is cut off once.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

mod common;

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use common::{author::random_key, demo::Demo, wait_for};
use serde_json::Value;

/// A photograph: a marker, what the camera noted, and a scan.
const PHOTO: &[u8] = b"\xFF\xD8\xFF\xE1\x00\x15Exif\0\0her home town\xFF\xDA\x00\x02pixels\xFF\xD9";

const WORDPRESS: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:wp="https://wordpress.org/export/1.2/">
<channel><title>Maria</title><link>https://maria.example</link><language>pt-BR</language>
<item><title><![CDATA[The <em>sea</em> &amp; us]]></title><link>https://maria.example/2015/05/the-sea/</link>
  <content:encoded><![CDATA[We went there.
It rained.

[caption id="x"]<img src="https://maria.example/wp-content/uploads/2015/05/sea-300x200.jpg" alt="The sea" /> In May[/caption]

<a href="https://maria.example/?p=2">The next day</a>]]></content:encoded>
  <category domain="category"><![CDATA[Trips]]></category>
  <wp:post_id>1</wp:post_id><wp:post_date_gmt>2015-05-15 10:00:00</wp:post_date_gmt>
  <wp:post_name>the-sea</wp:post_name><wp:status>publish</wp:status><wp:post_type>post</wp:post_type>
  <wp:comment><wp:comment_approved>1</wp:comment_approved></wp:comment></item>
<item><title></title><link>https://maria.example/2015/05/day/</link>
  <content:encoded><![CDATA[<!-- wp:paragraph --><p>Dry again.</p><!-- /wp:paragraph -->]]></content:encoded>
  <wp:post_id>2</wp:post_id><wp:post_date_gmt>2015-05-16 10:00:00</wp:post_date_gmt>
  <wp:post_name>day</wp:post_name><wp:status>publish</wp:status><wp:post_type>post</wp:post_type></item>
<item><title>Later</title><wp:post_id>3</wp:post_id><wp:post_date_gmt>2099-01-01 00:00:00</wp:post_date_gmt>
  <wp:status>future</wp:status><wp:post_type>post</wp:post_type></item>
<item><title>Secret</title><wp:post_id>4</wp:post_id><wp:status>publish</wp:status>
  <wp:post_password>x</wp:post_password><wp:post_type>post</wp:post_type></item>
<item><title>Menu</title><wp:post_id>5</wp:post_id><wp:status>publish</wp:status><wp:post_type>nav_menu_item</wp:post_type></item>
</channel></rss>"#;

const GHOST: &str = r#"{"db":[{"data":{"posts":[
  {"id":"a","title":"Winter","slug":"winter","type":"post","status":"published","visibility":"public",
   "published_at":"2021-01-02T03:04:05.000Z","html":"<p>Snow, <a href=\"__GHOST_URL__/spring/\">then</a></p>",
   "feature_image":"__GHOST_URL__/content/images/2015/05/sea.jpg"},
  {"id":"b","title":"Spring","slug":"spring","type":"post","status":"published","visibility":"public",
   "published_at":"2021-03-02T03:04:05.000Z","html":"<p>Rain</p>"},
  {"id":"c","title":"Members","slug":"members","status":"published","visibility":"members"},
  {"id":"d","title":"Draft","slug":"draft","status":"draft"}]}}]}"#;

/// Maria's machine: her key, her exports and her copy of the old pictures.
struct Desk {
    dir: tempfile::TempDir,
    network: String,
}

impl Desk {
    fn new(demo: &Demo) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name);
        fs::write(
            file("key.asc"),
            random_key("Maria <maria@example.org>").armored(),
        )
        .unwrap();
        fs::write(file("maria.xml"), WORDPRESS).unwrap();
        fs::write(file("maria.json"), GHOST).unwrap();
        fs::create_dir_all(file("uploads/2015/05")).unwrap();
        fs::write(file("uploads/2015/05/sea.jpg"), PHOTO).unwrap();
        let network = format!("http://127.0.0.1:{}", demo.port);
        Self { dir, network }
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(common::demo::program());
        command
            .current_dir(self.dir.path())
            .args(["blog"])
            .args(line.replace("KEY", "--key-file key.asc").split(' '))
            .args(["--yes", "--json"])
            .env("SPOKES_NETWORK", &self.network)
            .env("XDG_STATE_HOME", self.dir.path().join("state"))
            .stdin(Stdio::null());
        command
    }

    /// What became of each part, by its outcome.
    fn run(&self, line: &str) -> Value {
        let output = self.command(line).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.success(),
            "{line}: {said}{}",
            String::from_utf8_lossy(&output.stdout)
        );
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn page(demo: &Demo, name: &str, path: &str) -> String {
    let label = demo.members(name).remove(1);
    let page = wait_for(path, Duration::from_secs(10), || {
        let reply = demo.http(&label, name, path);
        (reply.status == 200).then_some(reply.body)
    });
    String::from_utf8_lossy(&page).into_owned()
}

#[test]
fn blogs_from_elsewhere_come_in_once() {
    let demo = Demo::start_with(3, &["--empty"]);
    let desk = Desk::new(&demo);
    desk.run("create maria --title Maria KEY");
    let line = "import maria.xml --blog maria --media uploads KEY";
    let counts = desk.run(line)["counts"].take();
    let expected = serde_json::json!({"safe": 2, "scheduled": 1, "protected": 1, "skipped": 1});
    assert_eq!(counts, expected);
    let counts = desk.run(line)["counts"].take();
    let again = serde_json::json!({"unchanged": 2, "scheduled": 1, "protected": 1, "skipped": 1});
    assert_eq!(counts, again);
    // Whoever forgets where the pictures were does not lose them.
    assert_eq!(
        desk.run("import maria.xml --blog maria KEY")["counts"],
        again
    );

    let sea = page(&demo, "maria", "/the-sea");
    for part in [
        "We went there.<br>\nIt rained.",
        "<figcaption>In May</figcaption>",
        "href=\"/day\"",
        "alt=\"The sea\"",
        "<h1>The sea &amp; us</h1>",
    ] {
        assert!(sea.contains(part), "{part} is not in {sea}");
    }
    let (_, src) = sea.split_once("<img src=\"").unwrap();
    let photo = page(&demo, "maria", src.split('"').next().unwrap());
    assert!(
        photo.contains("pixels") && !photo.contains("home town"),
        "what the camera noted is gone"
    );
    let label = demo.members("maria").remove(1);
    let moved = demo.http(&label, "maria", "/2015/05/the-sea/");
    assert!((301..=308).contains(&moved.status), "{}", moved.status);

    let line = "import maria.json --blog maria --media uploads --site https://maria.example KEY";
    let counts = desk.run(line)["counts"].take();
    assert_eq!(
        counts,
        serde_json::json!({"safe": 2, "private": 1, "draft": 1})
    );
    let counts = desk.run(line)["counts"].take();
    assert_eq!(
        counts,
        serde_json::json!({"unchanged": 2, "private": 1, "draft": 1})
    );
    let winter = page(&demo, "maria", "/winter");
    assert!(
        winter.contains("href=\"/spring\"") && winter.contains("<img src=\"/media/sha256-"),
        "{winter}"
    );
    demo.assert_no_panic();
}

/// A killed import goes on with the same command, whatever it had signed.
#[test]
fn a_cut_off_import_goes_on() {
    let demo = Demo::start_with(3, &["--empty"]);
    let desk = Desk::new(&demo);
    desk.run("create maria --title Maria KEY");
    let posts: String = (0..60).map(post).collect();
    let site = WORDPRESS.replace("</channel>", &format!("{posts}</channel>"));
    fs::write(desk.dir.path().join("maria.xml"), site).unwrap();
    let line = "import maria.xml --blog maria --media uploads KEY";
    for round in 0..4 {
        let mut child = desk
            .command(line)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_for("some posts", Duration::from_secs(60), || {
            let kept = entries(desk.dir.path());
            (kept > round * 12 || child.try_wait().unwrap().is_some()).then_some(())
        });
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let counts = desk.run(line)["counts"].take();
    let of = |outcome: &str| counts[outcome].as_u64().unwrap_or(0);
    assert_eq!(of("safe") + of("unchanged"), 62, "{counts}");
    assert!(
        of("unchanged") > 0,
        "it was cut off too early to show anything: {counts}"
    );
    let status = desk.run("status maria");
    assert_eq!(status["entries"], 63, "each once: {status}");
}

fn post(number: usize) -> String {
    format!(
        "<item><title>Day {number}</title><content:encoded><![CDATA[Words of day {number}.]]></content:encoded>\
         <wp:post_id>{}</wp:post_id><wp:post_date_gmt>2016-01-01 10:{number:02}:00</wp:post_date_gmt>\
         <wp:post_name>day-{number}</wp:post_name><wp:status>publish</wp:status><wp:post_type>post</wp:post_type></item>",
        100 + number
    )
}

/// Receipts that her machine keeps: one for each post that is safe.
fn entries(dir: &Path) -> usize {
    let networks = fs::read_dir(dir.join("state/spokes"))
        .into_iter()
        .flatten()
        .flatten();
    let blogs = networks.flat_map(|network| {
        fs::read_dir(network.path().join("blogs"))
            .into_iter()
            .flatten()
            .flatten()
    });
    let receipts = blogs.filter_map(|blog| fs::read_dir(blog.path().join("receipts")).ok());
    receipts.map(Iterator::count).sum()
}
