"""The one door: what comes through is numbered, sealed, committed to and durable, or it is not there at all.

`prepare` does what needs no turn (commitments, encryption); `Door.append` takes turns. Whoever gets the turn
commits for everyone who waits behind (group commit): one fsync for many callers. Within a turn numbers are
contiguous per corp and counters contiguous per conversation, because only one turn runs at a time: SQLite has
one writer, PostgreSQL an advisory lock.
"""

import json
import os
import threading
from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import Connection
from sqlalchemy.exc import DataError

from app.archive import quarantine
from app.archive.domain import Direction, Envelope, Party, direction_of
from app.archive.identity import (
    AudienceKey,
    Corp,
    Memory,
    Place,
    PlaceKey,
    audience_key,
    open_corp,
    place_key,
)
from app.archive.leaf import ENTRY_OF, SEED_BYTES, commitments, encode, field_bytes
from app.archive.models import RECORD_TYPES, position_of, record_id
from app.archive.sealed import about, read_raw
from app.archive.store import tail
from app.foundation import clock, metrics
from app.foundation.blobs import BlobStore
from app.foundation.database import Database, announce, bulk_insert, chunks, exclusive, select_in
from app.foundation.errors import Unavailable
from app.foundation.followers import TOPIC
from app.foundation.keys import NONCE_BYTES, Bucket, KeyRing, KeyUnusable, seal
from app.people import KnownPeople, corp_ids, note_parties

TURN_SIZE = 2_000  # messages one turn commits at most
LARGE_TURN = 100  # messages; after such a turn followers give way
BUSY_AFTER = 4  # times as long as it took: the next one is still being read and encrypted
UNSTORABLE = (DataError, OverflowError)  # the database refuses a value
_DAY_MS = 86_400_000
Settled: TypeAlias = tuple[int, dict[PlaceKey, Place], dict[AudienceKey, int], dict[int, int], int]
Named: TypeAlias = tuple[str, str, str | None]


class Status(StrEnum):
    """What became of one message handed in."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"
    REJECTED = "rejected"


class Receipt(NamedTuple):
    """The answer for one message. `seq` and `digest` (hex SHA-256 of the raw bytes) when it is archived."""

    status: Status
    source_msg_id: str | None
    seq: int | None = None
    digest: str | None = None
    error: str | None = None
    detail: str | None = None


class Prepared(NamedTuple):
    """A message with everything done that does not depend on its number."""

    envelope: Envelope
    direction: Direction
    audience: AudienceKey
    place: PlaceKey
    sender: str
    recipients: str
    committed: bytes
    key: bytes
    nonce: bytes
    sealed: bytes
    digest: bytes


class Door:
    """Appends messages to the log of their corp; one per process."""

    def __init__(self, db: Database, keyring: KeyRing, blobs: BlobStore) -> None:
        self._db, self._keyring, self._blobs = db, keyring, blobs
        self._turn = threading.Lock()
        self._waiting: list[_Ticket] = []
        self._memory = Memory()
        self._people = KnownPeople()
        self._corps: dict[str, Corp] = {}
        self._busy_until = 0

    def prepare(self, envelope: Envelope) -> Prepared:
        """Commit to the fields and encrypt the raw bytes under a key of their own."""
        suite = self._keyring.suite
        direction = direction_of(envelope.sender, envelope.recipients)
        audience = audience_key(envelope)
        fields = field_bytes(envelope, direction)
        chance = os.urandom(SEED_BYTES + suite.key_bytes + NONCE_BYTES)
        seed = chance[:SEED_BYTES]
        key = chance[SEED_BYTES:-NONCE_BYTES]
        bound = about(envelope.corp, envelope.source, envelope.source_msg_id)
        return Prepared(
            envelope,
            direction,
            audience,
            place_key(envelope, audience),
            fields[2].decode(),
            fields[3].decode(),
            commitments(suite, seed, fields),
            key,
            chance[-NONCE_BYTES:],
            seal(suite, key, seed + envelope.raw, bound),
            suite.digest(envelope.raw),
        )

    def append(
        self, prepared: Sequence[Prepared], rejects: Sequence[quarantine.Reject] = ()
    ) -> list[Receipt]:
        """Append in the order given and keep the rejects' bytes; returns after the durable commit.

        One receipt per prepared message. Raises `Unavailable` or one of `UNSTORABLE` when not all of it was
        kept; what was is a duplicate when it is handed in again.
        """
        first, *others = [*chunks(prepared, TURN_SIZE)] or [()]
        receipts = self._take_turn(_Ticket(first, rejects))
        for part in others:  # in between, others get their turn
            receipts += self._take_turn(_Ticket(part, ()))
        return receipts

    def _take_turn(self, ticket: "_Ticket") -> list[Receipt]:
        self._waiting.append(ticket)
        with self._turn:
            if not ticket.is_done:
                self._commit_group(ticket)
        return ticket.result()

    def is_busy(self) -> bool:
        """Whether messages are pouring in right now."""
        return bool(self._waiting) or clock.now_ms() < self._busy_until

    def _commit_group(self, own: "_Ticket") -> None:
        group = self._take_group(own)
        try:
            self._commit(group)
        except Unavailable as error:
            for ticket in group:
                ticket.error = error
        except Exception:
            if len(group) == 1:
                raise
            for ticket in group:  # one caller's input must not fail the others
                self._commit_alone(ticket)

    def _commit_alone(self, ticket: "_Ticket") -> None:
        try:
            self._commit([ticket])
        except Exception as error:  # noqa: BLE001  (raised again in the thread it belongs to)
            ticket.error = error

    def _take_group(self, own: "_Ticket") -> list["_Ticket"]:
        """Everyone waiting, up to a turn's size, oneself always included."""
        self._waiting.remove(own)
        group, size = [own], len(own.prepared)
        while self._waiting and size + len(self._waiting[0].prepared) <= TURN_SIZE:
            ticket = self._waiting.pop(0)
            group.append(ticket)
            size += len(ticket.prepared)
        return group

    def _commit(self, group: list["_Ticket"]) -> None:
        messages = [each for ticket in group for each in ticket.prepared]
        rejects = [each for ticket in group for each in ticket.rejects]
        began = clock.now_ms()
        with metrics.COMMIT_SECONDS.time():
            with self._db.write() as connection:
                exclusive(connection, "append")
                turn = _Turn(connection, self)
                receipts = turn.append(messages)
                quarantine.keep(connection, self._keyring, self._blobs, [*rejects, *turn.conflicts])
                announce(connection, TOPIC)
            turn.remember()
        if len(messages) >= LARGE_TURN:
            now = clock.now_ms()
            self._busy_until = now + BUSY_AFTER * (now - began)
        start = 0
        for ticket in group:
            ticket.receipts = receipts[start : start + len(ticket.prepared)]
            start += len(ticket.prepared)


class _Ticket:
    """One caller's place in the queue."""

    def __init__(self, prepared: Sequence[Prepared], rejects: Sequence[quarantine.Reject]) -> None:
        self.prepared, self.rejects = prepared, rejects
        self.receipts: list[Receipt] | None = None
        self.error: Exception | None = None

    @property
    def is_done(self) -> bool:
        return self.receipts is not None or self.error is not None

    def result(self) -> list[Receipt]:
        if self.error is not None:
            raise self.error
        if self.receipts is None:
            raise RuntimeError("a turn ended without receipts")
        return self.receipts


class _Turn:
    """One transaction of the door: what it has looked up, what it inserts, what it found in conflict."""

    def __init__(self, connection: Connection, door: Door) -> None:
        self.connection, self.door = connection, door
        self.conflicts: list[quarantine.Reject] = []
        self._corps: dict[str, Corp] = {}
        self._settled: list[Settled] = []
        self._people: list[tuple[int, Sequence[Named], Sequence[tuple[str, str | None]]]] = []

    def append(self, messages: Sequence[Prepared]) -> list[Receipt]:
        by_corp: dict[str, list[int]] = defaultdict(list)
        for index, each in enumerate(messages):
            by_corp[each.envelope.corp].append(index)
        receipts: dict[int, Receipt] = {}
        for code, indices in by_corp.items():
            made = self._append_to(self._corp(code), [messages[index] for index in indices])
            receipts.update(zip(indices, made, strict=True))
        return [receipts[index] for index in range(len(messages))]

    def remember(self) -> None:
        """Keep in memory what the commit has made true."""
        door = self.door
        door._corps |= self._corps  # noqa: SLF001  (a turn is a part of its door)
        for settled in self._settled:
            door._memory.remember(*settled)  # noqa: SLF001
        for corp_id, parties, rooms in self._people:
            door._people.remember(corp_id, parties, rooms)  # noqa: SLF001

    def _corp(self, code: str) -> Corp:
        corp = self.door._corps.get(code) or self._corps.get(code)  # noqa: SLF001
        if corp is None:
            corp_id = corp_ids(self.connection, [code])[code]
            corp = open_corp(self.connection, self.door._keyring, corp_id, code)  # noqa: SLF001
            self._corps[code] = corp
        return corp

    def _append_to(self, corp: Corp, messages: list[Prepared]) -> list[Receipt]:
        known = self._known(corp, messages)
        receipts: list[Receipt | None] = []
        fresh: list[Prepared] = []
        slots: dict[tuple[str, str], int] = {}
        for each in messages:
            key = (each.envelope.source, each.envelope.source_msg_id)
            if key in known:
                receipts.append(self._again(corp, each, known[key]))
            elif key in slots:
                receipts.append(None)
            else:
                slots[key] = len(receipts)
                fresh.append(each)
                receipts.append(None)
        made = iter(self._insert(corp, fresh))
        for index in slots.values():
            receipts[index] = next(made)
        return [
            receipt or self._twice(messages[index], messages, receipts, slots)
            for index, receipt in enumerate(receipts)
        ]

    def _known(
        self, corp: Corp, messages: list[Prepared]
    ) -> dict[tuple[str, str], tuple[int, bytes]]:
        """Number and digest of the messages that are already archived."""
        by_source: dict[str, list[str]] = defaultdict(list)
        for each in messages:
            by_source[each.envelope.source].append(each.envelope.source_msg_id)
        query = (
            "SELECT source_msg_id, id, digest FROM records"
            " WHERE corp_id = ? AND source = ? AND source_msg_id IN"
        )
        return {
            (source, row[0]): (row[1], bytes(row[2]))
            for source, names in by_source.items()
            for row in select_in(self.connection, query, names, corp.id, source)
        }

    def _again(self, corp: Corp, each: Prepared, first: tuple[int, bytes]) -> Receipt:
        """A key seen before: the same content is a duplicate, any other a conflict."""
        number, digest = first
        if digest == each.digest or _same_json(self._raw(corp, number), each.envelope.raw):
            seq = position_of(number)[1]
            return Receipt(Status.DUPLICATE, each.envelope.source_msg_id, seq, digest.hex())
        return self._conflict(each)

    def _twice(
        self,
        each: Prepared,
        messages: list[Prepared],
        receipts: list[Receipt | None],
        slots: dict[tuple[str, str], int],
    ) -> Receipt:
        """The same key twice in one batch."""
        first = slots[each.envelope.source, each.envelope.source_msg_id]
        receipt = receipts[first]
        if receipt and _same_json(messages[first].envelope.raw, each.envelope.raw):
            return receipt._replace(status=Status.DUPLICATE)
        return self._conflict(each)

    def _conflict(self, each: Prepared) -> Receipt:
        envelope = each.envelope
        reject = quarantine.Reject(
            door=quarantine.ARCHIVE,
            corp=envelope.corp,
            reason="conflict",
            detail="同一消息编号已存档，但内容不同",
            data=envelope.raw,
        )
        self.conflicts.append(reject)
        return Receipt(
            Status.QUARANTINED, envelope.source_msg_id, error=reject.reason, detail=reject.detail
        )

    def _raw(self, corp: Corp, number: int) -> bytes | None:
        """The archived raw bytes; None when their key has been destroyed."""
        try:
            return read_raw(self.connection, self.door._keyring, number, corp.code)  # noqa: SLF001
        except KeyUnusable:
            return None

    def _insert(self, corp: Corp, fresh: list[Prepared]) -> list[Receipt]:
        if not fresh:
            return []
        seq, received = tail(self.connection, corp.id), clock.now_ms()
        places, audiences = self._identities(corp, fresh, seq)
        buckets = self._buckets(fresh, places)
        counters = self.door._memory.counters(  # noqa: SLF001
            self.connection, corp.id, seq, places.values()
        )
        suite = self.door._keyring.suite.number  # noqa: SLF001
        rows, receipts = [], []
        for each in fresh:
            envelope = each.envelope
            place = places[each.place]
            bucket = buckets[place.id, _month(envelope.sent_at)]
            seq += 1
            counters[place.id] = counter = counters[place.id] + 1
            leaf = encode(
                suite=suite,
                tenant_tag=corp.tag,
                seq=seq,
                conversation_tag=place.tag,
                counter=counter,
                entry=ENTRY_OF[envelope.action],
                received_ms=received,
                committed=each.committed,
            )
            rows.append(
                (
                    record_id(corp.id, seq),
                    corp.id,
                    envelope.source,
                    envelope.source_msg_id,
                    envelope.source_seq,
                    envelope.sent_at,
                    received,
                    place.id,
                    counter,
                    audiences[each.audience],
                    each.sender,
                    each.recipients,
                    each.direction,
                    envelope.kind,
                    envelope.action,
                    envelope.recalls,
                    envelope.text,
                    envelope.has_media,
                    suite,
                    bucket.id,
                    bucket.wrap(each.key, each.nonce),
                    each.sealed,
                    each.digest,
                    leaf,
                )
            )
            receipts.append(
                Receipt(Status.ACCEPTED, envelope.source_msg_id, seq, each.digest.hex())
            )
        bulk_insert(self.connection, "records", RECORD_TYPES, rows)
        self._settled.append((corp.id, places, audiences, counters, seq))
        return receipts

    def _identities(
        self, corp: Corp, fresh: list[Prepared], last: int
    ) -> tuple[dict[PlaceKey, Place], dict[AudienceKey, int]]:
        memory = self.door._memory  # noqa: SLF001
        named = {each.place: each.envelope for each in fresh}
        named |= {each.place: each.envelope for each in fresh if each.envelope.conversation_name}
        places = memory.places(self.connection, corp, last, named)
        audiences, made = memory.audiences(
            self.connection, corp, {each.audience: each.envelope for each in fresh}
        )
        newcomers = [each.envelope for each in fresh if each.audience in made]
        parties: set[Party] = {  # those of known audiences were noted with them
            party for each in newcomers for party in (each.sender, *each.recipients)
        }
        groups = [
            (envelope.conversation_id, envelope.conversation_name)
            for envelope in named.values()
            if envelope.conversation_id
        ]
        people = self.door._people  # noqa: SLF001
        by_name = sorted(parties, key=_name, reverse=True)  # of one person, one with a name first
        unknown, rooms = people.missing(corp.id, by_name), people.missing_groups(corp.id, groups)
        note_parties(self.connection, corp.id, unknown, rooms)
        self._people.append((corp.id, unknown, rooms))
        return places, audiences

    def _buckets(
        self, fresh: list[Prepared], places: dict[PlaceKey, Place]
    ) -> dict[tuple[int, str], Bucket]:
        wanted = {(places[each.place].id, _month(each.envelope.sent_at)): "" for each in fresh}
        names = {key: f"conversation|{key[0]}|{key[1]}" for key in wanted}
        opened = self.door._keyring.buckets(self.connection, names.values())  # noqa: SLF001
        return {key: opened[name] for key, name in names.items()}


def _name(party: Party) -> str:
    return party.name or ""


_MONTHS: dict[int, str] = {}


def _month(ms: int) -> str:
    """`2026-11` for a moment, by UTC."""
    day = ms // _DAY_MS
    month = _MONTHS.get(day)
    if month is None:
        month = _MONTHS[day] = clock.from_ms(ms).strftime("%Y-%m")
    return month


def _same_json(one: bytes | None, other: bytes) -> bool:
    """Equal bytes, or the same JSON value in another spelling."""
    if one is None or one == other:
        return one == other
    try:
        return _same_value(_exact(one), _exact(other))
    except (ValueError, ArithmeticError, RecursionError):
        return False


def _exact(raw: bytes) -> Any:
    """A JSON value with its numbers as written: as floats, different ones may become the same."""
    return json.loads(raw, parse_int=Decimal, parse_float=Decimal)


def _same_value(one: Any, other: Any) -> bool:
    """Equal, and of one type all through: to Python `true` is 1."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same_value(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same_value, one, other))
    return bool(one == other)
