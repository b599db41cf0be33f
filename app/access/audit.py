"""The audit trail: append-only rows with contiguous numbers and a hash chain of their own.

`record` appends in the caller's transaction, so a change and its entry live or die together; what reveals
content calls it first and answers nothing when it fails. Details may hold the words of a search, never a
message's content.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert, select

from app.access.domain import Caller
from app.access.models import AuditEvent
from app.access.trail import (
    START,
    Difference,
    Entry,
    Event,
    Head,
    Link,
    canonical,
    differences,
    digest,
)
from app.foundation import clock
from app.foundation.database import exclusive

_SUBJECT_LENGTH = 512  # characters
_COLUMNS = [getattr(AuditEvent, name) for name in (*Entry._fields, "hash")]


class Filter(NamedTuple):
    """Which entries are wanted; None is any."""

    event: Event | None = None
    actor: str | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def record(
    connection: Connection, event: Event, caller: Caller, subject: str = "", /, **facts: Any
) -> None:
    """Append one entry in the caller's transaction.

    Call it as late as the transaction allows: on PostgreSQL it serialises with every other entry until the commit.
    """
    exclusive(connection, "audit")
    last = head(connection)
    entry = Entry(
        seq=last.seq + 1,
        at=clock.now_ms(),
        event=event.value,
        actor_kind=caller.kind,
        actor_id=caller.id,
        actor_name=_plain(caller.name)[:128],
        subject=_plain(subject)[:_SUBJECT_LENGTH],
        request_id=_plain(caller.request_id)[:64],
        details=canonical(facts),
    )
    row = entry._asdict() | {"at": clock.from_ms(entry.at), "hash": digest(last.hash, entry)}
    connection.execute(insert(AuditEvent).values(row))


def head(connection: Connection) -> Head:
    """The end of the chain: worth noting outside, for it proves later that no tail was cut."""
    row = connection.execute(
        select(AuditEvent.seq, AuditEvent.hash).order_by(AuditEvent.seq.desc()).limit(1)
    ).first()
    return Head(row.seq, row.hash) if row else Head(0, START)


def verify(connection: Connection, noted: Head | None = None) -> list[Difference]:
    """Re-derive the whole chain; an empty list says that every entry is as it was written."""
    return list(differences(_links(connection), noted))


def page(connection: Connection, wanted: Filter, *, before: int | None, limit: int) -> list[Link]:
    """Entries newest first, those with a number below `before`."""
    query = select(*_COLUMNS).order_by(AuditEvent.seq.desc()).limit(limit)
    for condition in _conditions(wanted, before):
        query = query.where(condition)
    return [_link(row) for row in connection.execute(query)]


def moment(entry: Entry) -> datetime:
    """When the entry was written."""
    return clock.from_ms(entry.at)


def details(entry: Entry) -> dict[str, Any]:
    """The entry's details as they were given."""
    given: dict[str, Any] = json.loads(entry.details)
    return given


def _conditions(wanted: Filter, before: int | None) -> Iterator[Any]:
    if wanted.event is not None:
        yield AuditEvent.event == wanted.event.value
    if wanted.actor is not None:
        yield AuditEvent.actor_id == wanted.actor
    if wanted.subject is not None:
        yield AuditEvent.subject == wanted.subject
    if wanted.since is not None:
        yield AuditEvent.at >= wanted.since
    if wanted.until is not None:
        yield AuditEvent.at < wanted.until
    if before is not None:
        yield AuditEvent.seq < before


def _links(connection: Connection) -> Iterator[Link]:
    query = select(*_COLUMNS).order_by(AuditEvent.seq).execution_options(yield_per=1000)
    return map(_link, connection.execute(query))


def _link(row: Any) -> Link:
    *fields, stored = row
    entry = Entry(*fields)
    return Link(entry._replace(at=clock.to_ms(row.at)), stored)


def _plain(words: str) -> str:
    return words.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


__all__ = [
    "Difference",
    "Entry",
    "Event",
    "Filter",
    "Head",
    "Link",
    "details",
    "head",
    "moment",
    "page",
    "record",
    "verify",
]
