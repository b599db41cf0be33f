"""Raise alerts from findings, and take them step by step to their end."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from app.access import Caller, Scope
from app.foundation import clock, ids
from app.foundation.database import announce
from app.oversight import store
from app.oversight.domain import (
    Disposition,
    DispositionMissing,
    State,
    Step,
    StepNotPossible,
    next_state,
    worst,
)
from app.screening.domain import Outcome
from app.screening.store import Found

TOPIC = "alerts"


def raise_alerts(connection: Connection, found: Sequence[Found]) -> None:
    """One alert per violating message, in the transaction that found it; later findings join it."""
    by_record: dict[int, list[Found]] = defaultdict(list)
    for finding in found:
        if finding.outcome is Outcome.VIOLATION:
            by_record[finding.record].append(finding)
    if not by_record:
        return
    known = store.of_records(connection, list(by_record))
    now = clock.now()
    store.add(
        connection,
        [_row(found, now) for record, found in by_record.items() if record not in known],
    )
    raised = store.of_records(connection, list(by_record))
    for record, alert in raised.items():
        step = Step.JOIN if record in known else Step.RAISE
        if step is Step.JOIN:
            _join(connection, alert, by_record[record])
        rules = "、".join(sorted({finding.rule for finding in by_record[record]}))
        note = store.StepRow(now, step, alert.state, "screening", "自动筛查", None, rules)
        store.add_step(connection, alert.number, note)
    announce(connection, TOPIC)


def take_step(
    connection: Connection,
    name: str,
    scope: Scope,
    caller: Caller,
    step: Step,
    *,
    note: str = "",
    disposition: Disposition | None = None,
) -> store.AlertRow:
    """Take an alert one step further; raises `StepNotPossible`, `DispositionMissing`, `AlertNotFound`."""
    alert = store.read_one(connection, name, scope)
    state = next_state(alert.state, step)
    if step is Step.RESOLVE and (disposition is None or not note.strip()):
        raise DispositionMissing
    now = clock.now()
    changed = alert._replace(
        state=state,
        owner=_owner(alert, step, caller)[0],
        owner_name=_owner(alert, step, caller)[1],
        disposition=_disposition(alert, step, disposition),
        changed_at=now,
    )
    fields = ("state", "owner", "owner_name", "disposition", "changed_at")
    values = {field: getattr(changed, field) for field in fields}
    if not store.change(connection, alert, values):
        raise StepNotPossible("另一位同事刚处理了这条预警，请刷新")
    row = store.StepRow(now, step, state, caller.id, caller.name, changed.disposition, note)
    store.add_step(connection, alert.number, row)
    announce(connection, TOPIC)
    return changed


def _row(found: Sequence[Found], now: datetime) -> dict[str, object]:
    severity = worst([finding.severity for finding in found])
    leading = next(finding for finding in found if finding.severity == severity)
    return {
        "id": ids.new_id("alt"),
        "record_id": leading.record,
        "severity": severity,
        "category": leading.category,
        "state": State.OPEN,
        "raised_at": now,
        "changed_at": now,
    }


def _join(connection: Connection, alert: store.AlertRow, found: Sequence[Found]) -> None:
    severity = worst([alert.severity, *(finding.severity for finding in found)])
    if severity != alert.severity:
        store.change(connection, alert, {"severity": severity, "changed_at": clock.now()})


def _owner(alert: store.AlertRow, step: Step, caller: Caller) -> tuple[str | None, str | None]:
    if step is Step.CLAIM:
        return caller.id, caller.name
    if step in (Step.RELEASE, Step.ESCALATE, Step.REOPEN):
        return None, None
    return alert.owner, alert.owner_name


def _disposition(alert: store.AlertRow, step: Step, disposition: Disposition | None) -> str | None:
    if step is Step.RESOLVE:
        return disposition
    return None if step is Step.REOPEN else alert.disposition
