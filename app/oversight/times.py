"""Every query of the clock: which alerts have no deadline yet, which are half-way, which are late."""

from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, or_, select, update

from app.foundation.database import Database
from app.oversight.domain import TOP, State
from app.oversight.models import Alert
from app.oversight.store import COLUMNS, AlertRow, as_alert

BATCH = 500
_PENDING = (State.OPEN, State.CLAIMED, State.ESCALATED, State.PROPOSED)


def anything_due(db: Database, now: datetime) -> bool:
    """Whether the clock has anything to do; costs one look at an index."""
    with db.read() as connection:
        query = select(Alert.number).where(or_(_is_untimed(), _is_half_way(now), _is_late(now)))
        return connection.execute(query.limit(1)).first() is not None


def untimed(connection: Connection) -> list[AlertRow]:
    """Alerts to be dealt with that have no deadline."""
    return _read(connection, _is_untimed())


def half_way(connection: Connection, now: datetime) -> list[AlertRow]:
    """Alerts whose reminder is due."""
    return _read(connection, _is_half_way(now))


def late(connection: Connection, now: datetime) -> list[AlertRow]:
    """Alerts past their deadline, locked until the transaction ends."""
    return _read(connection, _is_late(now))


def reminded(connection: Connection, alerts: Collection[int]) -> None:
    """Note that the reminders were asked for."""
    if alerts:
        connection.execute(update(Alert).where(Alert.number.in_(alerts)).values(remind_at=None))


def set_times(connection: Connection, rows: Iterable[tuple[AlertRow, datetime, datetime]]) -> None:
    """Set reminders and deadlines."""
    for alert, remind_at, due_at in rows:
        connection.execute(
            update(Alert)
            .where(Alert.number == alert.number, Alert.state == alert.state)
            .values(remind_at=remind_at, due_at=due_at)
        )


def _read(connection: Connection, condition: ColumnElement[bool]) -> list[AlertRow]:
    query = select(*COLUMNS).where(condition).order_by(Alert.number).limit(BATCH).with_for_update()
    return [as_alert(row) for row in connection.execute(query)]


def _is_untimed() -> ColumnElement[bool]:
    return and_(Alert.state.in_(_PENDING), Alert.due_at.is_(None), Alert.level < TOP)


def _is_half_way(now: datetime) -> ColumnElement[bool]:
    return and_(Alert.state.in_(_PENDING), Alert.due_at.is_not(None), Alert.remind_at <= now)


def _is_late(now: datetime) -> ColumnElement[bool]:
    return and_(Alert.state.in_(_PENDING), Alert.due_at <= now)
