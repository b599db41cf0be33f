"""One way into both databases; the only module (with `jobs.claim` and the migrations) that knows dialects.

SQLite: exactly one connection writes and checkpoints, every other one is opened read-only. The bundled
library may carry the WAL-reset defect (3.7.0-3.51.2: two connections writing or checkpointing at the same
instant can corrupt the file), so a second writer must be impossible, not merely unlikely; `hold_folder` keeps
a second process out. PostgreSQL: ordinary pooled connections.

`Database.write` is one transaction, `Database.read` one consistent snapshot. A database that cannot be
reached, is too busy or whose disk is full is answered with `Unavailable`; nothing of the transaction remains.
Only a connection lost in the very commit leaves that open, so whoever repeats must be idempotent.
"""

import fcntl
import itertools
import os
import sqlite3
import threading
import zlib
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast

import psycopg
from sqlalchemy import (
    BigInteger,
    Boolean,
    Connection,
    Dialect,
    Engine,
    Integer,
    MetaData,
    Table,
    TypeDecorator,
    create_engine,
    event,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import QueuePool, StaticPool

from app.foundation import clock
from app.foundation.errors import Unavailable
from app.foundation.files import make_folder

T = TypeVar("T")
Row: TypeAlias = Any
WRITER_PATIENCE = 30.0  # seconds a writer waits for the one before it
CONNECT_PATIENCE = 10  # seconds for a server that does not answer
SQLITE_VALUES = 500  # looked up by one statement
SQLITE_ROWS = 250  # inserted by one statement
SQLITE_PARAMETERS = 32_000  # in one statement; the library allows 32,766
_IF_NEW = " ON CONFLICT DO NOTHING"
_TOPICS = "liuhen_topics"  # where a connection remembers what to announce after its commit
_ACTS = "liuhen_acts"  # and what else to do then
_SQLITE_LOST = {  # what the machine did to us; every other error is our own
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
}


class FolderInUse(Unavailable):
    """Another process already serves this data folder."""

    code = "folder_in_use"
    title = "数据目录正被另一个进程使用"


class Base(DeclarativeBase):
    """Parent of every row class; names constraints the same way on both databases."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC moment kept as whole Unix milliseconds, the precision of WeCom and of the log's leaves.

    The same integer on both databases: SQLite has no time type and loses zones, and an integer compares,
    sorts and partitions alike everywhere. A naive datetime is refused with ValueError.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002, D102
        return None if value is None else clock.to_ms(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002, D102
        return None if value is None else clock.from_ms(value)


BigKey = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows only for INTEGER


class Bell:
    """Wakes those who wait for news of a topic, at once and without losing a ring."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._rings: dict[str, int] = {}

    def count(self, topic: str) -> int:
        """How often the topic has rung; read it before looking, then wait from it."""
        return self._rings.get(topic, 0)

    def ring(self, topic: str) -> None:
        """Wake everyone who waits for the topic."""
        with self._changed:
            self._rings[topic] = self.count(topic) + 1
            self._changed.notify_all()

    def wait(self, topic: str, seen: int, timeout: float) -> bool:
        """Wait until the topic has rung more often than `seen`; False when the time is up."""
        with self._changed:
            return self._changed.wait_for(lambda: self.count(topic) > seen, timeout)


class Database:
    """The record database, SQLite or PostgreSQL, opened for this process."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.bell = Bell()
        self.is_sqlite = url.startswith("sqlite")
        self._writer_turn = threading.Lock()
        if self.is_sqlite:
            path = Path(url.removeprefix("sqlite:///"))
            make_folder(path.parent)
            self._writer, self._reader = _sqlite_writer(path), _sqlite_reader(path)
            with _named_failures(), self._writer.connect():
                pass  # the writer opens first: it makes the file and recovers it after a crash
        else:
            self._writer = self._reader = _postgresql(url)
            self._listener = _Listener(url, self.bell)

    @contextmanager
    def write(self) -> Generator[Connection]:
        """One transaction, committed when the block ends well; announcements ring after the commit."""
        with self._turn(), _named_failures(_takes_no_writes), self._writer.begin() as connection:
            connection.info[_TOPICS] = topics = set[str]()
            connection.info[_ACTS] = acts = list[Callable[[], None]]()
            yield connection
        for act in acts:
            act()
        for topic in topics:
            self.bell.ring(topic)

    @contextmanager
    def read(self) -> Generator[Connection]:
        """One consistent snapshot; writing in it is an error."""
        with _named_failures(), self._reader.connect() as connection:
            if not self.is_sqlite:
                connection.exec_driver_sql(
                    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
                )
            yield connection

    @contextmanager
    def _turn(self) -> Generator[None]:
        if not self.is_sqlite:
            yield
            return
        if not self._writer_turn.acquire(timeout=WRITER_PATIENCE):
            raise Unavailable("数据库正忙，请稍后重试")
        try:
            yield
        finally:
            self._writer_turn.release()

    def empty_log(self) -> None:
        """Bring SQLite's write-ahead log home and cut it to nothing; raises `Unavailable` while somebody reads."""
        with self._turn(), _named_failures(), self._writer.connect() as connection:
            driver = cast("sqlite3.Connection", connection.connection.driver_connection)
            is_busy, *_ = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if is_busy:
            raise Unavailable("数据库正在被读取，请稍后重试")

    def listen(self) -> None:
        """Hear what other processes announce; SQLite has no other process."""
        if not self.is_sqlite:
            self._listener.start()

    @property
    def writer(self) -> Engine:
        """The writing engine, for migrations only."""
        return self._writer

    def close(self) -> None:
        """Give every connection back; the last SQLite writer checkpoints."""
        if not self.is_sqlite:
            self._listener.stop()
        self._reader.dispose()
        self._writer.dispose()


def announce(connection: Connection, topic: str) -> None:
    """Ring `topic` for every process once this transaction has committed."""
    connection.info[_TOPICS].add(topic)
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_notify('liuhen', :topic)"), {"topic": topic})


def after_commit(connection: Connection, act: Callable[[], None]) -> None:
    """Call `act` in this process once this transaction has committed; never when it fails."""
    connection.info[_ACTS].append(act)


def exclusive(connection: Connection, name: str) -> None:
    """Let only one transaction at a time pass here; held until the transaction ends."""
    if connection.dialect.name == "postgresql":  # SQLite has one writer anyway
        key = zlib.crc32(name.encode())
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({key})")


def insert_new(
    connection: Connection, row_type: type[Base], rows: Sequence[dict[str, Any]]
) -> None:
    """Insert the rows that no unique constraint has yet; the others are left as they are."""
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        _insert_long(connection, row_type, rows)
        return
    connection.execute(_insert(connection, row_type).on_conflict_do_nothing(), list(rows))


def _insert_long(
    connection: Connection, row_type: type[Base], rows: Sequence[dict[str, Any]]
) -> None:
    """The same in a few long statements, for the reason told at `bulk_insert`."""
    table = cast("Table", row_type.__table__)
    ways = [(name, _way_in(connection, table, name)) for name in rows[0]]
    values = [tuple(way(row[name]) for name, way in ways) for row in rows]
    _insert_values(connection, table.name, [name for name, _ in ways], values, _IF_NEW)


def _way_in(connection: Connection, table: Table, name: str) -> Callable[[Any], Any]:
    """What turns a value into the database's own representation."""
    kind = table.c[name].type
    if isinstance(kind, Boolean):
        return bool  # SQLAlchemy's own check takes 5 µs a value
    way = kind.dialect_impl(connection.dialect).bind_processor(connection.dialect)
    return way or (lambda value: value)


def _insert_values(
    connection: Connection,
    table: str,
    names: Sequence[str],
    rows: Sequence[tuple[Any, ...]],
    ending: str = "",
) -> None:
    row = f"({', '.join('?' * len(names))})"
    quoted = ", ".join(f'"{name}"' for name in names)
    for part in chunks(rows, min(SQLITE_ROWS, SQLITE_PARAMETERS // len(names))):
        marks = ", ".join([row] * len(part))
        statement = f'INSERT INTO "{table}" ({quoted}) VALUES {marks}{ending}'  # noqa: S608
        connection.exec_driver_sql(statement, tuple(itertools.chain.from_iterable(part)))


def upsert(
    connection: Connection,
    row_type: type[Base],
    rows: Sequence[dict[str, Any]],
    keys: Sequence[str],
) -> None:
    """Insert the rows, or overwrite every other given column where `keys` are already there."""
    if not rows:
        return
    statement = _insert(connection, row_type)
    changed = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    connection.execute(
        statement.on_conflict_do_update(index_elements=list(keys), set_=changed), list(rows)
    )


def _insert(connection: Connection, row_type: type[Base]) -> Any:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    return dialect.insert(cast("Table", row_type.__table__))


def bulk_insert(
    connection: Connection,
    table: str,
    columns: dict[str, str],
    rows: Sequence[tuple[Any, ...]],
) -> None:
    """Insert many rows the fastest way: a few long VALUES on SQLite, binary COPY on PostgreSQL.

    `columns` maps each column to its PostgreSQL type; values are in the database's own representation.

    Python's sqlite3 lets go of the interpreter lock at every step of a statement. `executemany` steps once a row, and
    beside one busy thread falls from 58,000 to 1,700 rows/s; one statement for 250 rows keeps 31,000 (measured).
    """
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        _insert_values(connection, table, list(columns), rows)
        return
    statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT BINARY)"
    try:
        _copy(connection, statement, list(columns.values()), rows)
    except psycopg.Error as error:  # named as SQLAlchemy names it everywhere else
        raise _wrapped(connection, statement, error) from error


def _copy(
    connection: Connection, statement: str, types: list[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(types)
        for values in rows:
            copy.write_row(values)


def _wrapped(connection: Connection, statement: str, error: psycopg.Error) -> BaseException:
    return DBAPIError.instance(
        statement, None, error, psycopg.Error, hide_parameters=True, dialect=connection.dialect
    )


def select_in(
    connection: Connection, query: str, values: Sequence[Any], *parameters: Any
) -> list[Row]:
    """Rows of a hand-written SELECT whose last word is IN, for many values.

    `query` marks its other parameters by `?`. Compiling an expanding IN for every batch costs SQLAlchemy more
    than the lookup itself (measured: 1.6 ms for 500 values).
    """
    found: list[Row] = []
    if connection.dialect.name == "postgresql":
        statement = query.removesuffix("IN").replace("?", "%s") + "= ANY(%s)"
        return list(connection.exec_driver_sql(statement, (*parameters, list(values))))
    for part in chunks(values, SQLITE_VALUES):
        marks = ", ".join("?" * len(part))
        found += connection.exec_driver_sql(f"{query} ({marks})", (*parameters, *part))
    return found


def next_id(connection: Connection, table: str) -> int:
    """The number after the largest of a table that only one transaction at a time adds to."""
    statement = f"SELECT coalesce(max(id), 0) + 1 FROM {table}"  # noqa: S608  (own constants)
    return int(connection.exec_driver_sql(statement).scalar_one())


def chunks(items: Sequence[T], size: int) -> Iterable[Sequence[T]]:
    """Cut a sequence into pieces that fit into one statement's parameters."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


@contextmanager
def hold_folder(folder: Path) -> Generator[None]:
    """Keep every other process from serving this data folder; raises `FolderInUse` with its number."""
    make_folder(folder)
    with (folder / "liuhen.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise FolderInUse(
                f"进程 {lock.read().strip() or '?'} 正在使用 {folder}；请先停止它，或换一个 LIUHEN_DATA"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


@contextmanager
def _named_failures(
    also: Callable[[DBAPIError], bool] = lambda _error: False,
) -> Generator[None]:
    """Turn a lost, busy or full database, and what `also` names, into `Unavailable`; leave every other error."""
    try:
        yield
    except PoolExhausted as error:
        raise Unavailable("数据库正忙，请稍后重试") from error
    except DBAPIError as error:
        if error.connection_invalidated or _is_lost(error) or also(error):
            raise Unavailable(_reason(error)) from error
        raise


def _is_lost(error: DBAPIError) -> bool:
    """Python's sqlite3 calls a wrong statement an OperationalError too."""
    code = _sqlite_code(error)
    return isinstance(error, OperationalError) and (code is None or code in _SQLITE_LOST)


def _takes_no_writes(error: DBAPIError) -> bool:
    """PostgreSQL as a standby, or set read-only."""
    return isinstance(error.orig, psycopg.errors.ReadOnlySqlTransaction)


def _reason(error: DBAPIError) -> str:
    code = _sqlite_code(error)
    if code == sqlite3.SQLITE_FULL or isinstance(error.orig, psycopg.errors.DiskFull):
        return "磁盘已满：请清理空间，无需重启"
    is_busy = code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    if is_busy or isinstance(error.orig, psycopg.errors.LockNotAvailable):
        return "数据库正忙，请稍后重试"
    return "数据库目前只读" if _takes_no_writes(error) else "数据库暂不可用"


def _sqlite_code(error: DBAPIError) -> int | None:
    """SQLite's primary result code; None for another database."""
    code: int | None = getattr(error.orig, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _postgresql(url: str) -> Engine:
    patience = f"-c lock_timeout={round(WRITER_PATIENCE * 1000)}"
    return create_engine(
        url,
        pool_size=20,
        max_overflow=20,
        pool_pre_ping=True,
        pool_timeout=WRITER_PATIENCE,
        hide_parameters=True,
        connect_args={"connect_timeout": CONNECT_PATIENCE, "options": patience},
    )


def _sqlite_writer(path: Path) -> Engine:
    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "recursive_triggers=ON",
            "mmap_size=0",
            "cache_size=-65536",
            "wal_autocheckpoint=16000",  # pages, 64 MB: hot index pages are copied back seldom
        ):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    engine = create_engine("sqlite://", creator=connect, poolclass=StaticPool, hide_parameters=True)
    _begin_with(engine, "BEGIN IMMEDIATE")
    return engine


def _sqlite_reader(path: Path) -> Engine:
    address = f"{path.resolve().as_uri()}?mode=ro"  # a URI: `#`, `?` and `%` may be in the path

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            address, uri=True, isolation_level=None, check_same_thread=False
        )
        for pragma in ("query_only=ON", "mmap_size=0", "cache_size=-16384", "busy_timeout=5000"):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    engine = create_engine(
        "sqlite://",
        creator=connect,
        poolclass=QueuePool,
        pool_size=40,
        max_overflow=10,
        hide_parameters=True,
    )
    _begin_with(engine, "BEGIN")
    return engine


def _begin_with(engine: Engine, words: str) -> None:
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(words))


class _Listener:
    """A thread that rings this process's bell for what other processes announce on PostgreSQL."""

    def __init__(self, url: str, bell: Bell) -> None:
        self._conninfo = url.replace("postgresql+psycopg://", "postgresql://", 1)
        self._bell = bell
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._guard = threading.Lock()

    def start(self) -> None:
        """Begin to listen; a second call does nothing."""
        with self._guard:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="listener", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._listen()
            except psycopg.Error:
                self._stopping.wait(1.0)  # the server restarts; waiters poll meanwhile

    def _listen(self) -> None:
        with psycopg.connect(self._conninfo, autocommit=True) as connection:
            connection.execute("LISTEN liuhen")
            while not self._stopping.is_set():
                for notice in connection.notifies(timeout=0.5):
                    self._bell.ring(notice.payload)


__all__ = [
    "Base",
    "Bell",
    "BigKey",
    "Database",
    "FolderInUse",
    "UtcDateTime",
    "after_commit",
    "announce",
    "bulk_insert",
    "chunks",
    "exclusive",
    "hold_folder",
    "insert_new",
    "next_id",
    "select_in",
    "upsert",
]
