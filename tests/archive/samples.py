"""Envelopes to append, and a plain model of what a log should hold after they were."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import select

from app.archive.append import Door, Prepared, Receipt
from app.archive.domain import Action, ConversationKind, Envelope, Party, PartyType
from app.archive.models import Conversation, Record, position_of
from app.foundation.database import Database

EMPLOYEE = Party(PartyType.EMPLOYEE, "su.he", "苏禾")
CLIENT = Party(PartyType.CLIENT, "wmA", "样例甲")
SENT_AT = 1_772_000_000_000


def envelope(name: str = "m1", **changes: Any) -> Envelope:
    """A plain message from an employee to a client, with the given fields in place of its own."""
    text = changes.get("text", "净值以公告为准")
    fields: dict[str, Any] = {
        "corp": "ww1",
        "source": "wecom",
        "source_msg_id": name,
        "source_seq": None,
        "sent_at": SENT_AT,
        "conversation_kind": ConversationKind.SINGLE,
        "conversation_id": None,
        "conversation_name": None,
        "sender": EMPLOYEE,
        "recipients": (CLIENT,),
        "kind": "text",
        "action": Action.SEND,
        "recalls": None,
        "text": text,
        "has_media": False,
        "raw": b'{"id":"%b","text":"%b"}' % (name.encode(), text.encode()),
    }
    return Envelope(**fields | changes)


def in_group(name: str, room: str = "wrA", **changes: Any) -> Envelope:
    """A message in a group."""
    return envelope(name, conversation_kind=ConversationKind.GROUP, conversation_id=room, **changes)


def between(name: str, other: str, **changes: Any) -> Envelope:
    """A message from the employee to another client."""
    return envelope(name, recipients=(Party(PartyType.CLIENT, other),), **changes)


def prepared(door: Door, envelopes: Iterable[Envelope]) -> list[Prepared]:
    """The envelopes made ready by a door."""
    return [door.prepare(each) for each in envelopes]


def put(door: Door, *envelopes: Envelope) -> list[Receipt]:
    """Append one batch."""
    return door.append(prepared(door, envelopes))


def log_of(db: Database) -> dict[int, list[tuple[int, str, int, int]]]:
    """By corp, in order: number, source id, conversation, counter."""
    found: dict[int, list[tuple[int, str, int, int]]] = {}
    with db.read() as connection:
        rows = connection.execute(
            select(
                Record.id, Record.source_msg_id, Record.conversation_id, Record.counter
            ).order_by(Record.id)
        )
        for row in rows:
            corp, seq = position_of(row.id)
            found.setdefault(corp, []).append(
                (seq, row.source_msg_id, row.conversation_id, row.counter)
            )
    return found


def assert_contiguous(db: Database) -> None:
    """Numbers run from 1 in every corp, counters from 1 in every conversation, both in the log's order."""
    for rows in log_of(db).values():
        assert [row[0] for row in rows] == [*range(1, len(rows) + 1)]
        counters: dict[int, int] = {}
        for _, _, place, counter in rows:
            counters[place] = counters.get(place, 0) + 1
            assert counter == counters[place]


def names_of(db: Database) -> list[str | None]:
    """The names of all conversations, oldest first."""
    with db.read() as connection:
        query = select(Conversation.name).order_by(Conversation.id)
        return list(connection.execute(query).scalars())
