//! A signed zone, judged by the programs that the world judges with: delv, Unbound, ldns-verify-zone.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

mod common;

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::Path,
    thread,
    time::{Duration, Instant, SystemTime},
};

use common::{
    Random,
    demo::free_ports,
    run,
    stock::{Resolver, delv, dig},
};
use spokes::dns::{
    edition::Editions,
    serve::Server,
    signed::{Keys, MirrorKey},
    signer::ZoneSecret,
    signing::Stamp,
    zone::Zone,
};
use spokes_rules::{
    dnssec::{Cover, Signs, wire},
    zone::{Data, Node, RrSet, Soa},
};

const ZONE: &str = "blogs.example";
const SERVER: &str = "127.0.1.9";
const SECRET: &[u8; 32] = b"a secret that everybody may know";
/// Seconds for which keys may be remembered here, so that what lies behind it comes soon.
const KEYS_TTL: u32 = 2;
const DNSKEY: u16 = 48;
const CDS: u16 = 59;
const CDNSKEY: u16 = 60;
const RRSIG: u16 = 46;
const HOUR: u32 = 60 * 60;

fn now() -> u32 {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    u32::try_from(since).unwrap()
}

fn secret(seed: u8) -> ZoneSecret {
    ZoneSecret::from_seed(&[seed; 32]).unwrap()
}

/// A zone that this test signs and serves.
struct Press {
    editions: Editions,
    names: BTreeMap<String, Node>,
    serial: u32,
    /// Keys that are shown: organizers' and nodes'.
    top: Vec<u8>,
    nodes: Vec<u8>,
    /// That which signs.
    signs: u8,
    dice: Random,
    port: u16,
    runtime: tokio::runtime::Runtime,
}

impl Press {
    fn begin(dir: &Path) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let editions = Editions::new(ZONE).unwrap();
        let mut zone = Zone::new(ZONE).unwrap();
        zone.secure();
        editions.replace(zone, Some((dir.to_owned(), 1)));
        let keys = Keys::default();
        keys.set([MirrorKey::new("dig", "dig.council1.blogs.example", SECRET).unwrap()]);
        let at = SocketAddr::new(SERVER.parse().unwrap(), free_ports().1);
        let server = runtime.block_on(Server::bind(at, editions.clone(), keys)).unwrap();
        runtime.spawn(server.run(std::future::pending()));
        let mut press = Self {
            editions,
            names: BTreeMap::new(),
            serial: 1,
            top: vec![1],
            nodes: vec![11, 12],
            signs: 11,
            dice: Random::new(7),
            port: at.port(),
            runtime,
        };
        let blogs: Vec<(String, Node)> = (0..60).flat_map(blog).collect();
        press.publish(blogs);
        press
    }

    /// What the keys that organizers hold offline have signed.
    fn keys(&self) -> Node {
        let apex = wire(ZONE);
        let top: Vec<ZoneSecret> = self.top.iter().map(|seed| secret(*seed)).collect();
        let nodes = self.nodes.iter().map(|seed| secret(*seed).key().dnskey(Signs::Zone));
        let shown = top.iter().map(|top| top.key().dnskey(Signs::Keys)).chain(nodes);
        let sets = [
            (DNSKEY, shown.collect::<Vec<_>>()),
            (CDS, top.iter().map(|top| top.key().ds(&apex)).collect()),
            (CDNSKEY, top.iter().map(|top| top.key().dnskey(Signs::Keys)).collect()),
        ];
        let (mut node, mut signatures) = (Node::new(), Vec::new());
        for (rtype, records) in sets {
            for top in &top {
                let cover = Cover {
                    rtype,
                    ttl: KEYS_TTL,
                    inception: now() - HOUR,
                    expiration: now() + HOUR,
                    tag: top.key().tag(Signs::Keys),
                    apex: &apex,
                };
                let bytes = cover.signed(&apex, records.iter().map(Vec::as_slice));
                let mut data = cover.rrsig(&apex);
                data.extend(top.sign(&bytes).unwrap().bytes());
                signatures.push(Data::Other { rtype: RRSIG, data });
            }
            let data = records.into_iter().map(|data| Data::Other { rtype, data });
            node.push(set(KEYS_TTL, data.collect()));
        }
        node.push(set(KEYS_TTL, signatures));
        node
    }

    fn apex(&self) -> (String, Node) {
        let soa = Soa {
            primary: format!("ns1.{ZONE}"),
            mailbox: format!("hostmaster.{ZONE}"),
            serial: self.serial,
            refresh: 60,
            retry: 30,
            expire: 604_800,
            minimum: 1,
        };
        let caa = Data::Caa {
            flags: 0,
            tag: "issue".to_owned(),
            value: "ca.example".to_owned(),
        };
        let mut apex = vec![
            set(2, vec![Data::Soa(soa)]),
            set(2, vec![Data::Ns(format!("ns1.{ZONE}"))]),
            set(2, vec![Data::A([192, 0, 2, 1].into())]),
            set(2, vec![caa]),
        ];
        apex.extend(self.keys());
        (ZONE.to_owned(), apex)
    }

    /// Publishes, and signs what has to be.
    fn publish(&mut self, mut names: Vec<(String, Node)>) {
        self.names.extend(names.clone());
        self.serial += 1;
        names.push(self.apex());
        self.signed(names, &[]);
    }

    fn signed(&self, names: Vec<(String, Node)>, renewed: &[Box<[u8]>]) {
        let secret = secret(self.signs);
        let stamp = Stamp {
            inception: now() - HOUR,
            expiration: now() + HOUR,
            tag: secret.key().tag(Signs::Zone),
        };
        let draft = self.editions.draft(names, renewed);
        let signatures = draft.sign(&secret, stamp).unwrap();
        let written = draft.signed(stamp, &signatures).unwrap();
        self.editions.publish_written(self.serial, written);
    }

    /// Another key signs all, some names with each version.
    fn sign_anew(&mut self, seed: u8) {
        self.signs = seed;
        let mut last = None;
        loop {
            let zone = self.editions.zone();
            let names = zone.read().unwrap().names_behind(last.as_deref(), 20);
            let Some(name) = names.last() else { return };
            last = Some(name.clone());
            self.serial += 1;
            self.signed(vec![self.apex()], &names);
        }
    }

    /// A blog comes, goes, or moves.
    fn change(&mut self) {
        let number = self.dice.below(90);
        let mut names = blog(number);
        match self.dice.below(3) {
            0 => names.iter_mut().for_each(|(_, node)| node.clear()),
            1 => names[0].1.clear(),
            _ => {}
        }
        self.publish(names);
    }

    fn transferred(&self, to: &Path) {
        let key = "hmac-sha256:dig.council1.blogs.example:YSBzZWNyZXQgdGhhdCBldmVyeWJvZHkgbWF5IGtub3c=";
        let said = dig(SERVER, self.port, &["-y", key, "+onesoa", ZONE, "AXFR"]);
        assert!(said.contains("XFR size"), "{said}");
        // The signature of the transfer is no record of the zone.
        let records = said.lines().filter(|line| line.contains("\tIN\t"));
        fs::write(to, records.collect::<Vec<_>>().join("\n") + "\n").unwrap();
    }
}

fn set(ttl: u32, data: Vec<Data>) -> RrSet {
    RrSet { ttl, data }
}

/// The names of a blog, as the registry has them.
fn blog(number: usize) -> Vec<(String, Node)> {
    let last = u8::try_from(number).unwrap();
    let v6 = |last: u8| Data::Aaaa([0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into()].into());
    let text = Data::Txt(format!("v=1 blog=sha256:{number} epoch=1 primary=oak"));
    vec![
        (
            format!("blog{number}.{ZONE}"),
            vec![
                set(2, vec![Data::A([192, 0, 2, last].into()), Data::A([192, 0, 2, last + 1].into())]),
                set(2, vec![v6(last)]),
            ],
        ),
        (format!("edit.blog{number}.{ZONE}"), vec![set(2, vec![v6(last)])]),
        (format!("_blog.blog{number}.{ZONE}"), vec![set(2, vec![text])]),
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// Tag and digest of an organizer's key.
fn ds(seed: u8) -> (u16, String) {
    let key = secret(seed).key();
    (key.tag(Signs::Keys), hex(&key.ds(&wire(ZONE))[4..]))
}

fn verify(zone: &Path) {
    let (code, said) = run("ldns-verify-zone", &["-V", "3", zone.to_str().unwrap()]);
    assert!(code == 0 && said.contains("is verified and complete"), "{said}");
}

#[test]
fn stock_tools_find_nothing_wrong_in_a_signed_zone() {
    let home = tempfile::tempdir().unwrap();
    let mut press = Press::begin(home.path());
    // The name of a blog whose servers are all gone is there only for those below it.
    press.publish(vec![(format!("blog7.{ZONE}"), vec![])]);
    let file = home.path().join("zone");
    press.transferred(&file);
    verify(&file);
    let (tag, digest) = ds(1);
    let trusted = home.path().join("trusted");
    let anchor = format!("trust-anchors {{ \"{ZONE}.\" static-ds {tag} 13 2 \"{digest}\"; }};\n");
    fs::write(&trusted, anchor).unwrap();
    let at = (ZONE, trusted.as_path());
    for (rtype, name, expected) in [
        ("A", format!("blog1.{ZONE}"), "; fully validated\n"),
        ("AAAA", format!("edit.blog1.{ZONE}"), "; fully validated\n"),
        ("TXT", format!("_blog.blog1.{ZONE}"), "; fully validated\n"),
        ("SOA", ZONE.to_owned(), "; fully validated\n"),
        ("DNSKEY", ZONE.to_owned(), "; fully validated\n"),
        ("CDS", ZONE.to_owned(), "; fully validated\n"),
        ("CDNSKEY", ZONE.to_owned(), "; fully validated\n"),
        ("CAA", ZONE.to_owned(), "; fully validated\n"),
        ("MX", format!("blog1.{ZONE}"), "; negative response, fully validated\n"),
        ("A", format!("blog7.{ZONE}"), "; negative response, fully validated\n"),
        ("CNAME", format!("blog1.{ZONE}"), "; negative response, fully validated\n"),
        ("DNAME", ZONE.to_owned(), "; negative response, fully validated\n"),
        ("A", format!("nobody.{ZONE}"), "; negative response, fully validated\n"),
        ("A", format!("a.b.blog1.{ZONE}"), "; negative response, fully validated\n"),
        ("TXT", format!("*.{ZONE}"), "; negative response, fully validated\n"),
    ] {
        let said = delv(SERVER, press.port, at, rtype, &name);
        assert!(said.contains(expected), "{rtype} {name}: {said}");
    }
    // Whoever trusts another key believes nothing of it.
    let (tag, digest) = ds(2);
    let anchor = format!("trust-anchors {{ \"{ZONE}.\" static-ds {tag} 13 2 \"{digest}\"; }};\n");
    fs::write(&trusted, anchor).unwrap();
    let said = delv(SERVER, press.port, at, "A", &format!("blog1.{ZONE}"));
    assert!(said.contains("resolution failed"), "{said}");
    for round in 0..20 {
        (0..20).for_each(|_| press.change());
        if round % 5 == 0 {
            press.transferred(&file);
            verify(&file);
        }
    }
    press.transferred(&file);
    verify(&file);
    drop(press.runtime);
}

/// Asks a resolver for names of all kinds; none may be bogus.
fn ask(resolver: &Resolver, dice: &mut Random) {
    let name = ["", "edit.", "_blog.", "x."][dice.below(4)];
    let name = format!("{name}blog{}.{ZONE}", dice.below(90));
    let rtype = ["A", "AAAA", "TXT", "MX"][dice.below(4)];
    let said = resolver.ask(rtype, &name);
    let is_answer = said.contains("status: NOERROR") || said.contains("status: NXDOMAIN");
    let flags = said.lines().find(|line| line.contains("flags:")).unwrap_or_default();
    assert!(is_answer && flags.contains(" ad"), "{rtype} {name}: {said}");
}

#[test]
fn a_validating_resolver_never_doubts_while_names_and_keys_change() {
    let home = tempfile::tempdir().unwrap();
    let mut press = Press::begin(home.path());
    let (tag, digest) = ds(1);
    let server = format!("{SERVER}@{}", press.port);
    let trusted = format!("{ZONE}. DS {tag} 13 2 {digest}");
    let resolver = Resolver::start(home.path(), free_ports().0, ZONE, &server, &trusted);
    let mut dice = Random::new(3);
    // Keys are remembered for so long at most.
    let wait = Duration::from_secs(u64::from(KEYS_TTL) + 1);
    let go_on = |press: &mut Press, dice: &mut Random| {
        let until = Instant::now() + wait;
        while Instant::now() < until {
            press.change();
            ask(&resolver, dice);
        }
    };
    go_on(&mut press, &mut dice);
    // A node's key that all know by now signs; the other one goes when nobody can need it any more.
    press.sign_anew(12);
    go_on(&mut press, &mut dice);
    press.nodes = vec![12, 13];
    go_on(&mut press, &mut dice);
    press.sign_anew(13);
    go_on(&mut press, &mut dice);
    press.nodes = vec![13];
    press.change();
    go_on(&mut press, &mut dice);
    // An organizer's next key beside that which the resolver trusts.
    press.top = vec![1, 2];
    press.change();
    go_on(&mut press, &mut dice);
    let file = home.path().join("zone");
    press.transferred(&file);
    verify(&file);
    // And as a check of the check: a key that signs though nobody can know it.
    press.signs = 14;
    press.sign_anew(14);
    thread::sleep(Duration::from_secs(3));
    let said = resolver.ask("A", &format!("blog1.{ZONE}"));
    let said = said + &resolver.ask("A", &format!("nobody.{ZONE}"));
    assert!(said.contains("status: SERVFAIL"), "{said}");
}
