"""Which conversation and which audience a message belongs to, remembered across batches.

Both are found by a tag: the first 16 bytes of an HMAC under the corp's own secret over their audience or room.
Tags appear in leaves and so outlive names; without the secret they say nothing.
"""

import hmac
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias, TypeVar

from sqlalchemy import Connection, update

from app.archive.domain import ConversationKind, Envelope
from app.archive.leaf import json_word, member_json
from app.archive.models import (
    AUDIENCE_TYPES,
    CONVERSATION_TYPES,
    PARTY_TYPES,
    Conversation,
)
from app.foundation.database import bulk_insert, next_id, select_in
from app.foundation.keys import KeyRing

Known = TypeVar("Known")
TAG_BYTES = 16
_REMEMBERED = 200_000  # entries a memory holds before it starts afresh

# Keys are JSON texts: compared as one string whose hash is kept, and what tags are made from.
AudienceKey: TypeAlias = str  # [["client","wm…"],["employee","…"]], sorted
PlaceKey: TypeAlias = str  # ["single",<audience>] or ["group","wr…"]


class Place(NamedTuple):
    """A conversation's row and the tag it has in leaves; `is_new` until its first turn has committed."""

    id: int
    tag: bytes
    name: str | None
    is_new: bool = False


def audience_key(envelope: Envelope) -> AudienceKey:
    """Everyone the message was between, in one order whatever the source's."""
    first = member_json(envelope.sender)
    recipients = envelope.recipients
    if len(recipients) == 1:  # nearly every message
        other = member_json(recipients[0])
        if first == other:
            return f"[{first}]"
        return f"[{first},{other}]" if first < other else f"[{other},{first}]"
    return f"[{','.join(sorted({first, *map(member_json, recipients)}))}]"


def members_of(envelope: Envelope) -> set[tuple[str, str]]:
    """Type and id of everyone the message was between."""
    return {(party[0], party[1]) for party in (envelope.sender, *envelope.recipients)}


def place_key(envelope: Envelope, audience: AudienceKey) -> PlaceKey:
    """The room of a group, the parties of a single chat."""
    if envelope.conversation_kind is ConversationKind.GROUP:
        return f'["group",{json_word(envelope.conversation_id)}]'
    return f'["single",{audience}]'


class Corp(NamedTuple):
    """A corp's row number, its tag in leaves and the secret that its tags are made with."""

    id: int
    code: str
    tag: bytes
    secret: bytes


def open_corp(connection: Connection, keyring: KeyRing, corp_id: int, code: str) -> Corp:
    """Load a corp's secret, making it on first use."""
    name = secret_name(code)
    return corp_with(keyring.buckets(connection, [name])[name].secret, corp_id, code)


def secret_name(code: str) -> str:
    """The name of the key that is a corp's secret."""
    return f"tenant|{code}"


def corp_with(secret: bytes, corp_id: int, code: str) -> Corp:
    """A corp by its secret."""
    return Corp(corp_id, code, tag(secret, f'["corp",{json_word(code)}]'), secret)


def tag(secret: bytes, identity: str) -> bytes:
    """16 bytes that stand for an identity under a corp's secret."""
    return hmac.digest(secret, identity.encode(), "sha256")[:TAG_BYTES]


class Memory:
    """Identities already stored. New ones are remembered only once their transaction has committed."""

    def __init__(self) -> None:
        self._places: dict[int, dict[PlaceKey, Place]] = defaultdict(dict)
        self._audiences: dict[int, dict[AudienceKey, int]] = defaultdict(dict)
        self._counters: dict[int, int] = {}
        self._tails: dict[int, int] = {}

    def counters(
        self, connection: Connection, corp_id: int, last: int, places: Iterable[Place]
    ) -> dict[int, int]:
        """The last counter of each conversation; `last` is the end of the corp's log.

        What is remembered holds only while nobody else has appended, that is, while the log ends where it ended
        after the last turn of this process.
        """
        if not self._is_latest(corp_id, last):
            self._counters.clear()
        found = {place.id: 0 if place.is_new else self._counters.get(place.id) for place in places}
        unknown = [number for number, counter in found.items() if counter is None]
        loaded = _load_counters(connection, unknown)
        return {number: counter or 0 for number, counter in found.items()} | loaded

    def places(
        self, connection: Connection, corp: Corp, last: int, wanted: dict[PlaceKey, Envelope]
    ) -> dict[PlaceKey, Place]:
        """The conversation of each key, made in the caller's transaction where it is new or renamed.

        `last` is the end of the corp's log: after somebody else's turn, names remembered may be old.
        """
        known, is_latest = self._places[corp.id], self._is_latest(corp.id, last)
        found = {}
        for key, envelope in wanted.items():
            place, name = known.get(key), envelope.conversation_name
            if place and (name is None or (is_latest and name == place.name)):
                found[key] = place
        missing = {key: envelope for key, envelope in wanted.items() if key not in found}
        return found | _load_places(connection, corp, missing)

    def _is_latest(self, corp_id: int, last: int) -> bool:
        """Whether the corp's log ends where this process left it."""
        return self._tails.get(corp_id) == last

    def audiences(
        self, connection: Connection, corp: Corp, wanted: dict[AudienceKey, Envelope]
    ) -> tuple[dict[AudienceKey, int], set[AudienceKey]]:
        """The number of each audience, and which of them were new and are made in the caller's transaction."""
        known = self._audiences[corp.id]
        found: dict[AudienceKey, int] = {}
        missing: dict[AudienceKey, Envelope] = {}
        for audience, envelope in wanted.items():
            number = known.get(audience)
            if number is None:
                missing[audience] = envelope
            else:
                found[audience] = number
        loaded, made = _load_audiences(connection, corp, missing)
        return found | loaded | made, set(made)

    def remember(
        self,
        corp_id: int,
        places: dict[PlaceKey, Place],
        audiences: dict[AudienceKey, int],
        counters: dict[int, int],
        last: int,
    ) -> None:
        """Keep what a committed transaction has settled; `last` is the new end of the corp's log."""
        self._tails[corp_id] = last
        self._counters.update(counters)
        if len(self._counters) > _REMEMBERED:
            self._counters.clear()
        settled = {
            key: place._replace(is_new=False) for key, place in places.items() if place.is_new
        }
        _learn(self._places[corp_id], {**places, **settled})
        _learn(self._audiences[corp_id], audiences)


def _learn(known: dict[str, Known], fresh: dict[str, Known]) -> None:
    if len(known) > _REMEMBERED:
        known.clear()
    known.update(fresh)


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
        key: Place(numbers[key], tags[key], envelope.conversation_name, is_new=True)
        for key, envelope in fresh.items()
    }


def _renamed(connection: Connection, place: Place, name: str | None) -> Place:
    if name is None or name == place.name:
        return place
    connection.execute(update(Conversation).where(Conversation.id == place.id).values(name=name))
    return place._replace(name=name)


def _load_audiences(
    connection: Connection, corp: Corp, wanted: dict[AudienceKey, Envelope]
) -> tuple[dict[AudienceKey, int], dict[AudienceKey, int]]:
    if not wanted:
        return {}, {}
    tags = {audience: tag(corp.secret, f'["audience",{audience}]') for audience in wanted}
    query = "SELECT tag, id FROM audiences WHERE corp_id = ? AND tag IN"
    rows = select_in(connection, query, list(tags.values()), corp.id)
    known = {bytes(row[0]): row[1] for row in rows}
    found = {audience: known[mark] for audience, mark in tags.items() if mark in known}
    fresh = {audience: tags[audience] for audience in wanted if audience not in found}
    return found, _add_audiences(connection, corp, fresh, wanted)


def _add_audiences(
    connection: Connection,
    corp: Corp,
    fresh: dict[AudienceKey, bytes],
    envelopes: dict[AudienceKey, Envelope],
) -> dict[AudienceKey, int]:
    if not fresh:
        return {}
    first = next_id(connection, "audiences")
    numbers = dict(zip(fresh, range(first, first + len(fresh)), strict=True))
    rows = [(numbers[audience], corp.id, mark) for audience, mark in fresh.items()]
    bulk_insert(connection, "audiences", AUDIENCE_TYPES, rows)
    parties = [
        (number, kind, name)
        for audience, number in numbers.items()
        for kind, name in members_of(envelopes[audience])
    ]
    bulk_insert(connection, "audience_parties", PARTY_TYPES, parties)
    return numbers
