//! Who may issue certificates for a network's names: CAA records of its apex (SPEC registry 3.33, RFC 8659).

use alloc::string::{String, ToString as _};
use core::fmt;

use spokes_log::text::Value;

use crate::address::Domain;

/// Rules of one network. Four authorities for names and four for wildcards are more than anybody uses, and two places
/// that hear of what was refused.
pub const CAA_MAX: usize = 10;
/// Bytes of what a rule says: an authority with the address of an account there, or a place to write to.
pub const CAA_VALUE_BYTES_MAX: usize = 200;

/// What a rule is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tag {
    /// Who may issue certificates (RFC 8659 section 4.2).
    Issue,
    /// Who may issue those with a wildcard, in place of the first (section 4.3).
    IssueWild,
    /// Where authorities say that they were asked in vain (section 4.4).
    Iodef,
}

impl Tag {
    /// As it stands in the record.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Issue => "issue",
            Self::IssueWild => "issuewild",
            Self::Iodef => "iodef",
        }
    }
}

/// One rule: `issue letsencrypt.org`, `issuewild ;`, `critical iodef mailto:security@example.org`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Caa {
    /// An authority that does not know this tag must refuse.
    pub critical: bool,
    /// What it is about.
    pub tag: Tag,
    value: String,
}

impl Caa {
    /// Reads what a rule says, in its one spelling: an authority's domain in lower case, `; ` and `name=value` behind it
    /// for each parameter, or `;` alone, which is nobody; of `iodef` an address.
    ///
    /// # Errors
    /// Says what such a value looks like.
    pub fn new(tag: Tag, value: &str) -> Result<Self, &'static str> {
        if value.len() > CAA_VALUE_BYTES_MAX {
            return Err("is longer than 200 bytes");
        }
        match tag {
            Tag::Issue | Tag::IssueWild => issuer(value)?,
            Tag::Iodef => place(value)?,
        }
        let (critical, value) = (false, value.to_string());
        Ok(Self {
            critical,
            tag,
            value,
        })
    }

    /// What it says of its tag.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether it says that nobody may.
    fn is_nobody(&self) -> bool {
        self.value == ";"
    }
}

/// The tag of which rules say both that nobody may issue certificates and that somebody may, if there is one.
pub(crate) fn contradiction(rules: &[Caa]) -> Option<Tag> {
    let says_both = |tag: &Tag| {
        let mut of_it = rules.iter().filter(|rule| rule.tag == *tag);
        of_it.clone().any(Caa::is_nobody) && !of_it.all(Caa::is_nobody)
    };
    [Tag::Issue, Tag::IssueWild].into_iter().find(says_both)
}

fn issuer(value: &str) -> Result<(), &'static str> {
    if value == ";" {
        return Ok(());
    }
    let mut parts = value.split("; ");
    // Of one label there is no authority.
    let is_domain = |name: &str| name.contains('.') && Domain::parse(name).is_ok();
    if !parts.next().is_some_and(is_domain) {
        return Err(
            "is not the domain of an authority such as letsencrypt.org, in lower case, or \";\" for nobody",
        );
    }
    let is_parameter = |part: &str| {
        part.split_once('=').is_some_and(|(name, value)| {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
            let named = !name.is_empty() && name.bytes().all(plain);
            let ends = name.starts_with('-') || name.ends_with('-');
            let visible = |b: u8| b.is_ascii_graphic() && b != b';';
            named && !ends && !value.is_empty() && value.bytes().all(visible)
        })
    };
    if parts.all(is_parameter) {
        Ok(())
    } else {
        Err("has behind the authority something else than \"; name=value\"")
    }
}

fn place(value: &str) -> Result<(), &'static str> {
    let is_full = |rest: &str| !rest.is_empty() && !rest.starts_with('/');
    let schemes = ["https://", "http://"];
    let mut pages = schemes
        .into_iter()
        .filter_map(|scheme| value.strip_prefix(scheme));
    let mailbox = value.strip_prefix("mailto:");
    let mailbox = mailbox.and_then(|mailbox| mailbox.split_once('@'));
    let is_mailbox =
        mailbox.is_some_and(|(local, domain)| is_full(local) && Domain::parse(domain).is_ok());
    if value.bytes().all(|b| b.is_ascii_graphic()) && (is_mailbox || pages.any(is_full)) {
        Ok(())
    } else {
        Err(
            "is not a place to write to such as mailto:security@example.org or https://example.org/caa",
        )
    }
}

impl Value for Caa {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let (critical, rest) = match text.strip_prefix("critical ") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (tag, value) = rest.split_once(' ').unwrap_or((rest, ""));
        let tag = [Tag::Issue, Tag::IssueWild, Tag::Iodef]
            .into_iter()
            .find(|known| known.as_str() == tag)
            .ok_or("does not begin with issue, issuewild or iodef")?;
        let rule = Self::new(tag, value)?;
        Ok(Self { critical, ..rule })
    }
}

impl fmt::Display for Caa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.critical {
            f.write_str("critical ")?;
        }
        write!(f, "{} {}", self.tag.as_str(), self.value)
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(rule: &str, expected: &str) {
        let told = match Caa::parse(rule) {
            Ok(read) => {
                assert_eq!(read.to_string(), rule);
                "good".to_string()
            }
            Err(why) => why.to_string(),
        };
        assert!(told.contains(expected), "{rule:?}: {told}");
    }

    #[test]
    fn a_rule_names_an_authority_nobody_or_a_place_to_write_to() {
        check("issue letsencrypt.org", "good");
        check("critical issue letsencrypt.org", "good");
        check("issuewild ;", "good");
        check("issue ca.example.net; account=230123", "good");
        check(
            "issue letsencrypt.org; accounturi=https://a.test/acme/1; validationmethods=dns-01",
            "good",
        );
        check("iodef mailto:security@example.org", "good");
        check("iodef https://example.org/caa", "good");
    }

    #[test]
    fn a_rule_that_is_none_says_what_it_should_look_like() {
        for none in [
            "issue",
            "issue ",
            "issue LetsEncrypt.org",
            "issue letsencrypt",
            "issue letsencrypt.org.",
            "issue  letsencrypt.org",
            "issue https://letsencrypt.org",
            "issue letsencrypt.org;",
            "issue letsencrypt.org;a=b",
            "issuewild ; ",
            "issue \"letsencrypt.org\"",
            "issue *.example.org",
        ] {
            check(none, "domain of an authority such as letsencrypt.org");
        }
        for none in [
            "; a",
            "; =b",
            "; a=",
            "; -a=b",
            "; a_=b",
            "; a=b c",
            "; ö=b",
            "; a=ö",
            "; a=b;c=d",
        ] {
            check(
                &format!("issue ca.example.net{none}"),
                "something else than \"; name=value\"",
            );
        }
        for none in [
            "",
            "security@example.org",
            "mailto:",
            "mailto:security",
            "mailto:@example.org",
            "https://",
            "ftp://example.org",
            "https:///x",
            "https://example.org/a b",
            "https://exämple.org",
        ] {
            check(&format!("iodef {none}"), "place to write to");
        }
        for none in [
            "",
            "issuemail example.org",
            "Issue letsencrypt.org",
            "critical",
            "critical critical issue ;",
        ] {
            check(none, "issue, issuewild or iodef");
        }
        let long = "a.".repeat(99);
        check(&format!("issue {long}org"), "longer than 200 bytes");
        check(&format!("iodef https://{}", "a".repeat(192)), "good");
        check(
            &format!("iodef https://{}", "a".repeat(193)),
            "longer than 200 bytes",
        );
    }

    proptest! {
        /// What is taken is printed as it was, and fits a record: visible letters of ASCII and spaces.
        #[test]
        fn what_is_read_is_printed_alike(
            critical in prop_oneof![Just(""), Just("critical ")],
            tag in "issue|issuewild|iodef",
            value in "([a-z.-]{1,9}|;|; a=b|mailto:a@b|https://| |\\PC){0,4}",
        ) {
            let text = format!("{critical}{tag} {value}");
            if let Ok(rule) = Caa::parse(&text) {
                prop_assert_eq!(rule.to_string(), text);
                prop_assert!(rule.value().bytes().all(|b| b == b' ' || b.is_ascii_graphic()));
                prop_assert!(!rule.value().ends_with(' ') && !rule.value().is_empty());
            }
        }
    }
}
