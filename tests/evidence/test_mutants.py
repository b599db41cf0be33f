"""At least 500 mutants of each kind of package, every one rejected, and under the claim it breaks.

Four attackers: one who changes files (A), one who also makes the manifests anew (B), one who signs with a key of his
own (B), and a malicious archive that signs with the real key (C, F, G).
"""

import base64
import hashlib
import json
import random
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr

from app.bootstrap import open_services
from app.evidence import note, verify
from app.evidence.selection import Asked
from app.foundation.settings import Settings
from tests.evidence.packages import SINCE, build, request, talk

Files = dict[str, bytes]
KINDS = ("whole", "period", "redacted", "words")
RECORDS = "data/10-records/records-0001.jsonl"
RAWS = "data/15-raw/raw-0001.jsonl"
COVERAGE = "data/70-gaps/coverage.json"
PLACES = "data/70-gaps/conversations.jsonl"
CUSTODY = "data/60-custody/access.jsonl"
HEAD = "data/30-proofs/checkpoint.note"


class Kind(NamedTuple):
    """A good package, the key it is known by, and the key it is signed with."""

    files: Files
    vkey: str
    key: Ed25519PrivateKey


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Kind]:
    data = tmp_path_factory.mktemp("mutants") / "data"
    wanted = {
        "whole": request(),
        "period": request(asked=Asked(since=SINCE)),
        "redacted": request(redactions={"msg_1_1": "隐私", "msg_1_5": "隐私"}),
        "words": request(asked=Asked(q="净值")),
    }
    with open_services(Settings(data=data, database_url=SecretStr("")), migrate=True) as services:
        talk(services)
        made = {name: build(services, each)[1] for name, each in wanted.items()}
        vkey, key = services.signer.vkey("liuhen/export"), services.signer._key
        return {name: Kind(_read(path), vkey, key) for name, path in made.items()}


def _read(path: Path) -> Files:
    with zipfile.ZipFile(path) as package:
        return {name: package.read(name) for name in package.namelist()}


def _verdicts(path: Path, files: Files, vkey: str) -> dict[str, str]:
    with zipfile.ZipFile(path, "w") as package:
        for name, data in files.items():
            package.writestr(zipfile.ZipInfo(name), data)
    return {claim: verdict for claim, (verdict, _) in verify.verify(str(path), [vkey]).items()}


def _rebag(files: Files) -> Files:
    """The manifests made anew, as somebody without a key can."""
    payload = {name: data for name, data in sorted(files.items()) if name.startswith("data/")}
    size = sum(map(len, payload.values()))
    lines = files["bag-info.txt"].decode().splitlines(keepends=True)
    info = [
        f"Payload-Oxum: {size}.{len(payload)}\n" if line.startswith("Payload-Oxum") else line
        for line in lines
    ]
    made = {
        **files,
        "bag-info.txt": "".join(info).encode(),
        "manifest-sha256.txt": _listed(payload),
    }
    tags = {name: made[name] for name in sorted(verify.TAGS)}
    return {**made, "tagmanifest-sha256.txt": _listed(tags)}


def _listed(files: Files) -> bytes:
    return "".join(
        f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items()
    ).encode()


def _statement(files: Files) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(
        base64.b64decode(json.loads(files[verify.STATEMENT])["payload"])
    )
    return told


def _resign(files: Files, key: Ed25519PrivateKey, **changes: Any) -> Files:
    """The statement signed anew over changed files."""
    made = _rebag(files)
    digests = {name: hashlib.sha256(made[name]).hexdigest() for name in verify.SIGNED}
    told = {**_statement(files), "files": digests, **changes}
    payload = json.dumps(told, ensure_ascii=False).encode()
    kind = verify.STATEMENT_TYPE
    pae = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
    signature = {"keyid": "", "sig": base64.b64encode(key.sign(pae)).decode()}
    envelope = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": kind,
        "signatures": [signature],
    }
    return _rebag({**made, verify.STATEMENT: json.dumps(envelope).encode()})


def _changed_files(files: Files, chance: random.Random, count: int) -> Iterator[tuple[str, Files]]:
    """Bytes flipped, files cut, lengthened, emptied, dropped, renamed, added."""
    names = sorted(files)
    for _ in range(count):
        name = chance.choice([each for each in names if files[each]])
        data = bytearray(files[name])
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        yield f"bit {name}", {**files, name: bytes(data)}
    for name in names:
        yield f"longer {name}", {**files, name: files[name] + b"\n"}
        if files[name]:
            yield f"cut {name}", {**files, name: files[name][:-1]}
        yield f"dropped {name}", {each: files[each] for each in names if each != name}
    for extra in ("data/x", "x", "data/10-records/records-0002.jsonl", "data/../x", "/x", "data//x", "data\\x",
                  "d\u0430ta/x", "C:/x", "data/90-verify/VERIFY.PY"):  # fmt: skip
        yield f"added {extra}", {**files, extra: b"x"}
    for name, old, new in (
        ("bom", b"", b"\xef\xbb\xbf"),
        ("crlf", b"\n", b"\r\n"),
    ):
        for each in ("manifest-sha256.txt", "bagit.txt", "bag-info.txt", RECORDS):
            spoilt = new + files[each] if name == "bom" else files[each].replace(old, new)
            yield f"{name} {each}", {**files, each: spoilt}


def _lines(files: Files, name: str) -> list[bytes]:
    return files[name].splitlines(keepends=True)


def _bad_records(files: Files, chance: random.Random) -> Iterator[tuple[str, str, Files]]:
    """What a malicious archive could sign: the claim that must fail, and the files."""
    lines = _lines(files, RECORDS)
    for place, line in enumerate(lines):
        record = json.loads(line)
        for claim, change in _record_changes(record, chance):
            made = json.dumps(change, separators=(",", ":")).encode() + b"\n"
            if change != record:
                yield claim, f"record {place}", {**files, RECORDS: _joined(lines, place, made)}
        yield "C", f"duplicate {place}", {**files, RECORDS: _joined(lines, place, line + line)}
        yield (
            "C",
            f"duplicate key {place}",
            {
                **files,
                RECORDS: _joined(lines, place, line.replace(b'{"index"', b'{"index":0,"index"', 1)),
            },
        )
        yield (
            "C",
            f"NaN {place}",
            {
                **files,
                RECORDS: _joined(lines, place, line.replace(b'"leaf"', b'"x":NaN,"leaf"', 1)),
            },
        )
        yield "C", f"dropped {place}", {**files, RECORDS: _joined(lines, place, b"")}
    for one in range(len(lines) - 1):
        swapped = [*lines]
        swapped[one], swapped[one + 1] = swapped[one + 1], swapped[one]
        yield "C", f"swapped {one}", {**files, RECORDS: b"".join(swapped)}
    raws = files[RAWS]
    for _ in range(40):
        data = bytearray(raws)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        yield "C", "raw", {**files, RAWS: bytes(data)}
    yield "C", "raw longer", {**files, RAWS: raws + b"x"}


def _record_changes(
    record: dict[str, Any], chance: random.Random
) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "C", {**record, "index": record["index"] + 1}
    leaf = bytearray(base64.b64decode(record["leaf"]))
    for place in (0, 4, 10, 28, 40, 50, 56, 60, 70, 100, len(leaf) - 1):
        other = bytearray(leaf)
        other[place] ^= 1 << chance.randrange(8)
        yield "C", {**record, "leaf": base64.b64encode(bytes(other)).decode()}
    yield "C", {**record, "leaf": base64.b64encode(bytes(leaf[:-1])).decode()}
    yield "C", {**record, "unknown": 1}
    for field in ("text", "sender", "recipients", "facts"):
        if field not in record:
            continue
        value = record[field]
        yield "C", {**record, field: f"{value}x" if field == "text" else [*value, "x"]}
        without = {key: each for key, each in record.items() if key != field}
        yield "C", without  # its salt is still there
        salts = {key: each for key, each in record.get("salts", {}).items() if key != field}
        yield "G", {**without, "salts": salts}
        yield "G", {**without, "salts": salts, "withheld": [field]}
        wrong = {**record["salts"], field: base64.b64encode(bytes(32)).decode()}
        yield "C", {**record, "salts": wrong}
    if "text" in record:
        yield "C", {**record, "text": "\ud800"}
    if record.get("withheld"):
        yield "G", {key: value for key, value in record.items() if key != "reason"}
        yield "G", {**record, "reason": "because"}
        yield "G", {**record, "withheld": record["withheld"][:-1]}


def _joined(lines: list[bytes], place: int, made: bytes) -> bytes:
    return b"".join([*lines[:place], made, *lines[place + 1 :]])


def _bad_proofs(kind: Kind) -> Iterator[tuple[str, str, Files, dict[str, Any]]]:
    """Other heads, truncated proofs, wrong gaps and counts."""
    files = kind.files
    told = _statement(files)
    for name in ("data/30-proofs/inclusion.hashes", "data/30-proofs/audit-inclusion.hashes"):
        yield "C", f"longer {name}", {**files, name: files[name] + bytes(32)}, {}
        if files[name]:
            yield "C", f"shorter {name}", {**files, name: files[name][:-32]}, {}
    size, origin = told["records_log"]["size"], told["records_log"]["origin"]
    for other in (size - 1, size + 1):
        head = note.Checkpoint(origin, other, bytes.fromhex(told["records_log"]["root"]))
        text = note.sign(head.text(), origin, kind.key)
        yield "C", "head of another size", {**files, HEAD: text.encode()}, {}
        changed = {"records_log": {**told["records_log"], "size": other}}
        if told["counts"]["included"] < size:
            continue  # a proof away from the edge fits two sizes; only D tells them apart
        yield "C", "another size stated", {**files, HEAD: text.encode()}, changed
    fork = note.sign(note.Checkpoint(origin, size, bytes(32)).text(), origin, kind.key)
    forked = {"records_log": {**told["records_log"], "root": bytes(32).hex()}}
    yield "C", "another history", {**files, HEAD: fork.encode()}, forked
    forged = Ed25519PrivateKey.from_private_bytes(bytes(32))
    head = note.Checkpoint(origin, size, bytes.fromhex(told["records_log"]["root"]))
    yield (
        "C",
        "head signed by another",
        {**files, HEAD: note.sign(head.text(), origin, forged).encode()},
        {},
    )
    yield "C", "head unsigned", {**files, HEAD: head.text().encode()}, {}
    yield (
        "C",
        "head of the audit log",
        {**files, HEAD: files["data/30-proofs/audit-checkpoint.note"]},
        {},
    )
    for place, line in enumerate(_lines(files, CUSTODY)):
        lines = _lines(files, CUSTODY)
        yield "C", "custody dropped", {**files, CUSTODY: _joined(lines, place, b"")}, {}
        changed_line = line.replace(b'"actor_name":"', b'"actor_name":"x', 1)
        yield "C", "custody changed", {**files, CUSTODY: _joined(lines, place, changed_line)}, {}
    for name in told["counts"]:
        claim = {"redacted": "G", "key_destroyed": "G", "custody": "C"}.get(name, "F")
        changed = {"counts": {**told["counts"], name: told["counts"][name] + 1}}
        yield claim, f"count {name}", files, changed
    for field in ("first", "last", "included", "disclosed"):
        lines = _lines(files, PLACES)
        each = json.loads(lines[0])
        each[field] += 1
        yield (
            "F",
            f"place {field}",
            {**files, PLACES: _joined(lines, 0, json.dumps(each).encode() + b"\n")},
            {},
        )
    yield "F", "place dropped", {**files, PLACES: b"".join(_lines(files, PLACES)[1:])}, {}
    coverage = json.loads(files[COVERAGE])
    more = {
        **coverage,
        "withheld": [*coverage["withheld"], {"index": 3, "reason": "redacted", "fields": ["raw"]}],
    }
    yield "G", "coverage says more", {**files, COVERAGE: json.dumps(more).encode()}, {}
    if coverage["withheld"]:
        less = {**coverage, "withheld": coverage["withheld"][1:]}
        yield "G", "coverage says less", {**files, COVERAGE: json.dumps(less).encode()}, {}


@pytest.mark.parametrize("name", KINDS)
def test_the_good_package_is_accepted(kinds: dict[str, Kind], name: str, tmp_path: Path) -> None:
    kind = kinds[name]
    for files in (kind.files, _rebag(kind.files), _resign(kind.files, kind.key)):
        assert "failed" not in _verdicts(tmp_path / "m.zip", files, kind.vkey).values()


@pytest.mark.parametrize("name", KINDS)
def test_changed_files_fail_under_a(kinds: dict[str, Kind], name: str, tmp_path: Path) -> None:
    kind, chance = kinds[name], random.Random(7)  # noqa: S311
    count = 0
    for what, files in _changed_files(kind.files, chance, 350):
        verdicts = _verdicts(tmp_path / "m.zip", files, kind.vkey)
        claims = {claim for claim, verdict in verdicts.items() if verdict == "failed"}
        assert claims & {"A", "B"}, (what, verdicts)
        is_statement = what.endswith(verify.STATEMENT)
        assert is_statement or "A" in claims, (what, verdicts)
        count += 1
    assert count > 400


@pytest.mark.parametrize("name", KINDS)
def test_whoever_lacks_the_key_fails_under_b(
    kinds: dict[str, Kind], name: str, tmp_path: Path
) -> None:
    kind, chance = kinds[name], random.Random(11)  # noqa: S311
    own = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    public = own.public_key().public_bytes_raw()
    claimed = {
        "keys": {
            part: note.vkey(vkey.split("+")[0], public)
            for part, vkey in _statement(kind.files)["keys"].items()
        }
    }
    mutants: list[tuple[str, Files]] = []
    for what, files in _changed_files(kind.files, chance, 40):
        inside = {each: data for each, data in files.items() if each.startswith("data/")}
        if files.keys() - inside.keys() == set(verify.TAGS) | {verify.TAG_MANIFEST} and inside != {
            each: data for each, data in kind.files.items() if each.startswith("data/")
        }:
            mutants.append((what, _rebag(files)))
    mutants.append(("own key", _resign(kind.files, own)))
    mutants.append(("own key, said so", _resign(kind.files, own, **claimed)))
    for what, files in mutants:
        verdicts = _verdicts(tmp_path / "m.zip", files, kind.vkey)
        is_unsafe = any(word in what for word in ("..", "//", "\\"))  # not even opened
        assert verdicts["A" if is_unsafe else "B"] == "failed", (what, verdicts)
    assert len(mutants) > 60


@pytest.mark.parametrize("name", KINDS)
def test_a_malicious_archive_fails_under_the_claim_it_breaks(
    kinds: dict[str, Kind], name: str, tmp_path: Path
) -> None:
    kind, chance = kinds[name], random.Random(13)  # noqa: S311
    mutants: list[tuple[str, str, Files, dict[str, Any]]] = [
        (*each, {}) for each in _bad_records(kind.files, chance)
    ]
    mutants += list(_bad_proofs(kind))
    for claim, what, files, changes in mutants:
        verdicts = _verdicts(tmp_path / "m.zip", _resign(files, kind.key, **changes), kind.vkey)
        assert verdicts["A"] == "proved", (what, verdicts)
        assert verdicts[claim] == "failed", (claim, what, verdicts)
    assert len(mutants) > 150


def test_bombs_links_and_doubles_are_refused(kinds: dict[str, Kind], tmp_path: Path) -> None:
    kind = kinds["whole"]

    def packed(spoil: Callable[[zipfile.ZipFile], None]) -> dict[str, str]:
        with zipfile.ZipFile(tmp_path / "m.zip", "w", zipfile.ZIP_DEFLATED) as package:
            for each, data in kind.files.items():
                package.writestr(zipfile.ZipInfo(each), data)
            spoil(package)
        return {
            claim: verdict
            for claim, (verdict, _) in verify.verify(str(tmp_path / "m.zip"), []).items()
        }

    link = zipfile.ZipInfo("data/link")
    link.external_attr = 0o120777 << 16
    assert packed(lambda package: package.writestr(link, "/etc/passwd"))["A"] == "failed"
    bomb = zipfile.ZipInfo("data/bomb")
    bomb.compress_type = zipfile.ZIP_DEFLATED
    assert packed(lambda package: package.writestr(bomb, bytes(1 << 23)))["A"] == "failed"
    with pytest.warns(UserWarning, match="Duplicate name"):
        assert packed(lambda package: package.writestr(RECORDS, b"{}"))["A"] == "failed"


def test_without_a_key_from_outside_identity_is_not_proved(
    kinds: dict[str, Kind], tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as package:
        for name, data in kinds["whole"].files.items():
            package.writestr(zipfile.ZipInfo(name), data)
    assert verify.verify(str(tmp_path / "m.zip"))["B"][0] == "unproven"
    assert verify.main([str(tmp_path / "m.zip"), "--json"]) == 0
    assert verify.main([str(tmp_path / "m.zip"), "--require", "B"]) == 1
    assert verify.main([str(tmp_path / "none.zip")]) == 2
    (tmp_path / "junk.zip").write_bytes(b"no zip")
    assert verify.main([str(tmp_path / "junk.zip")]) == 1
