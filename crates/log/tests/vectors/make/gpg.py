#!/usr/bin/env python3
"""Makes the vectors that stock gpg 2.2 signs, and the table in README.md.

Needs Python 3 and gpg 2.2, nothing else. Everything happens in temporary GNUPGHOMEs; dates are faked, so
that the vectors mean the same on every day. Keys are new on each run: do not expect the same bytes.

    python3 gpg.py            all cases of gpg, then the table
    python3 gpg.py NAME...    only these cases (function names without `case_`), then the table
    python3 gpg.py --table    only the table
"""

import datetime
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import common
from common import Case

KEY_TIME = "2026-11-20T12:00:00Z"
UTC = datetime.timezone.utc
HASH = "sha256:" + 64 * "a"
NETWORK = "sha256:" + 64 * "b"


def moment(text):
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def later(time, **delta):
    return (moment(time) + datetime.timedelta(**delta)).strftime("%Y-%m-%dT%H:%M:%SZ")


class Home:
    """A temporary GNUPGHOME."""

    all = []

    def __init__(self, source=None):
        self.path = tempfile.mkdtemp(prefix="v")
        if source:
            shutil.rmtree(self.path)
            shutil.copytree(source.path, self.path, ignore=shutil.ignore_patterns("S.*", "*.lock", ".#*"))
        os.chmod(self.path, 0o700)
        Home.all.append(self)

    def clone(self):
        return Home(self)

    def gpg(self, *args, at=KEY_TIME, data=b"", batch=True, fail=False):
        faked = at.replace("-", "").replace(":", "").replace("Z", "!")
        command = ["gpg", "--homedir", self.path, "--no-tty", "--quiet", "--no-options", "--trust-model", "always",
                   "--faked-system-time", faked, "--pinentry-mode", "loopback", "--passphrase", ""]
        command += (["--batch"] if batch else []) + list(args)
        run = subprocess.run(command, input=data, capture_output=True)
        if run.returncode and not fail:
            raise SystemExit(f"{' '.join(args)}\n{run.stderr.decode(errors='replace')}")
        return run.stdout

    def key(self, algorithm, person="One", usage="sign", at=KEY_TIME, options=()):
        """Makes a key and returns the primary's fingerprint."""
        uid = f"Vector {person} <{person.lower()}@example.org>"
        self.gpg(*options, "--quick-gen-key", uid, algorithm, usage, "never", at=at)
        return self.fingerprints(uid)[0]

    def fingerprints(self, which):
        rows = self.gpg("--with-colons", "-k", which).decode().splitlines()
        return [row.split(":")[9] for row in rows if row.startswith("fpr")]

    def export(self, key, *options, at=KEY_TIME, minimal=True, secret=False):
        how = ("--export-options", "export-minimal") if minimal else ()
        what = "--export-secret-keys" if secret else "--export"
        return self.gpg("--armor", *how, *options, what, key, at=at).decode().strip()

    def sign(self, text, keys, at, *options, how="--clearsign"):
        data = text + b"\n" if how == "--clearsign" else text
        users = [word for key in keys for word in ("-u", key)]
        mode = ["--armor", "--detach-sign"] if how != "--clearsign" else ["--clearsign"]
        mode = ["--textmode"] + mode if how == "text" else mode
        return self.gpg(*options, *users, *mode, at=at, data=data)

    def revoke(self, key, reason, at):
        """Imports a revocation; reason as gpg's menu: 0 none, 1 compromised, 2 superseded, 3 retired."""
        answers = f"y\n{reason}\n\ny\n".encode()
        made = self.gpg("--command-fd", "0", "--gen-revoke", key, at=at, data=answers, batch=False)
        self.gpg("--import", at=at, data=made)

    def revoke_subkey(self, key, index, reason, at):
        answers = f"key {index}\nrevkey\ny\n{reason}\n\ny\nsave\n".encode()
        self.gpg("--command-fd", "0", "--edit-key", key, at=at, data=answers, batch=False)

    def verdict(self, at, *files):
        found = re.findall(rb"^\[GNUPG:\] (GOODSIG|EXPSIG|EXPKEYSIG|REVKEYSIG|BADSIG|ERRSIG|NODATA)",
                           self.gpg("--status-fd", "1", "--verify", *files, at=at, fail=True), re.M)
        return "NODATA" if b"NODATA" in found else " ".join(word.decode() for word in found) or "none"


MAKER = "gpg " + subprocess.run(["gpg", "--version"], capture_output=True).stdout.split(b"\n")[0].split()[-1].decode()


class Chain(Case):
    """A case whose entries are signed by gpg and shown to gpg."""

    def __init__(self, name, about, key="ed25519", start="2026-11-23T14:00:00Z"):
        super().__init__(name, about, MAKER, key)
        self.home, self.verifier, self.now = Home(), Home(), start
        self.authors, self.parents = None, None

    def tick(self):
        self.now = later(self.now, minutes=5)

    def add(self, kind, lines, body=None, *, signed=None, packet=None, by=None, authors=None, verdict="valid",
            reason=None, spec=None, note=None, options=(), how="--clearsign", asc=None, wrong=None, home=None,
            looks=True, **text):
        """Builds, signs and stores one entry. `wrong` is other text to sign, `asc` changes the file."""
        signed = signed or self.now
        authors = authors or self.authors
        made = self.text(kind, lines, body, signed=signed, authors=authors, **text)
        return self.seal(made, signed=signed, packet=packet, by=by or authors, verdict=verdict, reason=reason,
                         spec=spec, note=note, options=options, how=how, asc=asc, wrong=wrong, home=home, looks=looks)

    def seal(self, made, *, signed, packet=None, by=None, verdict="valid", reason=None, spec=None, note=None,
             options=(), how="--clearsign", asc=None, wrong=None, home=None, looks=True):
        by = by or self.authors
        packet = packet or signed
        users = [key if "@" in key else key + "!" for key in by]
        block = (home or self.home).sign(wrong or made, users, packet, *options, how=how)
        assert "@" in by[0] or common.issuers(block) == by, (self.name, len(self.entries))
        if wrong:
            block = block.replace(wrong, made)
        block = asc(block) if asc else block
        body = made.split(b"\n\n", 2)[2].decode(errors="replace") if made.count(b"\n\n") > 1 else ""
        if (verdict == "valid" or self.sequence == 0) and "PUBLIC KEY BLOCK" in body:
            self.verifier.gpg("--allow-weak-digest-algos", "--import", at=packet, data=body.encode(), fail=True)
        with tempfile.TemporaryDirectory() as folder:
            paths = [pathlib.Path(folder, "e.asc")]
            paths[0].write_bytes(block)
            if how != "--clearsign":
                paths.append(pathlib.Path(folder, "e.txt"))
                paths[1].write_bytes(made)
            gpg = self.verifier.verdict(packet, *map(str, paths))
        if verdict == "valid" and looks:
            assert set(gpg.split()) == {"GOODSIG"}, (self.name, len(self.entries), gpg)
        if verdict == "valid":
            self.now, self.parents = max(self.now, signed), signed
        made_id = self.put(made, block, verdict, reason, spec, note, gpg, detached=how != "--clearsign")
        self.tick()
        return made_id

    def start(self, author, armor, *, lines=(), **how):
        """Entry 0."""
        self.authors = [author]
        return self.add("blog", ["Title: A vector", "Language: en", f"Certificate: {author} own", *lines], armor, **how)

    def post(self, slug="first", body="Words.", lines=(), **how):
        date = how.get("signed") or self.now
        return self.add("post", [f"Date: {date}", f"Slug: {slug}", f"Title: On {slug.split('/')[-1]}", *lines], body,
                        **how)

    def refuse(self, reason, spec, note, kind="settings", lines=("Title: Refused",), body=None, **how):
        return self.add(kind, list(lines), body, verdict="refused", reason=reason, spec=spec, note=note, **how)

    def walk(self, **how):
        """The usual life: a post, its edit, settings, an erase of both versions."""
        first = self.post(**how)
        second = self.post(body="Better words.", lines=[f"Replaces: {first}"], **how)
        self.add("settings", ["Title: A better title", "Language: en", "Description: What this is"], **how)
        self.add("erase", [f"Erases: {first}", f"Erases: {second}"], **how)


def one(name, about, algorithm="ed25519", **start):
    """A chain with one key and its entry 0."""
    chain = Chain(name, about, algorithm)
    key = chain.home.key(algorithm)
    chain.start(key, chain.home.export(key), **start)
    return chain


# What gpg makes and everybody must take.

def case_algorithms():
    for algorithm in ("ed25519", "rsa2048", "rsa3072", "nistp256", "nistp384", "nistp521"):
        chain = one(f"gpg-{algorithm}", "The usual life of a blog: post, edit, settings, erase.", algorithm)
        chain.walk()
        chain.write()


def case_digests():
    for digest, key in (("sha256", "rsa2048"), ("sha384", "ed25519"), ("sha512", "rsa2048")):
        how = {"options": ("--digest-algo", digest)}
        chain = one(f"gpg-digest-{digest}", f"Every entry is signed over {digest.upper()}.", key, **how)
        chain.walk(**how)
        chain.write()


def case_old_key():
    chain = Chain("gpg-old-key", "A key of 2012 with three user ids, a subkey that encrypts and one that signs; the "
                  "certificate is exported minimal with one user id; the subkey signs, later the primary.", "rsa2048")
    home, born = chain.home, "2012-03-04T05:06:07Z"
    key = home.key("rsa2048", usage="sign,cert", at=born)
    home.gpg("--quick-add-uid", key, "Vector One (work) <one@example.com>", at="2013-01-01T00:00:00Z")
    home.gpg("--quick-add-uid", key, "Vector One (club) <one@example.net>", at="2014-01-01T00:00:00Z")
    home.gpg("--quick-add-key", key, "rsa2048", "encr", "never", at=born)
    home.gpg("--quick-add-key", key, "rsa2048", "sign", "never", at="2015-01-01T00:00:00Z")
    _, _, subkey = home.fingerprints(key)
    armor = home.export(key, "--export-filter", "keep-uid=mbox = one@example.org", at=chain.now)
    chain.start(key, armor, by=[subkey])
    chain.walk(by=[subkey])
    chain.post("by-the-primary")
    chain.write()


def case_subkey_only():
    chain = Chain("gpg-subkey-signs", "The primary may only certify, an Ed25519 subkey signs, as people keep them who "
                  "lock the primary away.")
    key = chain.home.key("ed25519", usage="cert")
    chain.home.gpg("--quick-add-key", key, "cv25519", "encr", "never")
    chain.home.gpg("--quick-add-key", key, "ed25519", "sign", "never")
    subkey = chain.home.fingerprints(key)[2]
    chain.start(key, chain.home.export(key), by=[subkey])
    chain.walk(by=[subkey])
    chain.write()


def case_dashes():
    chain = one("gpg-dashes", "Lines that begin with a dash, with \"From \", and whole frames of OpenPGP as words; gpg "
                "escapes \"From \" lines too.")
    body = ["- one", "-two", "--", "-", "From here to there", "From ", "from", "- - three", "> From", "",
            "-----BEGIN PGP SIGNED MESSAGE-----", "Hash: SHA512", "", "x", "-----BEGIN PGP SIGNATURE-----", "", "abcd",
            "-----END PGP SIGNATURE-----", "", "---"]
    body[5] = "From"
    chain.post("dashes", "\n".join(body))
    chain.post("dash-first", "- a body that begins with a dash")
    chain.write()


def case_unicode():
    chain = one("gpg-unicode", "Arabic, Chinese and Hindi in title, slug, tags and body; combining marks, a TAB and "
                "direction marks in the body.")
    chain.post("سلام/العالم", "مرحبا بالعالم\n\n\u202bmixed abc\u202c", lines=["Language: ar", "Tags: تجربة, سلام"])
    chain.post("你好-世界", "你好，世界。\n\n第二段。", lines=["Language: zh-Hans", "Tags: 测试"])
    chain.post("नमस्ते", "नमस्ते दुनिया\n\tindented\n\u2028", lines=["Language: hi", "Tags: परीक्षण"])
    chain.post("emoji", "👩\u200d👩\u200d👧 and e\u0301 (not NFC, but only a slug must be)", lines=["Tags: naïve, a b"])
    chain.write()


def case_empty_body():
    chain = one("gpg-empty-body", "Posts without a body: the text ends after the last header line.")
    chain.post("nothing", None)
    chain.add("post", [f"Date: {chain.now}", "Slug: nothing-at-all"])
    chain.add("page", [f"Date: {chain.now}", "Slug: about-me", "Title: A page"])
    chain.write()


def case_crlf():
    crlf = {"asc": lambda asc: asc.replace(b"\n", b"\r\n")}
    chain = one("gpg-crlf", "The pasted files have CRLF line ends.", **crlf)
    chain.walk(**crlf)
    chain.post("dashes", "- a\n\nFrom b", **crlf)
    chain.write()


def case_detached():
    for algorithm in ("ed25519", "rsa2048"):
        how = {"how": "text"}
        chain = one(f"gpg-detached-{algorithm}", "Detached text signatures (gpg --textmode --detach-sign) over the "
                    "canonical text.", algorithm, **how)
        chain.walk(**how)
        chain.write()


def case_armor_headers():
    comment = {"options": ("--comment", "made by hand", "--emit-version"), "by": ["one@example.org"]}
    chain = one("gpg-armor-headers", "The signature's armor has Version and Comment lines, and the packet names its "
                "signer's user id and a policy and a note that are not critical.", **comment)
    chain.post(**comment)
    more = ("--sig-notation", "x@example.org=1", "--sig-policy-url", "https://example.org/policy")
    chain.post("notes", **{**comment, "options": comment["options"] + more})
    chain.write()


def case_article():
    chain = one("gpg-article", "Every line that a post may have; Instead-Of, Erases and Replaces of ids that are not "
                "here.")
    media = [f"Media: sha256:{64 * digit} {size} {kind}" for digit, size, kind in
             (("1", 1, "image/png A description, with  two spaces"), ("2", 33_554_432, "application/x-a.b+c"))]
    lines = ["Language: en-GB", "Tags: release, rust", "Alias: 2015/05/15/Rust-1.0.html", "Alias: old"]
    first = chain.post("2015/05/15/Rust-1.0", f"# Words\n\n![x](/media/sha256-{64 * '1'})", lines=lines + media)
    chain.post("2015/05/15/Rust-1.0", lines=lines + [f"Replaces: {first}", *media, f"Instead-Of: {HASH}",
                                                     f"Instead-Of: {NETWORK}"])
    chain.post("other", lines=[f"Replaces: {HASH}"])
    chain.add("erase", [f"Erases: {HASH}", f"Erases: {first}", f"Instead-Of: {HASH}"])
    chain.add("erase", [f"Erases: {first}"], note="it was erased before")
    chain.write()


def case_limits():
    chain = one("gpg-limits", "Parts that just fit: a line of 16,000 bytes, a skeleton of 4,096, a slug of 200 and of 8 "
                "segments, 64 tags, 64 extension lines, the first and the last year.")
    chain.post("line", "x" * 16_000)
    chain.post("/".join(7 * ["a" * 24] + ["b" * 25]), lines=["Tags: " + ", ".join(f"t{n}" for n in range(64))])

    def fill(lines):
        used = sum(len(line) + 1 for line in lines)
        return lines + ["X-Fill: " + "x" * (4_096 - used - 9)]
    chain.post("skeleton", skeleton=fill)
    chain.post("extensions", lines=[f"X-{n}: {n}" for n in range(64)],
               skeleton=lambda lines: lines + [f"Y-{n}: {n}" for n in range(64)])
    for slug, date in (("first-year", "0001-01-01T00:00:00Z"), ("last-year", "9998-12-31T23:59:59Z"),
                       ("leap-day", "2024-02-29T23:59:59Z")):
        chain.add("post", [f"Date: {date}", f"Slug: {slug}", f"Language: abcdefgh{'-abcdefgh' * 3}", "Tags: " + "t" * 100])
    chain.write()


def case_extension_lines():
    chain = one("gpg-extension-lines", "Lines unknown to this version, after the known ones, in the skeleton, the "
                "content header or both.", skeleton=lambda lines: lines + ["Colour: blue"], lines=["X-Motto: now"])
    chain.post(lines=["Weather: rain", "Weather: rain", "X: 1"])
    chain.post("second", skeleton=lambda lines: lines + ["Mood: calm", "A1-b: x: y"], lines=["Place: here"])
    chain.add("settings", ["Title: New", f"Instead-Of: {HASH}", "Font: none"], skeleton=lambda lines: lines + ["Z: z"])
    chain.write()


def case_kinds():
    chain = one("gpg-other-kinds", "Kinds that this version does not read, with header lines and bodies of their own; a "
                "comment may be erased, a reply may not.")
    reply = chain.add("reply", [f"To: {HASH}", "Sequence-Of: words"], "A reply.")
    chain.add("k", [])
    chain.add("a-kind-of-32-bytes-and-no-byte-9", ["Any: thing"])
    comment = chain.add("comment", [f"On: {HASH}"], "A comment.")
    chain.add("erase", [f"Erases: {comment}"])
    chain.refuse("erase-kind", "7.5", "names an ancestor of kind reply", "erase", [f"Erases: {reply}"])
    chain.write()


def case_version_2():
    chain = one("gpg-version-2", "Entries of version 2: links of the chain whose content nobody here reads, in a "
                "skeleton with more lines.")
    two = {"Spokes_Entry": 2, "said": b"opaque: words\n\n\nwithout any header\n\n\n\tx"}
    chain.add("essay", [], **two)
    chain.post("between")

    def more(lines):
        return lines[:4] + ["Realm: other"] + lines[4:6] + ["Reach: far"] + lines[6:] + ["Tail: x"]
    chain.add("essay", [], skeleton=more, **two)
    chain.refuse("content-hash", "4, 2.3", "the content is not the one named", Content=f"{HASH} {len(two['said'])}", **two)
    other = chain.home.key("ed25519", "Two")
    chain.refuse("other-key", "4, 6.3", "signed by another key", by=[other], **two)
    chain.refuse("no-content", "4", "without a Content line", skeleton=lambda lines: lines[:-1], **two)
    chain.refuse("canonical", "4, 1.2", "U+202E in the skeleton", skeleton=lambda lines: lines + ["Tail: \u202ex"], **two)
    chain.post("after")
    chain.write()


def case_claims():
    claim = ["Name: vector-one", f"Network: {NETWORK}", "Not-After: 2026-11-24T14:00:00Z"]
    chain = one("gpg-claims", "A blog that claims its name in entry 0, renames itself and releases the name.", lines=claim)
    claim[0] = "Name: 1-vector"
    chain.add("claim", claim + ["Releases: vector-one"])
    chain.add("release", claim)
    chain.add("claim", ["Name: xyz", *claim[1:]])
    for name in ("ab", "a" * 33, "-abc", "abc-", "ab--cd", "Abc", "a_b"):
        chain.refuse("name", "3.9", f"the name is {name}", "claim", [f"Name: {name}", *claim[1:]])
    chain.refuse("body", "3.3", "a claim with a body", "claim", claim, "words")
    chain.refuse("claim", "3.3", "no Not-After", "claim", claim[:2])
    chain.write()


# Keys that come and go.

def case_keys_write():
    chain = one("gpg-keys-write", "A second key with the role write: its post is valid, its keys, claim and release are "
                "refused, and it erases only what it wrote.")
    first = chain.post()
    own, other = chain.authors[0], chain.home.key("ed25519", "Two")
    third = chain.home.key("ed25519", "Three")
    armor, more = chain.home.export(other), chain.home.export(third)
    chain.refuse("not-in-ring", "6.3", "the second key is not there yet", authors=[other])
    chain.add("keys", [f"Certificate: {other} write"], armor)
    second = chain.post("by-two", authors=[other])
    chain.refuse("role", "3.14", "a write key brings a key", "keys", [f"Certificate: {third} write"], more, authors=[other])
    chain.refuse("role", "3.14", "a write key ends a key", "keys", [f"Ends: {own}"], authors=[other])
    claim = ["Name: vector-one", f"Network: {NETWORK}", "Not-After: 2026-11-24T14:00:00Z"]
    chain.refuse("role", "3.14", "a write key claims a name", "claim", claim, authors=[other])
    chain.refuse("role", "3.14", "a write key releases a name", "release", claim, authors=[other])
    chain.add("settings", ["Title: Set by two"], authors=[other])
    chain.refuse("erase-author", "7.5", "a write key erases the words of another", "erase", [f"Erases: {first}"],
                 authors=[other])
    chain.add("erase", [f"Erases: {second}"], authors=[other])
    chain.refuse("other-key", "6.3", "the Author is one key, the signature of the other", by=[other])
    chain.write()


def case_keys_several():
    chain = one("gpg-keys-several", "A keys entry that brings two certificates and names a recovery quorum; bodies that do "
                "not fit their lines.")
    keys = [chain.home.key("ed25519", person) for person in ("Two", "Three", "Four")]
    armors = [chain.home.export(key) for key in keys]
    lines = [f"Certificate: {keys[0]} own", f"Certificate: {keys[1]} write"]
    both = "\n\n".join(armors[:2])
    for note, wanted, body in (("in the wrong order", lines, "\n\n".join(armors[1::-1])),
                               ("one is missing", lines, armors[0]), ("one too many", lines[:1], both),
                               ("two empty lines between", lines, "\n\n\n".join(armors[:2])),
                               ("one line end between", lines, "\n".join(armors[:2])),
                               ("none at all", lines[:1], None), ("of another key", lines[:1], armors[2]),
                               ("words behind", lines[:1], armors[0] + "\n\nwords"),
                               ("words before", lines[:1], "words\n\n" + armors[0])):
        chain.refuse("certificates", "3.2, 6.1", f"certificates in the body: {note}", "keys", wanted, body)
    chain.refuse("keys", "3.2", "a fingerprint stands twice", "keys", [lines[0], lines[0]], "\n\n".join([armors[0]] * 2))
    chain.refuse("keys", "3.2", "nothing in it", "keys", [])
    chain.refuse("keys", "3.2", "an unknown role", "keys", [f"Certificate: {keys[0]} read"], armors[0])
    quorum = " ".join(sorted(keys))
    for note, value in (("K of 0", f"0 {quorum}"), ("K of 4 of 3", f"4 {quorum}"), ("twice the same", f"1 {keys[0]} {keys[0]}"),
                        ("nobody", "1"), ("10 fingerprints", "1 " + " ".join(f"{n:040}" for n in range(10)))):
        chain.refuse("recovery", "3.2", note, "keys", [f"Recovery: {value}"])
    chain.add("keys", lines, both)
    chain.add("keys", [f"Recovery: 2 {quorum}"])
    chain.post("by-two", authors=[keys[0]])
    chain.post("by-three", authors=[keys[1]])
    chain.write()


def case_keys_end():
    chain = one("gpg-keys-end", "The second own key ends the first, which then signs in vain and never returns; the last "
                "own key stays.")
    first, armor = chain.authors[0], chain.home.export(chain.authors[0])
    second, third = chain.home.key("ed25519", "Two"), chain.home.key("ed25519", "Three")
    chain.add("keys", [f"Certificate: {second} own"], chain.home.export(second))
    chain.post("before")
    chain.add("keys", [f"Ends: {first}"], authors=[second])
    chain.refuse("ended", "6.3, 6.5", "signed by the ended key", "post", [f"Date: {chain.now}", "Slug: too-late"], "Words.")
    chain.authors = [second]
    chain.post("after")
    chain.refuse("ended", "6.5", "an ended key returns", "keys", [f"Certificate: {first} own"], armor)
    chain.refuse("no-own", "6.5", "no own key would be left", "keys", [f"Ends: {second}"])
    chain.refuse("not-in-ring", "6.5", "ends what is not in the ring", "keys", [f"Ends: {third}"])
    more = chain.home.export(third)
    chain.refuse("no-own", "6.5", "only a write key would be left", "keys",
                 [f"Certificate: {third} write", f"Ends: {second}"], more)
    chain.add("keys", [f"Certificate: {third} own", f"Ends: {second}"], more)
    chain.post("by-three", authors=[third])
    chain.write()


def expiring(chain, until="20261125T000000", algorithm="ed25519"):
    """A key, and its certificate that expires; the key itself stays usable in chain.home."""
    key = chain.home.key(algorithm)
    short = chain.home.clone()
    at = later(KEY_TIME, hours=1)
    short.gpg("--quick-set-expire", key, until, at=at)
    return key, short.export(key, at=at)


def case_expired():
    chain = Chain("gpg-expired", "The certificate expires on 2026-11-25: what is Signed before is valid, what is Signed "
                  "after it is refused.")
    key, armor = expiring(chain)
    chain.start(key, armor)
    chain.post(signed="2026-11-24T10:00:00Z")
    chain.post("last-moment", signed="2026-11-24T23:59:59Z")
    chain.refuse("expired", "5.5", "a second after", signed="2026-11-25T00:00:01Z")
    chain.refuse("expired", "5.5", "a day later", signed="2026-11-26T10:00:00Z")
    chain.write()


def case_keys_extend():
    chain = Chain("gpg-keys-extend", "The certificate expires on 2026-11-25; a keys entry of 2026-11-27 brings its extended "
                  "form and is judged by the merged one.")
    key, armor = expiring(chain)
    chain.start(key, armor)
    chain.post(signed="2026-11-24T10:00:00Z")
    chain.refuse("expired", "5.5", "before the extension", signed="2026-11-26T10:00:00Z")
    longer = chain.home.clone()
    longer.gpg("--quick-set-expire", key, "20281125T000000", at="2026-11-27T09:00:00Z")
    extended = longer.export(key, at="2026-11-27T09:00:00Z")
    chain.refuse("expired", "6.4, 5.5", "brings only the form that is known", "keys", [f"Certificate: {key} own"], armor,
                 signed="2026-11-27T09:30:00Z")
    chain.add("keys", [f"Certificate: {key} own"], extended, signed="2026-11-27T10:00:00Z")
    chain.post("afterwards", signed="2026-11-28T10:00:00Z")
    chain.refuse("expired", "5.5", "after the second expiry", signed="2028-11-26T10:00:00Z")
    chain.write()


def case_keys_subkey():
    chain = Chain("gpg-keys-new-subkey", "A keys entry brings a form of the certificate with a new signing subkey, signed by "
                  "that subkey itself; then one in which that subkey is revoked without a reason.")
    home = chain.home
    key = home.key("ed25519", usage="sign,cert")
    chain.start(key, home.export(key))
    home.gpg("--quick-add-key", key, "ed25519", "sign", "never", at="2026-11-23T15:00:00Z")
    subkey = home.fingerprints(key)[1]
    chain.refuse("other-key", "6.3", "the subkey is not known yet", signed="2026-11-23T16:00:00Z", by=[subkey])
    chain.add("keys", [f"Certificate: {key} own"], home.export(key), signed="2026-11-23T16:00:00Z", by=[subkey])
    chain.post(by=[subkey])
    lab = home.clone()
    lab.revoke_subkey(key, 1, 0, "2026-12-24T00:00:00Z")
    chain.refuse("revoked", "5.5, 6.4", "signed by the subkey that it revokes", "keys", [f"Certificate: {key} own"],
                 lab.export(key, at="2026-12-24T00:00:00Z"), signed="2026-11-24T10:00:00Z", by=[subkey])
    chain.add("keys", [f"Certificate: {key} own"], lab.export(key, at="2026-12-24T00:00:00Z"),
              signed="2026-11-24T10:00:00Z", note="the revocation is dated 2026-12-24, later than this entry")
    chain.refuse("revoked", "5.5", "Signed before the revocation, but that has no reason", by=[subkey])
    chain.post("by-the-primary")
    chain.write()


def case_revoked():
    for name, reason, word in (("no-reason", 0, "without a reason"), ("compromised", 1, "as compromised")):
        chain = Chain(f"gpg-revoked-{name}", f"Entry 0 carries a certificate revoked {word} on 2026-12-24, a month after "
                      "Signed; refused even before.")
        key = chain.home.key("ed25519")
        lab = chain.home.clone()
        lab.revoke(key, reason, "2026-12-24T00:00:00Z")
        chain.start(key, lab.export(key, at="2026-12-24T00:00:00Z"), verdict="refused", reason="revoked", spec="5.5")
        chain.write()
    for name, reason in (("superseded", 2), ("retired", 3)):
        chain = Chain(f"gpg-revoked-{name}", f"Entry 0 carries a certificate revoked as {name} on 2026-12-01: valid before, "
                      "refused after.")
        key = chain.home.key("ed25519")
        lab = chain.home.clone()
        lab.revoke(key, reason, "2026-12-01T00:00:00Z")
        chain.start(key, lab.export(key, at="2026-12-01T00:00:00Z"), looks=False)
        chain.post(signed="2026-11-30T23:59:59Z", looks=False)
        chain.refuse("revoked", "5.5", "Signed after the revocation", signed="2026-12-02T00:00:00Z")
        chain.write()


def case_subkey_expired():
    chain = Chain("gpg-subkey-expired", "The signing subkey expires on 2026-11-25, the primary does not.")
    home = chain.home
    key = home.key("ed25519", usage="sign,cert")
    home.gpg("--quick-add-key", key, "ed25519", "sign", "never")
    subkey = home.fingerprints(key)[1]
    lab = home.clone()
    lab.gpg("--quick-set-expire", key, "20261125T000000", subkey, at=later(KEY_TIME, hours=1))
    chain.start(key, lab.export(key), by=[subkey])
    chain.refuse("expired", "5.5", "signed by the expired subkey", signed="2026-11-26T10:00:00Z", by=[subkey])
    chain.post(signed="2026-11-26T10:00:00Z")
    chain.write()


def case_not_yet():
    chain = Chain("gpg-not-yet", "Signed a minute before the key was made; the packet's time is within its bounds.",
                  start=later(KEY_TIME, minutes=-1))
    key = chain.home.key("ed25519")
    chain.start(key, chain.home.export(key), packet=KEY_TIME, verdict="refused", reason="not-yet", spec="5.5")
    chain.write()


def case_two_authors():
    chain = one("gpg-two-authors", "Two Authors, two signatures in one block; and signatures too few, too many, of another.")
    own, other = chain.authors[0], chain.home.key("rsa2048", "Two")
    third = chain.home.key("nistp256", "Three")
    chain.add("keys", [f"Certificate: {other} write", f"Certificate: {third} own"],
              chain.home.export(other) + "\n\n" + chain.home.export(third))
    both = sorted([own, other])
    chain.post("together", authors=both)
    chain.post("two-digests", authors=sorted([own, third]))
    chain.post("three", authors=sorted([own, other, third]))
    chain.refuse("signature-count", "5.1", "one signature is missing", authors=both, by=both[:1])
    chain.refuse("signature-count", "5.1", "one signature too many", authors=[own], by=both)
    chain.refuse("other-key", "5.1", "one is by a third key", authors=both, by=sorted([own, third]))
    chain.refuse("role", "6.3", "one of the two may not sign this kind", "keys", [f"Ends: {third}"], authors=both)
    chain.refuse("author", "2.6", "not ascending", authors=both[::-1], by=both)
    chain.refuse("author", "2.6", "the same twice", authors=[own, own], by=[own])
    chain.add("keys", [f"Ends: {other}"], authors=sorted([own, third]))
    chain.write()


# What the signature says.

def case_other_key():
    chain = one("gpg-refused-other-key", "Signatures by other keys and over other bytes.")
    other = chain.home.key("ed25519", "Two")
    chain.refuse("other-key", "6.3", "signed by a key that is not the Author", by=[other])
    chain.refuse("not-in-ring", "6.3", "Author and signer are not in the ring", authors=[other])
    settings = {"signed": chain.now, "authors": chain.authors}
    made, told = (chain.text("settings", [f"Title: {word}"], **settings) for word in ("One", "Two"))
    chain.seal(told, wrong=made, signed=chain.now, verdict="refused", reason="signature", spec="5.1",
               note="signed over a text with another Title")
    chain.write()


def case_digest_refused():
    for digest in ("SHA1", "RIPEMD160", "SHA224"):
        chain = one(f"gpg-refused-{digest.lower()}", f"The entry is signed over {digest}.", "rsa2048")
        how = {"options": ("--allow-weak-digest-algos", "--digest-algo", digest)}
        chain.refuse("digest" if digest != "SHA1" else "sha1", "5.4", f"{digest}, cleartext", **how)
        chain.refuse("digest" if digest != "SHA1" else "sha1", "5.4", f"{digest}, detached", **{**how, "how": "text"})
        chain.post()
        chain.write()
    chain = Chain("gpg-refused-sha1-binding", "The certificate's self-signature is over SHA-1, the entry's is not.", "rsa2048")
    key = chain.home.key("rsa2048", options=("--allow-weak-digest-algos", "--cert-digest-algo", "SHA1"))
    chain.start(key, chain.home.export(key), verdict="refused", reason="sha1", spec="5.4, 6.1")
    chain.write()


def case_algorithm_refused():
    for algorithm in ("rsa1024", "dsa2048", "brainpoolP256r1", "secp256k1"):
        chain = Chain(f"gpg-refused-{algorithm.lower()}", "A kind of key that is refused.", algorithm)
        key = chain.home.key(algorithm)
        chain.start(key, chain.home.export(key), verdict="refused", reason="algorithm", spec="5.4, 6.1")
        chain.write()
    chain = Chain("gpg-refused-rsa1024-subkey", "The primary is RSA-3072, the signing subkey RSA-1024: what the primary signs "
                  "is valid.", "rsa3072")
    key = chain.home.key("rsa3072", usage="sign,cert")
    chain.home.gpg("--quick-add-key", key, "rsa1024", "sign", "never")
    subkey = chain.home.fingerprints(key)[1]
    chain.start(key, chain.home.export(key))
    chain.refuse("algorithm", "5.4", "signed by the short subkey", by=[subkey])
    chain.post()
    chain.write()


def case_packet():
    chain = one("gpg-packet-time", "The packet's own time: from Signed - 5 min to Signed + 24 h.")
    for slug, signed, packet in (("early", "2026-11-24T10:00:00Z", "2026-11-24T09:55:00Z"),
                                 ("late", "2026-11-24T11:00:00Z", "2026-11-25T11:00:00Z")):
        chain.post(slug, signed=signed, packet=packet)
    at = "2026-11-26T10:00:00Z"
    chain.refuse("packet-time", "5.5", "a second too early", signed=at, packet="2026-11-26T09:54:59Z")
    chain.refuse("packet-time", "5.5", "a second too late", signed=at, packet="2026-11-27T10:00:01Z")
    chain.refuse("packet-time", "5.5", "a month too late", signed=at, packet="2026-12-26T10:00:00Z")
    chain.refuse("packet-time", "5.5", "a year too early", signed="2027-11-26T10:00:00Z", packet="2026-11-26T10:00:00Z")
    chain.write()
    chain = one("gpg-refused-subpackets", "Signatures that expire, or say something critical, or are too long.", "rsa2048")
    for reason, spec, note, options in (
            ("signature-expires", "5.3", "expires after a day", ("--default-sig-expire", "1d")),
            ("signature-expires", "5.3", "expires after ten years", ("--default-sig-expire", "10y")),
            ("critical", "5.3", "a critical notation", ("--sig-notation", "!x@example.org=1")),
            ("critical", "5.3", "a critical policy", ("--sig-policy-url", "!https://example.org/policy")),
            ("critical", "5.3", "a critical keyserver", ("--sig-keyserver-url", "!https://example.org/keys")),
            ("packet-size", "5.2", "over 2,048 bytes", ("--sig-notation", "x@example.org=" + "x" * 2_000))):
        chain.refuse(reason, spec, note, options=options)
    chain.post()
    chain.write()
    chain = one("gpg-refused-binary", "Detached signatures of the binary type (0x00).", how="text")
    chain.refuse("binary", "5.1", "gpg --detach-sign without --textmode", how="binary")
    chain.post(how="text")
    chain.write()


def case_framework():
    chain = one("gpg-refused-framework", "Files around a good signature that say more or less than it, or are not quite "
                "cleartext signed.")
    body = {"kind": "post", "body": "Words.\n\n- a dash\n\nThe end.", "spec": "5.7", "reason": "framework"}

    def bad(note, change, **more):
        how = {**body, **more}
        lines = [f"Date: {chain.now}", "Slug: a"]
        chain.refuse(how.pop("reason"), how.pop("spec"), note, how.pop("kind"), lines, how.pop("body"), asc=change, **how)
    bad("text before the block", lambda asc: b"Good morning\n" + asc)
    bad("text behind the block", lambda asc: asc + b"Good night\n")
    bad("the block twice", lambda asc: asc + asc)
    bad("quoted as in a mail", lambda asc: b"".join(b"> " + line for line in asc.splitlines(True)))
    bad("a line of the text ends in a blank", lambda asc: asc.replace(b"\nWords.\n", b"\nWords. \n"))
    bad("a line of the text ends in a TAB", lambda asc: asc.replace(b"\nWords.\n", b"\nWords.\t\n"))
    bad("a header line ends in a blank", lambda asc: asc.replace(b"\nSlug: a\n", b"\nSlug: a \n"))
    bad("the text ends in an empty line that the signature covers", None, body="Words.\n", reason="canonical", spec="5.7, 1.2")
    bad("an empty line too many", lambda asc: asc.replace(b"\n\n- - a dash", b"\n\n\n- - a dash"), reason="signature",
        spec="5.7, 2.3")
    bad("an empty line too few", lambda asc: asc.replace(b"\n\n- - a dash", b"\n- - a dash"), reason="signature",
        spec="5.7, 2.3")
    bad("no signature", lambda asc: asc.split(b"-----BEGIN PGP SIGNATURE")[0])
    bad("an empty block", lambda asc: re.sub(rb"(SIGNATURE-----\n\n).*(-----END)", rb"\1\2", asc, flags=re.S))
    bad("the armor is cut off", lambda asc: asc[:-60])
    bad("no frame at all", lambda asc: asc.split(b"\n\n", 1)[1].split(b"-----BEGIN PGP SIGNATURE")[0])
    chain.post("after")
    chain.write()


# What the certificate says.

def case_certificate():
    chain = Chain("gpg-refused-flooded", "A certificate of over 16 KiB, as full of user ids.")
    key = chain.home.key("ed25519")
    small = chain.home.clone()
    for number in range(56):
        group = "ab"[number % 2]
        chain.home.gpg("--quick-add-uid", key, f"Flood {group} {number} {'x' * 120} <{group}{number}@example.org>")
    full, half = chain.home.export(key, minimal=False), []
    for group in "ab":
        half.append(chain.home.export(key, "--export-filter", f"keep-uid=uid =~ Flood {group}"))
    assert len(full) > 16_384 > max(map(len, half)), (len(full), *map(len, half))
    chain.start(key, full, verdict="refused", reason="certificate-size", spec="6.1")
    chain.write()

    home = chain.home
    chain = Chain("gpg-refused-flooded-merge", "Two forms of one certificate, each below 16 KiB, that are too large merged.")
    chain.home = home
    for number in range(56, 96):
        group = "ab"[number % 2]
        home.gpg("--quick-add-uid", key, f"Flood {group} {number} <{group}{number}@example.org>")
    half = [home.export(key, "--export-filter", f"keep-uid=uid =~ Flood {group}") for group in "ab"]
    binary = [len(home.gpg("--export-options", "export-minimal", "--export-filter", f"keep-uid=uid =~ Flood {group}",
                           "--export", key)) for group in "ab"]
    assert max(map(len, half)) <= 16_384 and sum(binary) > 16_384 + 2_000, (*map(len, half), *binary)
    chain.start(key, half[0])
    chain.refuse("certificate-size", "6.4", "merged over 16,384 bytes", "keys", [f"Certificate: {key} own"], half[1])
    chain.post()
    chain.write()

    chain = Chain("gpg-refused-secret", "The secret key in the body (it is made for this and worth nothing).")
    chain.home = small
    secret = small.export(key, secret=True)
    how = {"verdict": "refused", "reason": "secret", "spec": "6.1"}
    chain.start(key, secret, note="as gpg exports it", **how)
    disguised = secret.replace("PRIVATE KEY", "PUBLIC KEY")
    chain.start(key, disguised, note="armored as a public key", **how)
    chain.write()

    chain = Chain("gpg-refused-certificate", "Entries 0 whose body is not one certificate of its Author.")
    key, other = chain.home.key("ed25519"), chain.home.key("ed25519", "Two")
    armor, another = chain.home.export(key), chain.home.export(other)
    binary = chain.home.gpg("--armor", "--export", key, other).decode().strip()
    encrypts = chain.home.key("ed25519", "Three", usage="cert")
    how = {"verdict": "refused", "reason": "certificate", "spec": "3.1, 6.1"}
    for note, body in (("none", None), ("of another key", another), ("two blocks", armor + "\n\n" + another),
                       ("two certificates in one block", binary), ("words behind it", armor + "\n\nWords."),
                       ("words before it", "Words.\n\n" + armor), ("cut off", armor[:-80]), ("only words", "Words.")):
        chain.start(key, body, note=note, **how)
    chain.add("blog", ["Title: A vector", "Language: en", f"Certificate: {key} write"], armor, note="with the role write", **how)
    chain.add("blog", ["Title: A vector", "Language: en", f"Certificate: {other} own"], another,
              note="the certificate's fingerprint is not the Author's", **how)
    chain.start(encrypts, chain.home.export(encrypts), by=[key], note="no key of it can sign", **how)
    chain.start(key, armor)
    chain.write()


# What the text says. Each of these is properly signed by the right key.

def swap(first, second):
    def change(lines):
        lines = list(lines)
        lines[first], lines[second] = lines[second], lines[first]
        return lines
    return change


def drop(name):
    return lambda lines: [line for line in lines if not line.startswith(name + ":")]


def double(name):
    return lambda lines: [copy for line in lines for copy in [line] * (2 if line.startswith(name + ":") else 1)]


def case_lines():
    chain = one("gpg-refused-lines", "Properly signed texts, each of which breaks one rule of section 1.")
    post = {"kind": "post"}

    def bad(spec, note, *lines, body="Words.", **how):
        chain.refuse("canonical", spec, note, lines=[f"Date: {chain.now}", "Slug: a", *lines], body=body, **post, **how)
    bad("1.1", "another first line", skeleton=lambda lines: ["Spokes-Sign-In: 1", *lines[1:]])
    bad("1.1", "a version with a leading zero", Spokes_Entry="01")
    bad("1.1", "version 0", Spokes_Entry="0")
    detached = {"how": "text"}
    bad("1.2", "a trailing space", body="Words. \nMore.", **detached)
    bad("1.2", "a trailing TAB", body="Words.\t\nMore.", **detached)
    bad("1.2", "a trailing space in a header line", "Title: x ", **detached)
    bad("1.2", "a line of one space", body="Words.\n \nMore.", **detached)
    bad("1.2", "a final LF", body="Words.\n", **detached)
    bad("1.2", "CRLF line ends", body="Words.\r\nMore.", **detached)
    bad("1.2", "CR within a line", body="Words.\rMore.")
    bad("1.2", "U+0007", body="Words\a.")
    bad("1.2", "U+007F", body="Words\x7f.")
    bad("1.2", "U+0085", body="Words\x85.")
    bad("1.2", "U+FEFF", body="\ufeffWords.")
    bad("1.2", "not UTF-8", body=b"W\xf6rter.")
    bad("1.2", "an encoded surrogate", body=b"W\xed\xa0\x80.")
    bad("1.2", "a TAB in a title", "Title: a\tb")
    for code in (0x2028, 0x2029, 0x202e, 0x2066):
        bad("1.2", f"U+{code:04X} in a title", f"Title: a{chr(code)}b")
    bad("1.2", "a TAB alone as a title", "Title: \tx")
    bad("1.3", "a line of 16,001 bytes", body="x" * 16_001)
    bad("1.3", "a line of 8,001 characters and 16,001 bytes", body="x" + "ä" * 8_000)
    bad("1.4", "no space after the colon", "Title:x")
    bad("1.4", "two spaces after the colon", "Title:  x")
    bad("1.4", "a TAB after the colon", "Title:\tx")
    bad("1.4", "no value", "Title:")
    bad("1.4", "no colon", "Title")
    bad("1.4", "a small first letter", "x-title: x")
    bad("1.4", "a name with an underscore", "X_title: x")
    bad("1.4", "a name of 65 bytes", f"{'X' * 65}: x")
    bad("1.4", "a name in Greek", "Χ: x")
    for value in ("01", "+1", "1.0", "-1", "0x1", "9007199254740992", "１"):
        bad("1.5", f"Sequence: {value}", Sequence=value)
    for value in ("2026-11-31T00:00:00Z", "2026-02-29T00:00:00Z", "2026-11-23T24:00:00Z", "2026-12-31T23:59:60Z",
                  "2026-11-23T14:00:00", "2026-11-23T14:00:00+00:00", "2026-11-23T14:00:00.0Z", "2026-11-23 14:00:00Z",
                  "2026-11-23t14:00:00z", "2026-11-23", "0000-01-01T00:00:00Z", "9999-01-01T00:00:00Z"):
        chain.refuse("canonical", "1.5", f"Date: {value}", lines=[f"Date: {value}", "Slug: a"], **post)
    for value in (HASH.upper(), HASH.replace("sha256", "SHA256"), "sha256:" + 64 * "A", HASH[:-1], HASH + "a", HASH[7:]):
        bad("1.5", "Replaces: " + (value if len(value) < 20 else f"{value[:12]}… of {len(value)}"), f"Replaces: {value}")
    for note, value in (("upper-case", 32 * "A"), ("31 digits", 31 * "a"), ("33 digits", 33 * "a")):
        chain.refuse("canonical", "1.5", f"a salt: {note}", lines=[f"Salt: {value}", f"Date: {chain.now}", "Slug: a"],
                     salt=False, **post)
    bad("1.5", "a fingerprint in lower case", Author=chain.authors[0].lower(), by=chain.authors)
    bad("1.5", "a fingerprint of 39 digits", Author=chain.authors[0][:-1], by=chain.authors)
    bad("1.5", "a fingerprint with spaces", Author=" ".join(re.findall("....", chain.authors[0])), by=chain.authors)
    chain.post("after")
    chain.write()


def case_skeleton():
    chain = one("gpg-refused-skeleton", "Properly signed texts, each of which breaks one rule of section 2.")

    def bad(spec, note, *lines, kind="post", body="Words.", reason="canonical", **how):
        chain.refuse(reason, spec, note, kind, [f"Date: {chain.now}", "Slug: a", *lines], body, **how)
    bad("2.1", "a skeleton of 4,097 bytes", skeleton=lambda lines: lines + [
        "X-Fill: " + "x" * (4_097 - sum(len(line) + 1 for line in lines) - 9)])
    bad("2.3", "another hash", reason="content-hash", Content=lambda value: f"{HASH} {value.split()[1]}")
    bad("2.3", "a byte too many", reason="content-hash",
        Content=lambda value: f"{value.split()[0]} {int(value.split()[1]) + 1}")
    bad("2.3", "characters counted, not bytes", body="Wörter.", reason="content-hash",
        Content=lambda value: f"{value.split()[0]} {int(value.split()[1]) - 1}")
    bad("2.6", "the length with a leading zero", Content=lambda value: value.replace(" ", " 0"))
    bad("2.6", "no length", Content=lambda value: value.split()[0])
    bad("2.6", "two spaces before the length", Content=lambda value: value.replace(" ", "  "))
    bad("2.6", "the hash in upper case", Content=lambda value: "sha256:" + value[7:].upper())
    bad("2.5", "the body begins with an empty line", body="\nWords.")
    bad("2.5, 1.2", "an empty line and no body", body="", how="text")
    for first, second in ((1, 2), (2, 3), (4, 5), (5, 6), (6, 7)):
        bad("2.6", f"lines {first + 1} and {second + 1} in the other order", skeleton=swap(first, second))
    for name in ("Blog", "Sequence", "Previous", "Kind", "Signed", "Author", "Content"):
        bad("2.6", f"no {name}", skeleton=drop(name))
        if name != "Author":
            bad("2.6", f"{name} twice", skeleton=double(name))
    for kind in ("Post", "post_it", "-post", "1post", "a" * 33, "p st"):
        bad("2.6", f"Kind: {kind}", kind=kind)
    key = chain.authors[0]
    bad("2.6", "Author twice, and equal", skeleton=double("Author"))
    bad("2.6", "nine Authors", Author=sorted([key] + [f"{n:040}" for n in range(1, 9)]), reason="author", by=[key])
    bad("2.7", "an extension line before a known one", skeleton=lambda lines: lines[:6] + ["Mood: calm"] + lines[6:])
    bad("2.7", "an extension line named as a line of section 2", skeleton=lambda lines: lines + ["Kind: page"])
    bad("2.7", "an extension line named as a line of section 3", skeleton=lambda lines: lines + ["Title: x"])
    bad("2.7", "65 extension lines in the skeleton", skeleton=lambda lines: lines + [f"X-{n}: {n}" for n in range(65)])
    bad("2.7", "65 extension lines in the content header", *(f"X-{n}: {n}" for n in range(65)))
    bad("2.7", "an extension line in the content named as one of section 2", "Sequence: 3")
    bad("2.7", "an extension line in the content named as one of another kind", "Erases: " + HASH)
    armor = chain.home.export(key)
    chain.refuse("kind", "2.6", "kind blog at sequence 1", "blog",
                 ["Title: x", "Language: en", f"Certificate: {key} own"], armor)
    chain.post("after")
    chain.write()
    chain = Chain("gpg-refused-first", "Texts that may not be entry 0; then one that is.")
    key = chain.home.key("ed25519")
    chain.authors, armor = [key], chain.home.export(key)
    how = {"verdict": "refused", "reason": "kind", "spec": "2.6"}
    chain.post(note="kind post at sequence 0", **how)
    how["reason"] = "sequence"
    chain.start(key, armor, note="sequence 1", Sequence=1, **how)
    chain.start(key, armor, note="Blog is a hash", Blog=HASH, **how)
    chain.start(key, armor, note="Previous is a hash", Previous=HASH, **how)
    chain.start(key, armor, note="Previous is new", Previous="new", **how)
    chain.start(key, armor, note="Blog is none", Blog="none", **how)
    how["reason"], how["spec"] = "canonical", "3.1"
    chain.start(key, armor, note="a Name without a Network", lines=["Name: vector-one"], **how)
    chain.start(key, armor, note="Instead-Of in entry 0", lines=[f"Instead-Of: {HASH}"], **how)
    chain.add("blog", ["Language: en", f"Certificate: {key} own"], armor, note="no Title", **how)
    chain.add("blog", ["Title: x", f"Certificate: {key} own"], armor, note="no Language", **how)
    chain.start(key, armor)
    chain.write()


def case_contents():
    chain = one("gpg-refused-contents", "Properly signed texts, each of which breaks one rule of section 3.")

    def bad(spec, note, *lines, slug="a", body="Words.", reason="canonical", kind="post", **how):
        chain.refuse(reason, spec, note, kind, [f"Date: {chain.now}", f"Slug: {slug}", *lines], body, **how)

    def lines(spec, note, kind, *lines, body=None, **how):
        chain.refuse("canonical", spec, note, kind, lines, body, **how)
    date, slug = "Date: 2026-11-23T14:00:00Z", "Slug: a"
    lines("3", "no Salt", "post", date, slug, salt=False)
    lines("3", "Salt is not the first line", "post", date, f"Salt: {32 * 'a'}", slug, salt=False)
    bad("3", "Salt twice", content=double("Salt"))
    lines("3.6", "no Date", "post", slug)
    lines("3.6", "no Slug", "post", date)
    lines("3.6", "Slug before Date", "post", slug, date)
    bad("3.6", "Language before Title", "Language: en", "Title: x")
    bad("3.6", "Title twice", "Title: x", "Title: x")
    bad("3.6", "Tags twice", "Tags: x", "Tags: y")
    bad("3.6", "an alias twice", "Alias: b", "Alias: b")
    bad("3.6", "an alias equals the slug", "Alias: a")
    medium = f"Media: {HASH} 1 image/png"
    bad("3.6", "a medium twice", medium, medium + " Another description")
    bad("3.6", "Replaces twice", f"Replaces: {HASH}", f"Replaces: {NETWORK}")
    bad("3.6", "65 tags", "Tags: " + ", ".join(f"t{n}" for n in range(65)))
    bad("3.6", "201 media", *(f"Media: sha256:{n:064x} 1 a/b" for n in range(201)))
    bad("3", "Instead-Of twice the same", f"Instead-Of: {HASH}", f"Instead-Of: {HASH}")
    bad("3", "Instead-Of before Replaces", f"Instead-Of: {HASH}", f"Replaces: {HASH}")
    lines("3.5", "settings that set nothing", "settings")
    lines("3.5", "settings with a body", "settings", "Title: x", body="Words.")
    lines("3.5", "Description before Title", "settings", "Description: x", "Title: x")
    lines("3.7", "an erase of nothing", "erase")
    lines("3.7", "the same erased twice", "erase", f"Erases: {HASH}", f"Erases: {HASH}")
    lines("3.7", "201 are erased", "erase", *(f"Erases: sha256:{n:064x}" for n in range(201)))
    lines("3.7", "an erase with a body", "erase", f"Erases: {HASH}", body="Words.")
    lines("3.8", "no Salt in an unknown kind", "reply", "To: x", salt=False)
    for value, note in ((value, None) for value in (
            "/a", "a/", "a//b", "_a", "a/_b", ".a", "a/..", "a.asc", "b.txt", "a.asc/b", "a b", "a,b", "a%20b", "a?b", "a#b",
            "a\\b", "a:b", "tags", "a/tags", "feed.atom", "sitemap.xml", "about", "media/x")):
        bad("3.10", note or f"Slug: {value}", slug=value, reason="slug")
    for value, note in (("e\u0301", "not NFC"), ("a\u2603", "a symbol"), ("a\u200db", "a format character"),
                        ("a\u0378", "an unassigned character"), ("a\u2160", "a letter number"),
                        ("1\u00b2", "another number"), ("a" * 201, "201 bytes"), ("/".join("abcdefghi"), "9 segments")):
        bad("3.10", f"a slug: {note}", slug=value, reason="slug")
    bad("3.10", "an alias with a bad character", "Alias: a b", reason="slug")
    for value in ("a/b", "a,b", "a, ,b", "a,", ", a", "a,  b", ".", "a, ..", "a, b, a", "a , b", "x" * 101):
        bad("3.11", f"Tags: {value}", f"Tags: {value}", reason="tags")
    for value in ("e", "en_GB", "en-", "englishes", "1e", "en-abcdefghi", "en--x", "abcdefgh-abcdefgh-abcdefgh-abcdefgh-x", "é"):
        bad("3.12", f"Language: {value}", f"Language: {value}", reason="language")
    for value in ("0 image/png", "33554433 image/png", "01 image/png", "1", "1 image", "1 Image/png", "1 image/png/x",
                  "1  image/png", "1 /png", f"1 a/{'b' * 99}"):
        bad("3.13", f"Media: … {value}", f"Media: {HASH} {value}", reason="media")
    chain.post("after")
    chain.write()


def case_chain():
    chain = one("gpg-refused-chain", "Properly signed and well-formed entries that do not fit their place in the chain.")
    post = chain.post()
    settings = chain.add("settings", ["Title: x"])
    erase = chain.add("erase", [f"Erases: {HASH}"])
    zero, previous = chain.blog, chain.previous
    chain.refuse("sequence", "7.1", "one too high", Sequence=chain.sequence + 1)
    chain.refuse("sequence", "7.1", "the parent's own", Sequence=chain.sequence - 1)
    chain.refuse("previous", "7.1", "a parent that nobody knows", Previous=HASH)
    chain.refuse("sequence", "7.1", "the parent is an older one, the sequence is not", Previous=post)
    chain.refuse("blog", "7.1", "another blog", Blog=HASH)
    chain.refuse("blog", "2.6", "Blog: new at sequence 4", Blog="new")
    chain.refuse("signed", "7.1", "a second before its parent", signed=later(chain.parents, seconds=-1))
    chain.refuse("instead-of", "7.1", "Instead-Of names the parent", lines=["Title: x", f"Instead-Of: {previous}"])
    chain.refuse("instead-of", "7.1", "Instead-Of names entry 0", lines=["Title: x", f"Instead-Of: {zero}"])
    chain.refuse("instead-of", "7.1", "Instead-Of names an ancestor beside another", lines=[
        "Title: x", f"Instead-Of: {HASH}", f"Instead-Of: {post}"])
    for note, what in (("settings", settings), ("an erase", erase), ("entry 0", zero)):
        chain.refuse("erase-kind", "7.1, 7.5", f"erases {note}", "erase", [f"Erases: {what}"])
    chain.refuse("erase-kind", "7.1, 7.5", "erases a post and the settings", "erase",
                 [f"Erases: {post}", f"Erases: {settings}"])
    chain.add("settings", ["Title: y"], signed=chain.parents, note="at the same second as its parent")
    chain.add("erase", [f"Erases: {post}"])
    chain.write()


def main(names):
    cases = {name[5:]: make for name, make in globals().items() if name.startswith("case_")}
    try:
        if names != ["--table"]:
            for name in names or cases:
                print(name, flush=True)
                cases[name]()
    finally:
        for home in Home.all:
            subprocess.run(["gpgconf", "--homedir", home.path, "--kill", "all"], capture_output=True)
            shutil.rmtree(home.path, ignore_errors=True)
    common.readme()


if __name__ == "__main__":
    main(sys.argv[1:])
