"""Alerts for those who supervise. Lists and openings are audited before the answer."""

from enum import StrEnum
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field

from app.access import Action, Caller, Event, record
from app.access.api import Gate, storable
from app.foundation import paging
from app.foundation.database import Database
from app.oversight import store
from app.oversight.domain import Disposition, State, Step
from app.oversight.review import Given, take, take_many
from app.oversight.views import AlertOut, OneAlert, Views, WarningsOf

MANY = 200  # alerts dealt with at once


class Queue(StrEnum):
    """我的待办, 无人认领, 已升级, 待我复核."""

    MINE = "mine"
    UNCLAIMED = "unclaimed"
    ESCALATED = "escalated"
    TO_APPROVE = "to_approve"


class AlertPage(BaseModel):
    """One page of alerts, newest first; `next` asks for the following one."""

    items: list[AlertOut]
    next: str | None


class StepIn(BaseModel):
    """What comes with a step: a note, for `resolve` the disposition, for `assign` the user (oneself, if none)."""

    note: Annotated[str, Field(max_length=4000), AfterValidator(storable)] = ""
    disposition: Disposition | None = None
    assignee: Annotated[str, Field(max_length=64), AfterValidator(storable)] | None = None


class ManyIn(StepIn):
    """The same step for alerts of one category."""

    ids: Annotated[
        list[Annotated[str, Field(max_length=64), AfterValidator(storable)]],
        Field(min_length=1, max_length=MANY),
    ]
    step: Literal["claim", "release", "assign", "comment", "resolve", "escalate"]


class ResultOut(BaseModel):
    """What became of one of them: its state, or the refusal."""

    id: str
    state: State | None
    code: str | None
    detail: str | None


class ManyOut(BaseModel):
    """What became of each, in the order given."""

    results: list[ResultOut]


AlertName = Annotated[str, Path(max_length=64)]
Word = Annotated[str, Field(max_length=256), AfterValidator(storable)]
HumanStep = Literal[
    "claim", "release", "assign", "comment", "resolve", "approve", "return", "escalate", "reopen"
]


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
        rule: Annotated[list[str], Query()] = [],  # noqa: B006
        disposition: Annotated[list[Disposition], Query()] = [],  # noqa: B006
        adviser: Word | None = None,
        owner: Word | None = None,
        queue: Queue | None = None,
        since: AwareDatetime | None = None,
        until: AwareDatetime | None = None,
        cursor: str | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> AlertPage:
        asked = store.Wanted(
            tuple(state),
            tuple(severity),
            tuple(category),
            tuple(department),
            tuple(rule),
            tuple(disposition),
            None,
            adviser,
            owner,
            None,
            since,
            until,
        )
        wanted = asked if queue is None else queued(asked, queue, caller)
        before = None if cursor is None else paging.decode_number(cursor, of=wanted)
        with db.write() as connection:
            record(connection, Event.ALERT_LIST, caller)
        with db.read() as connection:
            rows = store.read_page(connection, wanted, caller.scope, before=before, limit=limit + 1)
            items = Views(connection, caller, warnings_of).many(rows[:limit])
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
            return Views(connection, caller, warnings_of).one(found)

    @router.post("/many", summary="批量处理同一类别的预警")
    def step_many(
        caller: Annotated[Caller, gate.needs(Action.REVIEW_ALERTS)], given: ManyIn
    ) -> ManyOut:
        results = take_many(db, caller, given.ids, Step(given.step), _given(given))
        return ManyOut(results=[ResultOut(**each._asdict()) for each in results])

    @router.post("/{name}/{step}", summary="处理一条预警")
    def step_alert(
        caller: Annotated[Caller, gate.needs(Action.REVIEW_ALERTS)],
        name: AlertName,
        step: HumanStep,
        given: StepIn | None = None,
    ) -> OneAlert:
        changed = take(db, caller, name, Step(step), _given(given or StepIn()))
        with db.read() as connection:
            return Views(connection, caller, warnings_of).one(changed)

    return router


def queued(asked: store.Wanted, queue: Queue, caller: Caller) -> store.Wanted:
    """What a queue adds to what was asked for."""
    if queue is Queue.MINE:
        return asked._replace(owner=caller.id, states=(State.CLAIMED,))
    if queue is Queue.UNCLAIMED:
        return asked._replace(owner="none", states=(State.OPEN, State.ESCALATED))
    if queue is Queue.ESCALATED:
        return asked._replace(states=(State.ESCALATED,))
    return asked._replace(states=(State.PROPOSED,), not_proposed_by=caller.id)


def _given(given: StepIn) -> Given:
    return Given(given.note, given.disposition, given.assignee)
