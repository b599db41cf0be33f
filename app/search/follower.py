"""Brings the log into the index, and later what screening and review say about its messages."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from sqlalchemy import Connection

from app.archive.domain import Party, PartyType
from app.archive.store import Message, read_log
from app.foundation.clock import to_ms
from app.foundation.database import Database
from app.people import memberships_of
from app.search.domain import Document, Note, party_key
from app.search.embedded import EmbeddedIndex

BATCH = 1_000  # records of one step
Memberships = Mapping[str, Sequence[tuple[int, int, int | None]]]
ReadNotes = Callable[[Connection, int, int, int], tuple[list[Note], int]]


class IndexFollower:
    """Follows the log; its cursor lives in the index, moved with the documents."""

    name = "search"
    is_shared = False

    def __init__(self, db: Database, index: EmbeddedIndex) -> None:
        self._db, self._index = db, index

    def position(self, corp_id: int) -> int:
        """The last number indexed."""
        return self._index.position(corp_id)

    def step(self, corp_id: int, after: int, end: int) -> int:
        """Index the next batch."""
        with self._db.read() as connection:
            messages = read_log(connection, corp_id, after, min(BATCH, end - after))
            memberships = memberships_of(connection, corp_id, staff_of(messages))
        reached = messages[-1].seq
        documents = [document_of(message, memberships) for message in messages]
        self._index.write(corp_id, after, documents, reached)
        return reached

    def reset(self) -> None:
        """Forget the whole index."""
        self._index.reset()


class NotesFollower:
    """Follows findings, or whatever `read_notes` reads, by their own numbers.

    `read_notes(connection, corp_id, after, end)` gives the present notes of the messages touched by some of the
    numbers in (after, end], and the number that this reaches.
    """

    is_shared = False

    def __init__(
        self, db: Database, index: EmbeddedIndex, name: str, read_notes: ReadNotes
    ) -> None:
        self.name = name
        self._db, self._index, self._read_notes = db, index, read_notes

    def position(self, corp_id: int) -> int:
        """The last number noted."""
        return self._index.position(corp_id, self.name)

    def step(self, corp_id: int, after: int, end: int) -> int:
        """Note the next batch."""
        with self._db.read() as connection:
            notes, reached = self._read_notes(connection, corp_id, after, end)
        self._index.annotate(corp_id, notes, stream=self.name, after=after, upto=reached)
        return reached

    def reset(self) -> None:
        """Nothing of its own: the index is reset as a whole."""


def staff_of(messages: Iterable[Message]) -> set[str]:
    """The ids of the employees who took part."""
    return {name for message in messages for name in _ids(message, PartyType.EMPLOYEE)}


def document_of(message: Message, memberships: Memberships) -> Document:
    """A message as the index knows it, with the departments its people belonged to when it was sent."""
    sent_at = to_ms(message.sent_at)
    staff = _ids(message, PartyType.EMPLOYEE)
    departments = {
        department
        for name in staff
        for department, start, end in memberships.get(name, ())
        if start <= sent_at and (end is None or sent_at < end)
    }
    return Document(
        message.seq,
        sent_at,
        message.conversation_id,
        message.direction,
        message.kind,
        tuple(staff),
        tuple(_ids(message, PartyType.CLIENT)),
        tuple(sorted(departments)),
        message.text,
        _key(message.sender),
        tuple(sorted({_key(party) for party in message.recipients})),
        message.has_media,
    )


def _key(party: Party) -> str:
    return party_key(party.type, party.id)


def _ids(message: Message, kind: PartyType) -> list[str]:
    parties = (message.sender, *message.recipients)
    return sorted({party.id for party in parties if party.type is kind})
