"""Every query of notices, deliveries, contacts and absences."""

from collections.abc import Collection, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, insert, select, update

from app.access import Holder, employee_of_user
from app.foundation import clock
from app.foundation.database import insert_new, upsert
from app.foundation.errors import NotFound
from app.oversight.domain import State
from app.oversight.letters import Told
from app.oversight.models import Absence, Alert, Contact, Delivery, Notice
from app.people import employee_key

BATCH = 200  # notices of one letter
LOCK = "notices"  # adding notices and noting a delivery take turns, so that none is left waiting unseen


class NoticeState(StrEnum):
    """等待, 已送达, 无须再送, 失败."""

    WAITING = "waiting"
    SENT = "sent"
    SKIPPED = "skipped"
    DEAD = "dead"


class NoticeRow(NamedTuple):
    """A notice as people see it."""

    id: int
    alert: str
    user_id: str
    user_name: str
    channel: str
    occasion: str
    state: NoticeState
    attempts: int
    failure: str
    not_before: datetime
    created_at: datetime
    ended_at: datetime | None


class Waiting(NamedTuple):
    """A notice that waits, and what is told."""

    id: int
    attempts: int
    told: Told


class AbsenceRow(NamedTuple):
    """Somebody's absence."""

    id: int
    user_id: str
    stand_in: str | None
    since: datetime
    until: datetime


_COLUMNS = (
    Notice.id,
    Alert.id.label("alert"),
    *(getattr(Notice, name) for name in NoticeRow._fields[2:]),
)


def add(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Add notices; one that is there already stays as it is."""
    insert_new(connection, Notice, rows)


def waiting(connection: Connection, user_id: str, channel: str, now: datetime) -> list[Waiting]:
    """What somebody is to be told now on a channel; of alerts resolved meanwhile nothing."""
    told = (getattr(Alert, name) for name in Told._fields[1:-1])
    query = (
        select(Notice.id, Notice.attempts, Alert.id.label("alert"), *told, Notice.occasion)
        .join(Alert, Alert.number == Notice.alert_number)
        .where(*_of(user_id, channel), Notice.not_before <= now)
        .order_by(Notice.id)
        .limit(BATCH)
    )
    return [Waiting(row[0], row[1], Told(*row[2:])) for row in connection.execute(query)]


def skip_resolved(connection: Connection, user_id: str, channel: str) -> None:
    """Let go of what waits about alerts that have been resolved."""
    resolved = select(Alert.number).where(Alert.state == State.RESOLVED)
    connection.execute(
        update(Notice)
        .where(*_of(user_id, channel), Notice.alert_number.in_(resolved))
        .values(state=NoticeState.SKIPPED, ended_at=clock.now())
    )


def next_due(connection: Connection, user_id: str, channel: str) -> datetime | None:
    """When the next waiting notice may be told; None when none waits."""
    query = select(func.min(Notice.not_before)).where(*_of(user_id, channel))
    moment: datetime | int | None = connection.execute(query).scalar()
    return clock.from_ms(moment) if isinstance(moment, int) else moment


def _of(user_id: str, channel: str) -> tuple[Any, ...]:
    return (
        Notice.user_id == user_id,
        Notice.channel == channel,
        Notice.state == NoticeState.WAITING,
    )


def settle(connection: Connection, ids: Collection[int], **values: Any) -> None:
    """Say what became of some notices that were waiting."""
    connection.execute(
        update(Notice)
        .where(Notice.id.in_(ids), Notice.state == NoticeState.WAITING)
        .values(**values)
    )


class Tried(NamedTuple):
    """A letter that was sent, or tried to be."""

    id: int
    at: datetime
    failure: str


def last_delivery(connection: Connection, user_id: str, channel: str) -> Tried | None:
    """The last letter to a receiver on a channel."""
    query = (
        select(Delivery.id, Delivery.at, Delivery.failure)
        .where(Delivery.user_id == user_id, Delivery.channel == channel)
        .order_by(Delivery.id.desc())
        .limit(1)
    )
    row = connection.execute(query).first()
    return Tried(*row) if row else None


def note_delivery(
    connection: Connection, user_id: str, channel: str, notices: int, failure: str
) -> int:
    """Write down that a message was tried; gives its number."""
    row = {
        "user_id": user_id,
        "channel": channel,
        "at": clock.now(),
        "notices": notices,
        "failure": failure,
    }
    made = connection.execute(insert(Delivery).values(row).returning(Delivery.id))
    return int(made.scalar_one())


def of_alert(connection: Connection, number: int) -> list[NoticeRow]:
    """Whom an alert was told to, oldest first."""
    query = select(*_COLUMNS).join(Alert, Alert.number == Notice.alert_number)
    query = query.where(Notice.alert_number == number).order_by(Notice.id)
    return [_notice(row) for row in connection.execute(query)]


def page(
    connection: Connection, state: NoticeState | None, *, before: int | None, limit: int
) -> list[NoticeRow]:
    """Notices, newest first."""
    query = select(*_COLUMNS).join(Alert, Alert.number == Notice.alert_number)
    query = query.order_by(Notice.id.desc()).limit(limit)
    if state is not None:
        query = query.where(Notice.state == state)
    if before is not None:
        query = query.where(Notice.id < before)
    return [_notice(row) for row in connection.execute(query)]


def revive(connection: Connection, notice: int) -> tuple[str, str]:
    """Let a dead letter wait again; gives its receiver and channel. Raises NotFound when there is none such."""
    revived = connection.execute(
        update(Notice)
        .where(Notice.id == notice, Notice.state == NoticeState.DEAD)
        .values(state=NoticeState.WAITING, attempts=0, not_before=clock.now(), ended_at=None)
        .returning(Notice.user_id, Notice.channel)
    ).one_or_none()
    if revived is None:
        raise NotFound("没有这样的失败通知")
    return revived.user_id, revived.channel


def address(connection: Connection, user_id: str, channel: str) -> str | None:
    """Where a user is reached; on WeCom by her own userid unless another is set."""
    query = select(Contact.address).where(Contact.user_id == user_id, Contact.channel == channel)
    found: str | None = connection.execute(query).scalar()
    if found is not None or channel != "wecom":
        return found
    employee = employee_of_user(connection, user_id)
    key = None if employee is None else employee_key(connection, employee)
    return key[1] if key else None


def set_address(connection: Connection, user_id: str, channel: str, place: str) -> None:
    """Say where a user is reached on a channel; empty takes it away."""
    row = {"user_id": user_id, "channel": channel, "address": place}
    upsert(connection, Contact, [row], ["user_id", "channel"])


def away(connection: Connection, at: datetime | None = None) -> dict[str, str | None]:
    """Who is away at a moment (now, unless given), and who stands in."""
    moment = at or clock.now()
    query = select(Absence.user_id, Absence.stand_in).where(
        Absence.since <= moment, Absence.until > moment, Absence.cancelled_at.is_(None)
    )
    return {row.user_id: row.stand_in for row in connection.execute(query.order_by(Absence.id))}


def absences(connection: Connection, since: datetime) -> list[AbsenceRow]:
    """Every absence that ends after a moment."""
    columns = (getattr(Absence, name) for name in AbsenceRow._fields)
    query = select(*columns).where(Absence.until > since, Absence.cancelled_at.is_(None))
    return [AbsenceRow(*row) for row in connection.execute(query.order_by(Absence.since))]


def add_absence(
    connection: Connection,
    holder: Holder,
    stand_in: str | None,
    since: datetime,
    until: datetime,
    actor: str,
) -> None:
    """Note that somebody will be away."""
    row = {
        "user_id": holder.id,
        "stand_in": stand_in,
        "since": since,
        "until": until,
        "actor": actor,
    }
    connection.execute(insert(Absence).values(row))


def cancel_absence(connection: Connection, absence: int) -> None:
    """Somebody will not be away after all; raises NotFound."""
    changed = connection.execute(
        update(Absence)
        .where(Absence.id == absence, Absence.cancelled_at.is_(None))
        .values(cancelled_at=clock.now())
    )
    if changed.rowcount != 1:
        raise NotFound("没有这条缺席安排")


def _notice(row: Any) -> NoticeRow:
    fields = NoticeRow(*row)
    return fields._replace(state=NoticeState(fields.state))
