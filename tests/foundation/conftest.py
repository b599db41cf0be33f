"""Databases without a schema, a table to write to, and threads that start together."""

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pytest
import structlog

from app.foundation.database import Database

T = TypeVar("T")
SHEET = {"id": "int8", "words": "text", "data": "bytea"}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Log nothing: what fails here is meant to."""
    above_all = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=above_all, cache_logger_on_first_use=False)
    yield
    structlog.reset_defaults()


@pytest.fixture
def sheet(db: Database) -> dict[str, str]:
    """A table `sheet` of a number, text and bytes; gives its columns as `bulk_insert` takes them."""
    blob = "BLOB" if db.is_sqlite else "BYTEA"
    with db.write() as connection:
        connection.exec_driver_sql(
            f"CREATE TABLE sheet (id BIGINT PRIMARY KEY, words TEXT, data {blob})"
        )
    return SHEET


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database nobody has migrated."""
    if request.param == "sqlite":
        database = Database(f"sqlite:///{tmp_path / 'empty.db'}")
        yield database
        database.close()
        return
    server: str = request.getfixturevalue("postgres")
    with psycopg.connect(server.format(name="postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE empty")
        database = Database(server.format(name="empty").replace("://", "+psycopg://", 1))
        yield database
        database.close()
        connection.execute("DROP DATABASE empty WITH (FORCE)")


def together(count: int, work: Callable[[int], T]) -> list[T]:
    """What `work(0)` … `work(count - 1)` give, each on a thread of its own, begun at the same moment."""
    gate = threading.Barrier(count)

    def begin(number: int) -> T:
        gate.wait()
        return work(number)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(begin, range(count)))


@pytest.fixture
def at_once() -> Any:
    """`together`, as a fixture."""
    return together
