"""Which conversation and which audience a message belongs to, remembered across batches.

Both are found by a tag: the first 16 bytes of an HMAC under the corp's own secret over their members or room.
Tags appear in leaves and so outlive names; without the secret they say nothing.
"""

import hmac
import json
from collections.abc import Hashable, Iterable
from typing import NamedTuple, TypeAlias

from sqlalchemy import Connection, update

from app.archive.domain import ConversationKind, Envelope
from app.archive.models import (
    AUDIENCE_TYPES,
    CONVERSATION_TYPES,
    PARTY_TYPES,
    Conversation,
)
from app.foundation.database import bulk_insert, next_id, select_in
from app.foundation.keys import KeyRing

TAG_BYTES = 16
_REMEMBERED = 200_000  # entries a memory holds before it starts afresh

Members: TypeAlias = tuple[tuple[str, str], ...]
PlaceKey: TypeAlias = tuple[str, Hashable]


class Place(NamedTuple):
    """A conversation's row and the tag it has in leaves."""

    id: int
    tag: bytes
    name: str | None


def members_of(envelope: Envelope) -> Members:
    """Everyone the message was between, in one order whatever the source's."""
    sender = envelope.sender
    recipients = envelope.recipients
    if len(recipients) == 1:  # nearly every message; a set costs four times as much
        first, other = (sender[0], sender[1]), (recipients[0][0], recipients[0][1])
        if first == other:
            return (first,)
        return (first, other) if first < other else (other, first)
    return tuple(sorted({(sender[0], sender[1]), *((party[0], party[1]) for party in recipients)}))


def conversation_key(envelope: Envelope, members: Members) -> PlaceKey:
    """The room of a group, the parties of a single chat."""
    if envelope.conversation_kind is ConversationKind.GROUP:
        return (ConversationKind.GROUP, envelope.conversation_id)
    return (ConversationKind.SINGLE, members)


class Corp(NamedTuple):
    """A corp's row number, its tag in leaves and the secret that its tags are made with."""

    id: int
    code: str
    tag: bytes
    secret: bytes


def open_corp(connection: Connection, keyring: KeyRing, corp_id: int, code: str) -> Corp:
    """Load a corp's secret, making it on first use."""
    name = f"tenant|{code}"
    secret = keyring.buckets(connection, [name])[name].secret
    return Corp(corp_id, code, tag(secret, ["corp", code]), secret)


def tag(secret: bytes, identity: object) -> bytes:
    """16 bytes that stand for an identity under a corp's secret."""
    words = json.dumps(identity, ensure_ascii=False, separators=(",", ":")).encode()
    return hmac.digest(secret, words, "sha256")[:TAG_BYTES]


class Memory:
    """Identities already stored. New ones are remembered only once their transaction has committed."""

    def __init__(self) -> None:
        self._places: dict[tuple[int, PlaceKey], Place] = {}
        self._audiences: dict[tuple[int, Members], int] = {}
        self._counters: dict[int, int] = {}
        self._tails: dict[int, int] = {}

    def counters(
        self, connection: Connection, corp_id: int, last: int, wanted: set[int]
    ) -> dict[int, int]:
        """The last counter of each conversation; `last` is the end of the corp's log.

        What is remembered holds only while nobody else has appended, that is, while the log ends where it ended
        after the last turn of this process.
        """
        if self._tails.get(corp_id) != last:
            self._counters.clear()
        found = {place: self._counters[place] for place in wanted if place in self._counters}
        return found | _load_counters(connection, list(wanted - found.keys()))

    def places(
        self, connection: Connection, corp: Corp, wanted: dict[PlaceKey, Envelope]
    ) -> dict[PlaceKey, Place]:
        """The conversation of each key, made in the caller's transaction where it is new or renamed."""
        found = {}
        for key, envelope in wanted.items():
            place = self._places.get((corp.id, key))
            if place and envelope.conversation_name in (None, place.name):
                found[key] = place
        missing = {key: wanted[key] for key in wanted.keys() - found.keys()}
        return found | _load_places(connection, corp, missing)

    def audiences(
        self, connection: Connection, corp: Corp, wanted: Iterable[Members]
    ) -> dict[Members, int]:
        """The audience of each set of members, made in the caller's transaction where it is new."""
        known = self._audiences
        found: dict[Members, int] = {}
        missing: list[Members] = []
        for members in wanted:
            number = known.get((corp.id, members))
            if number is None:
                missing.append(members)
            else:
                found[members] = number
        return found | _load_audiences(connection, corp, missing)

    def remember(
        self,
        corp_id: int,
        places: dict[PlaceKey, Place],
        audiences: dict[Members, int],
        counters: dict[int, int],
        last: int,
    ) -> None:
        """Keep what a committed transaction has settled; `last` is the new end of the corp's log."""
        self._tails[corp_id] = last
        self._counters.update(counters)
        if len(self._counters) > _REMEMBERED:
            self._counters.clear()
        if len(self._places) > _REMEMBERED:
            self._places.clear()
        if len(self._audiences) > _REMEMBERED:
            self._audiences.clear()
        self._places.update({(corp_id, key): place for key, place in places.items()})
        self._audiences.update({(corp_id, key): number for key, number in audiences.items()})


def _load_counters(connection: Connection, conversations: list[int]) -> dict[int, int]:
    """One index seek each, however long the conversation is."""
    query = (
        "SELECT id, (SELECT max(counter) FROM records WHERE conversation_id = c.id)"
        " FROM conversations c WHERE id IN"
    )
    rows = select_in(connection, query, conversations)
    return {number: counter or 0 for number, counter in rows}


def _load_places(
    connection: Connection, corp: Corp, wanted: dict[PlaceKey, Envelope]
) -> dict[PlaceKey, Place]:
    if not wanted:
        return {}
    tags = {key: tag(corp.secret, key) for key in wanted}
    query = "SELECT tag, id, name FROM conversations WHERE corp_id = ? AND tag IN"
    rows = select_in(connection, query, list(tags.values()), corp.id)
    known = {bytes(row[0]): Place(row[1], bytes(row[0]), row[2]) for row in rows}
    places = {key: known[mark] for key, mark in tags.items() if mark in known}
    for key, place in places.items():
        places[key] = _renamed(connection, place, wanted[key].conversation_name)
    fresh = {key: envelope for key, envelope in wanted.items() if key not in places}
    return places | _add_places(connection, corp, fresh, tags)


def _add_places(
    connection: Connection,
    corp: Corp,
    fresh: dict[PlaceKey, Envelope],
    tags: dict[PlaceKey, bytes],
) -> dict[PlaceKey, Place]:
    if not fresh:
        return {}
    first = next_id(connection, "conversations")
    numbers = dict(zip(fresh, range(first, first + len(fresh)), strict=True))
    rows = [
        (
            numbers[key],
            corp.id,
            tags[key],
            envelope.conversation_kind,
            envelope.conversation_id,
            envelope.conversation_name,
        )
        for key, envelope in fresh.items()
    ]
    bulk_insert(connection, "conversations", CONVERSATION_TYPES, rows)
    return {
        key: Place(numbers[key], tags[key], envelope.conversation_name)
        for key, envelope in fresh.items()
    }


def _renamed(connection: Connection, place: Place, name: str | None) -> Place:
    if name is None or name == place.name:
        return place
    connection.execute(update(Conversation).where(Conversation.id == place.id).values(name=name))
    return place._replace(name=name)


def _load_audiences(
    connection: Connection, corp: Corp, wanted: list[Members]
) -> dict[Members, int]:
    if not wanted:
        return {}
    tags = {members: tag(corp.secret, ["audience", members]) for members in wanted}
    query = "SELECT tag, id FROM audiences WHERE corp_id = ? AND tag IN"
    rows = select_in(connection, query, list(tags.values()), corp.id)
    known = {bytes(row[0]): row[1] for row in rows}
    found = {members: known[mark] for members, mark in tags.items() if mark in known}
    fresh = {members: tags[members] for members in wanted if members not in found}
    return found | _add_audiences(connection, corp, fresh)


def _add_audiences(
    connection: Connection, corp: Corp, fresh: dict[Members, bytes]
) -> dict[Members, int]:
    if not fresh:
        return {}
    first = next_id(connection, "audiences")
    numbers = dict(zip(fresh, range(first, first + len(fresh)), strict=True))
    rows = [(numbers[members], corp.id, mark) for members, mark in fresh.items()]
    bulk_insert(connection, "audiences", AUDIENCE_TYPES, rows)
    parties = [
        (number, kind, name) for members, number in numbers.items() for kind, name in members
    ]
    bulk_insert(connection, "audience_parties", PARTY_TYPES, parties)
    return numbers
