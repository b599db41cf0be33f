"""Every reading of the archive. Who may see is part of each query, never a filter afterwards."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    case,
    exists,
    func,
    or_,
    select,
    true,
)
from sqlalchemy.orm import aliased

from app.access import Scope
from app.archive.domain import Action, ConversationKind, Direction, Party, PartyType
from app.archive.models import (
    SEQ_BITS,
    AudienceParty,
    Conversation,
    Record,
    position_of,
    record_id,
)
from app.foundation.database import chunks, select_in
from app.foundation.errors import NotFound
from app.people import corp_codes, visible_departments
from app.people.models import Employee, Membership

_SPANS = (
    100  # conversations, or messages, in one statement; SQLite limits the depth of an expression
)


class MessageNotFound(NotFound):
    """There is no such message, or the caller may not know of it."""

    code = "message_not_found"
    title = "没有这条消息"


class Message(NamedTuple):
    """A record as people read it: everything but the sealed bytes."""

    corp_id: int
    seq: int
    corp: str
    source: str
    source_msg_id: str
    source_seq: int | None
    sent_at: datetime
    received_at: datetime
    conversation_id: int
    conversation_kind: ConversationKind
    conversation_external_id: str | None
    conversation_name: str | None
    counter: int
    sender: Party
    recipients: tuple[Party, ...]
    direction: Direction
    kind: str
    action: Action
    recalls: str | None
    text: str
    has_media: bool
    digest: bytes

    @property
    def id(self) -> str:
        """The public id: the message's place in its log."""
        return message_id(self.corp_id, self.seq)


def message_id(corp_id: int, seq: int) -> str:
    """`msg_<corp>_<seq>`."""
    return f"msg_{corp_id}_{seq}"


def parse_message_id(name: str) -> tuple[int, int]:
    """Corp and number of a public id; raises `MessageNotFound` when it is none."""
    head, _, rest = name.partition("_")
    corp, _, seq = rest.partition("_")
    if head != "msg" or not (corp.isascii() and corp.isdigit() and seq.isascii() and seq.isdigit()):
        raise MessageNotFound
    if len(corp) > 6 or len(seq) > 13 or int(seq) >> SEQ_BITS:  # noqa: PLR2004  (beyond any id)
        raise MessageNotFound
    place = int(corp), int(seq)
    if name != message_id(*place):  # one message, one name: the audit trail is searched by it
        raise MessageNotFound
    return place


def tail(connection: Connection, corp_id: int) -> int:
    """The last number of a corp's log; 0 while it is empty."""
    last = connection.execute(
        select(func.max(Record.id)).where(
            Record.id > record_id(corp_id, 0), Record.id < record_id(corp_id + 1, 0)
        )
    ).scalar()
    return position_of(last)[1] if last else 0


def tails(connection: Connection) -> dict[int, int]:
    """The last number of every corp's log."""
    return {corp_id: tail(connection, corp_id) for corp_id in corp_codes(connection)}


def read_log(connection: Connection, corp_id: int, after: int, limit: int) -> list[Message]:
    """The next records of a corp's log, in order; for followers, so without a scope."""
    query = (
        _messages()
        .where(Record.id > record_id(corp_id, after), Record.id < record_id(corp_id + 1, 0))
        .order_by(Record.id)
        .limit(limit)
    )
    return _read(connection, query)


def read_many(
    connection: Connection, places: Iterable[tuple[int, int]], scope: Scope
) -> list[Message]:
    """The messages at the given places that the scope may see, in no order."""
    ids = [record_id(*place) for place in places]
    return _read(connection, _messages().where(Record.id.in_(ids), visible(connection, scope)))


def read_one(connection: Connection, name: str, scope: Scope) -> Message:
    """One message by its public id; raises `MessageNotFound`."""
    found = read_many(connection, [parse_message_id(name)], scope)
    if not found:
        raise MessageNotFound
    return found[0]


def context(
    connection: Connection, message: Message, scope: Scope, *, before: int, after: int
) -> list[Message]:
    """The messages around one in its conversation, oldest first, itself included."""
    seen = and_(Record.conversation_id == message.conversation_id, visible(connection, scope))
    earlier = (
        _messages()
        .where(seen, Record.counter < message.counter)
        .order_by(Record.counter.desc())
        .limit(before)
    )
    later = (
        _messages()
        .where(seen, Record.counter >= message.counter)
        .order_by(Record.counter)
        .limit(after + 1)
    )
    return [*reversed(_read(connection, earlier)), *_read(connection, later)]


def windows(connection: Connection, spans: Mapping[int, tuple[int, int]]) -> list[list[Message]]:
    """Per conversation the messages with counters from the first to the last given; for followers."""
    found: dict[int, list[Message]] = {}
    for part in chunks(list(spans.items()), _SPANS):
        wanted = or_(
            *(
                and_(Record.conversation_id == place, Record.counter.between(*span))
                for place, span in part
            )
        )
        query = _messages().where(wanted).order_by(Record.conversation_id, Record.counter)
        for message in _read(connection, query):
            found.setdefault(message.conversation_id, []).append(message)
    return list(found.values())


def find_conversation(
    connection: Connection, corp_id: int, room: str | None, parties: Sequence[tuple[str, str]]
) -> int | None:
    """The number of a group by its id, or of the single chat between exactly these parties; None when it is new."""
    if room is not None:
        query = select(Conversation.id).where(
            Conversation.corp_id == corp_id, Conversation.external_id == room
        )
        return connection.execute(query).scalar()
    between = sorted(set(parties))  # clients first: few audiences hold one
    each = [
        and_(AudienceParty.party_type == kind, AudienceParty.party_id == name)
        for kind, name in between
    ]
    candidates = select(AudienceParty.audience_id).where(each[0])
    sizes = (
        select(AudienceParty.audience_id)
        .where(AudienceParty.audience_id.in_(candidates))
        .group_by(AudienceParty.audience_id)
        .having(func.count() == len(each), func.sum(case((or_(*each), 1), else_=0)) == len(each))
    )
    place = (
        select(Record.conversation_id)
        .join(Conversation, Conversation.id == Record.conversation_id)
        .where(
            Record.audience_id.in_(sizes),
            Record.corp_id == corp_id,
            Conversation.kind == ConversationKind.SINGLE,
        )
        .order_by(Record.id.desc())
        .limit(1)
    )
    return connection.execute(place).scalar()


def latest_of(connection: Connection, conversation: int, scope: Scope, limit: int) -> list[Message]:
    """The last messages of a conversation that the scope may see, oldest first."""
    seen = and_(Record.conversation_id == conversation, visible(connection, scope))
    query = _messages().where(seen).order_by(Record.counter.desc()).limit(limit)
    return [*reversed(_read(connection, query))]


def conversation_named(connection: Connection, name: str) -> int | None:
    """The number of a conversation given by that number or by its room's id; a room's id goes first."""
    query = select(Conversation.id).where(Conversation.external_id == name).limit(1)
    number = connection.execute(query).scalar()
    if number is None and name.isascii() and name.isdigit():
        return int(name)
    return number


def recalled_by(
    connection: Connection, messages: Sequence[Message]
) -> dict[tuple[int, str, str], tuple[int, int]]:
    """Which of the messages were recalled: (corp, source, source id) to the place of the first recall.

    A recall takes back what its own source has sent.
    """
    sent: dict[int, list[str]] = {}
    for message in messages:
        sent.setdefault(message.corp_id, []).append(message.source_msg_id)
    rows = [
        row
        for corp_id, names in sent.items()
        for row in select_in(
            connection,
            "SELECT id, source, recalls FROM records"
            " WHERE recalls IS NOT NULL AND corp_id = ? AND recalls IN",
            names,
            corp_id,
        )
    ]
    found: dict[tuple[int, str, str], tuple[int, int]] = {}
    for number, source, recalls in sorted(rows):
        place = position_of(number)
        found.setdefault((place[0], source, recalls), place)
    return found


def recalled_within(connection: Connection, corp_id: int, after: int, end: int) -> list[int]:
    """Records of a corp that are known to be recalled since the numbers (after, end] came; for followers.

    Those that one of them recalls, and those of them that an earlier one recalled ahead of its time.
    """
    newer = Record.id > record_id(corp_id, after), Record.id <= record_id(corp_id, end)
    target = aliased(Record)
    recalled = (
        select(target.id)
        .join_from(Record, target, _recalls(Record, target))
        .where(*newer, Record.recalls.is_not(None))
    )
    found = set(connection.execute(recalled).scalars())
    recall = aliased(Record)
    query = select(Record.id).where(*newer, exists().where(_recalls(recall, Record)))
    return sorted(found | set(connection.execute(query).scalars()))


def recalled_among(connection: Connection, records: Iterable[int]) -> set[int]:
    """Which of the records were recalled; for followers."""
    recall = aliased(Record)
    found: set[int] = set()
    for part in chunks(list(records), _SPANS):
        query = select(Record.id).where(
            Record.id.in_(part), exists().where(_recalls(recall, Record))
        )
        found |= set(connection.execute(query).scalars())
    return found


def _recalls(recall: Any, target: Any) -> ColumnElement[bool]:
    return and_(
        recall.corp_id == target.corp_id,
        recall.recalls == target.source_msg_id,
        recall.source == target.source,
    )


def audience_of(
    connection: Connection, places: Iterable[tuple[int, int]]
) -> dict[tuple[int, int], list[tuple[str, str]]]:
    """Everyone each message was between."""
    ids = [record_id(*place) for place in places]
    query = (
        select(Record.id, AudienceParty.party_type, AudienceParty.party_id)
        .join(AudienceParty, AudienceParty.audience_id == Record.audience_id)
        .where(Record.id.in_(ids))
    )
    found: dict[tuple[int, int], list[tuple[str, str]]] = {}
    for row in connection.execute(query):
        found.setdefault(position_of(row.id), []).append((row.party_type, row.party_id))
    return found


_COLUMNS = (
    Record.id,
    Record.source,
    Record.source_msg_id,
    Record.source_seq,
    Record.sent_at,
    Record.received_at,
    Record.conversation_id,
    Conversation.kind.label("conversation_kind"),
    Conversation.external_id,
    Conversation.name,
    Record.counter,
    Record.sender,
    Record.recipients,
    Record.direction,
    Record.kind,
    Record.action,
    Record.recalls,
    Record.text,
    Record.has_media,
    Record.digest,
)


def _messages() -> Any:
    return select(*_COLUMNS).join(Conversation, Conversation.id == Record.conversation_id)


def _read(connection: Connection, query: Select[Any]) -> list[Message]:
    rows = connection.execute(query).all()
    codes = corp_codes(connection) if rows else {}
    return [_message(row, codes) for row in rows]


def _message(row: Any, codes: dict[int, str]) -> Message:
    corp_id, seq = position_of(row.id)
    return Message(
        corp_id,
        seq,
        codes[corp_id],
        row.source,
        row.source_msg_id,
        row.source_seq,
        row.sent_at,
        row.received_at,
        row.conversation_id,
        ConversationKind(row.conversation_kind),
        row.external_id,
        row.name,
        row.counter,
        _party(json.loads(row.sender)),
        tuple(_party(each) for each in json.loads(row.recipients)),
        Direction(row.direction),
        row.kind,
        Action(row.action),
        row.recalls,
        row.text,
        row.has_media,
        row.digest,
    )


def _party(fields: list[Any]) -> Party:
    return Party(PartyType(fields[0]), fields[1], fields[2])


def visible(connection: Connection, scope: Scope) -> ColumnElement[bool]:
    """Records between people of the departments seen, as they were then, or with the employee himself."""
    departments = visible_departments(connection, scope)
    if departments is None:
        return true()
    present = (
        select(AudienceParty.audience_id)
        .join(
            Employee,
            and_(Employee.userid == AudienceParty.party_id, Employee.corp_id == Record.corp_id),
        )
        .where(
            AudienceParty.audience_id == Record.audience_id,
            AudienceParty.party_type == PartyType.EMPLOYEE,
        )
    )
    own = present.where(Employee.id == scope.employee)
    theirs = present.join(Membership, Membership.employee_id == Employee.id).where(
        Membership.department_id.in_(departments),
        Membership.start_at <= Record.sent_at,
        or_(Membership.end_at.is_(None), Membership.end_at > Record.sent_at),
    )
    return or_(exists(own.correlate(Record)), exists(theirs.correlate(Record)))
