"""Every query of screening's rows."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from app.archive.models import record_id
from app.foundation.database import chunks, exclusive, insert_new
from app.screening.domain import Finding, Outcome, Severity
from app.screening.models import FindingRow

_LOOKUP = 500


class Found(NamedTuple):
    """A stored finding. `record` carries it, with `earlier` ones before; `start` and `end` lie in `spoken`."""

    id: int
    record: int
    earlier: tuple[int, ...]
    spoken: int
    category: str
    outcome: Outcome
    severity: Severity
    start: int
    end: int
    phrase: str
    canonical: str
    evasion: str | None
    rule: str
    lexicon_version: str
    explanation: str
    basis: str
    suggestion: str
    confidence: float


_COLUMNS = (
    FindingRow.id,
    FindingRow.record_id,
    FindingRow.earlier,
    FindingRow.spoken_id,
    FindingRow.category,
    FindingRow.outcome,
    FindingRow.severity,
    FindingRow.start,
    FindingRow.end,
    FindingRow.phrase,
    FindingRow.canonical,
    FindingRow.evasion,
    FindingRow.rule,
    FindingRow.lexicon_version,
    FindingRow.explanation,
    FindingRow.basis,
    FindingRow.suggestion,
    FindingRow.confidence,
)


def add(connection: Connection, rows: Sequence[dict[str, Any]]) -> list[Found]:
    """Add findings; gives those that were not there before."""
    if not rows:
        return []
    exclusive(
        connection, "findings"
    )  # whoever follows their numbers must not see a later one first
    last = last_id(connection)
    insert_new(connection, FindingRow, rows)
    return after(connection, last, len(rows))


def after(connection: Connection, last: int, limit: int) -> list[Found]:
    """The findings added after number `last`, in order."""
    query = select(*_COLUMNS).where(FindingRow.id > last).order_by(FindingRow.id).limit(limit)
    return [_found(row) for row in connection.execute(query)]


def of_records(connection: Connection, records: Iterable[int]) -> list[Found]:
    """The findings carried by the given records, as last message or as an earlier one's place."""
    found: list[Found] = []
    for part in chunks(list(records), _LOOKUP):
        query = (
            select(*_COLUMNS)
            .where(FindingRow.record_id.in_(part))
            .order_by(FindingRow.record_id, FindingRow.start, FindingRow.id)
        )
        found += [_found(row) for row in connection.execute(query)]
    return found


def last_id(connection: Connection) -> int:
    """The last finding's number, for those who follow findings; 0 before the first."""
    return connection.execute(select(func.max(FindingRow.id))).scalar() or 0


def touched_after(
    connection: Connection, corp_id: int, last: int, limit: int
) -> list[tuple[int, int]]:
    """Number and record of the findings of one corp added after number `last`, in order."""
    query = (
        select(FindingRow.id, FindingRow.record_id)
        .where(
            FindingRow.id > last,
            FindingRow.record_id > record_id(corp_id, 0),
            FindingRow.record_id < record_id(corp_id + 1, 0),
        )
        .order_by(FindingRow.id)
        .limit(limit)
    )
    return [(row.id, row.record_id) for row in connection.execute(query)]


def row_of(finding: Finding, records: Sequence[int], found_at: Any) -> dict[str, Any]:
    """The row of a finding in a window whose messages are the given records."""
    touched = [records[index] for index in finding.at]
    return {
        "record_id": max(touched),
        "earlier": json.dumps(sorted(touched)[:-1]),
        "spoken_id": records[finding.message],
        "category": finding.category,
        "outcome": finding.outcome,
        "severity": finding.severity,
        "start": finding.start,
        "end": finding.end,
        "phrase": finding.phrase,
        "canonical": finding.canonical,
        "evasion": finding.evasion,
        "rule": finding.rule,
        "lexicon_version": finding.lexicon_version,
        "explanation": finding.explanation,
        "basis": finding.basis,
        "suggestion": finding.suggestion,
        "confidence": finding.confidence,
        "found_at": found_at,
    }


def _found(row: Any) -> Found:
    fields = Found(*row)
    return fields._replace(
        earlier=tuple(json.loads(row.earlier)),
        outcome=Outcome(fields.outcome),
        severity=Severity(fields.severity),
    )
