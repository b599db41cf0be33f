"""Schedules and their arithmetic. Pure data.

A record belongs to one class. Every active rule of the class counts, the longest decides. A rule runs from a trigger;
a trigger that has not happened, or is not known, keeps the record.
"""

import calendar
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

FLOOR_MONTHS = 6  # 网络安全法: network logs at least six months; nobody can set less
LONGEST_MONTHS = 1_200


class RecordClass(StrEnum):
    """与客户的会话, 内部会话."""

    CLIENT = "client"
    INTERNAL = "internal"


class Trigger(StrEnum):
    """From when a rule runs: the message itself, or an event with the client."""

    MESSAGE = "message"
    RELATIONSHIP_END = "relationship_end"
    CONTRACT_END = "contract_end"
    PRODUCT_END = "product_end"
    DISPUTE_CLOSED = "dispute_closed"


class RuleState(StrEnum):
    """生效, 等待批准, 等待期内, 已被取代, 已驳回."""

    ACTIVE = "active"
    PROPOSED = "proposed"
    WAITING = "waiting"
    SUPERSEDED = "superseded"
    REJECTED = "rejected"


class Rule(NamedTuple):
    """How long from a trigger."""

    id: str
    record_class: RecordClass
    trigger: Trigger
    months: int


class Due(NamedTuple):
    """When records may go; `at` is None while `awaiting` triggers are unknown."""

    at: datetime | None
    rule: str | None
    awaiting: tuple[Trigger, ...]


def add_months(moment: datetime, months: int) -> datetime:
    """The same day that many months later, or the month's last."""
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return moment.replace(year=year, month=month + 1, day=min(moment.day, last))


def due(
    rules: Iterable[Rule],
    record_class: RecordClass,
    last_sent: datetime,
    events: Mapping[Trigger, datetime | None],
) -> Due:
    """When all rules of the class are over; `events` are those that are known. No rule keeps for ever."""
    counting = [rule for rule in rules if rule.record_class is record_class]
    moments = []
    awaiting = []
    for rule in counting:
        start = last_sent if rule.trigger is Trigger.MESSAGE else events.get(rule.trigger)
        if start is None:
            awaiting.append(rule.trigger)
            continue
        start = max(start, last_sent)
        moments.append((add_months(start, max(rule.months, FLOOR_MONTHS)), rule.id))
    if awaiting or not moments:
        return Due(None, None, tuple(sorted(set(awaiting))))
    at, rule_id = max(moments)
    return Due(at, rule_id, ())
