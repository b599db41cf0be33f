"""Legal holds: what may not go whatever the rules say. A release needs two people and a cooling period.

A hold covers whole keys (a conversation's month): every key under which one record answers it. A static hold covers
what was there when it was placed; a dynamic one is resolved again inside each disposal, so it covers what came later.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, insert, select, update

from app.access import EVERYTHING, Caller, Event, record
from app.archive.models import Record, record_id
from app.archive.store import tail
from app.evidence import selection
from app.foundation import clock
from app.foundation.database import Database, chunks, exclusive, insert_new
from app.foundation.errors import BadInput, Conflict, NotFound
from app.foundation.ids import new_id
from app.foundation.keys import KeyHold
from app.people import known_corp
from app.retention.models import LegalHold
from app.retention.schedules import LOCK, SecondPerson

_READ = 500


class HoldState(StrEnum):
    """保全中, 申请解除, 冷静期, 已解除."""

    ACTIVE = "active"
    RELEASE_ASKED = "release_asked"
    COOLING = "cooling"
    RELEASED = "released"


HOLDING = (HoldState.ACTIVE, HoldState.RELEASE_ASKED, HoldState.COOLING)


class HoldNotFound(NotFound):
    """There is no such hold."""

    code = "hold_not_found"
    title = "没有这项保全"


class Hold(NamedTuple):
    """A hold as it is kept."""

    id: str
    corp_id: int
    name: str
    reason: str
    asked: dict[str, Any]
    is_dynamic: int
    state: str
    placed_by: str
    placed_at: datetime
    release_asked_by: str | None
    release_reason: str | None
    released_by: str | None
    ends_at: datetime | None

    def covers(self) -> selection.Asked:
        """What it covers."""
        listed = {name: tuple(self.asked[name]) for name in ("adviser", "client")}
        return selection.Asked(**{**self.asked, **listed})


_COLUMNS = [getattr(LegalHold, name) for name in Hold._fields]


def place(
    db: Database,
    caller: Caller,
    *,
    corp: str,
    name: str,
    reason: str,
    asked: selection.Asked,
    is_dynamic: bool,
) -> Hold:
    """Place a hold; from then on no key of a record it covers can be destroyed."""
    if not name.strip() or not reason.strip():
        raise BadInput("保全须有名称与理由")
    with db.write() as connection:
        exclusive(connection, "append")  # nothing comes in and nothing goes meanwhile
        exclusive(connection, LOCK)
        corp_id = known_corp(connection, corp)
        if corp_id is None:
            raise BadInput(f"没有企业 {corp}")
        number = new_id("hld")
        connection.execute(
            insert(LegalHold).values(
                id=number,
                corp_id=corp_id,
                name=name,
                reason=reason,
                asked=asked._asdict(),
                is_dynamic=int(is_dynamic),
                state=HoldState.ACTIVE,
                placed_by=caller.id,
                placed_at=clock.now(),
            )
        )
        found = one(connection, number)
        _cover(connection, found, _resolved(connection, found))
        facts = {"name": name, "reason": reason, "asked": asked._asdict(), "dynamic": is_dynamic}
        record(connection, Event.HOLD_PLACE, caller, number, **facts)
        return found


def ask_release(db: Database, caller: Caller, name: str, reason: str) -> Hold:
    """Ask for a release; a reason is needed."""
    if not reason.strip():
        raise BadInput("解除保全须写明理由")
    values = {"release_asked_by": caller.id, "release_reason": reason}
    return _step(db, caller, name, HoldState.ACTIVE, HoldState.RELEASE_ASKED, **values)


def release(db: Database, caller: Caller, name: str, cooling: timedelta) -> Hold:
    """Agree to a release as another person; the hold goes on until the cooling period is over."""
    with db.read() as connection:
        found = one(connection, name)
    if caller.id == found.release_asked_by:
        raise SecondPerson
    values = {"released_by": caller.id, "ends_at": clock.now() + cooling}
    return _step(db, caller, name, HoldState.RELEASE_ASKED, HoldState.COOLING, **values)


def refuse_release(db: Database, caller: Caller, name: str) -> Hold:
    """Keep the hold after all, even in its cooling period."""
    return _step(db, caller, name, None, HoldState.ACTIVE, released_by=None, ends_at=None)


def one(connection: Connection, name: str) -> Hold:
    """A hold by its id; raises `HoldNotFound`."""
    row = connection.execute(select(*_COLUMNS).where(LegalHold.id == name)).first()
    if row is None:
        raise HoldNotFound
    return Hold(*row)


def every(connection: Connection) -> list[Hold]:
    """All holds, newest first, released ones too."""
    return [
        Hold(*row) for row in connection.execute(select(*_COLUMNS).order_by(LegalHold.id.desc()))
    ]


def refresh(
    connection: Connection, corp_id: int, buckets: Iterable[int], now: datetime
) -> set[int]:
    """Settle ended holds, resolve dynamic ones again over these keys; gives the keys that are held.

    Call it with the door closed (`exclusive(connection, "append")`).
    """
    wanted = sorted(set(buckets))
    for hold in every(connection):
        if hold.corp_id != corp_id:
            continue
        if hold.state == HoldState.COOLING and hold.ends_at is not None and hold.ends_at <= now:
            _change(connection, hold.id, state=HoldState.RELEASED)
            connection.execute(delete(KeyHold).where(KeyHold.hold == hold.id))
        elif hold.state in HOLDING and hold.is_dynamic:
            _cover(connection, hold, _resolved(connection, hold).intersection(wanted))
    held: set[int] = set()
    for part in chunks(wanted, _READ):
        query = select(KeyHold.bucket_id).where(KeyHold.bucket_id.in_(part))
        held.update(connection.execute(query).scalars())
    return held


def _resolved(connection: Connection, hold: Hold) -> set[int]:
    """The keys of all records that a hold covers now."""
    end = tail(connection, hold.corp_id)
    plan = selection.make(connection, hold.corp_id, end, hold.covers(), EVERYTHING)
    found: set[int] = set()
    chosen = [seq for seq, bare in zip(plan.seqs, plan.is_bare, strict=True) if not bare]
    for part in chunks(chosen, _READ):
        ids = [record_id(hold.corp_id, seq) for seq in part]
        found.update(
            connection.execute(select(Record.bucket_id).where(Record.id.in_(ids))).scalars()
        )
    return found


def _cover(connection: Connection, hold: Hold, buckets: Iterable[int]) -> None:
    rows = [{"bucket_id": bucket, "hold": hold.id} for bucket in sorted(buckets)]
    insert_new(connection, KeyHold, rows)


def _step(
    db: Database,
    caller: Caller,
    name: str,
    source: HoldState | None,
    target: HoldState,
    **values: Any,
) -> Hold:
    with db.write() as connection:
        exclusive(connection, LOCK)
        found = one(connection, name)
        allowed = (source,) if source else (HoldState.RELEASE_ASKED, HoldState.COOLING)
        if found.state not in allowed:
            raise Conflict(f"这项保全的状态是 {found.state}")
        _change(connection, name, state=target, **values)
        record(connection, Event.HOLD_RELEASE, caller, name, state=target, **_plain(values))
        return one(connection, name)


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != "ends_at"}


def _change(connection: Connection, name: str, **values: Any) -> None:
    connection.execute(update(LegalHold).where(LegalHold.id == name).values(**values))
