"""What both makers of vectors share: canonical texts (spec/entry.md 1 to 3), cases, the README's table.

A text is built from lists of lines so that a case can break exactly one rule of it.
"""

import base64
import hashlib
import json
import pathlib
import re
import shutil

ROOT = pathlib.Path(__file__).resolve().parent.parent


def sha(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def as_bytes(text):
    return text if isinstance(text, bytes) else text.encode()


def id_of(text):
    """Spec 2.2: the skeleton's lines, each followed by one LF."""
    return sha(text.split(b"\n\n", 1)[0] + b"\n")


class Case:
    """One chain. `put` adds an entry's files and remembers the place of the next."""

    def __init__(self, name, about, maker, key):
        self.name, self.about, self.maker, self.key = name, about, maker, key
        self.folder = ROOT / name / "entries"
        shutil.rmtree(ROOT / name, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.entries, self.made = [], 0
        self.blog, self.previous, self.sequence = "new", "none", 0

    def text(self, kind, lines, body=None, *, signed, authors, salt=True, skeleton=None, content=None,
             said=None, **over):
        """A canonical text at the next place.

        `over` replaces a skeleton value (`Kind=`, `Content=` ...), `skeleton` and `content` change the
        lists of lines, `said` replaces the content's bytes.
        """
        self.made += 1
        head = [f"Salt: {hashlib.sha256(f'{self.name} {self.made}'.encode()).hexdigest()[:32]}"] if salt else []
        head += lines
        head = content(head) if content else head
        if said is None:
            said = b"\n".join(as_bytes(line) for line in head)
            said += b"\n\n" + as_bytes(body) if body is not None else b""
        values = {
            "Spokes-Entry": 1, "Blog": self.blog, "Sequence": self.sequence, "Previous": self.previous,
            "Kind": kind, "Signed": signed, "Author": authors, "Content": f"{sha(said)} {len(said)}",
        }
        for name, value in over.items():
            name = name.replace("_", "-")
            values[name] = value(values[name]) if callable(value) else value
        out = []
        for name, value in values.items():
            out += [f"{name}: {v}" for v in (value if isinstance(value, list) else [value])]
        out = skeleton(out) if skeleton else out
        return b"\n".join(as_bytes(line) for line in out) + b"\n\n" + said

    def put(self, text, asc, verdict, reason=None, spec=None, note=None, gpg=None, detached=False):
        number = f"{len(self.entries):03}"
        name = f"{number}.sig.asc" if detached else f"{number}.asc"
        (self.folder / name).write_bytes(asc)
        (self.folder / f"{number}.txt").write_bytes(text)
        entry = {"file": name, "text": f"{number}.txt", "verdict": verdict}
        for key, value in (("reason", reason), ("spec", spec), ("note", note), ("gpg", gpg)):
            if value is not None:
                entry[key] = value
        if verdict == "valid":
            check(text)
            assert detached or words(asc) == text, (self.name, number)
            entry["id"] = id_of(text)
            self.previous = entry["id"]
            self.blog = self.previous if self.sequence == 0 else self.blog
            self.sequence += 1
        else:
            assert verdict == "refused" and reason and spec, (self.name, number)
        self.entries.append(entry)
        return id_of(text)

    def write(self):
        about = {"about": self.about, "maker": self.maker, "key": self.key, "entries": self.entries}
        path = ROOT / self.name / "case.json"
        path.write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n")


def words(asc):
    """The text in a cleartext-signed file (spec 5.7, as read from a stranger)."""
    lines = asc.replace(b"\r\n", b"\n").split(b"\n")
    lines = lines[lines.index(b"") + 1:lines.index(b"-----BEGIN PGP SIGNATURE-----")]
    return b"\n".join(line[2:] if line.startswith(b"- ") else line for line in lines)


def issuers(asc):
    """The issuer fingerprints in the hashed areas of an armored block's v4 signatures, in order."""
    lines = (b"\n" + asc.replace(b"\r\n", b"\n")).split(b"\n-----BEGIN PGP SIGNATURE-----\n")[-1].split(b"\n")
    lines = lines[lines.index(b"") + 1:]
    data = base64.b64decode(b"".join(line for line in lines if line[:1] not in (b"=", b"-")))
    found = []
    while data:
        if data[0] & 0x40:
            start, size = (2, data[1]) if data[1] < 192 else (3, (data[1] - 192 << 8) + data[2] + 192)
        else:
            start = 2 + (data[0] & 1)
            size = int.from_bytes(data[1:start], "big")
        packet, data = data[start:start + size], data[start + size:]
        area = packet[6:6 + int.from_bytes(packet[4:6], "big")]
        while area:
            start, size = (1, area[0]) if area[0] < 192 else (2, (area[0] - 192 << 8) + area[1] + 192)
            if area[start] & 0x7f == 33:
                found.append(area[start + 2:start + size].hex().upper())
            area = area[start + size:]
    return found


def check(text):
    """A second look at a text that is to be valid; the sections it breaks would make a wrong vector."""
    said = text.decode()
    lines = said.split("\n")
    assert all(len(line.encode()) <= 16_000 and line == line.rstrip(" \t\r") for line in lines)
    assert lines[-1] and not re.search("[\0-\x08\x0b-\x1f\x7f-\x9f\ufeff]", said)
    head, content = said.split("\n\n", 1)
    assert len(head.encode()) < 4_096
    fields = [re.fullmatch(r"([A-Z][A-Za-z0-9-]{0,63}): ([^ ].*)", line) for line in head.split("\n")]
    values = {field[1]: field[2] for field in fields}
    assert values["Content"] == f"{sha(content.encode())} {len(content.encode())}"
    if values["Spokes-Entry"] == "1":
        names = [field[1] for field in fields]
        known = ["Spokes-Entry", "Blog", "Sequence", "Previous", "Kind", "Signed"]
        assert names[:6] == known and names[6] == "Author"
        authors = [field[2] for field in fields if field[1] == "Author"]
        assert authors == sorted(set(authors)) and names[6 + len(authors)] == "Content"
        header = content.split("\n\n", 1)[0].split("\n")
        assert all(re.fullmatch(r"[A-Z][A-Za-z0-9-]{0,63}: [^ \t].*", line) for line in header)
        assert re.fullmatch("Salt: [0-9a-f]{32}", header[0])
        assert not re.search("[\t\u2028\u2029\u202a-\u202e\u2066-\u2069]", content.split("\n\n", 1)[0])


def readme():
    """Writes the table of all cases into README.md, between its two marks."""
    rows = ["| Case | Made by | Key | Valid | Refused | About |", "|---|---|---|---|---|---|"]
    for path in sorted(ROOT.glob("*/case.json")):
        case = json.loads(path.read_text())
        refused = [entry["reason"] for entry in case["entries"] if entry["verdict"] == "refused"]
        reasons = "; ".join(dict.fromkeys(refused))
        valid = len(case["entries"]) - len(refused)
        rows.append(f"| `{path.parent.name}` | {case['maker']} | {case['key']} | {valid} | "
                    f"{f'{len(refused)}: {reasons}' if refused else 0} | {case['about']} |")
    page = ROOT / "README.md"
    begin, end = "<!-- table: made by make/gpg.py -->\n", "<!-- end of table -->"
    before, rest = page.read_text().split(begin)
    page.write_text(before + begin + "\n".join(rows) + "\n" + end + rest.split(end)[1])
