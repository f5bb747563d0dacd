//! Pictures that a text names by an address: taken from a folder, or fetched from where they lie.
//!
//! What each address became is remembered beside the outbox, so that the same import makes the same
//! articles again, whether the old site still answers or not.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::IpAddr,
    path::{Component, Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use reqwest::Url;
use spokes_log::{
    draft::{MEDIUM_BYTES_MAX, Medium},
    name::Hash,
};
use tokio::{io::AsyncReadExt as _, net::lookup_host, process::Command, time::timeout};

use crate::author::{import::links::decoded, media, state::Shelf, stop::Stop};

/// One medium: 32 MiB over a line of 2 Mbit/s take a little over two minutes.
const FETCH_WAIT: Duration = Duration::from_secs(180);
/// All media of one command; the next run of it goes on.
const FETCH_ALL_MAX: Duration = Duration::from_secs(2 * 60 * 60);
/// From http to https, to a server for files, to its newest name.
const REDIRECTS_MAX: usize = 5;
/// Of an address' folders, how many may stand above a file in a copy of them.
const SUFFIX_MAX: usize = 12;
/// Bytes of what curl says beside the medium: a status and an address.
const SAID_BYTES_MAX: u64 = 64 * 1024;
/// Endings of what is taken along where a text only links to it.
const ENDINGS: [&str; 14] = [
    "png", "jpg", "jpeg", "gif", "webp", "avif", "svg", "mp3", "m4a", "mp4", "ogg", "ogv", "webm",
    "pdf",
];

/// Media by the names that a text gives them: what is there, or why it is not.
pub(in crate::author) type Found = BTreeMap<String, Result<(Medium, Option<Vec<u8>>), String>>;

/// Where media that do not lie beside a text come from.
#[derive(Default)]
pub(in crate::author) struct Far {
    /// A copy of the old site's folder of media.
    folder: Option<PathBuf>,
    /// The old site, for addresses without a host.
    site: Option<Url>,
    fetch: Option<Fetch>,
    /// Hosts of the old site, whose files go along also where a text only links to them.
    hosts: Vec<String>,
    became: BTreeMap<String, Hash>,
    tried: BTreeMap<String, String>,
    /// The ends of addresses whose files are here now, as [`ends`] has them.
    brought: BTreeSet<String>,
}

/// How media are fetched.
#[derive(Clone, Copy)]
pub(super) struct Fetch {
    /// Whether addresses of this house may be asked: a site that was never public.
    pub(super) near: bool,
    began: Instant,
}

impl Fetch {
    pub(super) fn new(near: bool) -> Self {
        let began = Instant::now();
        Self { near, began }
    }
}

impl Far {
    pub(super) fn new(
        folder: Option<PathBuf>,
        site: Option<&str>,
        fetch: Option<Fetch>,
    ) -> Result<Self, Stop> {
        let site = site.map(|site| {
            let url = Url::parse(site).ok();
            let url = url.filter(|url| matches!(url.scheme(), "http" | "https"));
            url.ok_or_else(|| {
                Stop::Usage(format!(
                    "--site {site} is no address such as https://example.org"
                ))
            })
        });
        let folder = folder.map(|folder| match fs::canonicalize(&folder) {
            Ok(found) if found.is_dir() => Ok(found),
            _ => Err(Stop::disk(&folder, "is no folder of media")),
        });
        let site = site.transpose()?;
        Ok(Self {
            hosts: site
                .iter()
                .filter_map(|url| url.host_str().map(str::to_owned))
                .collect(),
            folder: folder.transpose()?,
            site,
            fetch,
            ..Self::default()
        })
    }

    /// Adds the host of an export's site.
    pub(super) fn of_site(&mut self, address: &str) {
        let url = Url::parse(address).ok();
        self.hosts
            .extend(url.and_then(|url| url.host_str().map(str::to_owned)));
    }

    /// Recalls what addresses became in earlier runs.
    pub(in crate::author) fn recall(&mut self, shelf: &Shelf) {
        for (address, hash) in shelf.fetched() {
            self.became.insert(address, hash);
        }
    }

    /// Writes down what addresses became.
    pub(in crate::author) fn remember(&self, shelf: &Shelf) -> Result<(), Stop> {
        if self.became.is_empty() {
            Ok(())
        } else {
            shelf.keep_fetched(&self.became)
        }
    }

    /// Brings what a text names by address.
    pub(in crate::author) async fn bring(
        &mut self,
        text: &str,
        tree: &Path,
        known: &dyn Fn(Hash) -> Option<Medium>,
    ) -> Found {
        let mut found = Found::new();
        for mention in media::mentions(text) {
            let name = &mention.name;
            if found.contains_key(name) || name.starts_with("/media/sha256-") {
                continue;
            }
            let Some(address) = self.address(name) else {
                continue;
            };
            if mention.is_link && !self.is_file_of_site(&address) {
                continue;
            }
            match self.one(&address, name, tree, known).await {
                Ok(got) => {
                    self.brought.extend(ends(&address));
                    self.became.insert(address, got.0.hash);
                    found.insert(name.clone(), Ok(got));
                }
                Err(why) if !mention.is_link => {
                    found.insert(name.clone(), Err(why));
                }
                Err(_) => {}
            }
        }
        found
    }

    /// Whether a file of the old site went along, whole or in another size.
    pub(in crate::author) fn has_brought(&self, address: &str) -> bool {
        ends(address).iter().any(|end| self.brought.contains(end))
    }

    /// The whole address of a name that is one; a path stays a path where nobody said whose.
    fn address(&self, name: &str) -> Option<String> {
        if name.starts_with('/') && !name.starts_with("//") {
            let whole = self.site.as_ref().and_then(|site| site.join(name).ok());
            return Some(whole.map_or_else(|| name.to_owned(), String::from));
        }
        let name = name
            .strip_prefix("//")
            .map_or_else(|| name.to_owned(), |rest| format!("https://{rest}"));
        let is_far = name.starts_with("http://") || name.starts_with("https://");
        is_far.then_some(name)
    }

    fn is_file_of_site(&self, address: &str) -> bool {
        let path = address.split(['?', '#']).next().unwrap_or_default();
        let ending = path
            .rsplit_once('.')
            .map(|(_, ending)| ending.to_ascii_lowercase());
        let host = Url::parse(address)
            .ok()
            .and_then(|url| url.host_str().map(str::to_owned));
        ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
            && host.is_none_or(|host| self.is_of_site(&host))
    }

    /// Sites keep their files on hosts below their own: old.files.example.org, cdn.old.example.org.
    fn is_of_site(&self, host: &str) -> bool {
        let bare = |host: &str| {
            host.replace(".files.", ".")
                .trim_start_matches("www.")
                .to_owned()
        };
        let host = bare(host);
        self.hosts.iter().any(|own| {
            let own = bare(own);
            host == own || host.ends_with(&format!(".{own}"))
        })
    }

    async fn one(
        &mut self,
        address: &str,
        name: &str,
        tree: &Path,
        known: &dyn Fn(Hash) -> Option<Medium>,
    ) -> Result<(Medium, Option<Vec<u8>>), String> {
        if let Some(medium) = self.became.get(address).and_then(|hash| known(*hash)) {
            // What another article says of the same picture is not what this one says.
            return Ok((
                Medium {
                    alt: None,
                    ..medium
                },
                None,
            ));
        }
        if let Some(why) = self.tried.get(address) {
            return Err(why.clone());
        }
        let path = match self
            .folder
            .as_deref()
            .and_then(|folder| in_copy(folder, address))
        {
            None if name.starts_with('/') => in_tree(tree, name),
            found => found,
        };
        let got = match path {
            Some(path) => media::read(&path, name),
            None => match self.fetch {
                Some(fetch) if address.contains("://") => fetched(address, fetch).await,
                Some(_) => {
                    Err("it is a path of the old site; --site says which that is".to_owned())
                }
                None if address.starts_with('/') => Err(
                    "it is not in the tree; --media says where the old site's files are".to_owned(),
                ),
                None => Err(
                    "it lies on another server; --media or --fetch-media takes it along".to_owned(),
                ),
            },
        };
        let got = got.map(|(medium, bytes)| (medium, Some(bytes)));
        if let Err(why) = &got {
            self.tried.insert(address.to_owned(), why.clone());
        }
        got
    }
}

/// The file of a folder whose path ends as an address does: the more of it the better.
fn in_copy(folder: &Path, address: &str) -> Option<PathBuf> {
    let path = match address.split_once("://") {
        Some((_, rest)) => rest.split_once('/')?.1,
        None => address,
    };
    let path = decoded(path.split(['?', '#']).next().unwrap_or_default());
    let whole =
        without_size(&path).map_or_else(|| vec![path.clone()], |whole| vec![path.clone(), whole]);
    for path in whole {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let first = parts.len().saturating_sub(SUFFIX_MAX);
        let found = (first..parts.len()).find_map(|from| within(folder, parts[from..].join("/")));
        if found.is_some() {
            return found;
        }
    }
    None
}

/// A path from the root of the site, in the tree or in the folder that generators copy from.
fn in_tree(tree: &Path, name: &str) -> Option<PathBuf> {
    if tree.as_os_str().is_empty() {
        return None;
    }
    let tree = fs::canonicalize(tree).ok()?;
    let path = decoded(name.split(['?', '#']).next().unwrap_or_default());
    let path = path.trim_start_matches('/');
    ["", "static", "public"]
        .iter()
        .find_map(|part| within(&tree, Path::new(part).join(path)))
}

/// A file below a folder, whatever links and dots lead to it.
fn within(folder: &Path, path: impl AsRef<Path>) -> Option<PathBuf> {
    let plain = path
        .as_ref()
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    let found = fs::canonicalize(folder.join(path)).ok().filter(|_| plain)?;
    (found.starts_with(folder) && found.is_file()).then_some(found)
}

/// The end of a file's address, by which it is known on whatever host: with its year and month, as it
/// stands and without a size.
fn ends(address: &str) -> Vec<String> {
    let path = decoded(address.split(['?', '#']).next().unwrap_or_default());
    let parts: Vec<&str> = path.split('/').collect();
    let end = parts[parts.len().saturating_sub(3)..].join("/");
    let whole = without_size(&end);
    std::iter::once(end).chain(whole).collect()
}

/// `photo-300x200.jpg` is `photo.jpg`, made smaller by WordPress.
fn without_size(path: &str) -> Option<String> {
    let (stem, ending) = path.rsplit_once('.')?;
    let (name, size) = stem.rsplit_once('-')?;
    let (width, height) = size.split_once('x')?;
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (number(width) && number(height)).then(|| format!("{name}.{ending}"))
}

/// Fetches one medium, following a few redirects, each checked as the first address was.
async fn fetched(address: &str, fetch: Fetch) -> Result<(Medium, Vec<u8>), String> {
    if fetch.began.elapsed() > FETCH_ALL_MAX {
        return Err("fetching has taken two hours; the same command goes on".to_owned());
    }
    let mut url = Url::parse(address).map_err(|why| format!("its address is none: {why}"))?;
    for _ in 0..=REDIRECTS_MAX {
        let asked = timeout(FETCH_WAIT, ask(&url, fetch.near)).await;
        let said = asked.map_err(|_| "its server took longer than three minutes".to_owned())??;
        match said {
            Said::Bytes(bytes) => return media::prepared(bytes, address),
            Said::Elsewhere(to) => {
                url = url
                    .join(&to)
                    .map_err(|why| format!("it is redirected to no address: {why}"))?;
            }
        }
    }
    Err(format!("it is redirected more than {REDIRECTS_MAX} times"))
}

enum Said {
    Bytes(Vec<u8>),
    Elsewhere(String),
}

/// Asks one server, by the author's own curl: it brings TLS and the certificates of her system.
async fn ask(url: &Url, near: bool) -> Result<Said, String> {
    let (host, pinned) = judged(url, near).await?;
    let mut child = curl(url, &pinned).spawn().map_err(|_| {
        "curl, which fetches media, is not installed; install it, or give a copy with --media"
            .to_owned()
    })?;
    let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) else {
        return Err("curl could not be read".to_owned());
    };
    let (mut bytes, mut said) = (Vec::new(), Vec::new());
    let (mut out, mut err) = (out.take(MEDIUM_BYTES_MAX + 1), err.take(SAID_BYTES_MAX));
    let read = tokio::join!(out.read_to_end(&mut bytes), err.read_to_end(&mut said));
    if bytes.len() as u64 > MEDIUM_BYTES_MAX {
        return Err(format!(
            "it has more than {MEDIUM_BYTES_MAX} bytes; make it smaller"
        ));
    }
    let (Ok(_), Ok(_), Ok(ended)) = (read.0, read.1, child.wait().await) else {
        return Err("curl could not be read".to_owned());
    };
    let said = String::from_utf8_lossy(&said).into_owned();
    let (status, to) = said.trim().split_once(' ').unwrap_or((said.trim(), ""));
    match status {
        "200" if ended.success() => Ok(Said::Bytes(bytes)),
        "301" | "302" | "303" | "307" | "308" if !to.is_empty() => {
            Ok(Said::Elsewhere(to.to_owned()))
        }
        "000" | "200" | "" => Err(format!("{host} does not answer")),
        status => Err(format!("{host} answers {status}")),
    }
}

/// An address' host, and the numbers that it has, as far as they may be asked.
async fn judged(url: &Url, near: bool) -> Result<(String, String), String> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err("it leads to something else than http and https".to_owned());
    }
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err("its address has no host".to_owned());
    };
    let gone = || format!("there is no server {host} any more");
    let bare = host.trim_matches(['[', ']']);
    let found = lookup_host((bare, port)).await.map_err(|_| gone())?;
    let found: Vec<IpAddr> = found.map(|at| at.ip()).collect();
    if !near && !found.iter().all(is_public) {
        return Err(format!(
            "{host} is a server of this house, which is not asked"
        ));
    }
    let ip = match found.first().ok_or_else(gone)? {
        IpAddr::V6(ip) => format!("[{ip}]"),
        IpAddr::V4(ip) => ip.to_string(),
    };
    Ok((host.to_owned(), format!("{bare}:{port}:{ip}")))
}

/// The numbers that were judged are those that are asked, whatever the name says next.
fn curl(url: &Url, pinned: &str) -> Command {
    let mut curl = Command::new("curl");
    curl.args(["-q", "--silent", "--globoff", "--compressed"])
        .args([
            "--noproxy",
            "*",
            "--proto",
            "=http,https",
            "--max-redirs",
            "0",
        ])
        .args(["--user-agent", "spokes-import", "--resolve", pinned])
        .args(["--write-out", "%{stderr}%{http_code} %{redirect_url}"])
        .args(["--url", url.as_str()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    curl
}

/// Whether an address is one of the public network.
fn is_public(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            !(matches!(a, 0 | 10 | 127 | 224..)
                || a == 100 && (64..128).contains(&b)
                || ip.is_private()
                || ip.is_link_local()
                || ip.is_documentation()
                || (a, b, c) == (192, 0, 0)
                || a == 198 && matches!(b, 18 | 19))
        }
        IpAddr::V6(ip) => {
            let parts = ip.segments();
            if let Some(inner) = ip.to_ipv4_mapped() {
                return is_public(&IpAddr::V4(inner));
            }
            // Global unicast is 2000::/3; of it documentation, tunnels and translators are not.
            parts[0] & 0xE000 == 0x2000
                && !(parts[0] == 0x2001 && (parts[1] < 0x0200 || parts[1] == 0x0DB8))
                && parts[0] != 0x2002
                && parts[0] != 0x3FFF
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::author::strip::tests::photo;

    /// A server that answers requests in turn, then is silent.
    fn server(answers: Vec<Vec<u8>>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        std::thread::spawn(move || {
            use std::io::{Read as _, Write as _};
            for answer in answers {
                let (mut stream, _) = listener.accept().expect("a guest");
                let _read = stream.read(&mut [0; 4096]);
                // Whoever has read enough closes.
                stream.write_all(&answer).ok();
            }
        });
        format!("http://127.0.0.1:{port}")
    }

    fn answer(head: &str, body: &[u8]) -> Vec<u8> {
        let head = format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n");
        [head.as_bytes(), body].concat()
    }

    fn fetching(near: bool) -> Far {
        Far::new(None, None, Some(Fetch::new(near))).expect("sound")
    }

    async fn first(far: &mut Far, address: &str) -> Result<(Medium, Option<Vec<u8>>), String> {
        let found = far
            .bring(&format!("![x]({address})"), Path::new(""), &|_| None)
            .await;
        found.into_values().next().expect("looked for")
    }

    #[tokio::test]
    async fn photos_are_fetched_and_lose_what_the_camera_noted() {
        let moved = answer("302 Found\r\nLocation: /b.jpg", b"");
        let url = server(vec![moved, answer("200 OK", &photo(6))]);
        let (medium, bytes) = first(&mut fetching(true), &format!("{url}/a.jpg"))
            .await
            .expect("fetched");
        let bytes = bytes.expect("new");
        assert_eq!(medium.hash, Hash::of(&bytes));
        assert!(!bytes.windows(6).any(|window| window == b"secret"));
    }

    #[tokio::test]
    async fn what_may_not_be_fetched_is_named() {
        let url = server(vec![
            answer("404 Not Found", b""),
            answer("302 Found\r\nLocation: file:///etc/passwd", b""),
            answer("200 OK", b"<html>"),
            answer(
                "200 OK",
                &vec![b'x'; usize::try_from(MEDIUM_BYTES_MAX).expect("fits") + 1],
            ),
        ]);
        let far = &mut fetching(true);
        for word in [
            "answers 404",
            "something else than http",
            "none of the kinds",
            "more than",
        ] {
            let why = first(far, &format!("{url}/{}.png", word.len()))
                .await
                .expect_err(word);
            assert!(why.contains(word), "{why}");
        }
        let moved = answer("302 Found\r\nLocation: /again", b"");
        let url = server(vec![moved; REDIRECTS_MAX + 1]);
        let why = first(far, &format!("{url}/a.png"))
            .await
            .expect_err("a circle");
        assert!(why.contains("redirected more than"), "{why}");
        let why = first(&mut fetching(false), &format!("{url}/a.png"))
            .await
            .expect_err("near");
        assert!(why.contains("of this house"), "{why}");
    }

    #[test]
    fn addresses_of_the_house_are_told_from_public_ones() {
        for near in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.0.8",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "2001:db8::1",
            "2001::1",
        ] {
            assert!(!is_public(&near.parse().expect(near)), "{near}");
        }
        for far in [
            "1.1.1.1",
            "192.0.1.1",
            "100.128.0.1",
            "2606:4700::1111",
            "2001:4860:4860::8888",
        ] {
            assert!(is_public(&far.parse().expect(far)), "{far}");
        }
    }

    #[tokio::test]
    async fn a_copy_of_the_files_does_as_well() {
        let dir = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(dir.path().join("2014/01")).expect("made");
        fs::write(dir.path().join("2014/01/a b.gif"), b"GIF89a of one;").expect("written");
        fs::write(dir.path().join("secret"), b"GIF89a of two;").expect("written");
        let mut far = Far::new(Some(dir.path().join("2014")), None, None).expect("sound");
        far.of_site("https://old.example");
        for address in [
            "https://old.example/wp-content/uploads/2014/01/a%20b.gif?w=604",
            "/2014/01/a%20b-300x200.gif",
        ] {
            let (medium, _) = first(&mut far, address).await.expect(address);
            assert_eq!(medium.hash, Hash::of(b"GIF89a of one;"));
        }
        let why = first(&mut far, "https://old.example/x/../secret")
            .await
            .expect_err("outside");
        assert!(why.contains("--media"), "{why}");
        // Known from an earlier run, the copy is not needed.
        let mut again = Far {
            became: far.became.clone(),
            ..Far::default()
        };
        let known = |hash| {
            media::prepared(b"GIF89a of one;".to_vec(), "x")
                .ok()
                .map(|m| m.0)
                .filter(|m| m.hash == hash)
        };
        let text = "[x](/2014/01/a%20b-300x200.gif) ![y](https://old.example/wp-content/uploads/2014/01/a%20b.gif?w=604)";
        let found = again.bring(text, Path::new(""), &known).await;
        assert_eq!(
            found
                .values()
                .filter(|got| matches!(got, Ok((_, None))))
                .count(),
            2
        );
    }

    #[tokio::test]
    async fn a_path_of_the_site_is_looked_for_in_the_tree() {
        let dir = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(dir.path().join("static/img")).expect("made");
        fs::write(dir.path().join("static/img/a.gif"), b"GIF89a of one;").expect("written");
        let found = Far::default()
            .bring("![x](/img/a.gif) ![y](/img/b.gif)", dir.path(), &|_| None)
            .await;
        assert!(found["/img/a.gif"].is_ok());
        assert!(
            found["/img/b.gif"]
                .as_ref()
                .is_err_and(|why| why.contains("--media"))
        );
    }
}
