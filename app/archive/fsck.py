"""Re-derives everything the archive claims from the bytes it keeps, and reports each difference.

Per record: the sealed bytes open, their digest, every committed field, the leaf, its number and counter. Per
log: numbers without a hole, no record outside a log. Per conversation: counters without a hole. Per audience:
its members. Per quarantined input: its bytes open and are those that came in. Trusts no column that it can
compute, and no damage hides what lies behind it: whatever cannot be read is a difference at its place.

Not seen: records cut off from the end of a log together with all they named. Only a head kept elsewhere shows that.
"""

import json
import struct
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Connection, func, not_, or_, select, true, type_coerce
from sqlalchemy.exc import DBAPIError

from app.archive import quarantine
from app.archive.domain import (
    Action,
    ConversationKind,
    Envelope,
    Party,
    PartyType,
    direction_of,
)
from app.archive.identity import Corp, audience_key, corp_with, place_key, secret_name, tag
from app.archive.leaf import (
    ENTRY_OF,
    FIELDS,
    commitments,
    decode,
    encode,
    field_bytes,
    member_json,
)
from app.archive.models import (
    Audience,
    AudienceParty,
    Conversation,
    QuarantineItem,
    Record,
    position_of,
    record_id,
)
from app.archive.sealed import unseal
from app.archive.store import message_id, tail
from app.foundation.blobs import BlobStore
from app.foundation.database import Database
from app.foundation.errors import AppError
from app.foundation.keys import SUITES, Bucket, BucketKey, KeyRing, KeyUnusable
from app.people import corp_codes

BATCH = 1_000
_UNREADABLE = (  # what damaged values raise, wherever they are first used
    AppError,
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    RecursionError,
    struct.error,
)


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


class _Unreadable(NamedTuple):
    """Stands in for a row of which a column cannot even be fetched."""

    id: int


def check(
    db: Database,
    keyring: KeyRing,
    blobs: BlobStore,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Report:
    """Check the whole archive; `on_progress(done, total)` counts records."""
    with db.read() as connection:
        codes = corp_codes(connection)
        ends = {corp_id: tail(connection, corp_id) for corp_id in codes}
        differences = list(_check_strays(connection, ends))
    records, done, total = 0, 0, sum(ends.values())
    for corp_id, code in codes.items():
        for count, reached, found in _check_log(db, keyring, corp_id, code, ends[corp_id]):
            records += count
            differences += found
            on_progress(done + reached, total)
        done += ends[corp_id]
    with db.read() as connection:
        differences += _check_counters(connection)
        quarantined = 0
        for found in _check_quarantine(connection, keyring, blobs):
            quarantined += 1
            differences += found
    return Report(records, quarantined, differences)


def _check_strays(connection: Connection, ends: dict[int, int]) -> Iterator[Difference]:
    """Yield records that no log holds."""
    logs = [Record.id.between(record_id(corp, 1), record_id(corp, ends[corp])) for corp in ends]
    query = select(Record.id).where(not_(or_(*logs)) if logs else true()).limit(BATCH)
    for number in connection.execute(query).scalars():
        yield Difference(message_id(*position_of(number)), "corp", "记录不属于任何企业的日志")


def _check_log(
    db: Database, keyring: KeyRing, corp_id: int, code: str, end: int
) -> Iterator[tuple[int, int, list[Difference]]]:
    """Yield per batch how many records it had, the number reached and what differs."""
    if not end:
        return
    with db.read() as connection:
        corp = _open_corp(connection, keyring, corp_id, code)
    if corp is None:
        yield 0, end, [Difference(f"corp {code}", "key", "企业密钥不存在或无法打开")]
        return
    after = 0
    while after < end:
        with db.read() as connection:
            rows = _read_rows(connection, corp_id, after, end)
            found = list(_check_batch(connection, keyring, corp, rows, after))
        after = position_of(rows[-1].id)[1] if rows else end
        yield len(rows), after, found
    with db.read() as connection:
        yield 0, end, list(_check_audiences(connection, corp))


def _open_corp(connection: Connection, keyring: KeyRing, corp_id: int, code: str) -> Corp | None:
    """Open a corp's secret from its row, whatever is held in memory; never make one."""
    query = select(BucketKey.id).where(BucketKey.name == secret_name(code))
    for bucket in _buckets(connection, keyring, connection.execute(query).scalars().all()).values():
        return corp_with(bucket.secret, corp_id, code)
    return None


def _buckets(connection: Connection, keyring: KeyRing, ids: Iterable[int]) -> dict[int, Bucket]:
    """Open the keys that can be opened."""
    opened: dict[int, Bucket] = {}
    try:
        return keyring.by_id(connection, ids)
    except _UNREADABLE:
        for number in ids:
            with suppress(*_UNREADABLE):
                opened |= keyring.by_id(connection, [number])
    return opened


_RECORDS = (
    select(
        Record.id,
        Record.corp_id,
        Record.source,
        Record.source_msg_id,
        Record.source_seq,
        type_coerce(Record.sent_at, BigInteger).label("sent_ms"),  # no moment may be too far off
        type_coerce(Record.received_at, BigInteger).label("received_ms"),
        Record.counter,
        Record.sender,
        Record.recipients,
        Record.direction,
        Record.kind,
        Record.action,
        Record.recalls,
        Record.text,
        Record.suite,
        Record.bucket_id,
        Record.wrapped_key,
        Record.sealed,
        Record.digest,
        Record.leaf,
        Conversation.corp_id.label("place_corp_id"),
        Conversation.kind.label("place_kind"),
        Conversation.external_id,
        Conversation.tag.label("place_tag"),
        Audience.tag.label("audience_tag"),
        BucketKey.destroyed_at.is_not(None).label("is_destroyed"),
    )
    .outerjoin(BucketKey, BucketKey.id == Record.bucket_id)
    .outerjoin(Conversation, Conversation.id == Record.conversation_id)
    .outerjoin(Audience, Audience.id == Record.audience_id)
    .order_by(Record.id)
    .limit(BATCH)
)


def _read_rows(connection: Connection, corp_id: int, after: int, end: int) -> Sequence[Any]:
    span = Record.id.between(record_id(corp_id, after + 1), record_id(corp_id, end))
    try:
        return connection.execute(_RECORDS.where(span)).all()
    except (DBAPIError, *_UNREADABLE):  # SQLite: a flipped bit can leave text that is no UTF-8
        ids = connection.execute(select(Record.id).where(span).order_by(Record.id).limit(BATCH))
        return [_read_row(connection, number) for number in ids.scalars().all()]


def _read_row(connection: Connection, number: int) -> Any:
    try:
        return connection.execute(_RECORDS.where(Record.id == number)).one()
    except (DBAPIError, *_UNREADABLE):
        return _Unreadable(number)


def _check_batch(
    connection: Connection, keyring: KeyRing, corp: Corp, rows: Sequence[Any], after: int
) -> Iterator[Difference]:
    readable = [row for row in rows if not isinstance(row, _Unreadable)]
    buckets = _buckets(connection, keyring, {row.bucket_id for row in readable})
    for row in rows:
        seq = position_of(row.id)[1]
        if seq != after + 1:
            yield _difference(corp, after + 1, "seq", f"缺少 {after + 1} 至 {seq - 1}")
        after = seq
        if isinstance(row, _Unreadable):
            yield _difference(corp, seq, "row", "无法读取")
        else:
            yield from _check_record(corp, row, buckets.get(row.bucket_id))


def _check_record(corp: Corp, row: Any, bucket: Bucket | None) -> Iterator[Difference]:
    """Yield what differs in one record."""
    seq = position_of(row.id)[1]
    if bucket is None:
        if row.is_destroyed and _is_blank(row):
            yield from _check_disposed(corp, row)
            return
        yield _difference(corp, seq, "key", "桶密钥不存在、已销毁或无法打开")
        return
    try:
        seed, raw = unseal(row, bucket, corp.code)
        for what, detail in _compare(corp, row, seed, raw):
            yield _difference(corp, seq, what, detail)
    except KeyUnusable:
        yield _difference(corp, seq, "sealed", "密文无法解开")
    except _UNREADABLE as error:
        yield _difference(corp, seq, "row", type(error).__name__)


def _is_blank(row: Any) -> bool:
    return not (row.text or row.sealed or row.wrapped_key or row.digest)


def _check_disposed(corp: Corp, row: Any) -> Iterator[Difference]:
    """Yield what the leaf of a disposed record contradicts; what it committed to is gone."""
    seq = position_of(row.id)[1]
    try:
        leaf = decode(row.leaf)
    except ValueError:
        yield _difference(corp, seq, "leaf", "叶子无法识别")
        return
    told = (leaf.suite, leaf.tenant_tag, leaf.seq, leaf.conversation_tag, leaf.counter)
    kept = (row.suite, corp.tag, seq, row.place_tag, row.counter)
    if (*told, leaf.received_ms, row.corp_id) != (*kept, row.received_ms, corp.id):
        yield _difference(corp, seq, "leaf", "叶子头部不符")


def _compare(corp: Corp, row: Any, seed: bytes, raw: bytes) -> Iterator[tuple[str, str]]:
    suite = SUITES[row.suite]
    if suite.digest(raw) != row.digest:
        yield "digest", "原文摘要不符"
    if row.corp_id != corp.id:
        yield "corp", "企业与编号不符"
    envelope = _envelope(corp, row, raw)
    audience = audience_key(envelope)
    place_tag = tag(corp.secret, place_key(envelope, audience))
    if (corp.id, place_tag) != (row.place_corp_id, row.place_tag):
        yield "conversation", "会话与参与者不符"
    if tag(corp.secret, f'["audience",{audience}]') != row.audience_tag:
        yield "audience", "参与者集合不符"
    direction = direction_of(envelope.sender, envelope.recipients)
    if direction != row.direction:
        yield "direction", "方向不符"
    rebuilt = encode(
        suite=row.suite,
        tenant_tag=corp.tag,
        seq=position_of(row.id)[1],
        conversation_tag=place_tag,
        counter=row.counter,
        entry=ENTRY_OF[envelope.action],
        received_ms=row.received_ms,
        committed=commitments(suite, seed, field_bytes(envelope, direction)),
    )
    if rebuilt != row.leaf:
        yield "leaf", _name_difference(decode(row.leaf).commitments, rebuilt)


def _envelope(corp: Corp, row: Any, raw: bytes) -> Envelope:
    """The envelope as it must have come in, from the row's own columns."""
    sender, recipients = json.loads(row.sender), json.loads(row.recipients)
    return Envelope(
        corp.code,
        row.source,
        row.source_msg_id,
        row.source_seq,
        row.sent_ms,
        ConversationKind(row.place_kind),
        row.external_id,
        None,
        _party(sender),
        tuple(_party(each) for each in recipients),
        row.kind,
        Action(row.action),
        row.recalls,
        row.text,
        False,  # whether media belong to it is neither committed to nor derived here
        raw,
    )


def _party(fields: list[Any]) -> Party:
    kind, name, shown = fields
    return Party(PartyType(kind), name, shown)


def _name_difference(stored: tuple[bytes, ...], rebuilt: bytes) -> str:
    again = decode(rebuilt).commitments
    wrong = [name for name, one, two in zip(FIELDS, stored, again, strict=False) if one != two]
    return f"承诺不符：{'、'.join(wrong)}" if wrong else "叶子头部不符"


def _check_audiences(connection: Connection, corp: Corp) -> Iterator[Difference]:
    """Yield the audiences whose members are not those their tag stands for; who sees what rests on them."""
    after = 0
    query = select(Audience.id, Audience.tag).where(Audience.corp_id == corp.id)
    query = query.order_by(Audience.id).limit(BATCH)
    while rows := connection.execute(query.where(Audience.id > after)).all():
        members = _members(connection, after + 1, rows[-1].id)
        for row in rows:
            audience = f"[{','.join(sorted(members[row.id]))}]"
            if tag(corp.secret, f'["audience",{audience}]') != row.tag:
                yield Difference(f"audience {row.id}", "audience", "成员与标记不符")
        after = rows[-1].id


def _members(connection: Connection, first: int, last: int) -> dict[int, list[str]]:
    """The members of the audiences from the first to the last."""
    members: dict[int, list[str]] = defaultdict(list)
    columns = AudienceParty.audience_id, AudienceParty.party_type, AudienceParty.party_id
    query = select(*columns).where(AudienceParty.audience_id.between(first, last))
    for row in connection.execute(query):
        members[row.audience_id].append(member_json(Party(row.party_type, row.party_id)))
    return members


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
    query = select(QuarantineItem.id).order_by(QuarantineItem.id)
    for number in connection.execute(query).scalars().all():
        place = f"quarantine {number}"
        try:
            is_intact = quarantine.is_intact(connection, keyring, blobs, number)
        except AppError as error:
            yield [Difference(place, error.code, error.title)]
        except _UNREADABLE as error:
            yield [Difference(place, "row", type(error).__name__)]
        else:
            yield [] if is_intact else [Difference(place, "bytes", "内容、大小或来源不符")]


def _difference(corp: Corp, seq: int, what: str, detail: str) -> Difference:
    return Difference(message_id(corp.id, seq), what, detail)
