"""Take alerts step by step to their end, one or many alike, never one's own."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from app.access import Action, Caller, Event, Scope, employee_of, holders, record
from app.foundation import clock
from app.foundation.database import Database, announce
from app.foundation.errors import AppError, BadInput, Forbidden
from app.oversight import notices, store
from app.oversight.alerts import TOPIC
from app.oversight.domain import (
    TOP,
    Actor,
    Disposition,
    DispositionMissing,
    Held,
    OwnAlert,
    State,
    Step,
    StepNotPossible,
    check_step,
)

_MACHINES = frozenset({Step.RAISE, Step.JOIN, Step.PROPOSE, Step.OVERDUE})
_TOLD = frozenset({Step.ESCALATE, Step.ASSIGN})
_FREE = frozenset({Step.RELEASE, Step.ESCALATE, Step.REOPEN})  # nobody's afterwards


class UnknownAssignee(BadInput):
    """Who shall deal with an alert must be a user who may see it and review it."""

    code = "unknown_assignee"
    title = "不能转派给该用户"


class NotAlike(BadInput):
    """Only alerts of one category are dealt with together."""

    code = "not_alike"
    title = "只能批量处理同一类别的预警"


class Given(NamedTuple):
    """What comes with a step: a note, for `resolve` the disposition, for `assign` to whom."""

    note: str = ""
    disposition: Disposition | None = None
    assignee: str | None = None


class Result(NamedTuple):
    """What became of one alert of many: its state, or the code and words of the refusal."""

    id: str
    state: State | None
    code: str | None
    detail: str | None


def take(db: Database, caller: Caller, name: str, step: Step, given: Given) -> store.AlertRow:
    """One step of one alert in one transaction with its audit entry; a denial is audited too."""
    try:
        with db.write() as connection:
            changed = take_step(connection, name, caller.scope, caller, step, given)
            facts = {"step": step, "state": changed.state}
            record(connection, Event.ALERT_STEP, caller, name, **facts)
    except Forbidden as denied:
        with db.write() as connection:
            record(connection, Event.REFUSED, caller, name, step=step, reason=denied.code)
        raise
    return changed


def take_many(
    db: Database, caller: Caller, names: Sequence[str], step: Step, given: Given
) -> list[Result]:
    """The same step for like alerts, each in its own transaction; raises `NotAlike`, `AlertNotFound`."""
    with db.read() as connection:
        found = [store.read_one(connection, name, caller.scope) for name in dict.fromkeys(names)]
    if len({each.category for each in found}) > 1:
        raise NotAlike
    return [_result(db, caller, each.id, step, given) for each in found]


def _result(db: Database, caller: Caller, name: str, step: Step, given: Given) -> Result:
    try:
        return Result(name, take(db, caller, name, step, given).state, None, None)
    except AppError as refused:
        return Result(name, None, refused.code, refused.detail or refused.title)


def take_step(
    connection: Connection,
    name: str,
    scope: Scope,
    caller: Caller,
    step: Step,
    given: Given = Given(),
) -> store.AlertRow:
    """Take an alert one step further; resolving a red one only proposes it.

    Raises `AlertNotFound`, `OwnAlert`, `DispositionMissing`, `UnknownAssignee` and what `check_step` raises.
    """
    alert = store.read_one(connection, name, scope)
    if step in _MACHINES:
        raise StepNotPossible
    employee = employee_of(connection, caller)
    if employee is not None and store.takes_part(connection, alert, employee):
        raise OwnAlert
    if step is Step.RESOLVE and (given.disposition is None or not given.note.strip()):
        raise DispositionMissing
    held = Held(alert.state, alert.severity, alert.owner, alert.proposed_by)
    step, state = check_step(held, step, Actor(caller.kind, caller.id), note=given.note)
    owner = _owner(connection, alert, step, caller, given)
    values = _values(alert, step, state, owner, caller, given)
    if not store.change(connection, alert, values):
        raise StepNotPossible("另一位同事刚处理了这条预警，请刷新")
    changed = alert._replace(**values)
    row = store.StepRow(
        values["changed_at"],
        step,
        state,
        caller.id,
        caller.name,
        changed.disposition,
        _note(changed, step, given),
    )
    [number] = store.add_steps(connection, [(alert.number, row)])
    if step in _TOLD:
        occasion = f"{step}:{changed.level if step is Step.ESCALATE else number}"
        notices.tell(connection, [(alert.number, occasion)], f"step:{number}")
    announce(connection, TOPIC)
    return changed


def _values(
    alert: store.AlertRow,
    step: Step,
    state: State,
    owner: tuple[str | None, str | None],
    caller: Caller,
    given: Given,
) -> dict[str, Any]:
    now = clock.now()
    values: dict[str, Any] = {
        "state": state,
        "owner": owner[0],
        "owner_name": owner[1],
        "proposed_by": alert.proposed_by,
        "disposition": alert.disposition,
        "changed_at": now,
    }
    if state is not alert.state:  # the clock sets anew by when
        values |= {"remind_at": None, "due_at": None}
    if step in (Step.CLAIM, Step.ASSIGN):
        values["claimed_at"] = alert.claimed_at or now
    if step is Step.ESCALATE:
        values["level"] = min(alert.level + 1, TOP)
    if step in (Step.RESOLVE, Step.PROPOSE):
        values["disposition"] = given.disposition
    if step is Step.PROPOSE:
        values["proposed_by"] = caller.id
    if step in (Step.RETURN, Step.REOPEN):
        values |= {"disposition": None, "proposed_by": None, "resolved_at": None}
    if state is State.RESOLVED and step is not Step.COMMENT:
        values["resolved_at"] = now
    return values


def _owner(
    connection: Connection, alert: store.AlertRow, step: Step, caller: Caller, given: Given
) -> tuple[str | None, str | None]:
    if step is Step.CLAIM:
        return caller.id, caller.name
    if step in _FREE:
        return None, None
    if step is not Step.ASSIGN:
        return alert.owner, alert.owner_name
    found = holders(connection, Action.REVIEW_ALERTS, given.assignee or caller.id)
    if not found:
        raise UnknownAssignee("请选择有预警处理权限的用户")
    try:
        store.read_one(connection, alert.id, found[0].scope)
    except store.AlertNotFound:
        raise UnknownAssignee("该用户看不到这条预警") from None
    employee = found[0].employee_id
    if employee is not None and store.takes_part(connection, alert, employee):
        raise UnknownAssignee("该用户与这条预警有关")
    return found[0].id, found[0].name


def _note(changed: store.AlertRow, step: Step, given: Given) -> str:
    if step is not Step.ASSIGN:
        return given.note
    return "；".join(part for part in (f"转派给{changed.owner_name}", given.note) if part)
