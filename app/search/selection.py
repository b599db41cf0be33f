# ruff: noqa: S608 - statements are put together from fixed pieces; every value is bound
"""Which messages of the embedded index a search means, as one SELECT. Pure functions."""

import json
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from app.search import fts
from app.search.domain import first_rid
from app.search.filters import Filters

FIRST, LAST = -(1 << 63), (1 << 63) - 1  # what SQLite can number
Bounds: TypeAlias = tuple[int, int]


class Selection(NamedTuple):
    """SQL with what is bound in it."""

    sql: str
    bindings: tuple[str | int, ...]


def bounds(filters: Filters) -> Bounds:
    """The smallest and the largest number within the time that is asked for."""
    lowest = FIRST if filters.since is None else first_rid(filters.since)
    highest = LAST if filters.until is None else first_rid(filters.until) - 1
    return lowest, max(FIRST, highest)


def beyond(filters: Filters, last: int | None) -> Bounds:
    """The same, after the last message of the previous page."""
    lowest, highest = bounds(filters)
    if last is None:
        return lowest, highest
    if filters.order == "newest":
        return lowest, min(highest, max(last, FIRST + 1) - 1)
    return max(lowest, min(last, LAST - 1) + 1), highest


def select(match: str | None, filters: Filters, within: Bounds) -> Selection:
    """A SELECT of the column `rid`, each once, without order or limit; `match` is `fts.expression`'s."""
    base, rid, given = _base(match, filters, within)
    further = [*given, *_staff(filters, rid)]
    texts = "".join(f" AND {each.sql}" for each in further)
    values = [value for each in (base, *further) for value in each.bindings]
    return Selection(base.sql + texts, tuple(values))


def _base(
    match: str | None, filters: Filters, within: Bounds
) -> tuple[Selection, str, list[Selection]]:
    """Where to begin, the name of the number there, and what of the notes is still to be asked."""
    noted, recalled = _noted(filters, within), _recalled(filters, within)
    if match is not None:
        sql = "SELECT rowid AS rid FROM ft WHERE ft MATCH ? AND rowid BETWEEN ? AND ?"
        return Selection(sql, (match, *within)), "+ft.rowid", _among("+ft.rowid", noted, recalled)
    if filters.by_finding():
        sql = f"SELECT DISTINCT hit.rid FROM hit WHERE hit.rid BETWEEN ? AND ? AND {_wanted(filters)[0]}"
        start = Selection(sql, (*within, *_wanted(filters)[1]))
        return start, "hit.rid", _among("hit.rid", recalled)
    if filters.recalled:
        sql = "SELECT recalled.rid FROM recalled WHERE recalled.rid BETWEEN ? AND ?"
        return Selection(sql, within), "recalled.rid", []
    sql = "SELECT doc.rid FROM doc WHERE doc.rid BETWEEN ? AND ?"
    return Selection(sql, within), "doc.rid", _among("doc.rid", recalled)


def _among(rid: str, *asked: Selection | None) -> list[Selection]:
    return [Selection(f"{rid} {each.sql}", each.bindings) for each in asked if each is not None]


def _noted(filters: Filters, within: Bounds) -> Selection | None:
    if not filters.by_finding():
        return None
    wanted, values = _wanted(filters)
    sql = f"IN (SELECT rid FROM hit WHERE rid BETWEEN ? AND ? AND {wanted})"
    return Selection(sql, (*within, *values))


def _recalled(filters: Filters, within: Bounds) -> Selection | None:
    if filters.recalled is None:
        return None
    word = "IN" if filters.recalled else "NOT IN"
    return Selection(f"{word} (SELECT rid FROM recalled WHERE rid BETWEEN ? AND ?)", within)


def _wanted(filters: Filters) -> tuple[str, tuple[str, ...]]:
    columns = (
        ("category", filters.categories),
        ("severity", filters.severities),
        ("state", filters.states),
    )
    asked = [(column, values) for column, values in columns if values]
    texts = [f"{column} IN ({', '.join('?' * len(values))})" for column, values in asked]
    return " AND ".join(texts), tuple(value for _, values in asked for value in values)


def _staff(filters: Filters, rid: str) -> list[Selection]:
    """Long lists of people, looked up once: a message then costs the same for ten advisers and for ten thousand."""
    conditions = [
        _any_member(kind, values)
        for kind, values in (
            (fts.EMPLOYEE, filters.advisers),
            (fts.DEPARTMENT, filters.departments),
        )
        if fts.is_long(values)
    ]
    visible = filters.visible
    if visible is not None and fts.is_long(visible.departments):
        seen = _any_member(fts.DEPARTMENT, sorted(visible.departments))
        if visible.employee is not None:
            corp_id, name = visible.employee
            seen = Selection(
                f"{seen.sql} UNION SELECT staff FROM member JOIN staff ON staff.id = member.staff"
                " WHERE tag = ? AND corp_id = ?",
                (*seen.bindings, fts.tag(fts.EMPLOYEE, name), corp_id),
            )
        conditions.append(seen)
    own = "doc.staff" if rid == "doc.rid" else f"(SELECT doc.staff FROM doc WHERE doc.rid = {rid})"
    return [Selection(f"{own} IN ({each.sql})", each.bindings) for each in conditions]


def _any_member(kind: str, values: Iterable[object]) -> Selection:
    tags = json.dumps([fts.tag(kind, value) for value in values])
    sql = "SELECT staff FROM member WHERE tag IN (SELECT value FROM json_each(?))"
    return Selection(sql, (tags,))
