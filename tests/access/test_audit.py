"""The trail in the database: one transaction with the deed, contiguous, append-only, provable."""

import threading
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from app.access import OPERATOR, Caller, Event, record, verify
from app.access.audit import Filter, details, head, page
from app.access.domain import NOTHING
from app.access.models import APPEND_ONLY, AuditEvent
from app.foundation.database import Base, Database

ODD = Caller("user", "usr_1", "na\0me\ud800" * 60, frozenset(), NOTHING, "req_1")
COLUMNS = [column for column in AuditEvent.__table__.columns if column.name != "seq"]


class Undo(Exception):
    """Takes an example's rows back."""


def note(connection: Connection, count: int) -> None:
    for number in range(count):
        record(connection, Event.MESSAGE_OPEN, OPERATOR, f"msg_{number}", count=number)


def unguard(connection: Connection) -> None:
    """Take the database's own guard away, as somebody with its password could."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("ALTER TABLE audit_events DISABLE TRIGGER USER"))
        return
    names = text(
        "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_events'"
    )
    for name in list(connection.execute(names).scalars()):
        connection.execute(text(f"DROP TRIGGER {name}"))


def test_entries_are_contiguous_and_prove_themselves(db: Database) -> None:
    with db.write() as connection:
        note(connection, 3)
    with db.write() as connection:
        note(connection, 2)
    with db.read() as connection:
        assert list(
            connection.execute(select(AuditEvent.seq).order_by(AuditEvent.seq)).scalars()
        ) == [
            1,
            2,
            3,
            4,
            5,
        ]
        assert verify(connection) == []
        assert head(connection).seq == 5


def test_an_entry_dies_with_its_transaction(db: Database) -> None:
    with suppress(Undo), db.write() as connection:
        note(connection, 1)
        raise Undo
    with db.write() as connection:
        note(connection, 1)
        assert head(connection).seq == 1


def test_writers_at_once_make_one_chain(db: Database) -> None:
    def write() -> None:
        for _ in range(10):
            with db.write() as connection:
                note(connection, 2)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with db.read() as connection:
        assert head(connection).seq == 80
        assert verify(connection) == []


def test_a_fact_may_have_any_name(db: Database) -> None:
    given = {"event": "e", "caller": "c", "subject": "s", "connection": "x", "seq": 1}
    with db.write() as connection:
        record(connection, Event.AUDIT_READ, OPERATOR, **given)
        (link,) = page(connection, Filter(), before=None, limit=1)
    assert details(link.entry) == given


def test_what_no_database_can_keep_is_kept_readable(db: Database) -> None:
    with db.write() as connection:
        record(connection, Event.MESSAGE_SEARCH, ODD, "s\0\udc00" * 300, q="保本\0\ud800")
    with db.read() as connection:
        (link,) = page(connection, Filter(), before=None, limit=5)
        assert verify(connection) == []
    assert details(link.entry) == {"q": "保本\0\ud800"}
    assert len(link.entry.actor_name) == 128
    assert len(link.entry.subject) == 512


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_the_database_refuses_to_change_or_remove_an_entry(db: Database, table: str) -> None:
    with db.write() as connection:
        note(connection, 1)
    for words in (f"UPDATE {table} SET subject = 'x'", f"DELETE FROM {table}"):  # noqa: S608
        with pytest.raises(DBAPIError, match="append-only"), db.write() as connection:
            connection.execute(text(words))


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_tampering_with_the_rows_is_found(db: Database, data: st.DataObject) -> None:
    with suppress(Undo), db.write() as connection:
        unguard(connection)
        note(connection, 5)
        noted = head(connection)
        assert verify(connection, noted) == []
        tamper(connection, data)
        assert verify(connection, noted) != []
        raise Undo


def tamper(connection: Connection, data: st.DataObject) -> None:
    seq = data.draw(st.integers(1, 5))
    target = AuditEvent.seq == seq
    match data.draw(st.sampled_from(["change", "remove", "move", "add"])):
        case "change":
            column = data.draw(st.sampled_from(COLUMNS))
            old = connection.execute(select(column).where(target)).scalar_one()
            connection.execute(update(AuditEvent).where(target).values({column.name: other(old)}))
        case "remove":
            connection.execute(delete(AuditEvent).where(target))
        case "move":
            connection.execute(update(AuditEvent).where(target).values(seq=9))
        case _:
            copied = connection.execute(select(*AuditEvent.__table__.columns).where(target)).one()
            connection.execute(insert(AuditEvent).values(copied._asdict() | {"seq": 6}))


def other(value: Any) -> Any:
    if isinstance(value, bytes):
        return bytes(byte ^ 1 for byte in value)
    return value + "!" if isinstance(value, str) else value.replace(year=value.year - 1)


def test_entries_are_found_by_what_they_say(db: Database) -> None:
    with db.write() as connection:
        note(connection, 2)
        record(connection, Event.MESSAGE_RAW, ODD, "msg_0")
    with db.read() as connection:

        def found(before: int | None = None, **wanted: Any) -> list[int]:
            links = page(connection, Filter(**wanted), before=before, limit=10)
            return [link.entry.seq for link in links]

        first = connection.execute(select(func.min(AuditEvent.at))).scalar_one()
        assert found() == [3, 2, 1]
        assert found(before=3) == [2, 1]
        assert found(event=Event.MESSAGE_RAW) == [3]
        assert found(actor="operator") == [2, 1]
        assert found(subject="msg_0") == [3, 1]
        assert found(since=first) == [3, 2, 1]
        assert found(until=first) == []


def test_the_list_of_guarded_tables_names_real_ones() -> None:
    assert set(APPEND_ONLY) <= Base.metadata.tables.keys()
