"""Re-derives everything the archive claims from the bytes it keeps, and reports each difference.

Per record: the sealed bytes open, their digest, every committed field, the leaf, its number and counter. Per
log: numbers without a hole. Per conversation: counters without a hole. Per quarantined input: its bytes open and
are as long as stated. Trusts no column that it can compute.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from app.archive.domain import (
    Action,
    ConversationKind,
    Envelope,
    Party,
    PartyType,
    direction_of,
)
from app.archive.identity import Corp, audience_key, open_corp, place_key, tag
from app.archive.leaf import ENTRY_OF, FIELDS, commitments, decode, encode, field_bytes
from app.archive.models import (
    Audience,
    Conversation,
    QuarantineItem,
    Record,
    position_of,
    record_id,
)
from app.archive.quarantine import open_bytes
from app.archive.sealed import unseal
from app.archive.store import tail
from app.foundation.blobs import BlobStore
from app.foundation.clock import to_ms
from app.foundation.database import Database
from app.foundation.errors import AppError
from app.foundation.keys import SUITES, Bucket, KeyRing, KeyUnusable
from app.people import corp_codes

BATCH = 1_000


class Difference(NamedTuple):
    """Something stored that is not what its bytes say. `place` is a message id or names the item."""

    place: str
    what: str
    detail: str


class Report(NamedTuple):
    """What was looked at and what was found."""

    records: int
    quarantined: int
    differences: list[Difference]


def check(
    db: Database,
    keyring: KeyRing,
    blobs: BlobStore,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Report:
    """Check the whole archive; `on_progress(done, total)` counts records."""
    differences: list[Difference] = []
    with db.read() as connection:
        codes = corp_codes(connection)
        ends = {corp_id: tail(connection, corp_id) for corp_id in codes}
    done, total = 0, sum(ends.values())
    for corp_id, code in codes.items():
        for after in range(0, ends[corp_id], BATCH):
            with db.read() as connection:
                corp = open_corp(connection, keyring, corp_id, code)
                found = _check_batch(connection, keyring, corp, after)
            differences += found
            done += min(BATCH, ends[corp_id] - after)
            on_progress(done, total)
    with db.read() as connection:
        differences += _check_counters(connection)
        quarantined = 0
        for found_one in _check_quarantine(connection, keyring, blobs):
            quarantined += 1
            differences += found_one
    return Report(done, quarantined, differences)


def _check_batch(
    connection: Connection, keyring: KeyRing, corp: Corp, after: int
) -> list[Difference]:
    first = record_id(corp.id, after)
    rows = connection.execute(
        select(
            Record,
            Conversation.kind.label("place_kind"),
            Conversation.external_id,
            Conversation.tag.label("place_tag"),
            Audience.tag.label("audience_tag"),
        )
        .outerjoin(Conversation, Conversation.id == Record.conversation_id)
        .outerjoin(Audience, Audience.id == Record.audience_id)
        .where(Record.id > first, Record.id <= first + BATCH)
        .order_by(Record.id)
    ).all()
    buckets = keyring.by_id(connection, {row.bucket_id for row in rows})
    differences: list[Difference] = []
    expected = after
    for row in rows:
        expected += 1
        seq = position_of(row.id)[1]
        if seq != expected:
            differences.append(_difference(corp, expected, "seq", f"缺少 {expected} 至 {seq - 1}"))
            expected = seq
        differences += _check_record(corp, row, buckets.get(row.bucket_id))
    return differences


def _check_record(corp: Corp, row: Any, bucket: Bucket | None) -> Iterator[Difference]:
    """Yield what differs in one record."""
    seq = position_of(row.id)[1]
    if bucket is None:
        yield _difference(corp, seq, "key", "桶密钥不存在或已销毁")
        return
    try:
        seed, raw = unseal(row, bucket, corp.code)
        leaf = decode(row.leaf)
        envelope = _envelope(corp, row, raw)
    except KeyUnusable:
        yield _difference(corp, seq, "sealed", "密文无法解开")
        return
    except (ValueError, KeyError, TypeError) as error:
        yield _difference(corp, seq, "row", type(error).__name__)
        return
    suite = SUITES[row.suite]
    if suite.digest(raw) != row.digest:
        yield _difference(corp, seq, "digest", "原文摘要不符")
    audience = audience_key(envelope)
    if tag(corp.secret, place_key(envelope, audience)) != row.place_tag:
        yield _difference(corp, seq, "conversation", "会话与参与者不符")
    if tag(corp.secret, f'["audience",{audience}]') != row.audience_tag:
        yield _difference(corp, seq, "audience", "参与者集合不符")
    direction = direction_of(envelope.sender, envelope.recipients)
    if direction != row.direction:
        yield _difference(corp, seq, "direction", "方向不符")
    rebuilt = encode(
        suite=row.suite,
        tenant_tag=corp.tag,
        seq=seq,
        conversation_tag=row.place_tag,
        counter=row.counter,
        entry=ENTRY_OF[envelope.action],
        received_ms=to_ms(row.received_at),
        committed=commitments(suite, seed, field_bytes(envelope, direction)),
    )
    if rebuilt != row.leaf:
        yield _difference(corp, seq, "leaf", _name_difference(leaf.commitments, rebuilt))


def _envelope(corp: Corp, row: Any, raw: bytes) -> Envelope:
    """The envelope as it must have come in, from the row's own columns."""
    sender, recipients = json.loads(row.sender), json.loads(row.recipients)
    return Envelope(
        corp.code,
        row.source,
        row.source_msg_id,
        row.source_seq,
        to_ms(row.sent_at),
        ConversationKind(row.place_kind),
        row.external_id,
        None,
        _party(sender),
        tuple(_party(each) for each in recipients),
        row.kind,
        Action(row.action),
        row.recalls,
        row.text,
        row.has_media,
        raw,
    )


def _party(fields: list[Any]) -> Party:
    kind, name, shown = fields
    return Party(PartyType(kind), name, shown)


def _name_difference(stored: tuple[bytes, ...], rebuilt: bytes) -> str:
    again = decode(rebuilt).commitments
    wrong = [name for name, one, two in zip(FIELDS, stored, again, strict=False) if one != two]
    return f"承诺不符：{'、'.join(wrong)}" if wrong else "叶子头部不符"


def _check_counters(connection: Connection) -> list[Difference]:
    """Counters of a conversation run from 1 without a hole; unique by index, so counting suffices."""
    query = (
        select(Record.conversation_id, func.count(), func.max(Record.counter))
        .group_by(Record.conversation_id)
        .having(func.count() != func.max(Record.counter))
    )
    return [
        Difference(f"conversation {number}", "counter", f"{count} 条，计数到 {last}")
        for number, count, last in connection.execute(query)
    ]


def _check_quarantine(
    connection: Connection, keyring: KeyRing, blobs: BlobStore
) -> Iterator[list[Difference]]:
    query = select(QuarantineItem.id, QuarantineItem.size).order_by(QuarantineItem.id)
    for number, size in connection.execute(query).all():
        place = f"quarantine {number}"
        try:
            kept = len(open_bytes(connection, keyring, blobs, number))
        except AppError as error:
            yield [Difference(place, error.code, error.title)]
            continue
        yield [] if kept == size else [Difference(place, "size", f"{kept} ≠ {size}")]


def _difference(corp: Corp, seq: int, what: str, detail: str) -> Difference:
    return Difference(f"msg_{corp.id}_{seq}", what, detail)
