//! Stories about signature packets: what is read, what is kept, who signed (SPEC entry 5).

mod common;

use common::pgp::{
    BORN, DAY, builder, by_hand, certificate, fingerprint, first, last_pair, make, packet, place,
    primary, raw, sign, text_signature,
};
use common::{Author, START, article, draft};
use expect_test::{Expect, expect};
use sequoia_openpgp::{
    Cert, Packet, PacketPile, Profile,
    cert::CipherSuite,
    crypto::{KeyPair, Signer as _, hash::Hash as _, mpi},
    packet::{
        Signature,
        key::Key4,
        signature::{
            Signature4, SignatureBuilder,
            subpacket::{Subpacket, SubpacketArea, SubpacketTag, SubpacketValue},
        },
    },
    parse::Parse as _,
    types::{HashAlgorithm, KeyFlags, SignatureType},
};
use spokes_log::{
    draft::{Grant, Role, Says},
    entry::Entry,
    name::Fingerprint,
    seal::{RawSignature, SealedEntry, TextSignature},
    secret::SecretKey,
    time::Time,
};

const AT: Time = Time::from_unix(BORN.as_unix() + DAY);

/// What a reader is told of a signature made in this way over entry 0.
fn verdict(cert: &Cert, builder: SignatureBuilder) -> String {
    let entry = first(cert, AT);
    let signature = sign(&mut last_pair(cert), entry.text(), builder);
    let told = match RawSignature::parse_all(&packet(&signature)) {
        Err(fault) => fault.to_string(),
        Ok(raw) => match place(&entry).and_then(|place| place.seal(entry.clone(), &raw)) {
            Err(fault) => fault.to_string(),
            Ok(_) => "good".to_string(),
        },
    };
    let maker = SubpacketValue::IssuerFingerprint(last_pair(cert).public().fingerprint());
    assert_eq!(
        verified(&entry, &stuffed(&signature, vec![maker])),
        told,
        "as kept"
    );
    told.replace(&fingerprint(cert).to_string(), "AUTHOR")
}

/// What is told of the same signature in its kept form.
fn verified(entry: &Entry, signature: &Signature) -> String {
    let told = SealedEntry::parse(entry.text().as_bytes(), &[packet(signature)])
        .map_err(spokes_log::fault::Fault::from)
        .and_then(|sealed| place(entry)?.verify(sealed));
    told.map_or_else(|fault| fault.to_string(), |_| "good".to_string())
}

#[track_caller]
fn check(rows: Vec<(&str, SignatureBuilder)>, expected: Expect) {
    let cert = make(builder());
    let lines: Vec<String> = rows
        .into_iter()
        .map(|(name, builder)| format!("{name}: {}", verdict(&cert, builder)))
        .collect();
    expected.assert_eq(&lines.join("\n"));
}

fn of_type(kind: SignatureType) -> SignatureBuilder {
    SignatureBuilder::new(kind)
        .set_hash_algo(HashAlgorithm::SHA512)
        .set_signature_creation_time(common::pgp::stamp(AT))
        .expect("room")
}

fn with(value: SubpacketValue, critical: bool) -> SignatureBuilder {
    let subpacket = Subpacket::new(value, critical).expect("sound");
    text_signature(AT)
        .modify_hashed_area(|mut area| {
            area.add(subpacket)?;
            Ok(area)
        })
        .expect("room")
}

fn unknown(tag: u8) -> SubpacketValue {
    SubpacketValue::Unknown {
        tag: SubpacketTag::from(tag),
        body: vec![1, 2, 3],
    }
}

fn notation(critical: bool) -> SignatureBuilder {
    text_signature(AT)
        .add_notation("mood@example.org", b"good", None, critical)
        .expect("room")
}

#[test]
fn a_signature_has_one_form() {
    let week = core::time::Duration::from_secs(7 * 24 * 3600);
    check(
        vec![
            ("as it should be", text_signature(AT)),
            ("binary", of_type(SignatureType::Binary)),
            (
                "expires",
                text_signature(AT)
                    .set_signature_validity_period(week)
                    .expect("room"),
            ),
            ("notation", notation(false)),
            ("critical notation", notation(true)),
            ("unknown", with(unknown(77), false)),
            ("critical unknown", with(unknown(77), true)),
            (
                "policy",
                text_signature(AT)
                    .set_policy_uri(b"https://example.org")
                    .expect("room"),
            ),
            (
                "critical policy",
                with(SubpacketValue::PolicyURI(b"x".to_vec()), true),
            ),
            (
                "critical user",
                with(SubpacketValue::SignersUserID(b"Maria".to_vec()), true),
            ),
            (
                "critical flags",
                with(SubpacketValue::KeyFlags(KeyFlags::signing()), true),
            ),
        ],
        expect![[r#"
            as it should be: good
            binary: the signature is of type Binary, not over text; sign with "gpg --clearsign" or "gpg --textmode --detach-sign"
            expires: the signature expires; sign without an expiration time
            notation: good
            critical notation: the signature holds the critical NotationData; sign without it
            unknown: good
            critical unknown: the signature holds the critical Unknown(77); sign without it
            policy: good
            critical policy: the signature holds the critical PolicyURI; sign without it
            critical user: good
            critical flags: good"#]],
    );
}

#[test]
fn digests_are_of_a_short_list() {
    let by = |hash| text_signature(AT).set_hash_algo(hash);
    check(
        vec![
            ("SHA-256", by(HashAlgorithm::SHA256)),
            ("SHA-384", by(HashAlgorithm::SHA384)),
            ("SHA3-256", by(HashAlgorithm::SHA3_256)),
            ("SHA3-512", by(HashAlgorithm::SHA3_512)),
            ("SHA-1", by(HashAlgorithm::SHA1)),
            ("SHA-224", by(HashAlgorithm::SHA224)),
        ],
        expect![[r#"
            SHA-256: good
            SHA-384: good
            SHA3-256: the signature uses the digest SHA3-256; sign with SHA-256 or SHA-512 ("gpg --digest-algo SHA512 …")
            SHA3-512: the signature uses the digest SHA3-512; sign with SHA-256 or SHA-512 ("gpg --digest-algo SHA512 …")
            SHA-1: the signature uses the digest SHA1; sign with SHA-256 or SHA-512 ("gpg --digest-algo SHA512 …")
            SHA-224: the signature uses the digest SHA224; sign with SHA-256 or SHA-512 ("gpg --digest-algo SHA512 …")"#]],
    );
}

#[test]
fn a_signature_is_made_about_when_the_text_says() {
    let at = |seconds| text_signature(AT + seconds);
    check(
        vec![
            ("301 s early", at(-301)),
            ("300 s early", at(-300)),
            ("24 h late", at(DAY)),
            ("24 h and 1 s late", at(DAY + 1)),
        ],
        expect![[r#"
            301 s early: the text says it was signed at 2026-08-16T14:05:00Z, the signature says 2026-08-16T13:59:59Z; set the clock, make the text anew and sign again
            300 s early: good
            24 h late: good
            24 h and 1 s late: the text says it was signed at 2026-08-16T14:05:00Z, the signature says 2026-08-17T14:05:01Z; set the clock, make the text anew and sign again"#]],
    );
}

#[test]
fn keys_of_version_6_sign_in_version_6() {
    for suite in [CipherSuite::Cv25519, CipherSuite::Cv448, CipherSuite::P256] {
        let v6 = builder().set_profile(Profile::RFC9580).expect("supported");
        let cert = make(v6.set_cipher_suite(suite));
        let entry = first(&cert, AT);
        let signature = sign(&mut primary(&cert), entry.text(), text_signature(AT));
        assert_eq!(signature.version(), 6);
        let sealed = place(&entry).and_then(|p| p.seal(entry, &raw(&[signature])));
        let sealed = sealed.expect("good").sealed().clone();
        let kept = sealed.signatures()[0].packet();
        assert_eq!(
            TextSignature::parse(kept).as_ref(),
            Ok(&sealed.signatures()[0])
        );
    }
}

/// A signature of version 4, whatever the version of the key that makes it.
fn of_version_4(pair: &mut KeyPair, text: &str, at: Time) -> Signature {
    let time = SubpacketValue::SignatureCreationTime(common::pgp::stamp(at));
    let time = Subpacket::new(time, false).expect("sound");
    let hash = HashAlgorithm::SHA512;
    let make = |prefix, mpis| {
        let hashed = SubpacketArea::new(vec![time.clone()]).expect("room");
        let (kind, algorithm) = (SignatureType::Text, pair.public().pk_algo());
        let open = SubpacketArea::default();
        Signature::from(Signature4::new(
            kind, algorithm, hash, hashed, open, prefix, mpis,
        ))
    };
    let nothing = mpi::Signature::Ed25519 {
        s: Box::new([0; 64]),
    };
    let mut context = hash.context().expect("known").for_signature(4);
    context.update(text.replace('\n', "\r\n").as_bytes());
    make([0; 2], nothing).hash(&mut context).expect("hashed");
    let digest = context.into_digest().expect("hashed");
    let mpis = pair.clone().sign(hash, &digest).expect("signed");
    make([digest[0], digest[1]], mpis)
}

#[test]
fn a_key_of_version_6_does_not_sign_in_version_4() {
    for (profile, good) in [(Profile::RFC4880, true), (Profile::RFC9580, false)] {
        let cert = match profile {
            Profile::RFC4880 => by_hand(
                Key4::generate_ed25519().expect("made"),
                common::pgp::binding(0),
            ),
            _ => make(builder().set_profile(profile).expect("supported")),
        };
        let entry = first(&cert, AT);
        let signature = of_version_4(&mut primary(&cert), entry.text(), AT);
        let sealed = place(&entry).and_then(|p| p.seal(entry, &raw(&[signature])));
        assert_eq!(sealed.is_ok(), good, "RFC 9580 section 5.2");
    }
}

#[test]
fn a_signature_is_not_older_than_its_key() {
    let cert = make(builder());
    let entry = first(&cert, BORN + 60);
    for (created, good) in [(BORN, true), (BORN - 60, false)] {
        let signature = sign(&mut primary(&cert), entry.text(), text_signature(created));
        let sealed = place(&entry).and_then(|p| p.seal(entry.clone(), &raw(&[signature])));
        assert_eq!(sealed.is_ok(), good);
    }
}

/// The same signature with other things in the area that nobody signs.
fn stuffed(signature: &Signature, values: Vec<SubpacketValue>) -> Signature {
    let mut signature = signature.clone();
    let area = signature.unhashed_area_mut();
    area.clear();
    for value in values {
        area.add(Subpacket::new(value, false).expect("sound"))
            .expect("room");
    }
    signature
}

fn with_prefix(signature: &Signature, change: u8) -> RawSignature {
    let mut bytes = packet(signature);
    let body = PacketPile::from_bytes(&bytes).expect("a packet");
    assert_eq!(body.children().count(), 1);
    let prefix = *signature.digest_prefix();
    let at = bytes
        .windows(2)
        .rposition(|pair| pair == prefix)
        .expect("in the packet");
    bytes[at] ^= change;
    RawSignature::parse_all(&bytes)
        .expect("sound in form")
        .remove(0)
}

#[test]
fn whatever_stood_in_the_open_area_the_same_bytes_are_kept() {
    let cert = make(builder());
    let entry = first(&cert, AT);
    let signature = sign(&mut primary(&cert), entry.text(), text_signature(AT));
    let maker = cert.fingerprint();
    let junk = || SubpacketValue::PolicyURI(vec![b'x'; 900]);
    let keep = |signature: &Signature| {
        let verified = place(&entry)?.seal(entry.clone(), &raw(std::slice::from_ref(signature)))?;
        Ok::<_, spokes_log::fault::Fault>(verified.sealed().signatures()[0].packet().to_vec())
    };
    let kept = keep(&signature).expect("good");
    for values in [
        vec![],
        vec![SubpacketValue::IssuerFingerprint(maker.clone())],
        vec![SubpacketValue::Issuer(maker.clone().into())],
        vec![
            junk(),
            SubpacketValue::IssuerFingerprint(maker.clone()),
            junk(),
        ],
        vec![unknown(100), unknown(101), unknown(102)],
    ] {
        assert_eq!(keep(&stuffed(&signature, values)).as_ref(), Ok(&kept));
    }
    for values in [
        vec![],
        vec![SubpacketValue::Issuer(maker.clone().into())],
        vec![junk(), SubpacketValue::IssuerFingerprint(maker.clone())],
        vec![SubpacketValue::IssuerFingerprint(maker.clone()), junk()],
    ] {
        let other = packet(&stuffed(&signature, values));
        assert!(TextSignature::parse(&other).is_err(), "not the kept form");
    }
    assert!(TextSignature::parse(&kept).is_ok());
    let twice: Vec<u8> = [kept.as_slice(), &kept].concat();
    let old_format = old_format(&kept);
    for other in [
        &twice,
        &old_format,
        &kept[..kept.len() - 1].to_vec(),
        &vec![],
    ] {
        assert!(TextSignature::parse(other).is_err(), "not the kept form");
    }
    for change in [1, 0x80] {
        let wrong = with_prefix(&signature, change);
        let sealed = place(&entry).and_then(|p| p.seal(entry.clone(), &[wrong]));
        assert!(
            sealed.is_err(),
            "two bytes of the digest belong to the form"
        );
    }
}

/// The packet with a header in the format of before 1998.
fn old_format(kept: &[u8]) -> Vec<u8> {
    let body = match kept[1] {
        short @ 0..192 => &kept[2..][..usize::from(short)],
        _ => &kept[3..],
    };
    let length = u16::try_from(body.len()).expect("2 KiB").to_be_bytes();
    [&[0x89], &length[..], body].concat()
}

#[test]
fn a_kept_packet_names_a_key_that_made_it() {
    let cert = make(builder().add_signing_subkey());
    let entry = first(&cert, AT);
    let signature = sign(&mut last_pair(&cert), entry.text(), text_signature(AT));
    let sealed =
        place(&entry).and_then(|p| p.seal(entry.clone(), &raw(std::slice::from_ref(&signature))));
    let issuer = sealed.expect("good").sealed().signatures()[0]
        .issuer()
        .clone();
    assert_ne!(issuer, fingerprint(&cert), "a subkey signed");
    // The primary key did not: a packet that says so is in a sound form, but by nobody.
    let lie = SubpacketValue::IssuerFingerprint(cert.fingerprint());
    let lie = packet(&stuffed(&signature, vec![lie]));
    let sealed = SealedEntry::parse(entry.text().as_bytes(), &[lie]).expect("sound in form");
    assert!(place(&entry).and_then(|p| p.verify(sealed)).is_err());
}

#[test]
fn where_packets_differ_the_lower_hash_is_kept() {
    let cert = make(builder());
    let kept = |at| {
        let entry = first(&cert, AT);
        let signature = sign(&mut primary(&cert), entry.text(), text_signature(at));
        let sealed = place(&entry).and_then(|p| p.seal(entry, &raw(&[signature])));
        sealed.expect("good").sealed().signatures()[0].clone()
    };
    let (a, b) = (kept(AT), kept(AT + 1));
    let hash = |s: &TextSignature| spokes_log::name::Hash::of(s.packet());
    assert_eq!(a.is_kept_over(&b), hash(&a) < hash(&b));
    assert_ne!(a.is_kept_over(&b), b.is_kept_over(&a));
    assert!(!a.is_kept_over(&a));
}

/// Maria's blog with seven more own keys, and an unsigned post by all eight.
fn collective() -> (Author, Vec<SecretKey>, Entry) {
    let mut maria = Author::new("Maria <maria@example.org>");
    let others: Vec<SecretKey> = (0..7).map(|n| common::key(&format!("k{n}"))).collect();
    let grants: Vec<Grant> = others
        .iter()
        .map(|key| Author::grant(key, Role::Own))
        .collect();
    let armors: Vec<String> = others
        .iter()
        .map(|key| key.certificate().armored())
        .collect();
    let says = Says::Keys {
        certificates: grants,
        ends: vec![],
        recovery: None,
    };
    maria.say(says, &armors.join("\n\n")).expect("valid");
    let mut authors: Vec<Fingerprint> = others
        .iter()
        .map(|key| key.certificate().fingerprint().clone())
        .collect();
    authors.push(maria.key.certificate().fingerprint().clone());
    let parent = maria.entries.last().expect("keys").entry().clone();
    let draft = draft(9, Says::Post(article("we")), "We say");
    let entry = Entry::new(
        &draft,
        Some((parent.skeleton(), parent.id())),
        authors,
        START + DAY,
    );
    (maria, others, entry.expect("sound"))
}

#[test]
fn eight_authors_speak_with_one_voice() {
    let (mut maria, mut others, entry) = collective();
    let at = entry.skeleton().signed;
    let mut signatures: Vec<RawSignature> = others
        .iter_mut()
        .chain([&mut maria.key])
        .map(|key| key.sign(entry.text(), at).expect("signed"))
        .collect();
    let place = maria.chain.place(&entry).expect("fits");
    let sealed = place
        .seal(entry.clone(), &signatures)
        .expect("good")
        .sealed()
        .clone();
    let issuers: Vec<_> = sealed
        .signatures()
        .iter()
        .map(|s| s.issuer().clone())
        .collect();
    assert_eq!(
        issuers,
        entry.skeleton().authors,
        "each key is its own author, in their order"
    );
    signatures.reverse();
    let again = place.seal(entry.clone(), &signatures).expect("good");
    assert_eq!(again.sealed(), &sealed, "in whatever order they came");
    let block = sealed.cleartext().expect("words");
    let pasted = spokes_log::seal::Pasted::parse(block.as_bytes()).expect("a block");
    assert_eq!(pasted.signatures.len(), 8);

    let missing = place
        .seal(entry.clone(), &signatures[1..])
        .expect_err("one is missing");
    expect!["8 authors are named, 7 signatures are there; send one signature of each author"]
        .assert_eq(&missing.to_string());
    signatures[0] = signatures[1].clone();
    assert!(
        place.seal(entry.clone(), &signatures).is_err(),
        "one of them twice"
    );

    let packets: Vec<_> = sealed
        .signatures()
        .iter()
        .map(|s| s.packet().to_vec())
        .collect();
    let text = entry.text().as_bytes();
    let verify = |packets: &[Vec<u8>]| {
        SealedEntry::parse(text, packets)
            .ok()
            .is_some_and(|sealed| place.verify(sealed).is_ok())
    };
    assert!(verify(&packets));
    let mut swapped = packets.clone();
    swapped.swap(2, 5);
    assert!(
        !verify(&swapped),
        "kept signatures stand in the order of the authors"
    );
    let mut doubled = packets.clone();
    doubled[2] = doubled[3].clone();
    assert!(!verify(&doubled));
    assert!(!verify(&packets[..7]));
}

#[test]
fn the_text_is_signed_with_crlf_and_nothing_at_its_end() {
    let cert = make(builder());
    let entry = first(&cert, AT);
    for (text, good) in [
        (entry.text().replace('\n', "\r\n"), true),
        (entry.text().to_string(), false),
        (format!("{}\r\n", entry.text().replace('\n', "\r\n")), false),
    ] {
        // A signature over text takes its bytes as they are: line ends are the maker's to turn.
        let made = text_signature(AT)
            .sign_message(&mut primary(&cert), &text)
            .expect("signed");
        let sealed = place(&entry).and_then(|p| p.seal(entry.clone(), &raw(&[made])));
        assert_eq!(sealed.is_ok(), good);
    }
}

#[test]
fn another_version_of_signature_is_refused() {
    let cert = make(builder());
    let entry = first(&cert, AT);
    let signature = sign(&mut primary(&cert), entry.text(), text_signature(AT));
    let mut bytes = packet(&signature);
    let header = if bytes[1] < 192 { 2 } else { 3 };
    for version in [3, 5] {
        bytes[header] = version;
        assert!(
            RawSignature::parse_all(&bytes).is_err(),
            "version {version}"
        );
    }
    let public = Packet::from(cert.primary_key().key().clone());
    let public = sequoia_openpgp::serialize::SerializeInto::to_vec(&public).expect("serialized");
    let told = RawSignature::parse_all(&public).expect_err("a key");
    expect![[r#"this is not an OpenPGP signature: another packet is inside; send what "gpg --clearsign" wrote, unchanged"#]].assert_eq(&told.to_string());
}

#[test]
fn an_rsa_key_of_2048_bits_is_enough() {
    let key = Key4::generate_rsa(2048).expect("generated");
    let cert = by_hand(key, common::pgp::binding(0));
    assert_eq!(verdict(&cert, text_signature(AT)), "good");
    assert!(certificate(&cert).is_ok());
}

#[test]
fn a_pasted_block_holds_nothing_else() {
    let mut maria = Author::new("Maria <maria@example.org>");
    maria
        .say(Says::Post(article("dash")), "-dash\n\nwords")
        .expect("valid");
    let file = maria.entries[1].cleartext().expect("words");
    let rows = [
        ("as it should be", "words", "words"),
        ("unescaped dash", "- -dash", "-dash"),
        (
            "words before",
            "-----BEGIN PGP SIGNED",
            "Hi!\n-----BEGIN PGP SIGNED",
        ),
        (
            "words behind",
            "END PGP SIGNATURE-----\n",
            "END PGP SIGNATURE-----\nBye!",
        ),
        ("another header", "Hash: SHA512", "Comment: mine"),
        (
            "no signature",
            "-----BEGIN PGP SIGNATURE-----",
            "- -----BEGIN",
        ),
        ("cut", "-----END PGP SIGNATURE-----", ""),
        (
            "two signatures' worth",
            "-----END PGP SIGNATURE",
            "-----BEGIN PGP SIGNATURE",
        ),
    ];
    let told = rows.map(|(name, old, new)| {
        assert!(file.contains(old), "{name}");
        match spokes_log::seal::Pasted::parse(file.replacen(old, new, 1).as_bytes()) {
            Ok(_) => format!("{name}: read"),
            Err(fault) => format!("{name}: {fault}"),
        }
    });
    expect![[r#"
        as it should be: read
        unescaped dash: a line begins with an unescaped "-"; paste what "gpg --clearsign" wrote, unchanged
        words before: the block does not begin with "-----BEGIN PGP SIGNED MESSAGE-----"; paste all that "gpg --clearsign" wrote and nothing before it
        words behind: something stands behind "-----END PGP SIGNATURE-----", or it is missing; paste the block and nothing else
        another header: only "Hash:" lines and an empty line may stand above the signed text; sign again
        no signature: the block has no signature; paste it to its end
        cut: something stands behind "-----END PGP SIGNATURE-----", or it is missing; paste the block and nothing else
        two signatures' worth: something stands behind "-----END PGP SIGNATURE-----", or it is missing; paste the block and nothing else"#]].assert_eq(&told.join("\n"));
}
