"""The schema: brought up to date once, checked before use, and append-only where it says so."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect
from sqlalchemy.exc import DBAPIError

from app.foundation import schema
from app.foundation.database import Database
from app.foundation.schema import SchemaOutdated

Together = Callable[[int, Callable[[int], Any]], list[Any]]


def tables(db: Database) -> dict[str, list[str]]:
    with db.read() as connection:
        seen = inspect(connection)
        return {
            name: [str(column["name"]) for column in seen.get_columns(name)]
            for name in seen.get_table_names()
        }


def check(db: Database) -> None:
    with db.read() as connection:
        schema.check(connection)


def test_a_migrated_database_passes_and_migrating_again_changes_nothing(db: Database) -> None:
    check(db)
    before = tables(db)
    with db.write() as connection:
        connection.exec_driver_sql("INSERT INTO leases VALUES ('a', 'b', 1)")
    schema.migrate(db)
    check(db)
    assert tables(db) == before
    with db.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM leases").scalar() == 1


def test_an_empty_database_says_what_to_do(empty_db: Database) -> None:
    with pytest.raises(SchemaOutdated, match="liuhen init"):
        check(empty_db)
    assert tables(empty_db) == {}
    schema.migrate(empty_db)
    check(empty_db)


def test_a_database_of_a_later_version_asks_for_a_later_program(db: Database) -> None:
    with db.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'later'")
    with pytest.raises(SchemaOutdated, match="更新的程序"):
        check(db)


def test_migrations_begun_at_once_are_done_once(empty_db: Database, at_once: Together) -> None:
    at_once(3, lambda _: schema.migrate(empty_db))
    check(empty_db)


def test_a_migration_that_fails_leaves_nothing(
    empty_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(schema, "append_only", fail)  # the first version calls it after its tables
        with pytest.raises(ZeroDivisionError):
            schema.migrate(empty_db)
    assert tables(empty_db) == {}
    schema.migrate(empty_db)
    check(empty_db)


def test_a_folder_with_a_percent_sign_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "100%(here)s"
    place.mkdir()
    monkeypatch.setattr(schema, "_PLACES", (place,))
    assert schema._config().get_main_option("script_location") == str(place)


@pytest.fixture
def guarded(db: Database, sheet: dict[str, str]) -> Database:
    """A database whose table `sheet` is append-only and has one row."""
    assert sheet
    with db.write() as connection:
        schema.append_only(connection, "sheet")
        connection.exec_driver_sql("INSERT INTO sheet VALUES (1, 'first', NULL)")
    return db


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE sheet SET words = 'second'",
        "DELETE FROM sheet",
        "INSERT INTO sheet VALUES (1, 'second', NULL) ON CONFLICT (id) DO UPDATE SET words = 'x'",
        "INSERT OR REPLACE INTO sheet VALUES (1, 'second', NULL)",
        "TRUNCATE sheet",
    ],
)
def test_an_append_only_table_refuses_changes(guarded: Database, statement: str) -> None:
    foreign = "TRUNCATE" if guarded.is_sqlite else "OR REPLACE"
    if foreign in statement:
        pytest.skip("not a statement of this database")
    with pytest.raises(DBAPIError, match="sheet is append-only"), guarded.write() as connection:
        connection.exec_driver_sql(statement)
    with guarded.write() as connection:
        connection.exec_driver_sql("INSERT INTO sheet VALUES (2, 'second', NULL)")
    with guarded.read() as connection:
        rows = connection.exec_driver_sql("SELECT words FROM sheet ORDER BY id").scalars()
        assert list(rows) == ["first", "second"]
