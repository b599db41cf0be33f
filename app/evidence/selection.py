"""Which records a package holds.

Those asked for within the requester's scope, and, to prove that none was left out, the bare leaves of the others in
their conversations. Read from the record tables, never from the search index: "contains" is decided by the words' own rule on each text.
"""

import json
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, func, select

from app.access import Scope
from app.archive.domain import PartyType
from app.archive.models import AudienceParty, Record, position_of, record_id
from app.archive.store import conversation_named, visible
from app.foundation import clock
from app.foundation.database import select_in
from app.foundation.errors import BadInput
from app.people import fold_userid
from app.search import matches, norm, parse

PAGE = 5_000
if TYPE_CHECKING:
    Numbers = array[int]
else:
    Numbers = array  # not subscriptable before Python 3.12
_NOWHERE = -1


class Asked(NamedTuple):
    """What is to be selected; times are Unix milliseconds, `until` excluded."""

    q: str = ""
    adviser: tuple[str, ...] = ()
    client: tuple[str, ...] = ()
    conversation: str | None = None
    since: int | None = None
    until: int | None = None

    @property
    def is_by_words(self) -> bool:
        """Whether messages are chosen by what they say, so that conversations are not whole."""
        return bool(self.q.strip())


class Place(NamedTuple):
    """One conversation in a package: counters from the first to the last included, and where it stands now."""

    number: int
    tag: bytes
    kind: str
    room: str | None
    name: str | None
    first: int
    last: int
    disclosed: int
    included: int
    head: int


class Plan(NamedTuple):
    """The numbers of the included records, ascending; `is_bare` marks those of which only the leaf is given."""

    seqs: Numbers
    is_bare: bytearray
    places: list[Place]
    first_sent: int | None
    last_sent: int | None

    @property
    def disclosed(self) -> int:
        """How many records were asked for."""
        return len(self.seqs) - sum(self.is_bare)

    def has(self, seq: int) -> bool:
        """Whether a record is included."""
        return self._at(seq) is not None

    def is_chosen(self, seq: int) -> bool:
        """Whether a record was asked for: included, and not as a bare leaf."""
        place = self._at(seq)
        return place is not None and not self.is_bare[place]

    def _at(self, seq: int) -> int | None:
        place = bisect_left(self.seqs, seq)
        return place if place < len(self.seqs) and self.seqs[place] == seq else None


def make(connection: Connection, corp_id: int, end: int, asked: Asked, scope: Scope) -> Plan:
    """Select among the first `end` records of a corp's log; raises `BadQuery`, `BadInput`."""
    chosen: Numbers = array("Q")
    spans: dict[int, list[int]] = {}
    times: list[int] = []
    for seq, place, counter, sent in _chosen(connection, corp_id, end, asked, scope):
        chosen.append(seq)
        span = spans.setdefault(place, [counter, counter, 0])
        span[0], span[1], span[2] = min(span[0], counter), max(span[1], counter), span[2] + 1
        times = [min(times[0], sent), max(times[1], sent)] if times else [sent, sent]
    bare = [] if asked.is_by_words else _holes(connection, end, chosen, spans)
    seqs, is_bare = _merged(chosen, bare)
    places = _places(connection, corp_id, end, spans, whole=not asked.is_by_words)
    first, last = times or (None, None)
    return Plan(seqs, is_bare, places, first, last)


def _chosen(
    connection: Connection, corp_id: int, end: int, asked: Asked, scope: Scope
) -> Iterator[tuple[int, int, int, int]]:
    tree = parse(asked.q)
    columns = [Record.id, Record.conversation_id, Record.counter, Record.sent_at]
    query = select(*columns, *([Record.text] if tree else []))
    query = query.where(*_conditions(connection, corp_id, asked), visible(connection, scope))
    after = record_id(corp_id, 0)
    while True:
        part = query.where(Record.id > after, Record.id <= record_id(corp_id, end))
        rows = connection.execute(part.order_by(Record.id).limit(PAGE)).all()
        for row in rows:
            if tree is None or matches(tree, norm(row.text), _refuse_field):
                sent = clock.to_ms(row.sent_at)
                yield position_of(row.id)[1], row.conversation_id, row.counter, sent
        if len(rows) < PAGE:
            return
        after = rows[-1].id


def _refuse_field(_term: object) -> bool:
    raise BadInput("导出的检索语句只能用词语；人员、时间与会话请用各自的筛选条件")


def _conditions(
    connection: Connection, corp_id: int, asked: Asked
) -> Iterator[ColumnElement[bool]]:
    for kind, names in (
        (
            PartyType.EMPLOYEE,
            {each for name in asked.adviser for each in (name, fold_userid(name))},
        ),
        (PartyType.CLIENT, set(asked.client)),
    ):
        if names:
            present = select(AudienceParty.audience_id).where(
                AudienceParty.party_type == kind, AudienceParty.party_id.in_(sorted(names))
            )
            yield Record.audience_id.in_(present)
    if asked.conversation is not None:
        number = conversation_named(connection, asked.conversation)
        yield Record.conversation_id == (_NOWHERE if number is None else number)
    if asked.since is not None:
        yield Record.sent_at >= clock.from_ms(asked.since)
    if asked.until is not None:
        yield Record.sent_at < clock.from_ms(asked.until)
    yield Record.corp_id == corp_id


def _holes(
    connection: Connection, end: int, chosen: Numbers, spans: dict[int, list[int]]
) -> list[int]:
    """The records between a conversation's first and last chosen ones that were not chosen."""
    marks = bytearray(end + 1)
    for seq in chosen:
        marks[seq] = 1
    found = []
    for place, (first, last, count) in spans.items():
        if last - first + 1 == count:
            continue
        query = select(Record.id).where(
            Record.conversation_id == place, Record.counter.between(first, last)
        )
        for number in connection.execute(query).scalars():
            seq = position_of(number)[1]
            if not marks[seq]:
                found.append(seq)
    return sorted(found)


def _merged(chosen: Numbers, bare: list[int]) -> tuple[Numbers, bytearray]:
    if not bare:
        return chosen, bytearray(len(chosen))
    both = sorted([*((seq, 0) for seq in chosen), *((seq, 1) for seq in bare)])
    return array("Q", (seq for seq, _ in both)), bytearray(mark for _, mark in both)


def _places(
    connection: Connection, corp_id: int, end: int, spans: dict[int, list[int]], *, whole: bool
) -> list[Place]:
    query = "SELECT id, tag, kind, external_id, name FROM conversations WHERE id IN"
    rows = {row[0]: row for row in select_in(connection, query, list(spans))}
    heads = select(func.max(Record.counter))
    found = []
    for place, (first, last, count) in spans.items():
        head = connection.execute(
            heads.where(Record.conversation_id == place, Record.id <= record_id(corp_id, end))
        ).scalar_one()
        _, tag, kind, room, name = rows[place]
        included = last - first + 1 if whole else count
        found.append(Place(place, bytes(tag), kind, room, name, first, last, count, included, head))
    return sorted(found, key=lambda place: place.tag)


_COLUMNS = (
    "id",
    "source",
    "source_msg_id",
    "source_seq",
    "sent_at",
    "received_at",
    "conversation_id",
    "counter",
    "sender",
    "recipients",
    "direction",
    "kind",
    "action",
    "recalls",
    "text",
    "has_media",
    "suite",
    "bucket_id",
    "wrapped_key",
    "sealed",
    "leaf",
)


class Row(NamedTuple):
    """A record as a package needs it; times in Unix milliseconds."""

    id: int
    source: str
    source_msg_id: str
    source_seq: int | None
    sent_at: int
    received_at: int
    conversation_id: int
    counter: int
    sender: str
    recipients: str
    direction: str
    kind: str
    action: str
    recalls: str | None
    text: str
    has_media: bool
    suite: int
    bucket_id: int
    wrapped_key: bytes
    sealed: bytes
    leaf: bytes

    @property
    def seq(self) -> int:
        """The number in the log."""
        return position_of(self.id)[1]


def rows_of(connection: Connection, corp_id: int, seqs: Any) -> list[Row]:
    """The records with these numbers, ascending."""
    query = f"SELECT {', '.join(_COLUMNS)} FROM records WHERE id IN"  # noqa: S608  (own constants)
    found = select_in(connection, query, [record_id(corp_id, seq) for seq in seqs])
    return sorted((Row(*row) for row in found), key=lambda row: row.id)


def conversation_seqs(connection: Connection, corp_id: int, end: int, place: Place) -> list[int]:
    """The numbers of a conversation's records from its first to its last included, in its order."""
    query = select(Record.id).where(
        Record.conversation_id == place.number,
        Record.counter.between(place.first, place.last),
        Record.id <= record_id(corp_id, end),
    )
    numbers = connection.execute(query.order_by(Record.counter)).scalars()
    return [position_of(number)[1] for number in numbers]


def consents(connection: Connection, places: list[Place], corp_id: int, end: int) -> dict[str, int]:
    """How often clients agreed to archiving or refused it, in these conversations."""
    wanted = {place.number for place in places}
    counts = {"agree": 0, "disagree": 0}
    query = (
        select(Record.action, Record.conversation_id, func.count())
        .where(
            Record.id.between(record_id(corp_id, 1), record_id(corp_id, end)),
            Record.action.in_(list(counts)),
        )
        .group_by(Record.action, Record.conversation_id)
    )
    for action, place, count in connection.execute(query):
        if place in wanted:
            counts[action] += count
    return counts


def pack(plan: Plan) -> tuple[bytes, bytes]:
    """A plan as two files: facts as JSON, and the numbers with their marks."""
    told = {
        "count": len(plan.seqs),
        "places": [{**each._asdict(), "tag": each.tag.hex()} for each in plan.places],
        "first": plan.first_sent,
        "last": plan.last_sent,
    }
    numbers = plan.seqs.tobytes() + bytes(plan.is_bare)
    return json.dumps(told, ensure_ascii=False).encode(), numbers


def unpack(facts: bytes, numbers: bytes) -> Plan:
    """What `pack` made."""
    told = json.loads(facts)
    seqs: Numbers = array("Q")
    size = told["count"] * seqs.itemsize
    seqs.frombytes(numbers[:size])
    places = [Place(**{**each, "tag": bytes.fromhex(each["tag"])}) for each in told["places"]]
    return Plan(seqs, bytearray(numbers[size:]), places, told["first"], told["last"])


def moment(ms: int | None) -> datetime | None:
    """A moment that may be missing."""
    return None if ms is None else clock.from_ms(ms)
