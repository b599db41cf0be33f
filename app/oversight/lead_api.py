"""Leads over HTTP: the follow-up list with owner and due date."""

from collections.abc import Sequence
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
from app.foundation import clock, paging
from app.foundation.database import Database
from app.oversight import lead_store as store
from app.oversight.lead_states import LeadState, LeadStep
from app.oversight.leads import LeadGiven, take_lead
from app.screening.domain import Outcome
from app.screening.store import of_records


class LeadEntryOut(BaseModel):
    """An entry of a lead's history."""

    at: datetime
    step: LeadStep
    state: LeadState
    actor: str
    actor_name: str
    note: str


class LeadOut(BaseModel):
    """A lead with its newest message; `client` is the id of who asked."""

    id: str
    client: str
    category: str
    state: LeadState
    owner: str | None
    owner_name: str | None
    due_at: datetime
    is_overdue: bool
    messages: int
    last_at: datetime
    raised_at: datetime
    changed_at: datetime
    message: MessageOut


class LeadReasonOut(BaseModel):
    """What was found in a message of a lead."""

    category: str
    phrase: str
    rule: str
    explanation: str
    suggestion: str


class OneLead(LeadOut):
    """A lead with its messages, reasons and history, oldest first."""

    all_messages: list[MessageOut]
    reasons: list[LeadReasonOut]
    history: list[LeadEntryOut]


class LeadPage(BaseModel):
    """One page of leads, newest first."""

    items: list[LeadOut]
    next: str | None


class LeadStepIn(BaseModel):
    """What comes with a step."""

    note: Annotated[str, Field(max_length=4000), AfterValidator(storable)] = ""
    assignee: Annotated[str, Field(max_length=64), AfterValidator(storable)] | None = None
    due_at: AwareDatetime | None = None


LeadName = Annotated[str, Path(max_length=64)]
Word = Annotated[str, Field(max_length=256), AfterValidator(storable)]
HumanLeadStep = Literal[
    "claim", "release", "assign", "comment", "postpone", "done", "dismiss", "reopen"
]


def routes(db: Database, gate: Gate) -> APIRouter:
    """Routes of leads."""
    router = APIRouter(prefix="/leads", tags=["线索"])

    @router.get("", summary="线索列表")
    def list_leads(
        caller: Annotated[Caller, gate.needs(Action.SEE_ALERTS)],
        state: Annotated[list[LeadState], Query()] = [],  # noqa: B006  (FastAPI copies it)
        category: Annotated[list[str], Query()] = [],  # noqa: B006
        department: Annotated[list[str], Query()] = [],  # noqa: B006
        owner: Word | None = None,
        due_before: AwareDatetime | None = None,
        cursor: str | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> LeadPage:
        wanted = store.LeadsWanted(
            tuple(state), tuple(category), tuple(department), owner, due_before
        )
        before = None if cursor is None else paging.decode_number(cursor, of=wanted)
        with db.write() as connection:
            record(connection, Event.LEAD_LIST, caller)
        with db.read() as connection:
            rows = store.read_page(connection, wanted, caller.scope, before=before, limit=limit + 1)
            items = _leads(connection, rows[:limit], caller)
        more = paging.encode(rows[limit - 1].number, of=wanted) if len(rows) > limit else None
        return LeadPage(items=items, next=more)

    @router.get("/{name}", summary="打开一条线索")
    def open_lead(
        caller: Annotated[Caller, gate.needs(Action.SEE_ALERTS)], name: LeadName
    ) -> OneLead:
        with db.write() as connection:
            record(connection, Event.LEAD_OPEN, caller, name)
        with db.read() as connection:
            return _one(connection, store.read_one(connection, name, caller.scope), caller)

    @router.post("/{name}/{step}", summary="跟进一条线索")
    def step_lead(
        caller: Annotated[Caller, gate.needs(Action.REVIEW_ALERTS)],
        name: LeadName,
        step: HumanLeadStep,
        given: LeadStepIn | None = None,
    ) -> OneLead:
        given = given or LeadStepIn()
        words = LeadGiven(given.note, given.assignee, given.due_at)
        changed = take_lead(db, caller, name, LeadStep(step), words)
        with db.read() as connection:
            return _one(connection, changed, caller)

    return router


def _leads(connection: Connection, rows: Sequence[store.LeadRow], caller: Caller) -> list[LeadOut]:
    messages = _messages(
        connection,
        [number for row in rows for number in (row.record_id, row.last_record_id)],
        caller,
    )
    now = clock.now()
    found = []
    for row in rows:
        newest = messages.get(row.last_record_id) or messages.get(row.record_id)
        if newest is None:
            continue
        is_open = row.state in (LeadState.OPEN, LeadState.CLAIMED)
        fields = row._asdict()
        found.append(
            LeadOut(
                **{name: fields[name] for name in LeadOut.model_fields if name in fields},
                is_overdue=is_open and row.due_at < now,
                message=newest,
            )
        )
    return found


def _one(connection: Connection, row: store.LeadRow, caller: Caller) -> OneLead:
    found = _leads(connection, [row], caller)
    if not found:
        raise store.LeadNotFound
    numbers = store.records_of(connection, [row.number])[row.number]
    messages = _messages(connection, numbers, caller)
    reasons = [
        LeadReasonOut(**{name: getattr(each, name) for name in LeadReasonOut.model_fields})
        for each in of_records(connection, numbers)
        if each.outcome is Outcome.LEAD
    ]
    return OneLead(
        **dict(found[0]),
        all_messages=[messages[number] for number in numbers if number in messages],
        reasons=reasons,
        history=[LeadEntryOut(**each._asdict()) for each in store.history(connection, row)],
    )


def _messages(
    connection: Connection, records: Sequence[int], caller: Caller
) -> dict[int, MessageOut]:
    places = {position_of(number): number for number in records}
    found = read_many(connection, places, caller.scope)
    recalls = recalled_by(connection, found)
    return {places[each.corp_id, each.seq]: MessageOut(**shown(each, recalls)) for each in found}
