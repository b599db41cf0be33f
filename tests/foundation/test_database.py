"""What the database promises every room, on SQLite and PostgreSQL alike."""

import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.pool import QueuePool

from app.foundation import clock, database
from app.foundation.database import (
    Bell,
    Database,
    UtcDateTime,
    after_commit,
    announce,
    bulk_insert,
    chunks,
    exclusive,
    insert_new,
    next_id,
    select_in,
    upsert,
)
from app.foundation.errors import Unavailable
from app.foundation.keys import BucketKey

ROOT = Path(__file__).parents[2]
NOON = datetime(2026, 1, 1, 4, tzinfo=UTC)
MEGABYTE = bytes(range(256)) * 4096
NASTY_BYTES = [b"", b"\0", b"\0\xff\0", MEGABYTE]
NASTY_WORDS = [
    "",
    "'; DROP TABLE sheet; --",
    "100%s ?",
    "\t\n\\N",
    "“保本”𠮷👩‍👩‍👧",
    "字" * 300_000,
]
Together = Callable[[int, Callable[[int], Any]], list[Any]]
Columns = dict[str, str]
offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.builds(
    lambda passed, zone: datetime.fromtimestamp(0, zone) + timedelta(microseconds=passed),
    st.integers(-62_000_000_000_000_000, 253_000_000_000_000_000),  # the years 5 to 9987
    offsets,
)


def bucket(number: int, wrapped: bytes | None = b"", name: str | None = None) -> dict[str, Any]:
    name = str(number) if name is None else name
    return {"id": number, "name": name, "suite": 1, "wrapped": wrapped, "created_at": NOON}


def stored(db: Database) -> dict[int, tuple[str, bytes | None]]:
    with db.read() as connection:
        rows = connection.execute(select(BucketKey.id, BucketKey.name, BucketKey.wrapped))
        return {number: (name, wrapped) for number, name, wrapped in rows}


def count(db: Database, table: str) -> int:
    with db.read() as connection:
        return int(connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one())  # noqa: S608


# --- moments


@given(moments)
def test_a_moment_comes_back_to_the_millisecond_in_utc(moment: datetime) -> None:
    kind = UtcDateTime()
    bound = kind.process_bind_param(moment, sqlite.dialect())
    back = kind.process_result_value(bound, sqlite.dialect())
    assert back is not None
    assert back.tzinfo is UTC
    assert timedelta(0) <= moment - back < timedelta(milliseconds=1)


@given(moments, moments)
def test_moments_are_stored_in_their_order(one: datetime, other: datetime) -> None:
    first, second = sorted([one, other])
    assert clock.to_ms(first) <= clock.to_ms(second)


@given(st.integers(clock.to_ms(datetime(2, 1, 1, tzinfo=UTC)), 253_370_764_800_000))
def test_milliseconds_become_a_moment_and_back_exactly(ms: int) -> None:
    assert clock.to_ms(clock.from_ms(ms)) == ms


def test_a_naive_moment_is_refused(db: Database) -> None:
    row = bucket(1) | {"created_at": NOON.replace(tzinfo=None)}
    with pytest.raises(Exception, match="UTC offset"), db.write() as connection:
        insert_new(connection, BucketKey, [row])
    assert stored(db) == {}


def test_the_database_keeps_moments_exactly_and_compares_them(db: Database) -> None:
    shanghai = timezone(timedelta(hours=8))
    given_moments = [
        datetime(1, 1, 2, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC),
        datetime(2026, 7, 1, 0, 0, 0, 1_000, tzinfo=shanghai),
        datetime(9999, 12, 30, 23, 59, 59, 999_000, tzinfo=UTC),
    ]
    rows = [bucket(n) | {"created_at": moment} for n, moment in enumerate(given_moments)]
    with db.write() as connection:
        insert_new(connection, BucketKey, rows)
    with db.read() as connection:
        assert connection.scalars(select(BucketKey.created_at).order_by(BucketKey.id)).all() == (
            given_moments
        )
        later = select(BucketKey.id).where(BucketKey.created_at > given_moments[1])
        assert set(connection.scalars(later)) == {2, 3}


# --- transactions


@pytest.mark.parametrize(
    "statement",
    ["INSERT INTO sheet (id) VALUES (1)", "DELETE FROM sheet", "CREATE TABLE other (id INTEGER)"],
)
@pytest.mark.usefixtures("sheet")
def test_a_reading_connection_cannot_write(db: Database, statement: str) -> None:
    with pytest.raises(DBAPIError) as caught, db.read() as connection:
        connection.exec_driver_sql(statement)
    assert not isinstance(caught.value, Unavailable)
    with db.write() as connection:  # and leaves nothing that hinders the next one
        connection.exec_driver_sql("INSERT INTO sheet (id) VALUES (7)")
    assert count(db, "sheet") == 1


def test_a_sqlite_reader_stays_one_even_if_it_tries_hard(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path / 'archive.db'}")
    with db.read() as connection:
        connection.exec_driver_sql("PRAGMA query_only=OFF")
        with pytest.raises(DBAPIError, match="readonly"):
            connection.exec_driver_sql("CREATE TABLE other (id INTEGER)")
    db.close()


@pytest.mark.usefixtures("sheet")
def test_a_read_is_one_snapshot(db: Database) -> None:
    with db.read() as connection:
        query = "SELECT count(*) FROM sheet"
        assert connection.exec_driver_sql(query).scalar() == 0
        with db.write() as writing:
            writing.exec_driver_sql("INSERT INTO sheet (id) VALUES (1)")
        assert connection.exec_driver_sql(query).scalar() == 0
    assert count(db, "sheet") == 1


def test_a_failed_transaction_leaves_nothing_and_tells_nobody(db: Database) -> None:
    acts: list[str] = []

    def write_and_fail() -> None:
        with db.write() as connection:
            insert_new(connection, BucketKey, [bucket(1)])
            announce(connection, "news")
            after_commit(connection, lambda: acts.append("failed"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    with db.write() as connection:
        after_commit(connection, lambda: acts.append("committed"))
        assert acts == []
    assert stored(db) == {}
    assert db.bell.count("news") == 0
    assert acts == ["committed"]


def test_a_committed_announcement_rings_when_others_can_see_the_rows(db: Database) -> None:
    seen: list[int] = []
    waiting = threading.Thread(
        target=lambda: seen.append(len(stored(db)) if db.bell.wait("news", 0, 30) else -1)
    )
    waiting.start()
    with db.write() as connection:
        announce(connection, "news")
        insert_new(connection, BucketKey, [bucket(1)])
        assert db.bell.count("news") == 0
    waiting.join()
    assert seen == [1]


def test_a_statement_that_is_wrong_is_no_outage(db: Database) -> None:
    with pytest.raises(DBAPIError), db.read() as connection:
        connection.exec_driver_sql("SELECT nothing FROM nowhere")
    with pytest.raises(DBAPIError), db.write() as connection:
        connection.exec_driver_sql("INSERT INTO nowhere VALUES (1)")


def test_an_error_of_the_database_does_not_quote_what_it_was_given(db: Database) -> None:
    with db.write() as connection:
        insert_new(connection, BucketKey, [bucket(1, b"guarded")])
    with pytest.raises(DBAPIError) as caught, db.write() as connection:
        connection.execute(BucketKey.__table__.insert(), [bucket(1, b"guarded")])  # type: ignore[attr-defined]
    assert "guarded" not in str(caught.value)


@pytest.mark.usefixtures("sheet")
def test_a_writer_gives_up_after_its_patience(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "WRITER_PATIENCE", 0.1)
    impatient = Database(database_url)
    with impatient.write() as connection:
        exclusive(connection, "door")

        def push_in() -> None:
            with impatient.write() as other:
                exclusive(other, "door")

        failures: list[BaseException] = []
        thread = threading.Thread(target=lambda: _note(push_in, failures))
        thread.start()
        thread.join()
    assert [type(failure) for failure in failures] == [Unavailable]
    assert "正忙" in str(failures[0])
    impatient.close()


def _note(work: Callable[[], object], failures: list[BaseException]) -> None:
    try:
        work()
    except Exception as error:  # noqa: BLE001
        failures.append(error)


def test_a_pool_without_a_free_connection_is_an_outage(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = db._reader.pool
    assert isinstance(pool, QueuePool)
    monkeypatch.setattr(pool, "_timeout", 0.05)
    monkeypatch.setattr(pool, "_max_overflow", 0)
    with ExitStack() as stack:
        for _ in range(pool.size()):
            stack.enter_context(db.read())
        with pytest.raises(Unavailable, match="正忙"), db.read():
            pass
    with db.read():
        pass


# --- waking


def test_a_ring_between_looking_and_waiting_is_not_lost() -> None:
    bell = Bell()
    seen = bell.count("news")
    bell.ring("news")
    assert bell.wait("news", seen, 3600)


def test_a_bell_rings_only_for_its_topic() -> None:
    bell = Bell()
    bell.ring("other")
    assert not bell.wait("news", bell.count("news"), 0.01)


RINGER = """
import sys
from app.foundation.database import Database, announce
db = Database(sys.argv[1])
try:
    with db.write() as connection:
        announce(connection, "rolled back")
        raise ZeroDivisionError
except ZeroDivisionError:
    pass
with db.write() as connection:
    announce(connection, "committed")
db.close()
"""


def test_another_process_is_heard_once_it_has_committed(db: Database) -> None:
    if db.is_sqlite:
        pytest.skip("SQLite has no other process")
    db.listen()
    db.listen()  # a second call does nothing
    _until_heard(db)
    subprocess.run([sys.executable, "-c", RINGER, db.url], cwd=ROOT, check=True)
    assert db.bell.wait("committed", 0, 30)
    assert db.bell.count("rolled back") == 0


def _until_heard(db: Database) -> None:
    other = Database(db.url)
    for _ in range(300):  # the listener needs a moment to connect
        with other.write() as connection:
            announce(connection, "hello")
        if db.bell.wait("hello", 0, 0.1):
            break
    other.close()
    assert db.bell.count("hello") > 0


# --- many rows


def test_insert_new_leaves_what_is_there(db: Database) -> None:
    with db.write() as connection:
        insert_new(connection, BucketKey, [bucket(1, b"first")])
        insert_new(connection, BucketKey, [bucket(1, b"by number", "x"), bucket(2)])
        insert_new(connection, BucketKey, [bucket(3, b"by name", "1"), bucket(4, None)])
        insert_new(connection, BucketKey, [])
    assert stored(db) == {1: ("1", b"first"), 2: ("2", b""), 4: ("4", None)}


def test_upsert_overwrites_by_its_keys_only(db: Database) -> None:
    with db.write() as connection:
        insert_new(connection, BucketKey, [bucket(1, b"old"), bucket(2, b"kept")])
        upsert(connection, BucketKey, [bucket(9, b"new", "1"), bucket(3, None)], keys=["name"])
        upsert(connection, BucketKey, [], keys=["name"])
    assert stored(db) == {9: ("1", b"new"), 2: ("2", b"kept"), 3: ("3", None)}


def test_rows_of_any_bytes_come_back_as_they_were(db: Database) -> None:
    with db.write() as connection:
        insert_new(connection, BucketKey, [bucket(n, data) for n, data in enumerate(NASTY_BYTES)])
        upsert(
            connection, BucketKey, [bucket(n, MEGABYTE + b"\0") for n in range(2)], keys=["name"]
        )
    kept = {number: data for number, (_, data) in stored(db).items()}
    assert kept == {0: MEGABYTE + b"\0", 1: MEGABYTE + b"\0", 2: b"\0\xff\0", 3: MEGABYTE}


def test_ten_thousand_rows_are_inserted_once(db: Database) -> None:
    rows = [bucket(number) for number in range(10_000)]
    with db.write() as connection:
        insert_new(connection, BucketKey, rows[:5_000])
        insert_new(connection, BucketKey, rows)
        assert connection.execute(select(func.count(BucketKey.id))).scalar() == 10_000


def test_bulk_rows_of_any_content_come_back_as_they_were(db: Database, sheet: Columns) -> None:
    rows: list[tuple[int, str | None, bytes | None]] = [
        *((n, words, b"") for n, words in enumerate(NASTY_WORDS)),
        *((100 + n, "", data) for n, data in enumerate(NASTY_BYTES)),
        (2**63 - 1, None, None),
        (-(2**63), None, None),
    ]
    with db.write() as connection:
        bulk_insert(connection, "sheet", sheet, rows)
        bulk_insert(connection, "sheet", sheet, [])
    with db.read() as connection:
        found = connection.exec_driver_sql("SELECT id, words, data FROM sheet").all()
    assert sorted(map(tuple, found)) == sorted(rows, key=lambda row: row[0])


@pytest.mark.parametrize("size", [1, 249, 250, 251, 10_000])
def test_bulk_rows_are_all_there(db: Database, sheet: Columns, size: int) -> None:
    with db.write() as connection:
        bulk_insert(connection, "sheet", sheet, [(n, "x", None) for n in range(size)])
    assert count(db, "sheet") == size


def test_a_bulk_row_that_is_there_already_fails_the_whole_transaction(
    db: Database, sheet: Columns
) -> None:
    with db.write() as connection:
        bulk_insert(connection, "sheet", sheet, [(500, "first", None)])
    with pytest.raises(IntegrityError), db.write() as connection:
        bulk_insert(connection, "sheet", sheet, [(n, "x", None) for n in range(1_000)])
    with db.write() as connection:  # the connection is as good as before
        bulk_insert(connection, "sheet", sheet, [(501, "second", None)])
    assert count(db, "sheet") == 2


def test_looking_up_many_values_finds_those_that_are_there(db: Database, sheet: Columns) -> None:
    rows = [(n, str(n), bytes([n % 256])) for n in range(0, 10_000, 2)]
    with db.write() as connection:
        bulk_insert(connection, "sheet", sheet, rows)
    query = "SELECT id FROM sheet WHERE words <> ? AND id >= ? AND id IN"
    with db.read() as connection:
        found = select_in(connection, query, range(10_000), "4", 2)
        assert sorted(row[0] for row in found) == [2, *range(6, 10_000, 2)]
        assert select_in(connection, query, [], "4", 2) == []


def test_looking_up_text_and_bytes_is_exact(db: Database, sheet: Columns) -> None:
    rows = [(n, words, words.encode()) for n, words in enumerate(NASTY_WORDS)]
    with db.write() as connection:
        bulk_insert(connection, "sheet", sheet, rows)
    with db.read() as connection:
        by_words = select_in(connection, "SELECT id FROM sheet WHERE words IN", NASTY_WORDS)
        data = [words.encode() for words in NASTY_WORDS[1:]]
        by_data = select_in(connection, "SELECT id FROM sheet WHERE data IN", data)
    assert {row.id for row in by_words} == set(range(len(NASTY_WORDS)))
    assert {row.id for row in by_data} == set(range(1, len(NASTY_WORDS)))


@given(st.lists(st.integers()), st.integers(1, 10))
def test_chunks_are_the_whole_in_order_and_none_too_long(items: list[int], size: int) -> None:
    parts = list(chunks(items, size))
    assert [item for part in parts for item in part] == items
    assert all(0 < len(part) <= size for part in parts)


# --- taking turns


def test_writers_that_take_turns_lose_no_update(
    db: Database, sheet: Columns, at_once: Together
) -> None:
    with db.write() as connection:
        bulk_insert(connection, "sheet", sheet, [(1, "0", None)])

    def add(_: int) -> None:
        for _turn in range(10):
            with db.write() as connection:
                exclusive(connection, "counter")
                words = connection.exec_driver_sql("SELECT words FROM sheet").scalar_one()
                connection.exec_driver_sql(f"UPDATE sheet SET words = '{int(words) + 1}'")  # noqa: S608

    at_once(8, add)
    with db.read() as connection:
        assert connection.exec_driver_sql("SELECT words FROM sheet").scalar() == "80"


def test_names_do_not_wait_for_each_other(db: Database) -> None:
    if db.is_sqlite:
        pytest.skip("SQLite has one writer")
    with db.write() as connection, db.write() as other:
        exclusive(connection, "one")
        exclusive(other, "another")
        exclusive(connection, "one")  # nor does one transaction for itself


def test_numbers_of_concurrent_writers_are_contiguous(
    db: Database, sheet: Columns, at_once: Together
) -> None:
    def add(_: int) -> None:
        for _turn in range(10):
            with db.write() as connection:
                exclusive(connection, "sheet")
                first = next_id(connection, "sheet")
                bulk_insert(connection, "sheet", sheet, [(first, "", None), (first + 1, "", None)])

    with db.read() as connection:
        assert next_id(connection, "sheet") == 1
    at_once(8, add)
    with db.read() as connection:
        rows = connection.exec_driver_sql("SELECT id FROM sheet").scalars()
        assert sorted(rows) == list(range(1, 161))


def test_readers_work_beside_a_writer(db: Database, sheet: Columns, at_once: Together) -> None:
    def work(number: int) -> list[int]:
        if number == 0:
            for start in range(0, 200, 10):
                with db.write() as connection:
                    rows = [(start + n, "", None) for n in range(10)]
                    bulk_insert(connection, "sheet", sheet, rows)
            return []
        return [count(db, "sheet") for _ in range(20)]

    for seen in at_once(6, work):
        assert seen == sorted(seen)
        assert all(number % 10 == 0 for number in seen)


# --- the file


@pytest.mark.parametrize("name", ["样例 数据", "a#b", "a?mode=rw", "100%41"])
def test_any_folder_name_will_do(tmp_path: Path, name: str) -> None:
    db = Database(f"sqlite:///{tmp_path / name / 'archive.db'}")
    with db.write() as connection:
        connection.exec_driver_sql("CREATE TABLE sheet (id INTEGER)")
    assert count(db, "sheet") == 0
    db.close()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_data_folder_is_its_owners_alone(tmp_path: Path) -> None:
    with database.hold_folder(tmp_path / "data"):
        assert (tmp_path / "data").stat().st_mode & 0o077 == 0


def test_a_closed_database_is_one_file(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path / 'archive.db'}")
    with db.write() as connection:
        connection.exec_driver_sql("CREATE TABLE sheet (id INTEGER)")
    count(db, "sheet")
    db.close()
    assert [path.name for path in tmp_path.iterdir()] == ["archive.db"]
