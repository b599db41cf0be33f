"""Alerts for those who supervise. Lists and openings are audited before the answer."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field
from sqlalchemy import Connection

from app.access import Action, Caller, Event, record
from app.access.api import Gate, storable
from app.archive.api import MessageOut, shown
from app.archive.models import position_of
from app.archive.store import read_many, recalled_by
from app.foundation import paging
from app.foundation.database import Database
from app.oversight import store
from app.oversight.alerts import take_step
from app.oversight.domain import Disposition, State, Step
from app.screening.store import Found, of_records


class StepOut(BaseModel):
    """An entry of an alert's history."""

    at: datetime
    step: Step
    state: State
    actor: str
    actor_name: str
    disposition: Disposition | None
    note: str


class ReasonOut(BaseModel):
    """Why the alert was raised: one finding."""

    category: str
    severity: str
    start: int
    end: int
    phrase: str
    canonical: str
    evasion: str | None
    rule: str
    lexicon_version: str
    explanation: str
    basis: str
    suggestion: str


class WarningOut(BaseModel):
    """That the sender had been warned before he sent it, and what he said to that."""

    check_id: str
    outcome: str
    at: datetime
    decision: str | None
    reason: str


class AlertOut(BaseModel):
    """An alert with the message it is about and the reasons."""

    id: str
    severity: Literal["red", "orange", "yellow"]
    category: str
    state: State
    owner: str | None
    owner_name: str | None
    disposition: Disposition | None
    raised_at: datetime
    changed_at: datetime
    message: MessageOut
    reasons: list[ReasonOut]
    warnings: list[WarningOut]


class OneAlert(AlertOut):
    """An alert with its history, oldest first."""

    history: list[StepOut]


class AlertPage(BaseModel):
    """One page of alerts, newest first; `next` asks for the following one."""

    items: list[AlertOut]
    next: str | None


class StepIn(BaseModel):
    """What comes with a step: a note, and for `resolve` the disposition."""

    note: Annotated[str, Field(max_length=4000), AfterValidator(storable)] = ""
    disposition: Disposition | None = None


WarningsOf = Callable[[Connection, Sequence[int]], dict[int, list[WarningOut]]]
AlertName = Annotated[str, Path(max_length=64)]
HumanStep = Literal["claim", "release", "comment", "resolve", "escalate", "reopen"]


def routes(db: Database, warnings_of: WarningsOf, gate: Gate) -> APIRouter:
    """Routes of the oversight room."""
    router = APIRouter(prefix="/alerts", tags=["预警"])

    @router.get("", summary="预警列表")
    def list_alerts(
        caller: Annotated[Caller, gate.needs(Action.SEE_ALERTS)],
        state: Annotated[list[State], Query()] = [],  # noqa: B006  (FastAPI copies it)
        severity: Annotated[list[str], Query()] = [],  # noqa: B006
        category: Annotated[list[str], Query()] = [],  # noqa: B006
        department: Annotated[list[str], Query()] = [],  # noqa: B006
        since: AwareDatetime | None = None,
        until: AwareDatetime | None = None,
        cursor: str | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> AlertPage:
        wanted = store.Wanted(
            tuple(state), tuple(severity), tuple(category), tuple(department), since, until
        )
        before = None if cursor is None else paging.decode_number(cursor, of=wanted)
        with db.write() as connection:
            record(connection, Event.ALERT_LIST, caller)
        with db.read() as connection:
            rows = store.read_page(connection, wanted, caller.scope, before=before, limit=limit + 1)
            items = _alerts(connection, rows[:limit], caller, warnings_of)
        more = paging.encode(rows[limit - 1].number, of=wanted) if len(rows) > limit else None
        return AlertPage(items=items, next=more)

    @router.get("/{name}", summary="打开一条预警")
    def open_alert(
        caller: Annotated[Caller, gate.needs(Action.SEE_ALERTS)], name: AlertName
    ) -> OneAlert:
        with db.write() as connection:
            record(connection, Event.ALERT_OPEN, caller, name)
        with db.read() as connection:
            found = store.read_one(connection, name, caller.scope)
            return _one(connection, found, caller, warnings_of)

    @router.post("/{name}/{step}", summary="处理一条预警")
    def step_alert(
        caller: Annotated[Caller, gate.needs(Action.REVIEW_ALERTS)],
        name: AlertName,
        step: HumanStep,
        given: StepIn | None = None,
    ) -> OneAlert:
        given = given or StepIn()
        with db.write() as connection:
            changed = take_step(
                connection,
                name,
                caller.scope,
                caller,
                Step(step),
                note=given.note,
                disposition=given.disposition,
            )
            record(connection, Event.ALERT_STEP, caller, name, step=step, state=changed.state)
        with db.read() as connection:
            return _one(connection, changed, caller, warnings_of)

    return router


def _alerts(
    connection: Connection,
    rows: Sequence[store.AlertRow],
    caller: Caller,
    warnings_of: WarningsOf,
) -> list[AlertOut]:
    records = [row.record_id for row in rows]
    places = [position_of(number) for number in records]
    messages = {
        (each.corp_id, each.seq): each for each in read_many(connection, places, caller.scope)
    }
    recalls = recalled_by(connection, list(messages.values()))
    warnings = warnings_of(connection, records)
    reasons: dict[int, list[Found]] = {}
    for finding in of_records(connection, records):
        reasons.setdefault(finding.record, []).append(finding)
    return [
        AlertOut(
            **_plain(row),
            message=MessageOut(**shown(messages[place], recalls)),
            reasons=[_reason(each) for each in reasons.get(row.record_id, ())],
            warnings=warnings.get(row.record_id, []),
        )
        for row, place in zip(rows, places, strict=True)
        if place in messages
    ]


def _one(
    connection: Connection, row: store.AlertRow, caller: Caller, warnings_of: WarningsOf
) -> OneAlert:
    found = _alerts(connection, [row], caller, warnings_of)
    if not found:
        raise store.AlertNotFound
    steps = [StepOut(**each._asdict()) for each in store.history(connection, row)]
    return OneAlert(**dict(found[0]), history=steps)


def _plain(row: store.AlertRow) -> dict[str, object]:
    fields = row._asdict()
    return {name: value for name, value in fields.items() if name in AlertOut.model_fields}


def _reason(finding: Found) -> ReasonOut:
    fields = finding._asdict()
    return ReasonOut(**{name: fields[name] for name in ReasonOut.model_fields})
