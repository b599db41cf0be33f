"""What may go: keys all of whose records are past their rules and under no hold, and why the others stay."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, func, select

from app.archive.domain import PartyType
from app.archive.models import AudienceParty, Record, record_id
from app.foundation.keys import BucketKey
from app.retention import schedules
from app.retention.domain import Due, RecordClass, Rule, due

PREFIX = "conversation|"


class Candidate(NamedTuple):
    """A key with its records; `due` says when they may go."""

    bucket: int
    conversation: int
    month: str
    records: int
    first_seq: int
    last_seq: int
    record_class: RecordClass
    last_sent: datetime
    due: Due


def of_corp(connection: Connection, corp_id: int) -> Iterator[Candidate]:
    """Every living key of a corp's records."""
    rules = schedules.active(connection)
    query = _living(
        Record.id > record_id(corp_id, 0), Record.id < record_id(corp_id + 1, 0)
    ).order_by(Record.bucket_id)
    for row in connection.execute(query).all():
        yield _candidate(connection, corp_id, rules, row)


def one(connection: Connection, corp_id: int, bucket: int) -> Candidate | None:
    """One key as it is now; None once it is destroyed."""
    rules = schedules.active(connection)
    query = _living(
        Record.bucket_id == bucket,
        Record.conversation_id == _conversation_of(connection, bucket),
    )
    row = connection.execute(query).first()
    return None if row is None else _candidate(connection, corp_id, rules, row)


def _conversation_of(connection: Connection, bucket: int) -> int:
    name = connection.execute(select(BucketKey.name).where(BucketKey.id == bucket)).scalar() or ""
    return int(name.split("|")[1]) if name.startswith(PREFIX) else -1


def _living(
    *which: ColumnElement[bool],
) -> Select[int, int, str, int, int, int, datetime]:
    """The keys that still open something, with what they open."""
    return (
        select(
            Record.bucket_id,
            Record.conversation_id,
            BucketKey.name,
            func.count(),
            func.min(Record.id),
            func.max(Record.id),
            func.max(Record.sent_at),
        )
        .join(BucketKey, BucketKey.id == Record.bucket_id)
        .where(*which, BucketKey.wrapped.is_not(None))
        .group_by(Record.bucket_id, Record.conversation_id, BucketKey.name)
    )


def _candidate(
    connection: Connection,
    corp_id: int,
    rules: list[Rule],
    row: tuple[int, int, str, int, int, int, datetime],
) -> Candidate:
    bucket, conversation, name, count, first, last, sent = row
    clients = _clients(connection, conversation, first, last)
    record_class = RecordClass.CLIENT if clients else RecordClass.INTERNAL
    events = schedules.events_of(connection, corp_id, clients)
    return Candidate(
        bucket,
        conversation,
        name.split("|")[2],
        count,
        first - record_id(corp_id, 0),
        last - record_id(corp_id, 0),
        record_class,
        sent,
        due(rules, record_class, sent, events),
    )


def _clients(connection: Connection, conversation: int, first: int, last: int) -> list[str]:
    query = (
        select(AudienceParty.party_id)
        .join(Record, Record.audience_id == AudienceParty.audience_id)
        .where(
            Record.conversation_id == conversation,
            Record.id.between(first, last),
            AudienceParty.party_type == PartyType.CLIENT,
        )
        .distinct()
        .order_by(AudienceParty.party_id)
    )
    return list(connection.execute(query).scalars())
