# ruff: noqa: S608 - statements are put together from fixed pieces; every value is bound
"""Counting what the embedded index finds by adviser, department, category and month."""

import json
from collections import Counter
from datetime import UTC, datetime, tzinfo

import apsw

from app.search import selection
from app.search.domain import (
    EPOCH_MS,
    FACET_CAP,
    FACET_ROWS,
    SLOT_BITS,
    Facets,
)
from app.search.filters import Filters

_QUARTER_MS = 15 * 60 * 1000  # every zone's months begin at one


def count(connection: apsw.Connection, match: str | None, filters: Filters, zone: tzinfo) -> Facets:
    """The facets of a search, in one pass over what it finds."""
    found = selection.select(match, filters, selection.bounds(filters))
    sql = (
        f"WITH found AS MATERIALIZED ({found.sql} ORDER BY rid DESC LIMIT {FACET_CAP})"
        " SELECT 'staff', doc.staff, count(*) FROM found JOIN doc USING (rid) GROUP BY 2"
        f" UNION ALL SELECT 'time', (rid >> {SLOT_BITS}) / {_QUARTER_MS}"
        f" - ((rid >> {SLOT_BITS}) % {_QUARTER_MS} < 0), count(*) FROM found GROUP BY 2"
        " UNION ALL SELECT 'category', category, count(DISTINCT found.rid)"
        " FROM found JOIN hit ON hit.rid = found.rid GROUP BY 2"
    )
    counted: dict[str, Counter[int | str]] = {"staff": Counter(), "time": Counter()}
    counted["category"] = Counter()
    for kind, value, number in connection.execute(sql, found.bindings):
        counted[kind][value] += number
    advisers, departments = _people(connection, counted["staff"])
    seen = counted["staff"].total()
    return Facets(
        advisers=dict(advisers.most_common(FACET_ROWS)),
        departments=dict(departments.most_common()),
        categories={str(each): number for each, number in counted["category"].most_common()},
        months=_months(counted["time"], zone),
        counted=seen,
        relation="gte" if seen >= FACET_CAP else "eq",
    )


def _people(
    connection: apsw.Connection, staff: Counter[int | str]
) -> tuple[Counter[str], Counter[int]]:
    advisers: Counter[str] = Counter()
    departments: Counter[int] = Counter()
    sql = (
        "SELECT id, employees, departments FROM staff WHERE id IN (SELECT value FROM json_each(?))"
    )
    for number, names, places in connection.execute(sql, (json.dumps(list(staff)),)):
        for name in json.loads(names):
            advisers[name] += staff[number]
        for place in json.loads(places):
            departments[place] += staff[number]
    return advisers, departments


def _months(quarters: Counter[int | str], zone: tzinfo) -> dict[str, int]:
    months: Counter[str] = Counter()
    for quarter, number in sorted(quarters.items()):
        seconds = (EPOCH_MS + int(quarter) * _QUARTER_MS) // 1000
        months[f"{datetime.fromtimestamp(seconds, UTC).astimezone(zone):%Y-%m}"] += number
    return dict(months)
