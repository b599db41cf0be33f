"""Every query of alerts. What a supervisor may see is what he may see of the message alerted."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, func, insert, select, update

from app.access import Scope
from app.archive.models import Record, record_id
from app.archive.store import visible
from app.foundation.database import exclusive, insert_new
from app.foundation.errors import NotFound
from app.oversight.domain import State, Step
from app.oversight.models import Alert, AlertStep
from app.people import departments_named, subtree


class AlertNotFound(NotFound):
    """There is no such alert, or the caller may not know of it."""

    code = "alert_not_found"
    title = "没有这条预警"


class AlertRow(NamedTuple):
    """An alert as it stands."""

    number: int
    id: str
    record_id: int
    severity: str
    category: str
    state: State
    owner: str | None
    owner_name: str | None
    disposition: str | None
    raised_at: datetime
    changed_at: datetime


class StepRow(NamedTuple):
    """An entry of an alert's history."""

    at: datetime
    step: Step
    state: State
    actor: str
    actor_name: str
    disposition: str | None
    note: str


class Wanted(NamedTuple):
    """Which alerts a list shows; empty is any. `since` is when they were raised, departments by number or code."""

    states: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    departments: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None


_COLUMNS = tuple(getattr(Alert, name) for name in AlertRow._fields)
_STEP_COLUMNS = tuple(getattr(AlertStep, name) for name in StepRow._fields)


def of_records(connection: Connection, records: Collection[int]) -> dict[int, AlertRow]:
    """The alerts that the given records already have; for followers, so without a scope."""
    query = select(*_COLUMNS).where(Alert.record_id.in_(records))
    return {row.record_id: _alert(row) for row in connection.execute(query)}


def add(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Add alerts for records that have none."""
    insert_new(connection, Alert, rows)


def change(connection: Connection, alert: AlertRow, values: dict[str, Any]) -> bool:
    """Change an alert unless somebody has changed its state meanwhile."""
    changed = connection.execute(
        update(Alert).where(Alert.number == alert.number, Alert.state == alert.state).values(values)
    )
    return changed.rowcount == 1


def add_step(connection: Connection, number: int, step: StepRow) -> None:
    """Append to an alert's history, in turn: whoever follows the numbers must not see a later one first."""
    exclusive(connection, "alert_steps")
    connection.execute(insert(AlertStep).values(alert_number=number, **step._asdict()))


def read_page(
    connection: Connection, wanted: Wanted, scope: Scope, *, before: int | None, limit: int
) -> list[AlertRow]:
    """Alerts within the scope, newest first."""
    query = _in_scope(connection, scope).order_by(Alert.number.desc()).limit(limit)
    if before is not None:
        query = query.where(Alert.number < before)
    if wanted.states:
        query = query.where(Alert.state.in_(wanted.states))
    if wanted.severities:
        query = query.where(Alert.severity.in_(wanted.severities))
    if wanted.categories:
        query = query.where(Alert.category.in_(wanted.categories))
    if wanted.departments:
        meant = subtree(connection, departments_named(connection, wanted.departments))
        query = query.where(visible(connection, Scope(meant, None)))
    if wanted.since:
        query = query.where(Alert.raised_at >= wanted.since)
    if wanted.until:
        query = query.where(Alert.raised_at < wanted.until)
    return [_alert(row) for row in connection.execute(query)]


def read_one(connection: Connection, name: str, scope: Scope) -> AlertRow:
    """One alert by its id; raises `AlertNotFound`."""
    row = connection.execute(_in_scope(connection, scope).where(Alert.id == name)).one_or_none()
    if row is None:
        raise AlertNotFound
    return _alert(row)


def history(connection: Connection, alert: AlertRow) -> list[StepRow]:
    """Everything that happened to an alert, oldest first."""
    query = (
        select(*_STEP_COLUMNS).where(AlertStep.alert_number == alert.number).order_by(AlertStep.id)
    )
    return [
        StepRow(*row)._replace(step=Step(row.step), state=State(row.state))
        for row in connection.execute(query)
    ]


def last_id(connection: Connection) -> int:
    """The last step's number, for those who follow the steps; 0 before the first."""
    return connection.execute(select(func.max(AlertStep.id))).scalar() or 0


def touched_after(
    connection: Connection, corp_id: int, last: int, limit: int
) -> list[tuple[int, int]]:
    """Number and record of the steps taken after number `last` on one corp's alerts, in order."""
    query = (
        select(AlertStep.id, Alert.record_id)
        .join(Alert, Alert.number == AlertStep.alert_number)
        .where(
            AlertStep.id > last,
            Alert.record_id > record_id(corp_id, 0),
            Alert.record_id < record_id(corp_id + 1, 0),
        )
        .order_by(AlertStep.id)
        .limit(limit)
    )
    return [(row.id, row.record_id) for row in connection.execute(query)]


def _in_scope(connection: Connection, scope: Scope) -> Select[Any]:
    return (
        select(*_COLUMNS)
        .join(Record, Record.id == Alert.record_id)
        .where(visible(connection, scope))
    )


def _alert(row: Any) -> AlertRow:
    fields = AlertRow(*row)
    return fields._replace(state=State(fields.state))
