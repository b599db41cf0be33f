"""Schedules: lengthening holds at once, shortening needs a second person and a waiting period."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert, select, update

from app.access import Caller, Event, record
from app.foundation import clock
from app.foundation.database import Database, exclusive
from app.foundation.errors import BadInput, Conflict, Forbidden, NotFound
from app.foundation.ids import new_id
from app.people import known_corp
from app.retention.domain import (
    FLOOR_MONTHS,
    LONGEST_MONTHS,
    RecordClass,
    Rule,
    RuleState,
    Trigger,
)
from app.retention.models import RetentionEvent, RetentionRule

LOCK = "retention"


class RuleNotFound(NotFound):
    """There is no such rule."""

    code = "rule_not_found"
    title = "没有这条保存规则"


class BelowFloor(BadInput):
    """Six months is the least."""

    code = "below_floor"
    title = "保存期限不能少于六个月"


class SecondPerson(Forbidden):
    """Somebody else has to agree."""

    code = "second_person"
    title = "须由另一人批准"


class RuleRow(NamedTuple):
    """A rule as it is kept."""

    id: str
    record_class: str
    trigger: str
    months: int
    basis: str
    state: str
    created_by: str
    created_at: datetime
    decided_by: str | None
    effective_at: datetime | None


_COLUMNS = [getattr(RetentionRule, name) for name in RuleRow._fields]


def propose(
    db: Database,
    caller: Caller,
    record_class: RecordClass,
    trigger: Trigger,
    months: int,
    basis: str,
) -> RuleRow:
    """Set how long a class is kept from a trigger; shorter than now waits for a second person.

    Raises `BelowFloor`.
    """
    if months < FLOOR_MONTHS:
        raise BelowFloor(f"给出的是 {months} 个月")
    if months > LONGEST_MONTHS or not basis.strip():
        raise BadInput(f"期限最长 {LONGEST_MONTHS} 个月，并须写明依据")
    now = clock.now()
    with db.write() as connection:
        exclusive(connection, LOCK)
        settle(connection, now)
        current = [
            rule
            for rule in rows(connection, RuleState.ACTIVE)
            if (rule.record_class, rule.trigger) == (record_class, trigger)
        ]
        is_longer = all(months >= rule.months for rule in current)
        name = new_id("rul")
        connection.execute(
            insert(RetentionRule).values(
                id=name,
                record_class=record_class,
                trigger=trigger,
                months=months,
                basis=basis,
                state=RuleState.ACTIVE if is_longer else RuleState.PROPOSED,
                created_by=caller.id,
                created_at=now,
                effective_at=now if is_longer else None,
            )
        )
        if is_longer:
            _supersede(connection, name, record_class, trigger)
        facts = {"class": record_class, "trigger": trigger, "months": months, "basis": basis}
        record(connection, Event.SCHEDULE_CHANGE, caller, name, at_once=is_longer, **facts)
        return one(connection, name)


def decide(db: Database, caller: Caller, name: str, *, agree: bool, wait: timedelta) -> RuleRow:
    """Agree to a shortening, which then waits, or refuse it; raises `SecondPerson`."""
    with db.write() as connection:
        exclusive(connection, LOCK)
        found = one(connection, name)
        if found.state != RuleState.PROPOSED:
            raise Conflict(f"这条规则的状态是 {found.state}")
        if found.created_by == caller.id:
            raise SecondPerson
        values: dict[str, Any] = {"decided_by": caller.id, "state": RuleState.REJECTED}
        if agree:
            values |= {"state": RuleState.WAITING, "effective_at": clock.now() + wait}
        _change(connection, name, **values)
        record(connection, Event.SCHEDULE_CHANGE, caller, name, agree=agree)
        return one(connection, name)


def settle(connection: Connection, now: datetime) -> None:
    """Make those rules active whose waiting period is over."""
    for rule in rows(connection, RuleState.WAITING):
        if rule.effective_at is not None and rule.effective_at <= now:
            _change(connection, rule.id, state=RuleState.ACTIVE)
            _supersede(connection, rule.id, rule.record_class, rule.trigger)


def active(connection: Connection) -> list[Rule]:
    """The rules that count now."""
    return [
        Rule(row.id, RecordClass(row.record_class), Trigger(row.trigger), row.months)
        for row in rows(connection, RuleState.ACTIVE)
    ]


def rows(connection: Connection, state: RuleState | None = None) -> list[RuleRow]:
    """Rules, oldest first."""
    query = select(*_COLUMNS).order_by(RetentionRule.created_at, RetentionRule.id)
    if state is not None:
        query = query.where(RetentionRule.state == state)
    return [RuleRow(*row) for row in connection.execute(query)]


def one(connection: Connection, name: str) -> RuleRow:
    """A rule by its id; raises `RuleNotFound`."""
    row = connection.execute(select(*_COLUMNS).where(RetentionRule.id == name)).first()
    if row is None:
        raise RuleNotFound
    return RuleRow(*row)


def note_event(
    db: Database, caller: Caller, corp: str, client: str, trigger: Trigger, at: datetime, note: str
) -> str:
    """Note that something ended with a client; gives its id."""
    if trigger is Trigger.MESSAGE:
        raise BadInput("消息本身的时间不需要登记")
    with db.write() as connection:
        corp_id = known_corp(connection, corp)
        if corp_id is None:
            raise BadInput(f"没有企业 {corp}")
        name = new_id("evt")
        connection.execute(
            insert(RetentionEvent).values(
                id=name,
                corp_id=corp_id,
                client=client,
                trigger=trigger,
                at=at,
                note=note,
                created_by=caller.id,
                created_at=clock.now(),
            )
        )
        facts = {"client": client, "trigger": trigger, "at": at.isoformat()}
        record(connection, Event.SCHEDULE_CHANGE, caller, name, **facts)
    return name


def events_of(
    connection: Connection, corp_id: int, clients: Sequence[str]
) -> Mapping[Trigger, datetime | None]:
    """When each trigger happened for all of these clients: the last; None while one of them lacks it."""
    query = select(RetentionEvent.client, RetentionEvent.trigger, RetentionEvent.at).where(
        RetentionEvent.corp_id == corp_id, RetentionEvent.client.in_(list(clients))
    )
    latest: dict[tuple[str, Trigger], datetime] = {}
    for client, trigger, at in connection.execute(query):
        key = client, Trigger(trigger)
        latest[key] = max(at, latest.get(key, at))
    return {trigger: _last(latest, clients, trigger) for trigger in Trigger}


def _last(
    latest: Mapping[tuple[str, Trigger], datetime], clients: Sequence[str], trigger: Trigger
) -> datetime | None:
    moments = [latest.get((client, trigger)) for client in clients]
    known = [moment for moment in moments if moment is not None]
    return max(known) if known and len(known) == len(moments) else None


def _supersede(connection: Connection, name: str, record_class: str, trigger: str) -> None:
    connection.execute(
        update(RetentionRule)
        .where(
            RetentionRule.record_class == record_class,
            RetentionRule.trigger == trigger,
            RetentionRule.state.in_((RuleState.ACTIVE, RuleState.PROPOSED, RuleState.WAITING)),
            RetentionRule.id != name,
        )
        .values(state=RuleState.SUPERSEDED)
    )


def _change(connection: Connection, name: str, **values: Any) -> None:
    connection.execute(update(RetentionRule).where(RetentionRule.id == name).values(**values))
