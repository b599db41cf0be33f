"""What an adviser sees of himself: alerts about him with the reason and what he may say, his checks, approved wordings.

Who deals with an alert, and what is written about it, is not shown to him.
"""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import AfterValidator, BaseModel, Field
from sqlalchemy import Connection

from app.access import Action, Caller, Event, record
from app.access.api import Gate, storable
from app.advice import store
from app.advice.api import AdviceOut
from app.advice.domain import Decision, Outcome
from app.foundation import paging
from app.foundation.database import Database
from app.foundation.errors import Forbidden
from app.oversight import store as alerts
from app.oversight.domain import Disposition, State
from app.oversight.views import ReasonOut, Views, WarningOut, WarningsOf
from app.people import employee_key
from app.screening.service import Lexicons


class NoEmployee(Forbidden):
    """The user is not linked with an employee, so nothing is his own."""

    code = "no_employee"
    title = "账号没有关联员工"


class OwnAlertOut(BaseModel):
    """An alert about oneself; `text` is the newest message it is about, `reasons` carry the wording that may be used."""

    id: str
    severity: Literal["red", "orange", "yellow"]
    category: str
    state: State
    disposition: Disposition | None
    messages: int
    raised_at: datetime
    message: str
    sent_at: datetime
    text: str
    reasons: list[ReasonOut]
    warnings: list[WarningOut]


class OwnAlertPage(BaseModel):
    """One page of one's own alerts, newest first."""

    items: list[OwnAlertOut]
    next: str | None


class OwnCheckOut(BaseModel):
    """A check of one's own; the text is only there where the policy keeps it."""

    check_id: str
    at: datetime
    outcome: Outcome
    text: str | None
    findings: list[AdviceOut]
    decision: Decision | None
    reason: str


class OwnCheckPage(BaseModel):
    """One page of one's own checks, newest first."""

    items: list[OwnCheckOut]
    next: str | None


class WordingOut(BaseModel):
    """What may be said instead, and on what it rests."""

    category: str
    name: str
    severity: str
    wording: str
    basis: str


class WordingList(BaseModel):
    """The approved wordings of one version of the word lists."""

    version: str
    items: list[WordingOut]


Cursor = Annotated[str | None, Query(max_length=512)]
Limit = Annotated[int, Query(ge=1, le=200)]


def routes(db: Database, lexicons: Lexicons, warnings_of: WarningsOf, gate: Gate) -> APIRouter:
    """Routes of the adviser's own view."""
    router = APIRouter(tags=["顾问本人"])

    @router.get("/own/alerts", summary="与本人有关的预警")
    def own_alerts(
        caller: Annotated[Caller, gate.needs(Action.READ_OWN)],
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> OwnAlertPage:
        with db.write() as connection:
            record(connection, Event.OWN_READ, caller, "alerts")
        with db.read() as connection:
            corp_id, userid = _self(connection, caller)
            wanted = alerts.Wanted(corp=corp_id, adviser=userid)
            before = None if cursor is None else paging.decode_number(cursor, of=wanted)
            rows = alerts.read_page(
                connection, wanted, caller.scope, before=before, limit=limit + 1
            )
            shown = Views(connection, caller, warnings_of).many(rows[:limit])
        items = [
            OwnAlertOut(
                **{name: getattr(each, name) for name in _SAME},
                message=each.message.id,
                sent_at=each.message.sent_at,
                text=each.message.text,
            )
            for each in shown
        ]
        more = paging.encode(rows[limit - 1].number, of=wanted) if len(rows) > limit else None
        return OwnAlertPage(items=items, next=more)

    @router.get("/own/checks", summary="本人的发送前检查")
    def own_checks(
        caller: Annotated[Caller, gate.needs(Action.READ_OWN)],
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> OwnCheckPage:
        with db.write() as connection:
            record(connection, Event.OWN_READ, caller, "checks")
        with db.read() as connection:
            own = _self(connection, caller)
            before = None if cursor is None else paging.decode_number(cursor, of=own)
            rows = store.of_sender(connection, *own, before=before, limit=limit + 1)
        items = [
            OwnCheckOut(
                check_id=check.id,
                at=check.at,
                outcome=check.outcome,
                text=check.text,
                findings=[AdviceOut.model_validate(each) for each in check.findings],
                decision=decided.decision if decided else None,
                reason=decided.reason if decided else "",
            )
            for check, decided in rows[:limit]
        ]
        more = paging.encode(rows[limit - 1][0].number, of=own) if len(rows) > limit else None
        return OwnCheckPage(items=items, next=more)

    @router.get("/approved-wordings", summary="可以怎么说：各类别的合规说法")
    def approved_wordings(
        _caller: Annotated[Caller, gate.needs(Action.CHECK)],
        q: Annotated[str, Field(max_length=100), AfterValidator(storable)] = "",
        version: Annotated[str, Field(max_length=64), AfterValidator(storable)] = "released",
    ) -> WordingList:
        found = lexicons.one(version)
        lexicon = lexicons.released.compile(found.version)
        items = [
            WordingOut(
                category=each.slug,
                name=each.name,
                severity=str(each.severity),
                wording=each.suggestion,
                basis=each.basis,
            )
            for each in lexicon.categories.values()
        ]
        words = q.split()
        kept = [each for each in items if all(word in _words(each) for word in words)]
        return WordingList(version=found.version, items=kept)

    return router


_SAME = (
    *("id", "severity", "category", "state", "disposition"),
    *("messages", "raised_at", "reasons", "warnings"),
)


def _self(connection: Connection, caller: Caller) -> tuple[int, str]:
    """Corp and userid of the caller; raises `NoEmployee`."""
    employee = caller.scope.employee
    key = None if employee is None else employee_key(connection, employee)
    if key is None:
        raise NoEmployee("请管理员把账号关联到员工")
    return key


def _words(each: WordingOut) -> str:
    return f"{each.category} {each.name} {each.wording} {each.basis}"
