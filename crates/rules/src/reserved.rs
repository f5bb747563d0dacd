//! Names that are kept from blogs.

use spokes_log::name::BlogName;

/// Names that no blog may have (SPEC dns 3).
const RESERVED: &[&str] = &[
    "abuse",
    "about",
    "account",
    "admin",
    "administrator",
    "api",
    "archive",
    "auth",
    "autoconfig",
    "autodiscover",
    "blog",
    "blogs",
    "broadcasthost",
    "cdn",
    "council",
    "dashboard",
    "desk",
    "dns",
    "edit",
    "feed",
    "feeds",
    "ftp",
    "gateway",
    "healthz",
    "help",
    "hostmaster",
    "imap",
    "info",
    "inner",
    "isatap",
    "localdomain",
    "localhost",
    "login",
    "mail",
    "media",
    "metrics",
    "mta-sts",
    "network",
    "news",
    "noc",
    "openpgpkey",
    "pop",
    "pop3",
    "postmaster",
    "root",
    "search",
    "security",
    "smtp",
    "spoke",
    "spokes",
    "ssl",
    "static",
    "status",
    "support",
    "tags",
    "usenet",
    "uucp",
    "webmaster",
    "webmail",
    "well-known",
    "wpad",
    "www",
];

/// Whether a name is kept from blogs, `ns` and a number included.
pub fn is_reserved(name: &BlogName) -> bool {
    let name = name.as_str();
    let nameserver = name
        .strip_prefix("ns")
        .is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
    nameserver || RESERVED.contains(&name)
}
