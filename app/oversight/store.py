"""Every query of alerts. What a supervisor may see is what he may see of the message alerted."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    exists,
    func,
    insert,
    or_,
    select,
    tuple_,
    update,
)

from app.access import Scope
from app.archive.models import AudienceParty, Record, record_id
from app.archive.store import visible
from app.foundation.database import chunks, exclusive, insert_new
from app.foundation.errors import NotFound
from app.oversight.domain import ESTABLISHED, JOINABLE, Open, State, Step
from app.oversight.models import Alert, AlertRecord, AlertStep
from app.people import departments_named, employee_key, subtree
from app.screening.models import FindingRow

_LOOKUP = 500


class AlertNotFound(NotFound):
    """There is no such alert, or the caller may not know of it."""

    code = "alert_not_found"
    title = "没有这条预警"


class AlertRow(NamedTuple):
    """An alert as it stands."""

    number: int
    id: str
    record_id: int
    last_record_id: int
    corp_id: int
    conversation_id: int
    adviser: str
    department_id: int | None
    severity: str
    found_severity: str
    category: str
    state: State
    level: int
    owner: str | None
    owner_name: str | None
    proposed_by: str | None
    disposition: str | None
    messages: int
    last_at: datetime
    raised_at: datetime
    changed_at: datetime
    claimed_at: datetime | None
    resolved_at: datetime | None
    remind_at: datetime | None
    due_at: datetime | None


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
    """Which alerts a list shows; empty is any. `since` is when they were raised, departments by number or code.

    `owner` is a user's id, or `none` for those nobody has; `not_proposed_by` leaves out what one cannot approve.
    """

    states: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    departments: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    dispositions: tuple[str, ...] = ()
    corp: int | None = None
    adviser: str | None = None
    owner: str | None = None
    not_proposed_by: str | None = None
    since: datetime | None = None
    until: datetime | None = None


_GROWN = (
    *("severity", "found_severity", "category", "last_record_id", "last_at", "messages"),
    *("changed_at", "remind_at", "due_at"),
)
COLUMNS = tuple(getattr(Alert, name) for name in AlertRow._fields)
_STEP_COLUMNS = tuple(getattr(AlertStep, name) for name in StepRow._fields)


def of_records(connection: Connection, records: Collection[int]) -> dict[int, AlertRow]:
    """The alerts that the given records already have; for followers, so without a scope."""
    found: dict[int, AlertRow] = {}
    for part in chunks(list(records), _LOOKUP):
        query = (
            select(AlertRecord.record_id.label("of"), *COLUMNS)
            .join(Alert, Alert.number == AlertRecord.alert_number)
            .where(AlertRecord.record_id.in_(part))
        )
        found |= {row.of: as_alert(row[1:]) for row in connection.execute(query)}
    return found


def joinable(
    connection: Connection, conversations: Collection[int]
) -> dict[tuple[int, str], AlertRow]:
    """The newest open alert of each adviser in each conversation, locked until the transaction ends."""
    found: dict[tuple[int, str], AlertRow] = {}
    for part in chunks(sorted(conversations), _LOOKUP):
        query = (
            select(*COLUMNS)
            .where(Alert.conversation_id.in_(part), Alert.state.in_(JOINABLE))
            .order_by(Alert.number)
            .with_for_update()
        )
        for row in connection.execute(query):
            found[row.conversation_id, row.adviser] = as_alert(row)
    return found


def numbered(connection: Connection, numbers: Collection[int]) -> dict[int, AlertRow]:
    """Alerts by number; for jobs, so without a scope."""
    query = select(*COLUMNS).where(Alert.number.in_(set(numbers)))
    return {row.number: as_alert(row) for row in connection.execute(query)}


def as_open(alert: AlertRow) -> Open:
    """What grouping asks of an alert."""
    return Open(alert.number, alert.last_at, alert.messages)


def established(
    connection: Connection, advisers: Collection[tuple[int, str]], since: datetime
) -> dict[tuple[int, str], int]:
    """How many breaches of each adviser, by corp and userid, were established since a moment."""
    found: dict[tuple[int, str], int] = {}
    for part in chunks(sorted(advisers), _LOOKUP):
        query = (
            select(Alert.corp_id, Alert.adviser, func.count())
            .where(
                tuple_(Alert.corp_id, Alert.adviser).in_(part),
                Alert.disposition.in_(ESTABLISHED),
                Alert.state == State.RESOLVED,
                Alert.raised_at >= since,
            )
            .group_by(Alert.corp_id, Alert.adviser)
        )
        found |= {(corp, adviser): n for corp, adviser, n in connection.execute(query)}
    return found


def add(connection: Connection, rows: Sequence[dict[str, Any]]) -> dict[int, AlertRow]:
    """Add alerts; gives them by the first of their records."""
    insert_new(connection, Alert, rows)
    found: dict[int, AlertRow] = {}
    for part in chunks([row["record_id"] for row in rows], _LOOKUP):
        query = select(*COLUMNS).where(Alert.record_id.in_(part))
        found |= {row.record_id: as_alert(row) for row in connection.execute(query)}
    return found


def add_records(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Say which messages belong to which alerts; one that belongs already stays where it is."""
    insert_new(connection, AlertRecord, rows)


def grow(connection: Connection, alert: AlertRow) -> None:
    """Put down what further findings have made of an alert."""
    values = {name: getattr(alert, name) for name in _GROWN}
    connection.execute(update(Alert).where(Alert.number == alert.number).values(values))


def change(connection: Connection, alert: AlertRow, values: dict[str, Any]) -> bool:
    """Change an alert unless somebody has taken a step with it meanwhile."""
    changed = connection.execute(
        update(Alert)
        .where(
            Alert.number == alert.number,
            Alert.state == alert.state,
            Alert.severity == alert.severity,
            Alert.owner.is_not_distinct_from(alert.owner),
            Alert.proposed_by.is_not_distinct_from(alert.proposed_by),
        )
        .values(values)
    )
    return changed.rowcount == 1


def add_steps(connection: Connection, rows: Sequence[tuple[int, StepRow]]) -> list[int]:
    """Append to the history of alerts, in turn: whoever follows the numbers must not see a later one first.

    Gives the numbers of the steps, in the order given.
    """
    if not rows:
        return []
    exclusive(connection, "alert_steps")
    last = last_id(connection)
    values = [{"alert_number": number, **step._asdict()} for number, step in rows]
    connection.execute(insert(AlertStep), values)
    query = select(AlertStep.id).where(AlertStep.id > last).order_by(AlertStep.id)
    return list(connection.execute(query).scalars())


def read_page(
    connection: Connection, wanted: Wanted, scope: Scope, *, before: int | None, limit: int
) -> list[AlertRow]:
    """Alerts within the scope, newest first."""
    query = _in_scope(connection, scope).order_by(Alert.number.desc()).limit(limit)
    if before is not None:
        query = query.where(Alert.number < before)
    query = query.where(*_conditions(connection, wanted))
    return [as_alert(row) for row in connection.execute(query)]


def _conditions(connection: Connection, wanted: Wanted) -> Iterable[ColumnElement[bool]]:
    for column, values in (
        (Alert.state, wanted.states),
        (Alert.severity, wanted.severities),
        (Alert.category, wanted.categories),
        (Alert.disposition, wanted.dispositions),
    ):
        if values:
            yield column.in_(values)
    if wanted.departments:
        meant = subtree(connection, departments_named(connection, wanted.departments))
        yield visible(connection, Scope(meant, None))
    if wanted.rules:
        yield exists(
            select(FindingRow.id)
            .join(AlertRecord, AlertRecord.record_id == FindingRow.record_id)
            .where(AlertRecord.alert_number == Alert.number, FindingRow.rule.in_(wanted.rules))
        )
    yield from _people(wanted)
    if wanted.since:
        yield Alert.raised_at >= wanted.since
    if wanted.until:
        yield Alert.raised_at < wanted.until


def _people(wanted: Wanted) -> Iterable[ColumnElement[bool]]:
    if wanted.corp:
        yield Alert.corp_id == wanted.corp
    if wanted.adviser:
        yield Alert.adviser == wanted.adviser
    if wanted.owner:
        yield Alert.owner.is_(None) if wanted.owner == "none" else Alert.owner == wanted.owner
    if wanted.not_proposed_by:
        yield or_(Alert.proposed_by.is_(None), Alert.proposed_by != wanted.not_proposed_by)


def read_one(connection: Connection, name: str, scope: Scope) -> AlertRow:
    """One alert by its id; raises `AlertNotFound`."""
    row = connection.execute(_in_scope(connection, scope).where(Alert.id == name)).one_or_none()
    if row is None:
        raise AlertNotFound
    return as_alert(row)


def earlier(connection: Connection, alert: AlertRow, scope: Scope, limit: int) -> list[AlertRow]:
    """The alerts about the same adviser before this one, within the scope, newest first."""
    if not alert.adviser:
        return []
    query = _in_scope(connection, scope).where(
        Alert.corp_id == alert.corp_id,
        Alert.adviser == alert.adviser,
        Alert.number < alert.number,
    )
    query = query.order_by(Alert.number.desc()).limit(limit)
    return [as_alert(row) for row in connection.execute(query)]


def records_of(connection: Connection, alerts: Collection[int]) -> dict[int, list[int]]:
    """The messages of some alerts by the alert's number, in the order of the log."""
    found: dict[int, list[int]] = {number: [] for number in alerts}
    for part in chunks(list(alerts), _LOOKUP):
        query = (
            select(AlertRecord.alert_number, AlertRecord.record_id)
            .where(AlertRecord.alert_number.in_(part))
            .order_by(AlertRecord.record_id)
        )
        for number, record in connection.execute(query):
            found[number].append(record)
    return found


def takes_part(connection: Connection, alert: AlertRow, employee: int) -> bool:
    """Whether an employee is the one the alert is about, or took part in the conversation alerted."""
    key = employee_key(connection, employee)
    if key is None or key[0] != alert.corp_id:
        return False
    query = (
        select(AudienceParty.audience_id)
        .join(Record, Record.audience_id == AudienceParty.audience_id)
        .join(AlertRecord, AlertRecord.record_id == Record.id)
        .where(
            AlertRecord.alert_number == alert.number,
            AudienceParty.party_type == "employee",
            AudienceParty.party_id == key[1],
        )
        .limit(1)
    )
    return key[1] == alert.adviser or connection.execute(query).first() is not None


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
    """Number and record of the steps taken after number `last` on one corp's alerts, in order.

    A step by which messages came to an alert touches these, any other all of them; never only a part of them,
    so that there may be more than `limit`.
    """
    steps = (
        select(AlertStep.id, AlertStep.step, AlertStep.alert_number)
        .join(Alert, Alert.number == AlertStep.alert_number)
        .where(
            AlertStep.id > last,
            Alert.record_id > record_id(corp_id, 0),
            Alert.record_id < record_id(corp_id + 1, 0),
        )
        .order_by(AlertStep.id)
        .limit(limit)
        .subquery()
    )
    by_machine = steps.c.step.in_((Step.RAISE, Step.JOIN))
    query = (
        select(steps.c.id, AlertRecord.record_id)
        .join(AlertRecord, AlertRecord.alert_number == steps.c.alert_number)
        .where(or_(~by_machine, AlertRecord.step_id == steps.c.id))
        .order_by(steps.c.id, AlertRecord.record_id)
    )
    return [(row.id, row.record_id) for row in connection.execute(query)]


def _in_scope(connection: Connection, scope: Scope) -> Select[Any]:
    return (
        select(*COLUMNS)
        .join(Record, Record.id == Alert.record_id)
        .where(visible(connection, scope))
    )


def as_alert(row: Any) -> AlertRow:
    """A row of `COLUMNS`."""
    fields = AlertRow(*row)
    return fields._replace(state=State(fields.state))
