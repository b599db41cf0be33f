"""The leaf `WXA1` and what it commits to, against bytes computed without the product."""

import hashlib
import hmac
import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.archive.domain import Action, ConversationKind, Direction, Envelope, Party, PartyType
from app.archive.identity import audience_key, corp_with, place_key, tag
from app.archive.leaf import (
    FIELDS,
    SALT_BYTES,
    Entry,
    Leaf,
    commitments,
    decode,
    encode,
    field_bytes,
    leaf_hash,
    salts,
)
from app.foundation.keys import INTL
from tests.archive.samples import envelope, in_group

SEED = bytes(range(32))
GOLDEN = bytes.fromhex(
    "5758413101aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa000000ffffffffffbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
    "000000000000000c030000019c936e3be705ff97025a93ba16d34bcc7ca7bcffd0b88d7ced1ce81ae4af34aeeb80"
    "4ff569f44ff0ab7ec2c39a5dee8b2da84f2bc2ba9b4601adc64c2ff3609cdc381ad4eab6e7aa3d168404f3f391c6"
    "c9f01ec86043d0df6f8b5316bb74096272aa05ca32390fc9281a076a87c2a9f3d58d0572939cb39259ee31240516"
    "43e64c82870dd21c921169797a2beaf28bbf2789e818458a74021cd8e9d15134719296b293e6e255"
)
GOLDEN_HASH = "8765b1c9cc1fdb17f2bed1390716e23ee506e443768731bb20b324a6e8fe8074"
RECALL = in_group(
    "m0-recalled",
    source_msg_id="m1",
    source_seq=7,
    sent_at=1_772_000_000_123,
    conversation_name="样例群",
    recipients=(Party(PartyType.CLIENT, "wmA"), Party(PartyType.ROBOT, "wbB", "助手")),
    action=Action.RECALL,
    recalls="m0",
    text='净值"以公告\n为准',
    raw=b'{"a":1}',
)
TAGS = st.binary(min_size=16, max_size=16)
NUMBERS = st.integers(0, 2**64 - 1)
LEAVES = st.builds(
    Leaf,
    suite=st.integers(0, 255),
    tenant_tag=TAGS,
    seq=NUMBERS,
    conversation_tag=TAGS,
    counter=NUMBERS,
    entry=st.sampled_from(Entry),
    received_ms=NUMBERS,
    commitments=st.tuples(*[st.binary(min_size=32, max_size=32)] * len(FIELDS)),
)


def encoded(leaf: Leaf) -> bytes:
    parts = leaf._asdict()
    joined = b"".join(parts.pop("commitments"))
    return encode(**parts, committed=joined)


def compact(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def committed(message: Envelope, direction: Direction = Direction.OUTBOUND) -> list[bytes]:
    joined = commitments(INTL, SEED, field_bytes(message, direction))
    return [joined[start : start + 32] for start in range(0, len(joined), 32)]


def test_the_layout_is_fixed_for_good() -> None:
    leaf = encode(
        suite=1,
        tenant_tag=b"\xaa" * 16,
        seq=2**40 - 1,
        conversation_tag=b"\xbb" * 16,
        counter=12,
        entry=Entry.RECALL,
        received_ms=1_772_000_000_999,
        committed=commitments(INTL, SEED, field_bytes(RECALL, Direction.OUTBOUND)),
    )
    assert leaf == GOLDEN
    assert leaf_hash(leaf).hex() == GOLDEN_HASH


def test_the_golden_leaf_is_what_anybody_computes_from_its_parts() -> None:
    facts = ["ww1", "wecom", "m1", 7, 1_772_000_000_123]
    facts += ["group", "wrA", "text", "recall", "m0", "outbound"]
    fields = [
        b'{"a":1}',
        '净值"以公告\n为准'.encode(),
        compact(["employee", "su.he", "苏禾"]),
        compact([["client", "wmA", None], ["robot", "wbB", "助手"]]),
        compact(facts),
    ]
    stream = hashlib.shake_256(SEED).digest(32 * 5)
    expected = struct.pack(
        ">4sB16sQ16sQBQB",
        *(b"WXA1", 1, b"\xaa" * 16, 2**40 - 1, b"\xbb" * 16, 12, 3, 1_772_000_000_999, 5),
    )
    for number, field in enumerate(fields):
        salt = stream[32 * number : 32 * number + 32]
        expected += hmac.new(salt, field, hashlib.sha256).digest()
    assert expected == GOLDEN
    assert hashlib.sha256(b"\x00" + expected).hexdigest() == GOLDEN_HASH


def test_tags_are_what_anybody_computes_who_has_the_secret() -> None:
    secret = b"s" * 32

    def expected(identity: object) -> bytes:
        return hmac.new(secret, compact(identity), hashlib.sha256).digest()[:16]

    audience = [["client", "wmA"], ["employee", "su.he"], ["robot", "wbB"]]
    key = audience_key(RECALL)
    assert tag(secret, f'["audience",{key}]') == expected(["audience", audience])
    assert tag(secret, place_key(RECALL, key)) == expected(["group", "wrA"])
    single = RECALL._replace(conversation_kind=ConversationKind.SINGLE, conversation_id=None)
    assert tag(secret, place_key(single, key)) == expected(["single", audience])
    assert corp_with(secret, 1, 'w"好').tag == expected(["corp", 'w"好'])


@given(leaf=LEAVES)
def test_decoding_undoes_encoding(leaf: Leaf) -> None:
    assert decode(encoded(leaf)) == leaf


@given(one=LEAVES, other=LEAVES)
def test_different_leaves_have_different_bytes(one: Leaf, other: Leaf) -> None:
    assert (encoded(one) == encoded(other)) == (one == other)


@given(data=st.binary(max_size=300) | st.binary(max_size=240).map(lambda rest: b"WXA1" + rest))
def test_bytes_that_are_no_leaf_are_refused(data: bytes) -> None:
    try:
        leaf = decode(data)
    except ValueError:
        return
    assert data.startswith(b"WXA1")
    assert len(data) == 63 + 32 * len(leaf.commitments)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        GOLDEN[:62],
        GOLDEN[:-1],
        GOLDEN + b"\x00",
        b"WXA2" + GOLDEN[4:],
        GOLDEN[:53] + b"\x00" + GOLDEN[54:],  # no such entry
        GOLDEN[:62] + b"\x04" + GOLDEN[63:],
    ],
)
def test_a_damaged_leaf_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"WXA1|longer|Entry"):
        decode(data)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("raw", {"raw": b'{"a":2}'}),
        ("text", {"text": "净值以公告为准。"}),
        ("sender", {"sender": Party(PartyType.EMPLOYEE, "su.hee", "苏禾")}),
        ("sender", {"sender": Party(PartyType.EMPLOYEE, "su.he", "苏和")}),
        ("sender", {"sender": Party(PartyType.EMPLOYEE, "su.he")}),
        ("sender", {"sender": Party(PartyType.ROBOT, "su.he", "苏禾")}),
        ("recipients", {"recipients": ()}),
        ("recipients", {"recipients": RECALL.recipients[:1]}),
        ("recipients", {"recipients": RECALL.recipients[::-1]}),
        ("recipients", {"recipients": (*RECALL.recipients, RECALL.sender)}),
        ("facts", {"corp": "ww2"}),
        ("facts", {"source": "mail"}),
        ("facts", {"source_msg_id": "m2"}),
        ("facts", {"source_seq": 8}),
        ("facts", {"source_seq": None}),
        ("facts", {"sent_at": RECALL.sent_at + 1}),
        ("facts", {"conversation_kind": ConversationKind.SINGLE}),
        ("facts", {"conversation_id": "wrB"}),
        ("facts", {"conversation_id": None}),
        ("facts", {"kind": "revoke"}),
        ("facts", {"action": Action.SEND}),
        ("facts", {"recalls": "m9"}),
        ("facts", {"recalls": None}),
    ],
)
def test_every_field_changes_its_own_commitment_and_no_other(
    field: str, change: dict[str, Any]
) -> None:
    before, after = committed(RECALL), committed(RECALL._replace(**change))
    changed = [name for name, one, two in zip(FIELDS, before, after, strict=True) if one != two]
    assert changed == [field]


def test_the_direction_is_a_fact() -> None:
    before, after = committed(RECALL), committed(RECALL, Direction.INTERNAL)
    changed = [name for name, one, two in zip(FIELDS, before, after, strict=True) if one != two]
    assert changed == ["facts"]


WORDS = st.text(max_size=6) | st.sampled_from(['"', "\\", '","', "\n", "null", "],["])


@given(one=st.tuples(WORDS, WORDS, WORDS), other=st.tuples(WORDS, WORDS, WORDS))
def test_no_value_can_pose_as_two_others(one: Any, other: Any) -> None:
    def facts(corp: str, source: str, name: str) -> bytes:
        message = envelope(corp=corp, source=source)._replace(source_msg_id=name)
        return field_bytes(message, Direction.INTERNAL)[4]

    assert (facts(*one) == facts(*other)) == (one == other)
    assert json.loads(facts(*one))[:3] == list(one)


@given(one=WORDS, other=WORDS)
def test_no_two_sets_of_people_share_a_key(one: str, other: str) -> None:
    def key(*ids: str) -> str:
        return audience_key(envelope(recipients=[Party(PartyType.CLIENT, id_) for id_ in ids]))

    assert (key(one) == key(other)) == (one == other)
    assert key(one, other) == key(other, one, one)
    assert (key(one, other) == key(one)) == (one == other)


@given(seed=st.binary(min_size=32, max_size=32))
def test_every_field_has_a_salt_of_its_own(seed: bytes) -> None:
    found = salts(seed)
    assert len(set(found)) == len(FIELDS)
    assert {len(salt) for salt in found} == {SALT_BYTES}


def test_equal_fields_of_two_records_share_no_commitment() -> None:
    fields = [b"x"] * len(FIELDS)
    one, two = commitments(INTL, SEED, fields), commitments(INTL, SEED[::-1], fields)
    parts = [all_[start : start + 32] for all_ in (one, two) for start in range(0, 160, 32)]
    assert len(set(parts)) == 2 * len(FIELDS)
