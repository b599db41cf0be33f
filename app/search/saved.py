"""Saved searches: kept by their owner, run by whoever they are shared with, counted for the owner's alert.

Sharing shares the words and never the sight: every run, and every count, has the scope of the one it is for.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, delete, func, insert, or_, select, update

from app.access import Caller
from app.foundation import clock
from app.foundation.errors import BadInput, Conflict, NotFound
from app.foundation.ids import new_id
from app.search.asked import Asked
from app.search.models import SavedSearch

MOST_SAVED = 200  # by one owner


class SavedNotFound(NotFound):
    """There is no such saved search, or it is not the caller's to see or to change."""

    code = "saved_search_not_found"
    title = "没有这个已保存的检索，或它不属于您"


class TooManySaved(Conflict):
    """The owner keeps as many as anybody may."""

    code = "too_many_saved_searches"
    title = f"每人最多保存 {MOST_SAVED} 个检索，请先删除不用的"


class NobodyToTell(BadInput):
    """Only a user can be told; a token is nobody."""

    code = "nobody_to_tell"
    title = "接口令牌不能设置提醒，请以用户身份保存"


class Saved(NamedTuple):
    """A saved search as it stands."""

    number: int
    id: str
    owner: str
    owner_name: str
    name: str
    asked: str
    shared: bool
    alert_at: int | None
    baseline: int | None
    total: int | None
    checked_at: datetime | None
    reached_at: datetime | None
    created_at: datetime
    changed_at: datetime

    @property
    def wanted(self) -> Asked:
        """What it looks for."""
        return Asked.model_validate_json(self.asked)

    @property
    def grown(self) -> int:
        """By how much it has grown since the owner looked."""
        return max(0, (self.total or 0) - (self.baseline or 0))


class Wish(NamedTuple):
    """What the owner decides of a saved search."""

    name: str
    asked: Asked
    shared: bool
    alert_at: int | None

    def row(self) -> dict[str, Any]:
        """As columns; whatever was counted before is forgotten."""
        return {
            "name": self.name,
            "asked": self.asked.model_dump_json(exclude_defaults=True),
            "shared": self.shared,
            "alert_at": self.alert_at,
            "baseline": None,
            "total": None,
            "checked_at": None,
            "reached_at": None,
            "changed_at": clock.now(),
        }


_COLUMNS = tuple(getattr(SavedSearch, name) for name in Saved._fields)


def add(connection: Connection, caller: Caller, wish: Wish) -> Saved:
    """Keep a search; raises `TooManySaved`, `NobodyToTell`."""
    _require_somebody(caller, wish)
    own = select(func.count()).select_from(SavedSearch).where(SavedSearch.owner == caller.id)
    if connection.execute(own).scalar_one() >= MOST_SAVED:
        raise TooManySaved
    made = new_id("sch")
    row = wish.row() | {"id": made, "owner": caller.id, "owner_name": caller.name}
    connection.execute(insert(SavedSearch).values(row | {"created_at": row["changed_at"]}))
    return read_one(connection, made, caller)


def read_one(connection: Connection, name: str, caller: Caller) -> Saved:
    """One search that the caller owns or that is shared; raises `SavedNotFound`."""
    query = select(*_COLUMNS).where(SavedSearch.id == name, _seen(caller))
    row = connection.execute(query).one_or_none()
    if row is None:
        raise SavedNotFound
    return Saved(*row)


def read_page(
    connection: Connection, caller: Caller, *, before: int | None, limit: int
) -> list[Saved]:
    """Searches that the caller owns or that are shared, newest first."""
    query = select(*_COLUMNS).where(_seen(caller)).order_by(SavedSearch.number.desc()).limit(limit)
    if before is not None:
        query = query.where(SavedSearch.number < before)
    return [Saved(*row) for row in connection.execute(query)]


def change(connection: Connection, name: str, caller: Caller, wish: Wish) -> Saved:
    """Replace an own search; counting begins anew. Raises `SavedNotFound`, `NobodyToTell`."""
    _require_somebody(caller, wish)
    _change(connection, name, caller, wish.row())
    return read_one(connection, name, caller)


def note_seen(connection: Connection, name: str, caller: Caller) -> Saved:
    """The owner has looked: what there is now counts as known. Raises `SavedNotFound`."""
    values = {"baseline": SavedSearch.total, "reached_at": None}
    _change(connection, name, caller, values)
    return read_one(connection, name, caller)


def remove(connection: Connection, name: str, caller: Caller) -> None:
    """Forget an own search; raises `SavedNotFound`."""
    gone = connection.execute(delete(SavedSearch).where(_own(name, caller)))
    if gone.rowcount != 1:
        raise SavedNotFound


def watched(connection: Connection) -> Sequence[Saved]:
    """Every search with an alert, those not counted for longest first."""
    query = select(*_COLUMNS).where(SavedSearch.alert_at.is_not(None))
    order = SavedSearch.checked_at.asc().nulls_first(), SavedSearch.number
    return [Saved(*row) for row in connection.execute(query.order_by(*order))]


def note_total(connection: Connection, saved: Saved, total: int) -> bool:
    """Keep a count, unless the search was changed or looked at meanwhile; whether it is the one that alerts."""
    now = clock.now()
    baseline = total if saved.baseline is None else min(saved.baseline, total)
    is_new = saved.reached_at is None and total - baseline >= (saved.alert_at or 0)
    unchanged = (
        SavedSearch.number == saved.number,
        SavedSearch.changed_at == saved.changed_at,
        SavedSearch.baseline.is_not_distinct_from(saved.baseline),
    )
    values: dict[str, Any] = {"total": total, "baseline": baseline, "checked_at": now}
    kept = connection.execute(
        update(SavedSearch)
        .where(*unchanged)
        .values(values | ({"reached_at": now} if is_new else {}))
    )
    return is_new and kept.rowcount == 1


def _require_somebody(caller: Caller, wish: Wish) -> None:
    if wish.alert_at is not None and caller.kind != "user":
        raise NobodyToTell


def _change(connection: Connection, name: str, caller: Caller, values: dict[str, Any]) -> None:
    changed = connection.execute(update(SavedSearch).where(_own(name, caller)).values(values))
    if changed.rowcount != 1:
        raise SavedNotFound


def _seen(caller: Caller) -> ColumnElement[bool]:
    return or_(SavedSearch.owner == caller.id, SavedSearch.shared)


def _own(name: str, caller: Caller) -> ColumnElement[bool]:
    return (SavedSearch.id == name) & (SavedSearch.owner == caller.id)
