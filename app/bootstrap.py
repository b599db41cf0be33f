"""The one place that chooses: from settings to the services that every entry runs on."""

import hashlib
import os
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from app.access import Access
from app.access.audit import head as audit_head
from app.advice.service import Advice, match_warned
from app.advice.store import warned
from app.archive.append import Door
from app.archive.models import position_of, record_id
from app.archive.store import recalled_among, recalled_within, tails
from app.capture.receive import Capture
from app.evidence import exports, logs
from app.evidence.assembly import Tools
from app.evidence.build import Builder
from app.evidence.follower import SealFollower
from app.evidence.signer import Signer
from app.foundation import jobs, schema
from app.foundation.blobs import BlobStore
from app.foundation.database import Database, hold_folder
from app.foundation.followers import TOPIC as RECORDS
from app.foundation.followers import Follower, take_lease
from app.foundation.keys import SUITES_BY_NAME, KeyRing, load_root
from app.foundation.settings import Settings
from app.foundation.worktime import Calendar
from app.oversight import channels
from app.oversight import store as alerts
from app.oversight.alerts import TOPIC as ALERTS
from app.oversight.alerts import raise_alerts
from app.oversight.leads import note_leads
from app.oversight.notices import Notifier
from app.oversight.views import WarningOut
from app.people import People, corp_codes
from app.retention.disposal import Disposals
from app.retention.selfcheck import SelfCheck
from app.screening import backtests
from app.screening import store as screening
from app.screening.domain import Outcome
from app.screening.follower import ScreeningFollower
from app.screening.service import Lexicons
from app.search import Filters, parse
from app.search.care import Care
from app.search.domain import MAX_ROWS, Hit, Note
from app.search.embedded import EmbeddedIndex
from app.search.finder import Finder
from app.search.follower import IndexFollower, NotesFollower
from app.search.opensearch import Access as ClusterAccess
from app.search.opensearch import ClusterFollower, ClusterNotesFollower, OpenSearchIndex
from app.search.opensearch.rebuild import ClusterRebuilder
from app.search.rebuild import Rebuilder
from app.search.shapes import FindingOut
from app.search.watch import count_watched

_PACKAGE = Path(__file__).resolve().parent
_WORDLISTS = (_PACKAGE / "_wordlists", _PACKAGE.parent / "wordlists")  # in a wheel, in a checkout


WATCH_EVERY = 300.0  # seconds between two counts of the saved searches with an alert
NOTES_BATCH = 1_000  # numbers of one step

Touched: TypeAlias = tuple[list[int], int]  # records, and the number that they reach


class Source(NamedTuple):
    """What the index learns about messages after they came; numbered on its own.

    `ends` are the last numbers by corp, `touched(connection, corp_id, after, end)` the records of the next ones,
    `topic` rings when there are more.
    """

    ends: Callable[[Connection], dict[int, int]]
    touched: Callable[[Connection, int, int, int], Touched]
    topic: str


def _numbered(
    last_id: Callable[[Connection], int],
    touched_after: Callable[[Connection, int, int, int], list[tuple[int, int]]],
) -> Source:
    """Numbers that all corps share, so that most steps of a corp find nothing."""

    def ends(connection: Connection) -> dict[int, int]:
        return dict.fromkeys(corp_codes(connection), last_id(connection))

    def touched(connection: Connection, corp_id: int, after: int, end: int) -> Touched:
        found = touched_after(connection, corp_id, after, NOTES_BATCH)
        last = found[-1][0] if found else end
        reached = last if len(found) >= NOTES_BATCH else max(last, end)
        return [record for _, record in found], reached

    return Source(ends, touched, ALERTS)


def _recalled(connection: Connection, corp_id: int, after: int, end: int) -> Touched:
    reached = min(end, after + NOTES_BATCH)
    return recalled_within(connection, corp_id, after, reached), reached


NOTES = {
    "findings": _numbered(screening.last_id, screening.touched_after),
    "alerts": _numbered(alerts.last_id, alerts.touched_after),
    "recalls": Source(tails, _recalled, RECORDS),
}
_WORDS, _WORDS_SOUGHT = re.compile(r"\w+"), 20
SEAL_AUDIT = "seal_audit"  # follows the audit trail instead of the records


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
    index: EmbeddedIndex | OpenSearchIndex
    finder: Finder
    care: Care
    rebuilder: Rebuilder | ClusterRebuilder
    lexicons: Lexicons
    advice: Advice
    signer: Signer
    notifier: Notifier
    builder: Builder
    disposals: Disposals
    self_check: SelfCheck
    handlers: Mapping[str, jobs.Handler]
    followers: tuple[Follower, ...]
    holder: str

    def tails(self) -> dict[int, int]:
        """The last number of every corp's log."""
        with self.db.read() as connection:
            return tails(connection)

    def tails_of(self, follower: Follower) -> dict[int, int]:
        """The ends of what a follower follows."""
        return _ends_of(self.db, follower)


def _ends_of(db: Database, follower: Follower) -> dict[int, int]:
    """The log, the audit trail, or what is noted of messages."""
    source = NOTES.get(follower.name)
    with db.read() as connection:
        if follower.name == SEAL_AUDIT:
            return {logs.AUDIT: audit_head(connection).seq}
        return tails(connection) if source is None else source.ends(connection)


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
            keyring = KeyRing(root, SUITES_BY_NAME[settings.suite])
            keyring.check(connection)
            is_new = logs.never_sealed(connection)
        signer = Signer(settings.root_key_file.parent, is_new=is_new)
        index = _open_index(settings)
        stack.callback(index.close)
        yield _assemble(settings, db, keyring, index, signer)


def _open_index(settings: Settings) -> EmbeddedIndex | OpenSearchIndex:
    timeout = settings.search_timeout_seconds
    if not settings.search_urls:
        return EmbeddedIndex(settings.data / "index.db", timeout=timeout)
    access = ClusterAccess(
        settings.search_urls,
        settings.search_user,
        settings.search_password.get_secret_value(),
        str(settings.search_ca or ""),
    )
    return OpenSearchIndex(access, prefix=settings.search_prefix, timeout=timeout)


def index_followers(
    db: Database, index: EmbeddedIndex | OpenSearchIndex, generation: int | None = None
) -> tuple[Follower, ...]:
    """Who brings the log and its notes to the index; `generation` is of a cluster's index being rebuilt."""
    notes = {name: partial(_read_notes, source.touched) for name, source in NOTES.items()}
    if isinstance(index, EmbeddedIndex):
        followers = [NotesFollower(db, index, name, read) for name, read in notes.items()]
        return IndexFollower(db, index), *followers
    return (
        ClusterFollower(db, index, _notes_by_seq, _notes_version, generation),
        *(
            ClusterNotesFollower(db, index, name, read, _notes_version, generation)
            for name, read in notes.items()
        ),
    )


def wordlists(settings: Settings) -> Path:
    """The folder of the word lists that an installation begins with."""
    return settings.wordlists or next(place for place in _WORDLISTS if place.is_dir())


def findings_of(connection: Connection, records: Sequence[int]) -> dict[int, list[FindingOut]]:
    """The findings of some records, as search shows them."""
    found: dict[int, list[FindingOut]] = {}
    for finding in screening.of_records(connection, records):
        fields = finding._asdict()
        out = FindingOut(**{name: fields[name] for name in FindingOut.model_fields})
        found.setdefault(finding.record, []).append(out)
    return found


def warnings_of(connection: Connection, records: Sequence[int]) -> dict[int, list[WarningOut]]:
    """Which messages were sent after a warning, as their alerts show it."""
    found: dict[int, list[WarningOut]] = {}
    for each in warned(connection, records):
        fields = each._asdict()
        out = WarningOut(**{name: fields[name] for name in WarningOut.model_fields})
        found.setdefault(each.record, []).append(out)
    return found


def _hand_on(calendar: Calendar, connection: Connection, found: Sequence[screening.Found]) -> None:
    """What becomes of new findings, in the transaction that found them."""
    raise_alerts(connection, found)
    note_leads(connection, found, calendar)
    match_warned(connection, found)


def _assemble(
    settings: Settings,
    db: Database,
    keyring: KeyRing,
    index: EmbeddedIndex | OpenSearchIndex,
    signer: Signer,
) -> Services:
    blobs = BlobStore(settings.data / "blobs")
    door = Door(db, keyring, blobs)
    lexicons = Lexicons(db, wordlists(settings), settings.lexicon_alert_share)
    released = lexicons.released
    access, holder = Access(db, settings), _holder(settings.data)
    finder = Finder(db, index, findings_of, settings.search_timeout_seconds)
    exported, zone = settings.data / "exports", ZoneInfo(settings.time_zone)
    tools = Tools(db, keyring, signer, exported, settings.log_origin, zone)
    builder = Builder(tools, holder)
    return Services(
        settings=settings,
        db=db,
        keyring=keyring,
        blobs=blobs,
        access=access,
        people=People(db, settings),
        door=door,
        capture=Capture(db, door, keyring, blobs),
        index=index,
        finder=finder,
        care=Care(
            db,
            index,
            ZoneInfo(settings.time_zone),
            also=lambda: _watch(db, access, finder, holder),
            also_every=WATCH_EVERY,
            is_busy=door.is_busy,
        ),
        rebuilder=_rebuilder(db, index),
        lexicons=lexicons,
        advice=Advice(db, released.current),
        signer=signer,
        notifier=Notifier(
            db,
            channels.opened(settings),
            lambda: {each.slug: each.name for each in released.current().categories.values()},
            settings.public_url,
            settings.calendar.zone,
        ),
        builder=builder,
        disposals=Disposals(db, keyring, signer, builder, settings.log_origin, index.reset),
        self_check=SelfCheck(db, keyring, partial(_find_again, index)),
        handlers={
            backtests.KIND: backtests.handler(db, released.compile, door.is_busy),
            exports.KIND: builder.handler(),
        },
        followers=(
            ScreeningFollower(db, released.current, partial(_hand_on, settings.calendar)),
            *index_followers(db, index),
            SealFollower(db, signer, settings.log_origin, of_audit=False),
            SealFollower(db, signer, settings.log_origin, of_audit=True),
        ),
        holder=holder,
    )


def _rebuilder(
    db: Database, index: EmbeddedIndex | OpenSearchIndex
) -> Rebuilder | ClusterRebuilder:
    if isinstance(index, EmbeddedIndex):
        return Rebuilder(index, partial(index_followers, db), partial(_ends_of, db))
    return ClusterRebuilder(index, partial(index_followers, db, index), partial(_ends_of, db))


def _find_again(
    index: EmbeddedIndex | OpenSearchIndex,
    corp_id: int,
    seq: int,
    text: str,
    conversation: int,
    sent_at: int,
) -> bool:
    """Whether the index gives a message for some of its own words; it need not know what it has not reached."""
    if index.position(corp_id) < seq:
        return True
    words = max(_WORDS.findall(text), key=len, default="")[:_WORDS_SOUGHT]
    query = parse(f'"{words}"', literal=True) if words else None
    filters = Filters(conversation=conversation, since=sent_at, until=sent_at + 1)
    page = index.search(query, filters, limit=MAX_ROWS)
    return any((row.corp_id, row.seq) == (corp_id, seq) for row in page.rows)


def _watch(db: Database, access: Access, finder: Finder, holder: str) -> None:
    """Count the saved searches, unless another process has just done it."""
    lasting = timedelta(seconds=WATCH_EVERY * 0.9)
    if take_lease(db, "saved_searches", holder, lasting=lasting):
        count_watched(db, access, finder)


def _holder(data: Path) -> str:
    """Who holds leases here: the folder's process, so that the one after a crash need not wait for its own."""
    folder = hashlib.sha256(os.fsencode(data.resolve())).hexdigest()
    return f"{os.uname().nodename[:40]}:{folder[:16]}"


def _read_notes(
    touched: Callable[[Connection, int, int, int], Touched],
    connection: Connection,
    corp_id: int,
    after: int,
    end: int,
) -> tuple[list[Note], int]:
    """The messages touched next, with all that changes about them as it stands, and the number reached."""
    found, reached = touched(connection, corp_id, after, end)
    return _notes_of(connection, set(found)), reached


def _notes_by_seq(connection: Connection, corp_id: int, seqs: Sequence[int]) -> dict[int, Note]:
    notes = _notes_of(connection, {record_id(corp_id, seq) for seq in seqs})
    return {note.seq: note for note in notes}


def _notes_version(connection: Connection, corp_id: int) -> int:
    """Grows with every change of anything noted of a message of this corp."""
    return sum(source.ends(connection).get(corp_id, 0) for source in NOTES.values())


def _notes_of(connection: Connection, records: set[int]) -> list[Note]:
    states = {
        record: alert.state for record, alert in alerts.of_records(connection, records).items()
    }
    hits: dict[int, set[Hit]] = {record: set() for record in records}
    for finding in screening.of_records(connection, records):
        state = states.get(finding.record, "") if finding.outcome is Outcome.VIOLATION else ""
        hits[finding.record].add(Hit(finding.category, finding.severity, state))
    taken_back = recalled_among(connection, records)
    return [
        Note(position_of(record)[1], tuple(sorted(found)), record in taken_back)
        for record, found in hits.items()
    ]
