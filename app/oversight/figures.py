"""Every query of the figures; who sees an alert counts it."""

from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, and_, func, or_, select

from app.access import Scope
from app.archive.models import AudienceParty, Record
from app.archive.store import visible
from app.foundation import clock
from app.oversight.learning import Precision, Span, precision
from app.oversight.models import Alert
from app.oversight.tallies import (
    Backlog,
    Counted,
    Row,
    Times,
    Week,
    backlog,
    rows_by,
    times,
    weeks,
)
from app.people.models import Department, Employee, Membership

NOWHERE = ""  # the key of alerts about nobody's department


class Figures(NamedTuple):
    """The whole page: messages sent and alerts raised in the span; the backlog is today's."""

    messages: int
    alerts: int
    per_thousand: float | None
    departments: list[Row]
    categories: list[Row]
    rules: list[Precision]
    to_claim: Times
    to_close: Times
    backlog: Backlog
    weeks: list[Week]


def figures(
    connection: Connection, scope: Scope, since: datetime, until: datetime, zone: ZoneInfo
) -> Figures:
    """What was raised from `since` up to `until`, within the scope; departments are by name."""
    alerts = _alerts(connection, scope, since, until)
    names = {row.id: row.name for row in connection.execute(select(Department.id, Department.name))}
    sent = _messages(connection, scope, since, until)
    by_department = {
        names[number]: count
        for number, count in _messages_by_department(connection, scope, since, until).items()
    }
    everything = _alerts(connection, scope, None, None)
    return Figures(
        messages=sent,
        alerts=len(alerts),
        per_thousand=round(len(alerts) * 1000 / sent, 3) if sent else None,
        departments=rows_by(
            alerts, lambda each: names.get(each.department_id or 0, NOWHERE), by_department
        ),
        categories=rows_by(
            alerts, lambda each: each.category, dict.fromkeys({a.category for a in alerts}, sent)
        ),
        rules=precision(connection, scope, Span(since, until)),
        to_claim=times(alerts, lambda each: each.claimed_at),
        to_close=times(alerts, lambda each: each.resolved_at),
        backlog=backlog(everything, clock.now()),
        weeks=weeks(alerts, zone),
    )


def _alerts(
    connection: Connection, scope: Scope, since: datetime | None, until: datetime | None
) -> list[Counted]:
    """Alerts raised in a span; without one those that are not resolved."""
    query = (
        select(*(getattr(Alert, name) for name in Counted._fields))
        .join(Record, Record.id == Alert.record_id)
        .where(visible(connection, scope))
    )
    if since is None or until is None:
        query = query.where(Alert.state != "resolved")
    else:
        query = query.where(Alert.raised_at >= since, Alert.raised_at < until)
    return [Counted(*row) for row in connection.execute(query)]


def _messages(connection: Connection, scope: Scope, since: datetime, until: datetime) -> int:
    query = (
        select(func.count())
        .select_from(Record)
        .where(Record.received_at >= since, Record.received_at < until, visible(connection, scope))
    )
    return connection.execute(query).scalar_one()


def _messages_by_department(
    connection: Connection, scope: Scope, since: datetime, until: datetime
) -> dict[int, int]:
    """Messages with somebody of a department, as it was then."""
    query = (
        select(Membership.department_id, func.count(Record.id.distinct()))
        .select_from(Record)
        .join(
            AudienceParty,
            and_(
                AudienceParty.audience_id == Record.audience_id,
                AudienceParty.party_type == "employee",
            ),
        )
        .join(
            Employee,
            and_(Employee.userid == AudienceParty.party_id, Employee.corp_id == Record.corp_id),
        )
        .join(Membership, Membership.employee_id == Employee.id)
        .where(
            Record.received_at >= since,
            Record.received_at < until,
            Membership.start_at <= Record.sent_at,
            or_(Membership.end_at.is_(None), Membership.end_at > Record.sent_at),
            visible(connection, scope),
        )
        .group_by(Membership.department_id)
    )
    return {department: count for department, count in connection.execute(query)}  # noqa: C416
