"""The search engine of one machine: SQLite FTS5 over pairs of characters, in a file of its own.

The file is derived from the log and may be lost: every batch of messages and the follower's position are one
transaction, so a killed process leaves neither a gap nor a double. One connection writes, under a lock; a few
read-only ones search in parallel (`pool`), each search on one snapshot and within its time limit. Messages are
numbered by time (`domain.rid_at`), so that newest first, time ranges and page marks cost nothing and late arrivals
stand where they belong.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import tzinfo
from pathlib import Path
from typing import TypeVar

import apsw

from app.foundation.errors import Unavailable
from app.search import cursors, facets, fts, statements
from app.search.domain import (
    MAX_ROWS,
    NO_FACETS,
    Count,
    Document,
    Facets,
    NeedsRebuild,
    Note,
    Page,
    Row,
)
from app.search.filters import Filters
from app.search.pool import BUSY_MS, CACHE_KIB, Pool
from app.search.query import Query
from app.search.statements import MESSAGES

BESIDE = ("-wal", "-shm")  # what SQLite keeps beside its file

T = TypeVar("T")


class EmbeddedIndex:
    """The index in the file `path`, which is made if missing; usable from any thread.

    A search that takes longer than `timeout` seconds, waiting for a free reader included, is cut off with
    `Unavailable`. A file that is damaged or of another version can be opened, but everything except `reset`,
    `replace` and `close` raises `NeedsRebuild`.
    """

    def __init__(self, path: Path, *, timeout: float = 2.0) -> None:
        self.path = path
        self._timeout = timeout
        self._lock = threading.Lock()
        self._pool = Pool(path)
        self._closed = False
        self.is_damaged = False  # some reading or writing found it so
        self._writer, self._file = self._open()

    # Writing

    def write(self, corp_id: int, after: int, documents: Sequence[Document], upto: int) -> None:
        """Add the messages of (after, upto] that can be searched and move the position to `upto`.

        All or nothing. Raises `CursorMoved` if the position is not `after`.
        """
        if any(not after < document.seq <= upto for document in documents):
            raise ValueError("a document lies outside the batch")
        with self._writing() as connection:
            statements.move(connection, corp_id, MESSAGES, after=after, to=upto)
            statements.add(connection, corp_id, documents)

    def annotate(
        self, corp_id: int, notes: Sequence[Note], *, stream: str, after: int, upto: int
    ) -> None:
        """Replace what is noted of messages, and move the position in `stream` from `after` to `upto`.

        `stream` names where the notes come from and counts as its source does. All or nothing; raises
        `CursorMoved` like `write`. A note may precede its message.
        """
        if stream == MESSAGES:
            raise ValueError("the messages' own position is moved by write")
        with self._writing() as connection:
            statements.move(connection, corp_id, stream, after=after, to=upto)
            statements.note(connection, corp_id, notes)

    def reset(self) -> None:
        """Forget everything, positions included, whatever state the file is in."""
        with self._lock, _translated():
            _empty(self._writer)
            _prepare(self._writer)
            self.is_damaged = False

    def merge(self, *, start: bool = False) -> bool:
        """Bring the text index a step nearer to one piece; False when there is nothing left to do.

        A step takes some tens of milliseconds; `start` begins with every piece there is.
        """
        with self._writing() as connection:
            return statements.merge(connection, start=start)

    def replace(self, other: Path) -> None:
        """Serve the closed index in the file `other` from now on, under this one's name.

        Waits for the searches under way; those that come meanwhile wait for it.
        """
        with self._exchanged():
            other.replace(self.path)

    def is_lost(self) -> bool:
        """Whether the file was deleted or exchanged behind the back of whoever has it open."""
        return _file_at(self.path) != self._file

    def reopen(self) -> None:
        """Open what is at the path now; a missing file is made anew, empty."""
        with self._exchanged():
            pass

    # Reading

    def position(self, corp_id: int, stream: str = MESSAGES) -> int:
        """Up to which number the stream of this corp has been dealt with; 0 before the first."""
        return self._read(lambda connection: statements.position(connection, corp_id, stream))

    def search(
        self,
        query: Query | None,
        filters: Filters,
        limit: int = 50,
        cursor: str | None = None,
        count: Count = "capped",
    ) -> Page:
        """One page of the messages that match, in `filters.order`, with the total of all pages.

        A capped total stops at `CAP`. Raises `BadCursor` for a mark of another search, `Unavailable` when
        the time is up. Pages stay in step while messages arrive: nothing is shown twice.
        """
        if not 1 <= limit <= MAX_ROWS:
            raise ValueError(f"limit must be within 1 and {MAX_ROWS}")
        mark = cursors.fingerprint(query, filters)
        last = None if cursor is None else cursors.decode(mark, cursor)
        if filters.sees_nothing():
            return Page((), 0, "eq", None)

        def find(connection: apsw.Connection) -> Page:
            match = fts.expression(query, filters, statements.corps(connection))
            rows = statements.rows(connection, match, filters, limit + 1, last)
            if last is None and len(rows) <= limit:
                return Page(tuple(rows), len(rows), "eq", None)
            total, relation = statements.total(connection, match, filters, count)
            more = cursors.encode(mark, rows[limit - 1].rid) if len(rows) > limit else None
            return Page(tuple(rows[:limit]), total, relation, more)

        return self._read(find)

    def mark_after(self, query: Query | None, filters: Filters, row: Row) -> str:
        """The page mark by which this very search goes on after a row that it gave."""
        return cursors.encode(cursors.fingerprint(query, filters), row.rid)

    def facets(self, query: Query | None, filters: Filters, zone: tzinfo) -> Facets:
        """What a search finds, counted by adviser, department, category and month of `zone`."""
        if filters.sees_nothing():
            return NO_FACETS

        def count(connection: apsw.Connection) -> Facets:
            match = fts.expression(query, filters, statements.corps(connection))
            return facets.count(connection, match, filters, zone)

        return self._read(count)

    def check(self) -> tuple[str, ...]:
        """What is wrong with the file, in words; empty when it is sound. Reads all of it."""
        with self._writing() as connection:
            return tuple(statements.faults(connection))

    def close(self) -> None:
        """Wait for the searches under way, then close the file; a second time does nothing."""
        if self._closed:
            return
        self._closed = True
        self._pool.close()
        with self._lock:
            self._writer.close()

    # Connections

    @contextlib.contextmanager
    def _writing(self) -> Iterator[apsw.Connection]:
        with self._lock, self._noticed(), self._writer:
            _require_version(self._writer)
            yield self._writer

    def _read(self, work: Callable[[apsw.Connection], T]) -> T:
        def checked(connection: apsw.Connection) -> T:
            _require_version(connection)
            return work(connection)

        with self._noticed():
            return self._pool.read(checked, self._timeout)

    @contextlib.contextmanager
    def _noticed(self) -> Iterator[None]:
        try:
            with _translated():
                yield
        except NeedsRebuild:
            self.is_damaged = True
            raise

    @contextlib.contextmanager
    def _exchanged(self) -> Iterator[None]:
        """Nobody has the file open inside; afterwards it is whatever is at the path."""
        with self._lock, _translated(), self._pool.emptied():
            is_own = not self.is_lost()
            self._writer.close()
            if is_own:  # closed last, SQLite has brought them into the file
                _remove_beside(self.path)
            yield
            self._writer, self._file = self._open()
            self.is_damaged = False

    def _open(self) -> tuple[apsw.Connection, int | None]:
        if not self.path.exists():
            _remove_beside(self.path)  # they belong to a file that is gone
        writer = _open_writer(self.path)
        with contextlib.suppress(NeedsRebuild), _translated():
            _prepare(writer)
        return writer, _file_at(self.path)


def remove(path: Path) -> None:
    """Delete an index that nobody has open, if there is one."""
    path.unlink(missing_ok=True)
    _remove_beside(path)


def _remove_beside(path: Path) -> None:
    for ending in BESIDE:
        path.with_name(path.name + ending).unlink(missing_ok=True)


def _file_at(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def _open_writer(path: Path) -> apsw.Connection:
    connection = apsw.Connection(str(path))
    connection.transaction_mode = "IMMEDIATE"
    connection.set_busy_timeout(BUSY_MS)
    return connection


def _prepare(connection: apsw.Connection) -> None:
    """Settings of the writer, and the tables of a new file.

    WAL with synchronous NORMAL: a power cut may take back the last transactions, never tear one. That is
    enough here: the position goes back with its documents, and the follower reads them again.
    """
    connection.pragma("synchronous", "NORMAL")
    connection.pragma("cache_size", -CACHE_KIB)
    if statements.version(connection) is not None:
        return
    connection.pragma("journal_mode", "WAL")
    with connection:
        connection.execute(statements.SCHEMA, (statements.VERSION,))


def _empty(connection: apsw.Connection) -> None:
    """Works on a damaged file too; readers keep their snapshot until they end."""
    connection.config(apsw.SQLITE_DBCONFIG_RESET_DATABASE, 1)
    try:
        connection.execute("VACUUM")
    finally:
        connection.config(apsw.SQLITE_DBCONFIG_RESET_DATABASE, 0)


def _require_version(connection: apsw.Connection) -> None:
    found = statements.version(connection)
    if found != statements.VERSION:
        raise NeedsRebuild(f"索引版本为“{found}”，程序需要“{statements.VERSION}”")


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except apsw.InterruptError:
        raise Unavailable("检索超时，请缩小时间范围或增加条件", retry_after=1) from None
    except apsw.BusyError as error:
        raise Unavailable("索引正被其他进程写入", retry_after=1) from error
    except (apsw.CorruptError, apsw.NotADBError, apsw.SchemaChangeError) as error:
        raise NeedsRebuild("索引文件已损坏") from error
    except (apsw.IOError, apsw.FullError, apsw.CantOpenError, apsw.ReadOnlyError) as error:
        raise Unavailable("索引文件无法读写，请检查磁盘") from error
