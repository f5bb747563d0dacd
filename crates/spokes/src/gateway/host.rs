//! Whom a request is for.

use std::net::IpAddr;

use http::header::HOST;
use http::uri::Authority;
use http::{HeaderValue, Request};

/// The host of a request, read once at the edge.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) asked: Asked,
    /// The port that the reader's browser used, for links back to this gateway.
    pub(crate) port: Option<u16>,
    /// What the spoke is told: as the client sent it.
    pub(crate) header: HeaderValue,
}

/// A name in lower case, without port and without a dot at its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The network's apex or a name below it.
    Ours(String),
    /// A name of some other network: no council of ours can answer for it.
    Foreign(String),
}

/// The request names its host twice, or unreadably: RFC 9112 §3.2 wants 400.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unreadable;

impl Host {
    /// `domain` in lower case. An IP address, `localhost` or no host at all means the apex.
    pub(crate) fn of<B>(request: &Request<B>, domain: &str) -> Result<Self, Unreadable> {
        // RFC 9112 §3.2.2: a host in the request line outdoes the header.
        if let Some(authority) = request.uri().authority() {
            let header = HeaderValue::from_str(authority.as_str()).map_err(|_| Unreadable)?;
            return Self::parse(authority, header, domain);
        }
        let mut headers = request.headers().get_all(HOST).iter();
        let header = headers.next().filter(|header| !header.is_empty());
        if headers.next().is_some() {
            return Err(Unreadable);
        }
        let Some(header) = header else {
            let header = HeaderValue::from_str(domain).map_err(|_| Unreadable)?;
            return Ok(Self {
                asked: Asked::Ours(domain.to_owned()),
                port: None,
                header,
            });
        };
        let authority = Authority::try_from(header.as_bytes()).map_err(|_| Unreadable)?;
        Self::parse(&authority, header.clone(), domain)
    }

    fn parse(authority: &Authority, header: HeaderValue, domain: &str) -> Result<Self, Unreadable> {
        if authority.as_str().contains('@') {
            return Err(Unreadable);
        }
        let name = authority.host().to_ascii_lowercase();
        let name = name.strip_suffix('.').unwrap_or(&name);
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        let asked = if name == "localhost" || bare.parse::<IpAddr>().is_ok() {
            Asked::Ours(domain.to_owned())
        } else if name
            .strip_suffix(domain)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        {
            Asked::Ours(name.to_owned())
        } else {
            Asked::Foreign(name.to_owned())
        };
        Ok(Self {
            asked,
            port: authority.port_u16(),
            header,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOMAIN: &str = "blogs.localhost";

    fn check(target: &str, hosts: &[&str], expected: &str) {
        let mut request = Request::builder().uri(target);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let told = match Host::of(&request.body(()).unwrap(), DOMAIN) {
            Ok(Host {
                asked: Asked::Ours(name),
                header,
                ..
            }) => {
                format!("{name}, told {}", header.to_str().unwrap())
            }
            Ok(Host {
                asked: Asked::Foreign(name),
                ..
            }) => format!("foreign {name}"),
            Err(Unreadable) => "unreadable".to_owned(),
        };
        assert_eq!(told, expected, "{target} {hosts:?}");
    }

    #[test]
    fn a_host_is_a_name_of_ours_or_the_apex() {
        check(
            "/",
            &["blogs.localhost:8080"],
            "blogs.localhost, told blogs.localhost:8080",
        );
        check(
            "/",
            &["Maria.Blogs.Localhost"],
            "maria.blogs.localhost, told Maria.Blogs.Localhost",
        );
        check(
            "/",
            &["maria.blogs.localhost."],
            "maria.blogs.localhost, told maria.blogs.localhost.",
        );
        for apex in [
            "localhost",
            "localhost:8080",
            "127.0.0.1:8080",
            "[::1]:8080",
            "10.0.0.7",
        ] {
            check("/", &[apex], &format!("blogs.localhost, told {apex}"));
        }
        check("/", &[], "blogs.localhost, told blogs.localhost");
        check("/", &[""], "blogs.localhost, told blogs.localhost");
    }

    #[test]
    fn a_host_of_another_network_is_foreign() {
        check("/", &["example.org"], "foreign example.org");
        check("/", &["notblogs.localhost"], "foreign notblogs.localhost");
        check(
            "/",
            &["blogs.localhost.example.org"],
            "foreign blogs.localhost.example.org",
        );
    }

    #[test]
    fn a_host_in_the_request_line_wins() {
        check(
            "http://maria.blogs.localhost:8080/x",
            &["carlos.blogs.localhost"],
            "maria.blogs.localhost, told maria.blogs.localhost:8080",
        );
    }

    #[test]
    fn two_hosts_or_nonsense_are_refused() {
        check(
            "/",
            &["a.blogs.localhost", "b.blogs.localhost"],
            "unreadable",
        );
        check("/", &["", "b.blogs.localhost"], "unreadable");
        check("/", &["a b"], "unreadable");
        check("/", &["maria@blogs.localhost"], "unreadable");
        check("/", &["maria.blogs.localhost/x"], "unreadable");
    }
}
