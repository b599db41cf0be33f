"""Brings the log and its notes to a cluster. Any process may run a step; the position and the versions keep it right.

Every write carries the whole message with its notes as they stand. Their version is read before they are, and grows
with every change of any note, so that of two writes of one message the newer knowledge stays, whoever comes last.
"""

from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import Connection

from app.access import EVERYTHING
from app.archive.store import Message, read_log, read_many
from app.foundation.database import Database
from app.people import memberships_of
from app.search.domain import Document, Note
from app.search.follower import BATCH, ReadNotes, document_of, staff_of
from app.search.opensearch.engine import MESSAGES, OpenSearchIndex

NotesOf = Callable[[Connection, int, Sequence[int]], Mapping[int, Note]]
VersionOf = Callable[[Connection, int], int]


class ClusterFollower:
    """Follows the log. `notes_of(connection, corp_id, seqs)` and `version_of(connection, corp_id)` tell of notes.

    `generation` is the one to fill, None for the one in use.
    """

    name = "search"
    is_shared = True

    def __init__(
        self,
        db: Database,
        index: OpenSearchIndex,
        notes_of: NotesOf,
        version_of: VersionOf,
        generation: int | None = None,
    ) -> None:
        self._db, self._index = db, index
        self._notes_of, self._version_of, self._generation = notes_of, version_of, generation

    def position(self, corp_id: int) -> int:
        """The last number indexed."""
        return self._index.position(corp_id, MESSAGES, self._generation)

    def step(self, corp_id: int, after: int, end: int) -> int:
        """Index the next batch."""
        with self._db.read() as connection:
            version = 1 + self._version_of(connection, corp_id)
            messages = read_log(connection, corp_id, after, min(BATCH, end - after))
            documents = _documents(connection, corp_id, messages)
            notes = self._notes_of(connection, corp_id, [message.seq for message in messages])
        reached = messages[-1].seq
        self._index.write(
            corp_id,
            after,
            documents,
            reached,
            notes=notes,
            version=version,
            generation=self._generation,
        )
        return reached

    def reset(self) -> None:
        """Forget the whole index."""
        self._index.reset()


class ClusterNotesFollower:
    """Follows findings, or whatever `read_notes` reads, by their own numbers; `NotesFollower` says how."""

    is_shared = True

    def __init__(
        self,
        db: Database,
        index: OpenSearchIndex,
        name: str,
        read_notes: ReadNotes,
        version_of: VersionOf,
        generation: int | None = None,
    ) -> None:
        self.name = name
        self._db, self._index, self._read_notes = db, index, read_notes
        self._version_of, self._generation = version_of, generation

    def position(self, corp_id: int) -> int:
        """The last number noted."""
        return self._index.position(corp_id, self.name, self._generation)

    def step(self, corp_id: int, after: int, end: int) -> int:
        """Note the next batch."""
        with self._db.read() as connection:
            version = 1 + self._version_of(connection, corp_id)
            notes, reached = self._read_notes(connection, corp_id, after, end)
            places = [(corp_id, note.seq) for note in notes]
            messages = read_many(connection, places, EVERYTHING)
            documents = _documents(connection, corp_id, messages)
        self._index.annotate(
            corp_id,
            {note.seq: note for note in notes},
            documents,
            stream=self.name,
            after=after,
            upto=reached,
            version=version,
            generation=self._generation,
        )
        return reached

    def reset(self) -> None:
        """Nothing of its own: the index is reset as a whole."""


def _documents(connection: Connection, corp_id: int, messages: Sequence[Message]) -> list[Document]:
    memberships = memberships_of(connection, corp_id, staff_of(messages))
    return [document_of(message, memberships) for message in messages]
