"""The bytes that the log commits to: salted commitments of a record's fields and the leaf `WXA1`.

Fixed for good (evidence research 1.4): every later proof rests on this layout.

    "WXA1" | suite u8 | tenant_tag(16) | seq u64 | conversation_tag(16) | counter u64 |
    entry u8 | received_ms u64 | n u8 | C_1 .. C_n                              (big endian)
    C_f       = HMAC(salt_f, field bytes)          leaf hash = SHA-256(0x00 | leaf)   (RFC 6962 2.1)
    salt_1..n = SHAKE-256(seed), 32 bytes each     seed: 32 random bytes inside the encrypted record

A salt discloses nothing but its own field; once the seed is destroyed with the record's key, the commitments
are noise. Without salts a short chat line is found by dictionary in seconds.
"""

import hashlib
import struct
from collections.abc import Sequence
from enum import IntEnum
from functools import lru_cache
from json.encoder import encode_basestring
from typing import NamedTuple

from app.archive.domain import Action, Direction, Envelope, Party
from app.foundation.keys import Suite

MAGIC = b"WXA1"
FIELDS = ("raw", "text", "sender", "recipients", "facts")
SEED_BYTES = 32
SALT_BYTES = 32
_HEAD = struct.Struct(">4sB16sQ16sQBQB")


class Entry(IntEnum):
    """What an entry of the log is."""

    MESSAGE = 1
    MEDIA = 2
    RECALL = 3
    CONSENT = 4
    GAP = 5
    DISPOSAL = 6
    HOLD = 7
    CONFIG = 8
    CHECKPOINT = 9


ENTRY_OF = {
    Action.SEND: Entry.MESSAGE,
    Action.SWITCH: Entry.MESSAGE,
    Action.RECALL: Entry.RECALL,
    Action.AGREE: Entry.CONSENT,
    Action.DISAGREE: Entry.CONSENT,
}


class Leaf(NamedTuple):
    """A leaf taken apart."""

    suite: int
    tenant_tag: bytes
    seq: int
    conversation_tag: bytes
    counter: int
    entry: Entry
    received_ms: int
    commitments: tuple[bytes, ...]


def field_bytes(envelope: Envelope, direction: Direction) -> tuple[bytes, ...]:
    """What is committed to, in the order of `FIELDS`; values as compact JSON, UTF-8."""
    return (
        envelope.raw,
        envelope.text.encode(),
        party_json(envelope.sender).encode(),
        parties_json(envelope.recipients).encode(),
        facts_json(envelope, direction).encode(),
    )


def facts_json(envelope: Envelope, direction: Direction) -> str:
    """What a record states besides who said what, as a JSON list.

    In this order: corp, source, source_msg_id, source_seq, sent_at (ms), conversation kind, room id, kind, action, recalls,
    direction.
    """
    number = "null" if envelope.source_seq is None else envelope.source_seq
    return (
        f"[{json_word(envelope.corp)},{json_word(envelope.source)},{json_word(envelope.source_msg_id)},{number},"
        f'{envelope.sent_at},"{envelope.conversation_kind}",{json_word(envelope.conversation_id)},'
        f'{json_word(envelope.kind)},"{envelope.action}",{json_word(envelope.recalls)},"{direction}"]'
    )


@lru_cache(maxsize=65_536)  # people write more than once
def member_json(party: Party) -> str:
    """`[type, id]`: who somebody is, whatever he is called."""
    return f'["{party[0]}",{json_word(party[1])}]'


@lru_cache(maxsize=65_536)
def party_json(party: Party) -> str:
    """`[type, id, name]`."""
    return f'["{party[0]}",{json_word(party[1])},{json_word(party[2])}]'


def parties_json(parties: Sequence[Party]) -> str:
    """A list of `[type, id, name]`, in the order given."""
    return f"[{','.join([party_json(party) for party in parties])}]"


def json_word(text: str | None) -> str:
    """A JSON string without escapes that are not needed; written by hand, for `json` is five times slower here."""
    return "null" if text is None else encode_basestring(text)


def salts(seed: bytes) -> list[bytes]:
    """The salt of each field."""
    stream = hashlib.shake_256(seed).digest(SALT_BYTES * len(FIELDS))
    return [stream[start : start + SALT_BYTES] for start in range(0, len(stream), SALT_BYTES)]


def commitments(suite: Suite, seed: bytes, fields: Sequence[bytes]) -> bytes:
    """C_1 .. C_n, one after the other."""
    commit = suite.commit
    return b"".join([commit(salt, field) for salt, field in zip(salts(seed), fields, strict=True)])


def encode(
    *,
    suite: int,
    tenant_tag: bytes,
    seq: int,
    conversation_tag: bytes,
    counter: int,
    entry: Entry,
    received_ms: int,
    committed: bytes,
) -> bytes:
    """Put a leaf together from its parts; `committed` is what `commitments` gave."""
    head = _HEAD.pack(
        MAGIC, suite, tenant_tag, seq, conversation_tag, counter, entry, received_ms, len(FIELDS)
    )
    return head + committed


def decode(leaf: bytes) -> Leaf:
    """Take a leaf apart; raises ValueError when it is none."""
    if len(leaf) < _HEAD.size:
        raise ValueError("a leaf is longer")
    magic, suite, tenant, seq, conversation, counter, entry, received, count = _HEAD.unpack_from(
        leaf
    )
    body = leaf[_HEAD.size :]
    if magic != MAGIC or len(body) != count * 32:
        raise ValueError("not a WXA1 leaf")
    parts = tuple(body[start : start + 32] for start in range(0, len(body), 32))
    return Leaf(suite, tenant, seq, conversation, counter, Entry(entry), received, parts)


def leaf_hash(leaf: bytes) -> bytes:
    """The Merkle tree's hash of a leaf (RFC 6962 2.1)."""
    return hashlib.sha256(b"\x00" + leaf).digest()
