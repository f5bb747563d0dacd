//! Name servers and tools of others, as Debian ships them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use super::{run, wait_for};

/// A running resolver that validates; it ends with this.
pub(crate) struct Resolver {
    pub(crate) port: u16,
    process: Child,
    said: PathBuf,
}

impl Drop for Resolver {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        if thread::panicking() {
            let said = fs::read_to_string(&self.said).unwrap_or_default();
            eprintln!("--- unbound\n{said}");
        }
    }
}

impl Resolver {
    /// Unbound, which asks these servers for one zone, and trusts one key of it.
    pub(crate) fn start(
        home: &Path,
        port: u16,
        zone: &str,
        servers: &[String],
        trusted: &str,
    ) -> Self {
        let servers = servers
            .iter()
            .map(|server| format!("  stub-addr: {server}\n"));
        let servers: String = servers.collect();
        let config = home.join("unbound.conf");
        let text = format!(
            "server:\n  interface: 127.0.0.1\n  port: {port}\n  do-not-query-localhost: no\n  do-daemonize: no\n  \
             chroot: \"\"\n  username: \"\"\n  pidfile: \"\"\n  use-syslog: no\n  verbosity: 1\n  val-log-level: 2\n  \
             module-config: \"validator iterator\"\n  trust-anchor: \"{trusted}\"\n  local-zone: \"localhost.\" nodefault\n  cache-min-ttl: 0\n  \
             val-bogus-ttl: 0\n  infra-host-ttl: 1\nremote-control:\n  control-enable: no\nstub-zone:\n  \
             name: \"{zone}\"\n{servers}"
        );
        fs::write(&config, text).unwrap();
        let said = home.join("unbound.said");
        let out = fs::File::create(&said).unwrap();
        let process = Command::new("unbound")
            .args(["-d", "-c", config.to_str().unwrap()])
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .expect("unbound is needed by this test");
        let resolver = Self {
            port,
            process,
            said,
        };
        wait_for("unbound answers", Duration::from_secs(10), || {
            resolver
                .ask("SOA", zone)
                .contains("status: NOERROR")
                .then_some(())
        });
        resolver
    }

    /// What it answers, as dig prints it: `flags: … ad` where it was validated.
    pub(crate) fn ask(&self, rtype: &str, name: &str) -> String {
        dig(
            "127.0.0.1",
            self.port,
            &["+dnssec", "+noall", "+comments", "+answer", name, rtype],
        )
    }
}

/// What a name server answers.
pub(crate) fn dig(server: &str, port: u16, asked: &[&str]) -> String {
    let (at, port) = (format!("@{server}"), port.to_string());
    let all = [&["+tries=1", "+time=5", &at, "-p", &port], asked].concat();
    run("dig", &all).1
}

/// What `delv` says of a name, with nothing but this file of trusted keys.
pub(crate) fn delv(
    server: &str,
    port: u16,
    (zone, trusted): (&str, &Path),
    rtype: &str,
    name: &str,
) -> String {
    let (at, port) = (format!("@{server}"), port.to_string());
    let (root, trusted) = (format!("+root={zone}"), trusted.to_str().unwrap());
    run(
        "delv",
        &[&at, "-p", &port, "-a", trusted, &root, name, rtype],
    )
    .1
}
