"""Signed notes, checkpoints and offline proofs in the formats of C2SP (signed-note, tlog-checkpoint, tlog-proof).

Pure text and Ed25519. A known key's wrong signature spoils the whole note; lines of unknown keys are ignored.
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_ED25519 = b"\x01"
_DASH = "\u2014 "
_ANCHOR = "anchor "
_KEY_ID_BYTES = 4
_LARGEST = 2**63 - 1
_HEAD_LINES = 3


class BadNote(ValueError):
    """A note is malformed, or not signed by the key it should be."""


class Anchor(NamedTuple):
    """The head of the other log as it was when a checkpoint was signed."""

    origin: str
    size: int
    root: bytes


class Checkpoint(NamedTuple):
    """The head of a log: its name, how many leaves, the root over them."""

    origin: str
    size: int
    root: bytes
    anchor: Anchor | None = None

    def text(self) -> str:
        """What is signed."""
        lines = [self.origin, str(self.size), _b64(self.root)]
        if self.anchor:
            other = self.anchor
            lines.append(f"{_ANCHOR}{other.origin} {other.size} {_b64(other.root)}")
        return "".join(f"{line}\n" for line in lines)


def key_id(name: str, public: bytes) -> bytes:
    """Four bytes that tell keys apart."""
    named = name.encode() + b"\n" + _ED25519 + public
    return hashlib.sha256(named).digest()[:_KEY_ID_BYTES]


def vkey(name: str, public: bytes) -> str:
    """A public key as it is handed over: name, id, key."""
    return f"{name}+{key_id(name, public).hex()}+{_b64(_ED25519 + public)}"


def sign(text: str, name: str, key: Ed25519PrivateKey) -> str:
    """The note: the text, a blank line, one signature."""
    signature = key_id(name, key.public_key().public_bytes_raw()) + key.sign(text.encode())
    return f"{text}\n{_DASH}{name} {_b64(signature)}\n"


def open_note(note: str, name: str, public: bytes) -> str:
    """The text of a note signed by the named key; raises `BadNote`."""
    text, signatures = _cut(note)
    wanted, is_signed = key_id(name, public), False
    for line in signatures:
        signer, signature = _signature(line)
        if signer != name or signature[:_KEY_ID_BYTES] != wanted:
            continue
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(
                signature[_KEY_ID_BYTES:], text.encode()
            )
        except InvalidSignature:
            raise BadNote("the signature is wrong") from None
        is_signed = True
    if not is_signed:
        raise BadNote("not signed by this key")
    return text


def parse(text: str) -> Checkpoint:
    """Read the text of a checkpoint; raises `BadNote`."""
    lines = text.splitlines()
    if len(lines) < _HEAD_LINES or not text.endswith("\n") or not lines[0]:
        raise BadNote("a checkpoint has an origin, a size and a root")
    anchors = [line for line in lines[_HEAD_LINES:] if line.startswith(_ANCHOR)]
    anchor = _anchor(anchors[0]) if anchors else None
    return Checkpoint(lines[0], _size(lines[1]), _hash(lines[2]), anchor)


def proof_text(index: int, hashes: Sequence[bytes], note: str) -> str:
    """A proof that stands alone (tlog-proof): the leaf's index, the path, the checkpoint."""
    lines = ["c2sp.org/tlog-proof@v1", f"index {index}", *map(_b64, hashes), ""]
    return "".join(f"{line}\n" for line in lines) + note


def _anchor(line: str) -> Anchor:
    try:
        origin, size, root = line.removeprefix(_ANCHOR).split(" ")
    except ValueError:
        raise BadNote("an anchor has an origin, a size and a root") from None
    return Anchor(origin, _size(size), _hash(root))


def _cut(note: str) -> tuple[str, list[str]]:
    text, blank, rest = note.rpartition("\n\n")
    if not blank or not rest.endswith("\n"):
        raise BadNote("a note ends in a blank line and signatures")
    return text + "\n", rest[:-1].split("\n")


def _signature(line: str) -> tuple[str, bytes]:
    name, blank, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not blank:
        raise BadNote("not a signature line")
    return name, _unb64(encoded)


def _size(word: str) -> int:
    if not word.isascii() or not word.isdigit() or str(int(word)) != word or int(word) > _LARGEST:
        raise BadNote("not a size")
    return int(word)


def _hash(word: str) -> bytes:
    found = _unb64(word)
    if len(found) != 32:  # noqa: PLR2004  (SHA-256)
        raise BadNote("a hash has 32 bytes")
    return found


def _unb64(word: str) -> bytes:
    try:
        found = base64.b64decode(word, validate=True)
    except (binascii.Error, ValueError):
        raise BadNote("not base64") from None
    if _b64(found) != word:
        raise BadNote("not the one base64 spelling")
    return found


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
