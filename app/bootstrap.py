"""The one place that chooses: from settings to the services that every entry runs on."""

import os
import secrets
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from sqlalchemy import Connection

from app.access import Access
from app.archive.append import Door
from app.archive.models import position_of
from app.archive.store import tails
from app.capture.receive import Capture
from app.foundation import schema
from app.foundation.blobs import BlobStore
from app.foundation.database import Database, hold_folder
from app.foundation.followers import Follower
from app.foundation.keys import SUITES_BY_NAME, KeyRing, load_root
from app.foundation.settings import Settings
from app.oversight.alerts import raise_alerts
from app.people import People
from app.screening import Lexicon
from app.screening import store as screening
from app.screening.follower import ScreeningFollower
from app.search.api import FindingOut
from app.search.domain import Hit, Note
from app.search.embedded import EmbeddedIndex
from app.search.follower import IndexFollower, NotesFollower

_PACKAGE = Path(__file__).resolve().parent
_WORDLISTS = (_PACKAGE / "_wordlists", _PACKAGE.parent / "wordlists")  # in a wheel, in a checkout
FINDINGS = "findings"


@dataclass(frozen=True, slots=True)
class Services:
    """Everything an entry needs, opened for this process."""

    settings: Settings
    db: Database
    keyring: KeyRing
    blobs: BlobStore
    access: Access
    people: People
    door: Door
    capture: Capture
    index: EmbeddedIndex
    followers: tuple[Follower, ...]
    holder: str

    def tails(self) -> dict[int, int]:
        """The last number of every corp's log."""
        with self.db.read() as connection:
            return tails(connection)

    def finding_tails(self) -> dict[int, int]:
        """The last finding's number of every corp."""
        with self.db.read() as connection:
            return screening.tails(connection)

    def tails_of(self, follower: Follower) -> dict[int, int]:
        """The ends of what a follower follows: the log, or the findings made from it."""
        return self.finding_tails() if follower.name == FINDINGS else self.tails()


@contextmanager
def open_services(settings: Settings, *, migrate: bool = False) -> Generator[Services]:
    """Open everything for the one process that may write here; raises `FolderInUse`, `SchemaOutdated`."""
    with ExitStack() as stack:
        stack.enter_context(hold_folder(settings.data))
        db = Database(settings.database)
        stack.callback(db.close)
        if migrate:
            schema.migrate(db)
        with db.read() as connection:
            schema.check(connection)
            root = load_root(settings.root_key_file, connection)
        index = EmbeddedIndex(settings.data / "index.db", timeout=settings.search_timeout_seconds)
        stack.callback(index.close)
        yield _assemble(settings, db, KeyRing(root, SUITES_BY_NAME[settings.suite]), index)


def wordlists(settings: Settings) -> Path:
    """The folder of the word lists in force."""
    return settings.wordlists or next(place for place in _WORDLISTS if place.is_dir())


@cache
def load_lexicon(folder: Path) -> Lexicon:
    """The word lists of a folder, read once a process, and only by who screens: it takes seconds."""
    return Lexicon.load(folder)


def findings_of(connection: Connection, records: Sequence[int]) -> dict[int, list[FindingOut]]:
    """The findings of some records, as search shows them."""
    found: dict[int, list[FindingOut]] = {}
    for finding in screening.of_records(connection, records):
        fields = finding._asdict()
        out = FindingOut(**{name: fields[name] for name in FindingOut.model_fields})
        found.setdefault(finding.record, []).append(out)
    return found


def _assemble(settings: Settings, db: Database, keyring: KeyRing, index: EmbeddedIndex) -> Services:
    blobs = BlobStore(settings.data / "blobs")
    door = Door(db, keyring, blobs)
    return Services(
        settings=settings,
        db=db,
        keyring=keyring,
        blobs=blobs,
        access=Access(db, settings),
        people=People(db, settings),
        door=door,
        capture=Capture(db, door, keyring, blobs),
        index=index,
        followers=(
            ScreeningFollower(db, partial(load_lexicon, wordlists(settings)), raise_alerts),
            IndexFollower(db, index),
            NotesFollower(db, index, FINDINGS, _read_notes),
        ),
        holder=f"{os.uname().nodename}:{os.getpid()}:{secrets.token_hex(4)}",
    )


def _read_notes(
    connection: Connection, corp_id: int, after: int, limit: int
) -> tuple[list[Note], int]:
    """All present findings of the messages that new findings touch, and the last number read."""
    fresh = screening.of_corp_after(connection, corp_id, after, limit)
    if not fresh:
        return [], after
    hits: dict[int, set[Hit]] = {}
    for finding in screening.of_records(connection, {each.record for each in fresh}):
        seq = position_of(finding.record)[1]
        hits.setdefault(seq, set()).add(Hit(finding.category, finding.severity))
    return [Note(seq, tuple(sorted(found))) for seq, found in hits.items()], fresh[-1].id
