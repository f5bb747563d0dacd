//! Pages read beside nginx, and for the first time.

use std::{
    fs,
    path::Path,
    process::{Child, Command},
    time::Duration,
};

use crate::{
    Failed, ROUNDS,
    desk::{Author, Demo, cpu_seconds, free_port},
    median, print,
};

/// A published page of 2,000 words and a blog's index, gzip, 32 connections, beside nginx with the same bytes;
/// and pages read for the first time.
pub(crate) async fn page() -> Result<(), Failed> {
    let demo = Demo::start(1, 1)?;
    let mut author = Author::new("bench")?;
    let spoke = demo.claim(&mut author, "bench").await?;
    demo.post(&mut author, spoke, "bench", 0).await?;
    let host = "bench.blogs.localhost";
    if Command::new("wrk").arg("-v").output().is_err()
        || Command::new("nginx").arg("-v").output().is_err()
    {
        print(
            "page beside nginx",
            "left out: needs wrk and nginx (apt-get install wrk nginx-light)",
        );
        return Ok(());
    }
    beside_nginx(&demo, spoke, host, "/post-0", "published page").await?;
    first_reads(&demo, &mut author, spoke, host).await?;
    beside_nginx(&demo, spoke, host, "/", "index of a blog").await
}

async fn beside_nginx(
    demo: &Demo,
    spoke: std::net::SocketAddr,
    host: &str,
    path: &str,
    what: &str,
) -> Result<(), Failed> {
    let url = format!("http://{spoke}{path}");
    let asked = reqwest::Client::new().get(&url).header("host", host);
    let bytes = asked.send().await?.bytes().await?;
    let nginx = Nginx::start(&demo.dir, &bytes)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let serving = demo.pid(&demo.label(spoke)?)?;
    for _ in 0..ROUNDS {
        ours.push(wrk(&url, host, &[serving])?);
        let url = format!("http://127.0.0.1:{}/post", nginx.port);
        theirs.push(wrk(&url, host, &nginx.workers()?)?);
    }
    let (ours, theirs) = (Load::median(&ours), Load::median(&theirs));
    print(
        &format!("{what}, {} bytes, gzip, 32 connections", bytes.len()),
        &format!(
            "{:.0}/s = {:.2} x nginx's {:.0}/s; CPU {:.1} us = {:.2} x; p99 {:.2} ms = {:.2} x",
            ours.rate,
            ours.rate / theirs.rate,
            theirs.rate,
            ours.cpu,
            ours.cpu / theirs.cpu,
            ours.p99,
            ours.p99 / theirs.p99
        ),
    );
    Ok(())
}

/// CPU of pages that nobody has asked for since they were published.
async fn first_reads(
    demo: &Demo,
    author: &mut Author,
    spoke: std::net::SocketAddr,
    host: &str,
) -> Result<(), Failed> {
    const PAGES: usize = 300;
    for number in 1..=PAGES {
        demo.post(author, spoke, "bench", number).await?;
    }
    let serving = [demo.pid(&demo.label(spoke)?)?];
    let http = reqwest::Client::new();
    let before = cpu_seconds(&serving)?;
    for number in 1..=PAGES {
        let asked = http.get(format!("http://{spoke}/post-{number}"));
        let page = asked.header("host", host).send().await?;
        assert!(page.status().is_success());
        page.bytes().await?;
    }
    let each = (cpu_seconds(&serving)? - before) / PAGES as f64;
    print(
        "first read of a page of 2,000 words, CPU",
        &format!("{:.2} ms", each * 1_000.0),
    );
    Ok(())
}

/// What one server did under load.
#[derive(Clone, Copy)]
struct Load {
    /// Requests a second.
    rate: f64,
    /// Microseconds of CPU for each.
    cpu: f64,
    /// Milliseconds.
    p99: f64,
}

impl Load {
    fn median(rounds: &[Self]) -> Self {
        let of = |get: fn(&Self) -> f64| median(rounds.iter().map(get).collect());
        Self {
            rate: of(|l| l.rate),
            cpu: of(|l| l.cpu),
            p99: of(|l| l.p99),
        }
    }
}

fn wrk(url: &str, host: &str, serving: &[u64]) -> Result<Load, Failed> {
    let before = cpu_seconds(serving)?;
    let output = Command::new("wrk")
        .args([
            "-t1",
            "-c32",
            "-d3s",
            "--latency",
            "-H",
            "Accept-Encoding: gzip",
            "-H",
        ])
        .arg(format!("Host: {host}"))
        .arg(url)
        .output()?;
    let spent = cpu_seconds(serving)? - before;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let word = |begin: &str, at: usize| -> Result<String, Failed> {
        let line = said.lines().find(|l| l.trim().starts_with(begin));
        let line = line.ok_or_else(|| format!("wrk did not say {begin}"))?;
        let word = line
            .split_whitespace()
            .nth(at)
            .ok_or("wrk said no figure")?;
        Ok(word.to_owned())
    };
    let p99 = word("99%", 1)?;
    let (figure, unit) = p99.split_at(p99.find(|c: char| c.is_alphabetic()).unwrap_or(0));
    let times = match unit {
        "us" => 0.001,
        "ms" => 1.0,
        _ => 1_000.0,
    };
    let requests: f64 = said
        .lines()
        .find_map(|line| line.split_once(" requests in "))
        .ok_or("wrk counted nothing")?
        .0
        .trim()
        .parse()?;
    Ok(Load {
        rate: word("Requests/sec:", 1)?.parse()?,
        cpu: spent * 1_000_000.0 / requests,
        p99: figure.parse::<f64>()? * times,
    })
}

struct Nginx {
    child: Child,
    port: u16,
}

impl Nginx {
    fn start(dir: &Path, page: &[u8]) -> Result<Self, Failed> {
        use std::io::Write as _;
        let root = dir.join("nginx");
        fs::create_dir_all(&root)?;
        fs::write(root.join("post"), page)?;
        let gz = flate2::Compression::default();
        let mut gz = flate2::write::GzEncoder::new(fs::File::create(root.join("post.gz"))?, gz);
        gz.write_all(page)?;
        gz.finish()?;
        let port = free_port()?;
        let conf = format!(
            "daemon off; worker_processes 2; pid {0}/pid; error_log {0}/error.log;\n\
             events {{ worker_connections 1024; }}\n\
             http {{ access_log off; sendfile on; default_type text/html; keepalive_requests 1000000;\n\
             server {{ listen 127.0.0.1:{port}; root {0}; gzip_static on; }} }}\n",
            root.display()
        );
        fs::write(root.join("nginx.conf"), conf)?;
        let child = Command::new("nginx")
            .arg("-c")
            .arg(root.join("nginx.conf"))
            .spawn()?;
        std::thread::sleep(Duration::from_millis(500));
        Ok(Self { child, port })
    }

    /// The processes that answer.
    fn workers(&self) -> Result<Vec<u64>, Failed> {
        let master = self.child.id();
        let path = format!("/proc/{master}/task/{master}/children");
        let children = fs::read_to_string(path)?;
        let parsed = children.split_whitespace().map(str::parse);
        Ok(parsed.collect::<Result<_, _>>()?)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        drop(
            Command::new("kill")
                .arg(self.child.id().to_string())
                .status(),
        );
        drop(self.child.wait());
    }
}
