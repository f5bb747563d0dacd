//! Mailboxes in user ids: whether a certificate's owner says that an address is hers, and what of the certificate others
//! need who look for that address (RFC 7929).

use alloc::vec::Vec;

use sequoia_openpgp::{
    Cert, cert::amalgamation::ValidAmalgamation as _, serialize::SerializeInto as _,
};

use crate::{
    key::{Certificate, is_revoked, minimal_packets, policy, stamp},
    text::is_ignorable,
    time::Time,
};

/// What makes an address, and what looks like it: full width and small.
const ODD: &str = "@<>＠＜＞﹫﹤﹥";

/// Whether a user id says this mailbox, `local@domain` in ASCII: alone, or behind a name, in angle brackets.
///
/// Letters count alike in both cases, as programs of `OpenPGP` have it. A name in which another address or other brackets
/// stand, whatever their width, or what moves a terminal's cursor, turns the direction or is not seen, says nothing: it
/// would show somebody else to whoever reads it.
pub fn says(user_id: &str, mailbox: &str) -> bool {
    let (name, address) = match user_id.strip_suffix('>') {
        Some(named) => match named.split_once('<') {
            Some(parts) => parts,
            None => return false,
        },
        None => ("", user_id),
    };
    // Persian names and others need the two that join letters or keep them apart.
    let is_unseen = |letter| is_ignorable(letter) && !matches!(letter, '\u{200c}' | '\u{200d}');
    let is_odd = |letter: char| letter.is_control() || ODD.contains(letter) || is_unseen(letter);
    mailbox.contains('@')
        && address.eq_ignore_ascii_case(mailbox)
        && !name.contains(is_odd)
        && (name.is_empty() || name.ends_with(' '))
}

impl Certificate {
    /// What others need who look for the owner of a mailbox, in binary form: the keys, and the user ids that say it
    /// and count at `at`, with the owner's own signatures (RFC 7929 section 2.1). None where no user id does, and
    /// where the certificate is revoked, expired or not yet valid then.
    pub fn for_mailbox(&self, mailbox: &str, at: Time) -> Option<Vec<u8>> {
        // Most say none, and need no judgment.
        self.user_ids().find(|user_id| says(user_id, mailbox))?;
        let cert = self.cert().ok()?;
        let good = user_ids_at(&cert, at)?;
        let stays = |user_id: &str| {
            says(user_id, mailbox) && good.iter().any(|good| good == user_id.as_bytes())
        };
        let packets = minimal_packets(&cert, stays, true);
        let minimal = Cert::from_packets(packets.into_iter()).ok()?;
        // Judged alone, too: what goes may have been what the rest was good by.
        let is_shown = !user_ids_at(&minimal, at)?.is_empty();
        is_shown.then(|| minimal.to_vec().ok()).flatten()
    }
}

/// The user ids that count at a time; none where the whole certificate does not.
fn user_ids_at(cert: &Cert, at: Time) -> Option<Vec<Vec<u8>>> {
    let policy = policy();
    let valid = cert.with_policy(&policy, Some(stamp(at)?.into())).ok()?;
    if valid.alive().is_err() || is_revoked(&valid.revocation_status()) {
        return None;
    }
    let user_ids = valid.userids();
    let good = user_ids.filter(|user_id| !is_revoked(&user_id.revocation_status()));
    Some(
        good.map(|user_id| user_id.userid().value().to_vec())
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use alloc::{borrow::ToOwned as _, string::String};

    use proptest::prelude::*;

    use super::says;

    const MARIA: &str = "maria@blogs.example.org";

    #[track_caller]
    fn check(user_id: &str, expected: bool) {
        assert_eq!(says(user_id, MARIA), expected, "{user_id:?}");
    }

    #[test]
    fn an_address_stands_alone_or_behind_a_name() {
        check("maria@blogs.example.org", true);
        check("<maria@blogs.example.org>", true);
        check("Maria <maria@blogs.example.org>", true);
        check("Maria González (blog) <maria@blogs.example.org>", true);
        check("مارية <maria@blogs.example.org>", true);
        check("می\u{200c}روم <maria@blogs.example.org>", true);
        check("Maria <MARIA@Blogs.Example.ORG>", true);
    }

    #[test]
    fn another_address_is_another() {
        check("", false);
        check("maria", false);
        check("Maria <maria@example.org>", false);
        check("Maria <joan@blogs.example.org>", false);
        check("Maria <maria@blogs.example.org.>", false);
        check("Maria <xmaria@blogs.example.org>", false);
        check("Maria <maria@blogs.example.org> ", false);
        check("Maria <maria+news@blogs.example.org>", false);
        // U+0131 and U+212A become letters of ASCII where a program folds all of Unicode.
        check("Maria <mar\u{131}a@blogs.example.org>", false);
        check("maria @blogs.example.org", false);
        check("\"maria\"@blogs.example.org", false);
        assert!(!says("maria", "maria"), "a mailbox has two sides");
    }

    #[test]
    fn a_user_id_that_shows_somebody_else_says_nothing() {
        check("boss@example.org <maria@blogs.example.org>", false);
        check("<boss@example.org> <maria@blogs.example.org>", false);
        check("<maria@blogs.example.org> <boss@example.org>", false);
        check("Maria <<maria@blogs.example.org>", false);
        check("Maria <maria@blogs.example.org>>", false);
        check("Maria maria@blogs.example.org>", false);
        check("Maria maria@blogs.example.org", false);
        check("Maria<maria@blogs.example.org>", false);
        check("Maria\n<maria@blogs.example.org>", false);
        check("\u{1b}[2K <maria@blogs.example.org>", false);
        check("Maria\0 <maria@blogs.example.org>", false);
        check("maria@blogs.example.org\0", false);
        check(
            "\u{202e}GRO.ELPMAXE TA SSOB <maria@blogs.example.org>",
            false,
        );
        check("Ma\u{200b}ria <maria@blogs.example.org>", false);
        check("boss＠example.org <maria@blogs.example.org>", false);
        check("＜boss＞ <maria@blogs.example.org>", false);
    }

    proptest! {
        /// Whatever stands there, it says the mailbox only where that is the one address in it.
        #[test]
        fn only_the_one_address_in_it_counts(
            parts in proptest::collection::vec(
                prop_oneof![
                    Just(MARIA.to_owned()), Just("<".to_owned()), Just(">".to_owned()), Just(" ".to_owned()),
                    Just("@".to_owned()), "[a-z@<> ]{0,6}", any::<String>(),
                ],
                0..6,
            ),
        ) {
            let user_id = parts.concat();
            let said = says(&user_id, MARIA);
            let plain = user_id.to_ascii_lowercase();
            prop_assert!(!said || plain.matches('@').count() == 1 && plain.contains(MARIA));
            prop_assert!(!said || !user_id.contains(char::is_control));
        }
    }
}
