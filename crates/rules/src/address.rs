//! Where nodes are, who runs them, and what a network is called (SPEC registry 1.2).

use alloc::string::String;
use core::{fmt, net::IpAddr};

use spokes_log::text::{Value, is_ignorable};

/// An address and a port, spelled `192.0.2.1:80` or `[2001:db8::1]:80`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Address(pub core::net::SocketAddr);

impl Address {
    /// The same host, one port further.
    #[must_use]
    pub fn next_port(self) -> Self {
        let port = self.0.port().wrapping_add(1);
        Self(core::net::SocketAddr::new(self.0.ip(), port))
    }
}

impl Value for Address {
    fn parse(text: &str) -> Result<Self, &'static str> {
        const SHAPE: &str = "is not an address such as 192.0.2.1:80 or [2001:db8::1]:80";
        let address: core::net::SocketAddr = text.parse().map_err(|_| SHAPE)?;
        // The standard library reads more than it prints; a signed text has one spelling.
        if alloc::format!("{address}") == text {
            Ok(Self(address))
        } else {
            Err(SHAPE)
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The group that runs a spoke, as it calls itself.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Operator(String);

impl Operator {
    /// Reads an operator's name: 1 to 100 bytes, and nothing in it that nobody sees: copies of a blog are kept
    /// apart by these names, and two that look alike would pass for two operators.
    ///
    /// # Errors
    /// When it is longer, or holds what is not seen.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() || text.len() > 100 {
            return Err("is not a name of 1 to 100 bytes");
        }
        let mut before = ' ';
        for letter in text.chars() {
            let joins = matches!(letter, '\u{200c}' | '\u{200d}');
            let joined = !before.is_ascii() && !is_ignorable(before);
            let is_space = letter.is_whitespace();
            let unseen = is_ignorable(letter) && !(joins && joined);
            if unseen || is_space && (letter != ' ' || before == ' ') {
                return Err("holds letters or spaces that nobody sees");
            }
            before = letter;
        }
        if before == ' ' {
            return Err("ends in a space, which nobody sees");
        }
        Ok(Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Value for Operator {
    fn parse(text: &str) -> Result<Self, &'static str> {
        Self::parse(text)
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A domain name: labels of a-z, 0-9 and hyphens, at most 200 bytes, so that names below it fit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Domain(String);

impl Domain {
    /// Reads a domain.
    ///
    /// # Errors
    /// Says what a domain looks like.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let label = |l: &str| {
            (1..=63).contains(&l.len())
                && l.bytes()
                    .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
                && !l.starts_with('-')
                && !l.ends_with('-')
        };
        if text.len() <= 200 && text.split('.').all(label) {
            Ok(Self(text.into()))
        } else {
            Err("is not a domain such as blogs.example.org, in lower case")
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Value for Domain {
    fn parse(text: &str) -> Result<Self, &'static str> {
        Self::parse(text)
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// From how far an address is reached. A network of one machine or one house may use its own
/// addresses, and none from behind narrower walls than its council's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// Nobody serves there, or only the machine's own platform does.
    Nowhere,
    Machine,
    House,
    World,
}

pub(crate) fn reach(ip: IpAddr) -> Reach {
    match ip.to_canonical() {
        ip if ip.is_unspecified() || ip.is_multicast() => Reach::Nowhere,
        IpAddr::V4(ip) if ip.is_link_local() || ip.is_broadcast() => Reach::Nowhere,
        IpAddr::V6(ip) if ip.is_unicast_link_local() => Reach::Nowhere,
        ip if ip.is_loopback() => Reach::Machine,
        IpAddr::V4(ip) if ip.is_private() => Reach::House,
        IpAddr::V6(ip) if ip.is_unique_local() => Reach::House,
        _ => Reach::World,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_operators_that_look_alike_are_not_two() {
        for name in [
            "Group B",
            "مجموعة ب",
            "می\u{200c}خواهم",
            "क्\u{200d}ष",
            "Group 🌱",
        ] {
            assert!(Operator::parse(name).is_ok(), "{name:?}");
        }
        for name in [
            "Group\u{200b} B",
            "Group\u{200d} B",
            "Group\u{a0}B",
            "Group  B",
            " Group B",
            "Group B ",
            "Group B\u{2060}",
            "Group B\u{fe0f}",
            "Gro\u{ad}up B",
            "",
        ] {
            assert!(Operator::parse(name).is_err(), "{name:?}");
        }
    }
}
