"""Raise alerts from findings: one per breach, that is per adviser and stretch of conversation."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection

from app.access import EVERYTHING
from app.archive.domain import PartyType
from app.archive.models import position_of, record_id
from app.archive.store import Message, read_many
from app.foundation import clock, ids
from app.foundation.database import announce
from app.oversight import notices, store
from app.oversight.domain import (
    REPEATS_WITHIN,
    Breach,
    Group,
    State,
    Step,
    grouped,
    raised,
    worst,
)
from app.people import departments_at
from app.screening.domain import Outcome
from app.screening.store import Found

TOPIC = "alerts"
By = Mapping[int, Sequence[Found]]


class _Raised(NamedTuple):
    alert: store.AlertRow
    step: Step
    records: tuple[int, ...]
    note: str


def raise_alerts(connection: Connection, found: Sequence[Found]) -> None:
    """Group the violations among new findings into alerts, in the transaction that found them.

    A message that has an alert keeps it; others join what is open about the same adviser in the same stretch.
    """
    by_record: dict[int, list[Found]] = defaultdict(list)
    for finding in found:
        if finding.outcome is Outcome.VIOLATION:
            by_record[finding.record].append(finding)
    if not by_record:
        return
    known = store.of_records(connection, list(by_record))
    breaches = _breaches(connection, [each for each in by_record if each not in known])
    places = {each.conversation for each in breaches}
    joinable = store.joinable(connection, places) if places else {}
    groups = grouped(breaches, {key: store.as_open(alert) for key, alert in joinable.items()})
    alerts = {alert.number: alert for alert in (*known.values(), *joinable.values())}
    steps = [
        *_again(known, by_record),
        *_joined(alerts, [each for each in groups if each.alert is not None], by_record),
        *_begun(connection, [each for each in groups if each.alert is None], by_record),
    ]
    _write(connection, steps, by_record)
    announce(connection, TOPIC)


def _breaches(connection: Connection, records: Iterable[int]) -> list[Breach]:
    messages = read_many(connection, [position_of(each) for each in records], EVERYTHING)
    return [
        Breach(
            record_id(each.corp_id, each.seq), each.conversation_id, _adviser(each), each.sent_at
        )
        for each in sorted(messages, key=lambda each: (each.corp_id, each.seq))
    ]


def _adviser(message: Message) -> str:
    """The employee it is about: who spoke, or with whom alone the client spoke."""
    if message.sender.type is PartyType.EMPLOYEE:
        return message.sender.id
    staff = {each.id for each in message.recipients if each.type is PartyType.EMPLOYEE}
    return staff.pop() if len(staff) == 1 else ""


def _again(known: Mapping[int, store.AlertRow], by_record: By) -> list[_Raised]:
    """Findings of another lexicon on messages that have an alert already."""
    records: dict[int, list[int]] = defaultdict(list)
    for record, alert in known.items():
        records[alert.number].append(record)
    by_number = {alert.number: alert for alert in known.values()}
    return [
        _Raised(by_number[number], Step.JOIN, tuple(own), _rules(own, by_record))
        for number, own in records.items()
    ]


def _joined(
    alerts: Mapping[int, store.AlertRow], groups: Iterable[Group], by_record: By
) -> list[_Raised]:
    steps = []
    for group in groups:
        alert = alerts[group.alert or 0]
        own = [each.record for each in group.breaches]
        grown = alert._replace(
            last_record_id=own[-1],
            last_at=max(alert.last_at, *(each.sent_at for each in group.breaches)),
            messages=alert.messages + len(own),
        )
        steps.append(_Raised(grown, Step.JOIN, tuple(own), _rules(own, by_record)))
    return steps


def _begun(connection: Connection, groups: Sequence[Group], by_record: By) -> list[_Raised]:
    if not groups:
        return []
    now = clock.now()
    firsts = [group.breaches[0] for group in groups]
    about = {(position_of(each.record)[0], each.adviser) for each in firsts if each.adviser}
    established = store.established(connection, about, now - REPEATS_WITHIN)
    rows = []
    notes: dict[str, str] = {}
    for group, first in zip(groups, firsts, strict=True):
        corp_id = position_of(first.record)[0]
        own = [each.record for each in group.breaches]
        found = worst(each.severity for record in own for each in by_record[record])
        earlier = established.get((corp_id, first.adviser), 0)
        severity = raised(found, earlier)
        name = ids.new_id("alt")
        repeated = f"；已有 {earlier} 起成立的违规，级别上调" if severity != found else ""
        notes[name] = _rules(own, by_record) + repeated
        rows.append(
            {
                "id": name,
                "record_id": first.record,
                "last_record_id": own[-1],
                "corp_id": corp_id,
                "conversation_id": first.conversation,
                "adviser": first.adviser,
                "department_id": _department(connection, corp_id, first),
                "severity": severity,
                "found_severity": found,
                "category": _category(own, by_record, found),
                "state": State.OPEN,
                "level": 0,
                "messages": len(own),
                "last_at": max(each.sent_at for each in group.breaches),
                "raised_at": now,
                "changed_at": now,
            }
        )
    made = store.add(connection, rows)
    return [
        _Raised(
            made[first.record],
            Step.RAISE,
            tuple(each.record for each in group.breaches),
            notes[made[first.record].id],
        )
        for group, first in zip(groups, firsts, strict=True)
    ]


def _department(connection: Connection, corp_id: int, breach: Breach) -> int | None:
    """Where the adviser belonged when he said it; of several departments the oldest."""
    if not breach.adviser:
        return None
    found = departments_at(connection, corp_id, [breach.adviser], breach.sent_at)
    return min(found[breach.adviser], default=None)


def _write(connection: Connection, steps: Sequence[_Raised], by_record: By) -> None:
    now = clock.now()
    occasions = []
    for each in steps:
        if each.step is Step.RAISE:
            occasions.append((each.alert.number, "raise"))
            continue
        grown = _graver(each, by_record, now)
        store.grow(connection, grown)
        if grown.severity != each.alert.severity:
            occasions.append((each.alert.number, f"graver:{grown.severity}"))
    rows = [
        (
            each.alert.number,
            store.StepRow(
                now, each.step, each.alert.state, "screening", "自动筛查", None, each.note
            ),
        )
        for each in steps
    ]
    numbers = store.add_steps(connection, rows)
    notices.tell(connection, occasions, f"step:{numbers[0]}")
    store.add_records(
        connection,
        [
            {"record_id": record, "alert_number": each.alert.number, "step_id": number}
            for each, number in zip(steps, numbers, strict=True)
            for record in each.records
        ],
    )


def _graver(each: _Raised, by_record: By, now: datetime) -> store.AlertRow:
    alert = each.alert
    found = worst(finding.severity for record in each.records for finding in by_record[record])
    changed = alert._replace(
        severity=worst([alert.severity, found]),
        found_severity=worst([alert.found_severity, found]),
        changed_at=now,
    )
    if changed.severity != alert.severity:  # the clock sets anew by when
        changed = changed._replace(remind_at=None, due_at=None)
    if changed.found_severity == alert.found_severity:
        return changed
    return changed._replace(category=_category(each.records, by_record, found))


def _category(records: Iterable[int], by_record: By, severity: str) -> str:
    return next(
        finding.category
        for record in records
        for finding in by_record[record]
        if finding.severity == severity
    )


def _rules(records: Iterable[int], by_record: By) -> str:
    return "、".join(sorted({each.rule for record in records for each in by_record[record]}))
