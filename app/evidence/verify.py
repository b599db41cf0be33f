#!/usr/bin/env python3
"""核验留痕证据包 · Checks an evidence package of Liuhen. One file, Python 3.8+, nothing but the standard library.

    python3 verify.py EXP-2026-000001.zip --key 'liuhen/export+1a2b3c4d+AQ...' [--checkpoint older.note] [--json]

A verdict for each claim, never one green tick:
  A 文件完整      every file is there, none is added, each has its digest
  B 来源真实      the statement is signed by the key given from outside the package
  C 在日志中      every disclosed field is what the log committed to, every record is under the signed head
  D 日志连续      the log of the older checkpoint given is the beginning of this one
  E 时间          an outside party vouches for the time
  F 没有遗漏      in each conversation the counters run without a hole
  G 遮盖已列明    whatever is withheld is listed

Verdicts: proved, failed, unproven (needs something from outside), not_claimed. Exit code 0: every requested claim holds;
1: one does not; 2: the package cannot be read. Requested are A, C, F and G, B with --key, D with --checkpoint, and
what --require names.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import hmac
import json
import os
import re
import struct
import sys
import zipfile

CLAIMS = "ABCDEFG"
TITLES = {
    "A": "文件完整",
    "B": "来源真实",
    "C": "在日志中",
    "D": "日志连续",
    "E": "时间",
    "F": "没有遗漏",
    "G": "遮盖已列明",
}
SHOWN = {"proved": "成立", "failed": "不成立", "unproven": "未证明", "not_claimed": "未声明"}
FIELDS = ("raw", "text", "sender", "recipients", "facts")
VERSION = 1
STATEMENT = "statement.dsse.json"
STATEMENT_TYPE = "application/vnd.liuhen.statement+json"
MANIFEST = "manifest-sha256.txt"
TAG_MANIFEST = "tagmanifest-sha256.txt"
SIGNED = ("bag-info.txt", "bagit.txt", MANIFEST)
TAGS = (*SIGNED, STATEMENT)
RECORDS = re.compile(r"data/10-records/records-\d{4,}\.jsonl")
HEAD = struct.Struct(">4sB16sQ16sQBQB")
BLOCK = 1 << 20
MOST_LINE = 64 << 20  # bytes of one line
MOST_RATIO = 1000  # a file that unpacks to more is a bomb
MOST_SMALL = 64 << 20  # bytes of a file that is read whole
REASONS = ("not_selected", "redacted", "key_destroyed")


class Bad(Exception):
    """A claim does not hold."""

    def __init__(self, claim, detail):
        super().__init__(detail)
        self.claim = claim


# Ed25519 (RFC 8032), verification only -------------------------------------------------------------------------------

P = 2**255 - 19
Q = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)


def _add(one, other):
    a = (one[1] - one[0]) * (other[1] - other[0]) % P
    b = (one[1] + one[0]) * (other[1] + other[0]) % P
    c = 2 * one[3] * other[3] * D % P
    d = 2 * one[2] * other[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _times(number, point):
    found = (0, 1, 1, 0)
    while number:
        if number & 1:
            found = _add(found, point)
        point = _add(point, point)
        number >>= 1
    return found


def _point(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


_Y = 4 * pow(5, P - 2, P) % P
BASE = _point(_Y.to_bytes(32, "little"))


def ed25519(public, signature, message):
    """Whether the signature is the key's over the message."""
    if len(public) != 32 or len(signature) != 64:
        return False
    key, start = _point(public), _point(signature[:32])
    number = int.from_bytes(signature[32:], "little")
    if key is None or start is None or number >= Q:
        return False
    told = hashlib.sha512(signature[:32] + public + message).digest()
    left = _times(number, BASE)
    right = _add(start, _times(int.from_bytes(told, "little") % Q, key))
    return not (
        (left[0] * right[2] - right[0] * left[2]) % P
        or (left[1] * right[2] - right[1] * left[2]) % P
    )


# The Merkle tree of RFC 6962 ------------------------------------------------------------------------------------------


def hash_leaf(data):
    return hashlib.sha256(b"\x00" + data).digest()


def hash_node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def split(size):
    return 1 << ((size - 1).bit_length() - 1)


def verify_consistency(old, size, proof, old_root, new_root):
    """Whether the tree of `size` begins with the tree of `old` (RFC 9162 2.1.4.2)."""
    if not 0 <= old <= size or any(len(each) != 32 for each in (old_root, new_root, *proof)):
        return False
    if old == size:
        return not proof and old_root == new_root
    if old == 0:
        return not proof and old_root == hashlib.sha256(b"").digest()
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        return False
    place, last = old - 1, size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    was = now = path[0]
    for each in path[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            was, now = hash_node(each, was), hash_node(each, now)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            now = hash_node(now, each)
        place, last = place >> 1, last >> 1
    return last == 0 and was == old_root and now == new_root


class Bundle:
    """Recomputes the root over many leaves, given in ascending order, and the hashes of all other subtrees."""

    def __init__(self, size, hashes):
        self.size, self.hashes, self.used = size, hashes, 0
        self.pending = [("open", 0, size)] if size else []
        self.done = []

    def _other(self):
        found = self.hashes[self.used : self.used + 32]
        self.used += 32
        if len(found) != 32:
            raise Bad("C", "证明中的散列不够")
        return found

    def _walk(self, wanted):
        """Walk on until the leaf `wanted` is due; with `size`, to the end."""
        while self.pending:
            kind, low, high = self.pending.pop()
            if kind == "join":
                right = self.done.pop()
                self.done.append(hash_node(self.done.pop(), right))
            elif wanted >= high:
                self.done.append(self._other())
            elif high - low == 1:
                return
            else:
                middle = low + split(high - low)
                self.pending += [("join", low, high), ("open", middle, high), ("open", low, middle)]

    def leaf(self, index, hashed):
        self._walk(index)
        self.done.append(hashed)

    def root(self):
        self._walk(self.size)
        if self.used != len(self.hashes):
            raise Bad("C", "证明中有多余的散列")
        if not self.size:
            return hashlib.sha256(b"").digest()
        if len(self.done) != 1:
            raise Bad("C", "证明不完整")
        return self.done[0]


# Reading the package --------------------------------------------------------------------------------------------------


class Zipped:
    """A package as one ZIP."""

    def __init__(self, path):
        self.zip = zipfile.ZipFile(path)
        self.entries = {}
        for entry in self.zip.infolist():
            if entry.filename in self.entries:
                raise Bad("A", f"文件名重复：{entry.filename}")
            if (
                entry.flag_bits & 1
                or entry.is_dir()
                or (entry.external_attr >> 16) & 0o170000 not in (0, 0o100000)
            ):
                raise Bad("A", f"不是普通文件：{entry.filename}")
            if entry.file_size > MOST_RATIO * max(entry.compress_size, 1024):
                raise Bad("A", f"压缩比异常：{entry.filename}")
            self.entries[entry.filename] = entry

    def names(self):
        return set(self.entries)

    def open(self, name):
        return self.zip.open(self.entries[name])

    def size(self, name):
        return self.entries[name].file_size


class Unpacked:
    """A package as a folder."""

    def __init__(self, path):
        self.path = path

    def names(self):
        found = set()
        for folder, folders, files in os.walk(self.path):
            for name in [*files, *folders]:
                place = os.path.join(folder, name)
                if os.path.islink(place):
                    raise Bad("A", f"不是普通文件：{name}")
                if name in files:
                    found.add(os.path.relpath(place, self.path).replace(os.sep, "/"))
        return found

    def open(self, name):
        return open(os.path.join(self.path, *name.split("/")), "rb")

    def size(self, name):
        return os.path.getsize(os.path.join(self.path, *name.split("/")))


def _pairs(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate key")
    return found


def _constant(word):
    raise ValueError(word)


DECODER = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_constant)


def parse(data, claim):
    """JSON, and nothing that only looks like it."""
    try:
        return DECODER.decode(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Bad(claim, f"JSON 无法识别：{error}") from None


def unb64(word, claim):
    try:
        found = base64.b64decode(word, validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise Bad(claim, "base64 无法识别") from None
    if base64.b64encode(found).decode() != word:
        raise Bad(claim, "base64 写法不唯一")
    return found


class Key:
    """A public key as it is handed over: name, four bytes, key."""

    def __init__(self, text, claim):
        try:
            self.name, number, encoded = text.strip().split("+", 2)
        except (ValueError, AttributeError):
            raise Bad(claim, "公钥格式不对") from None
        data = unb64(encoded, claim)
        if len(data) != 33 or data[0] != 1:
            raise Bad(claim, "不是 Ed25519 公钥")
        self.public = data[1:]
        self.id = hashlib.sha256(self.name.encode() + b"\n" + data).digest()[:4]
        self.text = text.strip()
        if number != self.id.hex():
            raise Bad(claim, "公钥与其编号不符")


def open_note(note, key, claim):
    """Origin, size and root of a signed checkpoint."""
    text, blank, rest = note.rpartition("\n\n")
    if not blank or not rest.endswith("\n"):
        raise Bad(claim, "检查点格式不对")
    text += "\n"
    is_signed = False
    for line in rest[:-1].split("\n"):
        if not line.startswith("\u2014 "):
            raise Bad(claim, "检查点的签名行格式不对")
        name, _, encoded = line[2:].partition(" ")
        signature = unb64(encoded, claim)
        if name == key.name and signature[:4] == key.id:
            if not ed25519(key.public, signature[4:], text.encode("utf-8")):
                raise Bad(claim, "检查点的签名无效")
            is_signed = True
    if not is_signed:
        raise Bad(claim, "检查点没有该密钥的签名")
    lines = text.split("\n")
    if len(lines) < 4 or lines[0] != key.name or not re.fullmatch(r"0|[1-9]\d{0,18}", lines[1]):
        raise Bad(claim, "检查点格式不对")
    root = unb64(lines[2], claim)
    if len(root) != 32:
        raise Bad(claim, "检查点的根长度不对")
    return int(lines[1]), root


# The claims -----------------------------------------------------------------------------------------------------------


class Package:
    """One package under examination."""

    def __init__(self, path, keys, older, bridge):
        self.path, self.given, self.older, self.bridge = path, keys, older, bridge
        self.verdicts = {}
        self.facts = {}

    def fail(self, claim, detail):
        if self.verdicts.get(claim, ("",))[0] != "failed":
            self.verdicts[claim] = ("failed", detail)

    def prove(self, claim, detail, verdict="proved"):
        self.verdicts.setdefault(claim, (verdict, detail))

    def check(self):
        self.statement = {}
        for step in (
            self.open,
            self.files,
            self.authenticity,
            self.records,
            self.continuity,
            self.time,
        ):
            try:
                step()
            except Bad as bad:
                self.fail(bad.claim, str(bad))
                if step in (self.open, self.authenticity) and not self.statement:
                    break
            except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError,
                    KeyError, TypeError, IndexError, AttributeError, OverflowError, struct.error) as error:  # fmt: skip
                self.fail(
                    "A" if step in (self.open, self.files) else self.claim,
                    f"{type(error).__name__}: {error}",
                )
                if step == self.open:
                    break
            except Exception as error:  # zlib.error and whatever else damaged bytes raise
                self.fail("A", f"{type(error).__name__}: {error}")
        for claim in CLAIMS:
            if claim not in self.verdicts:
                self.verdicts[claim] = ("unproven", "前面的检查已失败，无法继续")
        return self.verdicts

    claim = "A"

    def open(self):
        self.claim = "A"
        self.package = Unpacked(self.path) if os.path.isdir(self.path) else Zipped(self.path)
        self.names = self.package.names()
        for name in self.names:
            parts = name.split("/")
            if (
                "\\" in name
                or "\0" in name
                or ":" in parts[0]
                or any(each in ("", ".", "..") for each in parts)
            ):
                raise Bad("A", f"文件名不安全：{name!r}")
        if STATEMENT not in self.names:
            raise Bad("B", "包中没有签名声明")
        envelope = parse(self.small(STATEMENT, "B"), "B")
        if not isinstance(envelope, dict) or envelope.get("payloadType") != STATEMENT_TYPE:
            raise Bad("B", "签名声明的类型不对")
        self.payload = unb64(envelope["payload"], "B")
        self.signatures = envelope["signatures"]
        self.statement = parse(self.payload, "B")
        if not isinstance(self.statement, dict) or self.statement.get("version") != VERSION:
            raise Bad("B", "声明的版本不认识，请用更新的核验程序")

    def small(self, name, claim):
        if name not in self.names:
            raise Bad(claim, f"缺少文件 {name}")
        if self.package.size(name) > MOST_SMALL:
            raise Bad(claim, f"文件过大 {name}")
        with self.package.open(name) as file:
            return file.read(MOST_SMALL + 1)

    def digest(self, name):
        told = hashlib.sha256()
        with self.package.open(name) as file:
            while True:
                block = file.read(BLOCK)
                if not block:
                    return told.hexdigest()
                told.update(block)

    def listed(self, name):
        found = {}
        for line in self.small(name, "A").decode("utf-8").split("\n")[:-1]:
            match = re.fullmatch(r"([0-9a-f]{64})  (.+)", line)
            if not match:
                raise Bad("A", f"{name} 中有无法识别的行")
            path = match[2].replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%")
            if path in found:
                raise Bad("A", f"{name} 重复列出 {path}")
            found[path] = match[1]
        return found

    def files(self):
        self.claim = "A"
        if (
            self.small("bagit.txt", "A")
            != b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
        ):
            raise Bad("A", "bagit.txt 不符合 BagIt 1.0")
        payload = {name for name in self.names if name.startswith("data/")}
        manifest = self.listed(MANIFEST)
        if set(manifest) != payload:
            wrong = sorted(set(manifest) ^ payload)[0]
            raise Bad("A", f"清单与文件不一致：{wrong}")
        tags = self.listed(TAG_MANIFEST)
        if set(tags) != set(TAGS) or self.names - payload != {*TAGS, TAG_MANIFEST}:
            raise Bad("A", "包的说明文件多出或缺少")
        for name, expected in sorted({**manifest, **tags}.items()):
            if self.digest(name) != expected:
                raise Bad("A", f"文件被改动：{name}")
        size = sum(self.package.size(name) for name in payload)
        oxum = f"Payload-Oxum: {size}.{len(payload)}\n"
        if oxum not in self.small("bag-info.txt", "A").decode("utf-8"):
            raise Bad("A", "Payload-Oxum 与文件不符")
        self.prove("A", f"{len(payload)} 个文件，{size} 字节")

    def authenticity(self):
        self.claim = "B"
        told = self.statement["keys"]
        self.keys = {name: Key(told[name], "B") for name in ("statement", "records", "audit")}
        key = self.keys["statement"]
        pae = b"DSSEv1 %d %s %d %s" % (
            len(STATEMENT_TYPE), STATEMENT_TYPE.encode(), len(self.payload), self.payload)  # fmt: skip
        if not isinstance(self.signatures, list) or len(self.signatures) != 1:
            raise Bad("B", "声明须有且只有一个签名")
        if not ed25519(key.public, unb64(self.signatures[0]["sig"], "B"), pae):
            raise Bad("B", "声明的签名无效")
        signed = self.statement["files"]
        if set(signed) != set(SIGNED):
            raise Bad("B", "声明没有覆盖全部清单")
        for name in SIGNED:
            if name not in self.names or self.digest(name) != signed[name]:
                raise Bad("B", f"{name} 不是声明所签的那一份")
        origins = (self.keys["records"].name, self.keys["audit"].name)
        if origins != (
            self.statement["records_log"]["origin"],
            self.statement["audit_log"]["origin"],
        ):
            raise Bad("B", "声明中的日志名称与公钥不符")
        if not self.given:
            self.prove(
                "B",
                "签名与包内公钥相符，但公钥取自包内：身份未证明。请用 --key 给出另行取得的公钥",
                "unproven",
            )
            return
        known = {each.text for each in self.keys.values()}
        for text in self.given:
            if Key(text, "B").text not in known:
                raise Bad("B", "包不是由给出的公钥签署的")
        if len({each.public for each in self.keys.values()}) != 1:
            raise Bad("B", "包内的公钥互不相同，只给出了其中之一")
        self.prove("B", f"{self.statement['origin']} 签署，导出 {self.statement['export']}")

    def records(self):
        self.claim = "C"
        told = self.statement["records_log"]
        note = self.small("data/30-proofs/checkpoint.note", "C").decode("utf-8")
        size, root = open_note(note, self.keys["records"], "C")
        if (size, root.hex()) != (told["size"], told["root"]):
            raise Bad("C", "检查点不是声明所称的那一个")
        self.head = size, root
        bundle = Bundle(size, self.small("data/30-proofs/inclusion.hashes", "C"))
        self.counters, self.tally = {}, {"included": 0, "disclosed": 0, "not_selected": 0, "redacted": 0,
                                         "key_destroyed": 0}  # fmt: skip
        self.withheld = {}
        last = -1
        for line in self.lines():
            record = parse(line, "C")
            index = self.record(record)
            if index <= last or index >= size:
                raise Bad("C", f"第 {index} 条的次序不对")
            bundle.leaf(index, self.leaf_hash)
            last = index
        self.raw_ended()
        if bundle.root() != root:
            raise Bad("C", "记录与签名检查点的根不符：有记录被改动、替换或不在日志中")
        self.audit()
        for claim, step in (("G", self.redactions), ("F", self.completeness)):
            self.claim = claim
            try:
                step()
            except Bad as bad:
                self.fail(bad.claim, str(bad))
        self.prove(
            "C",
            f"{self.tally['disclosed']} 条披露，{self.tally['included']} 条在大小 {size} 的日志中",
        )

    def lines(self):
        names = sorted(name for name in self.names if RECORDS.fullmatch(name))
        for number, name in enumerate(names, 1):
            if name != f"data/10-records/records-{number:04d}.jsonl":
                raise Bad("C", f"记录文件不连续：{name}")
            self.raw_begun(f"data/15-raw/raw-{number:04d}.jsonl")
            with self.package.open(name) as file:
                while True:
                    line = file.readline(MOST_LINE)
                    if not line:
                        break
                    if not line.endswith(b"\n"):
                        raise Bad("C", f"{name} 有截断的行")
                    yield line[:-1]

    raw_file = None

    def raw_begun(self, name):
        self.raw_ended()
        if name not in self.names:
            raise Bad("C", f"缺少文件 {name}")
        self.raw_file, self.raw_name = self.package.open(name), name

    def raw_ended(self):
        if self.raw_file is not None:
            rest = self.raw_file.read(1)
            self.raw_file.close()
            self.raw_file = None
            if rest:
                raise Bad("C", f"{self.raw_name} 有多余的字节")

    def record(self, record):
        """Check one record against its leaf; gives its index."""
        leaf = unb64(record["leaf"], "C")
        if len(leaf) < HEAD.size:
            raise Bad("C", "叶子过短")
        magic, suite, _, seq, conversation, counter, entry, received, count = HEAD.unpack_from(leaf)
        if magic != b"WXA1" or count != len(FIELDS) or len(leaf) != HEAD.size + 32 * count:
            raise Bad("C", "不是 WXA1 叶子")
        if suite != 1:
            raise Bad("C", f"密码套件 {suite} 不认识，请用更新的核验程序")
        index = record["index"]
        if type(index) is not int or index != seq - 1:
            raise Bad("C", "记录的序号与叶子不符")
        self.leaf_hash = hash_leaf(leaf)
        salts = record.get("salts", {})
        disclosed = self.disclosed(record)
        if set(salts) != set(disclosed):
            raise Bad("C", f"第 {index} 条披露的字段与盐不一致")
        for place, field in enumerate(FIELDS):
            if field in disclosed:
                salt = unb64(salts[field], "C")
                start = HEAD.size + 32 * place
                if len(salt) != 32 or not hmac.compare_digest(
                    hmac.new(salt, disclosed[field], "sha256").digest(), leaf[start : start + 32]
                ):
                    raise Bad("C", f"第 {index} 条的 {field} 与承诺不符")
        self.noted(record, index, conversation.hex(), counter, disclosed)
        return index

    def disclosed(self, record):
        allowed = {"index", "leaf", "salts", "withheld", "reason", *FIELDS}
        if set(record) - allowed:
            raise Bad("C", "记录中有不认识的字段")
        found = {}
        for field in ("sender", "recipients", "facts"):
            if field in record:
                text = json.dumps(record[field], ensure_ascii=False, separators=(",", ":"))
                found[field] = text.encode("utf-8")
        if "text" in record:
            found["text"] = record["text"].encode("utf-8")
        if "raw" in record:
            length = record["raw"]
            if type(length) is not int or not 0 <= length <= MOST_LINE:
                raise Bad("C", "原始字节的长度不对")
            data = self.raw_file.read(length + 1)
            if len(data) != length + 1 or data[-1:] != b"\n":
                raise Bad("C", f"{self.raw_name} 与记录不符")
            found["raw"] = data[:-1]
        return found

    def noted(self, record, index, conversation, counter, disclosed):
        hidden = [field for field in FIELDS if field not in disclosed]
        reason = record.get("reason")
        if hidden != record.get("withheld", []):
            self.fail("G", f"第 {index} 条没有列明被遮盖的字段")
        if (reason is not None) != bool(hidden) or (hidden and reason not in REASONS):
            self.fail("G", f"第 {index} 条的遮盖没有理由")
        self.tally["included"] += 1
        self.tally[reason if reason in REASONS else "disclosed"] += 1
        if reason in ("redacted", "key_destroyed"):
            self.withheld[index] = [reason, hidden]
        span = self.counters.setdefault(conversation, [counter, counter, 0, 0])
        if span[2] and counter <= span[1]:
            self.fail("F", f"会话 {conversation} 的计数重复或倒退")
        span[1], span[2] = counter, span[2] + 1
        span[3] += reason != "not_selected"

    def audit(self):
        told = self.statement["audit_log"]
        note = self.small("data/30-proofs/audit-checkpoint.note", "C").decode("utf-8")
        size, root = open_note(note, self.keys["audit"], "C")
        if (size, root.hex()) != (told["size"], told["root"]):
            raise Bad("C", "审计检查点不是声明所称的那一个")
        bundle = Bundle(size, self.small("data/30-proofs/audit-inclusion.hashes", "C"))
        last, count, is_approved = 0, 0, False
        with self.package.open("data/60-custody/access.jsonl") as file:
            for line in file:
                entry = parse(line[:-1], "C")
                seq = entry["seq"]
                if type(seq) is not int or not last < seq <= size or not line.endswith(b"\n"):
                    raise Bad("C", "保管记录的次序不对")
                bundle.leaf(seq - 1, hash_leaf(line[:-1]))
                is_approved |= entry["event"] == "evidence:export:approve" and entry["subject"] == self.statement["export"]  # fmt: skip
                last, count = seq, count + 1
        if bundle.root() != root:
            raise Bad("C", "保管记录与审计日志的根不符")
        if not is_approved:
            raise Bad("C", "审计日志中没有这次导出的批准")
        if count != self.statement["counts"]["custody"]:
            raise Bad("C", "保管记录的条数与声明不符")

    def redactions(self):
        coverage = parse(self.small("data/70-gaps/coverage.json", "G"), "G")
        listed = {each["index"]: [each["reason"], each["fields"]] for each in coverage["withheld"]}
        if listed != self.withheld or len(coverage["withheld"]) != len(listed):
            raise Bad("G", "缺口报告没有如实列出被遮盖的记录")
        counts = self.statement["counts"]
        for name in ("redacted", "key_destroyed"):
            if counts[name] != self.tally[name]:
                raise Bad("G", "遮盖的条数与声明不符")
        hidden = self.tally["redacted"] + self.tally["key_destroyed"]
        self.prove("G", f"{hidden} 条有遮盖，均已列明" if hidden else "没有遮盖")

    def completeness(self):
        counts = self.statement["counts"]
        for name in ("included", "disclosed", "not_selected"):
            if counts[name] != self.tally[name]:
                raise Bad("F", "记录的条数与声明不符")
        listed, open_ends = {}, 0
        for line in self.small("data/70-gaps/conversations.jsonl", "F").split(b"\n")[:-1]:
            each = parse(line, "F")
            listed[each["tag"]] = [each["first"], each["last"], each["included"], each["disclosed"]]
            if not 0 < each["first"] <= each["last"] <= each["head"]:
                raise Bad("F", f"会话 {each['tag']} 的范围不对")
            open_ends += each["first"] > 1 or each["last"] < each["head"]
        if listed != self.counters or counts["conversations"] != len(listed):
            raise Bad("F", "会话清单与记录不符")
        if self.statement["completeness"] == "by_words":
            self.prove("F", "按词语选取，不声明会话完整", "not_claimed")
            return
        if self.statement["completeness"] != "conversations":
            raise Bad("F", "不认识的完整性声明")
        for tag, (first, last, included, _) in self.counters.items():
            if last - first + 1 != included:
                raise Bad(
                    "F",
                    f"会话 {tag} 在 {first} 至 {last} 之间缺少 {last - first + 1 - included} 条",
                )
        self.prove(
            "F",
            f"{len(listed)} 个会话计数连续；其中 {open_ends} 个在范围之外还有消息（见 conversations.jsonl）",
        )

    def continuity(self):
        self.claim = "D"
        if self.older is None:
            self.prove("D", "没有给出较早的检查点（--checkpoint）", "not_claimed")
            return
        key = next(
            (each for each in self.keys.values() if self.older.startswith(each.name + "\n")), None
        )
        if key is None:
            raise Bad("D", "检查点属于另一条日志")
        old, old_root = open_note(self.older, key, "D")
        if key is self.keys["audit"]:
            raise Bad("D", "请给出消息日志的检查点")
        size, root = self.head
        for proof in self.bridges():
            if proof["old"] == old and proof["size"] == size:
                path = [unb64(each, "D") for each in proof["path"]]
                if not verify_consistency(old, size, path, old_root, root):
                    raise Bad("D", "日志被改写：较早的检查点不是这条日志的开头")
                self.prove("D", f"大小 {old} 的日志是大小 {size} 的开头")
                return
        if old == size:
            if old_root != root:
                raise Bad("D", "日志分叉：同一大小有两个根")
            self.prove("D", "就是这个检查点")
            return
        self.prove("D", f"包中没有从 {old} 到 {size} 的证明；请取得 consistency?old={old}&size={size} 并用 --consistency 给出",
                   "unproven")  # fmt: skip

    def bridges(self):
        if self.bridge is not None:
            yield parse(self.bridge, "D")
        for line in self.small("data/30-proofs/consistency.jsonl", "D").split(b"\n")[:-1]:
            yield parse(line, "D")

    def time(self):
        self.claim = "E"
        self.prove("E", "包中没有外部时间戳或见证；时间由签署者自述", "not_claimed")


def verify(path, keys=(), checkpoint=None, consistency=None):
    """The verdict and its reason for every claim; raises OSError when there is no package."""
    os.stat(path)
    return Package(path, list(keys), checkpoint, consistency).check()


def holds(verdicts, required):
    """Whether every requested claim holds."""
    return all(verdict != "failed" for verdict, _ in verdicts.values()) and all(
        verdicts[claim][0] in ("proved", "not_claimed" if claim == "F" else "proved")
        for claim in required
    )


def requested(require, keys, checkpoint):
    """The claims that must hold."""
    return sorted(
        {"A", "C", "F", "G", *("B" if keys else ""), *("D" if checkpoint else ""), *require}
    )


def read_arguments(arguments):
    parser = argparse.ArgumentParser(description="核验留痕证据包", allow_abbrev=False)
    parser.add_argument("package", help="证据包（ZIP 或解开的目录）")
    parser.add_argument("--key", action="append", default=[], help="从包外取得的公钥，可给出多个")
    parser.add_argument("--checkpoint", help="较早取得的检查点文件")
    parser.add_argument("--consistency", help="一致性证明文件（JSON）")
    parser.add_argument("--require", default="", help="必须成立的声明，例如 ABCDFG")
    parser.add_argument("--json", action="store_true", help="输出一个 JSON 对象")
    return parser.parse_args(arguments)


def main(arguments=None):
    given = read_arguments(arguments)
    require = given.require.upper().replace(",", "")
    if set(require) - set(CLAIMS):
        sys.stderr.write(f"没有这样的声明：{given.require}\n")
        return 2
    try:
        older = bridge = None
        if given.checkpoint:
            with open(given.checkpoint, encoding="utf-8", newline="") as file:
                older = file.read()
        if given.consistency:
            with open(given.consistency, "rb") as file:
                bridge = file.read()
        verdicts = verify(given.package, given.key, older, bridge)
    except (OSError, UnicodeDecodeError) as error:
        sys.stderr.write(f"无法读取：{error}\n")
        return 2
    asked = requested(require, given.key, given.checkpoint)
    ok = holds(verdicts, asked)
    if given.json:
        told = {
            claim: {"verdict": verdicts[claim][0], "detail": verdicts[claim][1]} for claim in CLAIMS
        }
        sys.stdout.write(
            json.dumps({"ok": ok, "requested": asked, "claims": told}, ensure_ascii=False) + "\n"
        )
    else:
        for claim in CLAIMS:
            verdict, detail = verdicts[claim]
            sys.stdout.write(f"{claim} {TITLES[claim]}：{SHOWN[verdict]}（{detail}）\n")
        if verdicts["B"][0] == "unproven":
            sys.stdout.write("注意：公钥取自包内，签署者身份没有得到证明\n")
        sys.stdout.write("要求的声明全部成立\n" if ok else "有声明不成立\n")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
