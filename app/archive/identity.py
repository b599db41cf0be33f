"""Which conversation and which audience a message belongs to, remembered across batches.

Both are found by a tag: the first 16 bytes of an HMAC under the corp's own secret over their members or room.
Tags appear in leaves and so outlive names; without the secret they say nothing.
"""

import hmac
import json
from collections.abc import Hashable, Iterable
from typing import NamedTuple

from sqlalchemy import Connection, select, update

from app.archive.domain import ConversationKind, Envelope
from app.archive.models import Audience, AudienceParty, Conversation
from app.foundation.database import chunks, insert_new
from app.foundation.keys import KeyRing

TAG_BYTES = 16
_REMEMBERED = 200_000  # entries a memory holds before it starts afresh
_LOOKUP = 500  # tags in one statement

Members = tuple[tuple[str, str], ...]


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


def conversation_key(envelope: Envelope, members: Members) -> tuple[str, Hashable]:
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
        self._places: dict[tuple[int, Hashable], Place] = {}
        self._audiences: dict[tuple[int, Members], int] = {}

    def places(
        self, connection: Connection, corp: Corp, wanted: dict[Hashable, Envelope]
    ) -> dict[Hashable, Place]:
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
        self, corp_id: int, places: dict[Hashable, Place], audiences: dict[Members, int]
    ) -> None:
        """Keep what a committed transaction has settled."""
        if len(self._places) > _REMEMBERED:
            self._places.clear()
        if len(self._audiences) > _REMEMBERED:
            self._audiences.clear()
        self._places.update({(corp_id, key): place for key, place in places.items()})
        self._audiences.update({(corp_id, key): number for key, number in audiences.items()})


def _load_places(
    connection: Connection, corp: Corp, wanted: dict[Hashable, Envelope]
) -> dict[Hashable, Place]:
    if not wanted:
        return {}
    tags = {key: tag(corp.secret, key) for key in wanted}
    rows = [
        {
            "corp_id": corp.id,
            "tag": tags[key],
            "kind": envelope.conversation_kind,
            "external_id": envelope.conversation_id,
            "name": envelope.conversation_name,
        }
        for key, envelope in wanted.items()
    ]
    insert_new(connection, Conversation, rows)
    loaded: dict[bytes, Place] = {}
    for part in chunks(list(tags.values()), _LOOKUP):
        query = select(Conversation.id, Conversation.tag, Conversation.name).where(
            Conversation.corp_id == corp.id, Conversation.tag.in_(part)
        )
        loaded |= {row.tag: Place(*row) for row in connection.execute(query)}
    places = {key: loaded[tags[key]] for key in wanted}
    return {
        key: _renamed(connection, place, wanted[key].conversation_name)
        for key, place in places.items()
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
    known = _audience_ids(connection, corp, tags)
    fresh = [members for members in wanted if members not in known]
    insert_new(
        connection,
        Audience,
        [{"corp_id": corp.id, "tag": tags[members]} for members in fresh],
    )
    made = _audience_ids(connection, corp, {members: tags[members] for members in fresh})
    parties = [
        {"audience_id": number, "party_type": kind, "party_id": name}
        for members, number in made.items()
        for kind, name in members
    ]
    insert_new(connection, AudienceParty, parties)
    return known | made


def _audience_ids(
    connection: Connection, corp: Corp, tags: dict[Members, bytes]
) -> dict[Members, int]:
    found: dict[bytes, int] = {}
    for part in chunks(list(tags.values()), _LOOKUP):
        query = select(Audience.tag, Audience.id).where(
            Audience.corp_id == corp.id, Audience.tag.in_(part)
        )
        found |= {row.tag: row.id for row in connection.execute(query)}
    return {members: found[mark] for members, mark in tags.items() if mark in found}
