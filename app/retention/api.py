"""Schedules, holds and disposals over HTTP. Every step is audited; nobody completes alone what needs another."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import AwareDatetime, BaseModel, Field

from app.access import Action, Caller, Event, record
from app.access.api import Gate
from app.evidence.selection import Asked
from app.foundation.clock import now, to_ms
from app.foundation.database import Database
from app.foundation.settings import Settings
from app.retention import candidates, disposal, holds, schedules
from app.retention.disposal import Disposals
from app.retention.domain import RecordClass, Trigger
from app.retention.selfcheck import SelfCheck, SelfCheckOut

Id = Annotated[str, Path(max_length=64)]
Words = Annotated[str, Field(min_length=1, max_length=2000)]
Names = Annotated[list[Annotated[str, Field(max_length=256)]], Field(max_length=1000)]
Corp = Annotated[str, Field(min_length=1, max_length=256)]


class RuleIn(BaseModel):
    """How long a class is kept from a trigger, in months; `basis` is why."""

    record_class: RecordClass
    trigger: Trigger
    months: Annotated[int, Field(ge=0, le=100_000)]
    basis: Words


class RuleOut(BaseModel):
    """A rule. `waiting` becomes active at `effective_at`."""

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


class Rules(BaseModel):
    """All rules, oldest first, those past included."""

    items: list[RuleOut]


class DecisionIn(BaseModel):
    """Yes or no."""

    agree: bool


class EventIn(BaseModel):
    """Something that ended with a client."""

    corp: Corp
    client: Corp
    trigger: Trigger
    at: AwareDatetime
    note: Annotated[str, Field(max_length=2000)] = ""


class Made(BaseModel):
    """What was made."""

    id: str


class HoldIn(BaseModel):
    """What a hold covers; `dynamic` covers messages yet to come too."""

    corp: Corp
    name: Words
    reason: Words
    q: Annotated[str, Field(max_length=1000)] = ""
    adviser: Names = []
    client: Names = []
    conversation: Annotated[str | None, Field(max_length=256)] = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    dynamic: bool = True


class HoldOut(BaseModel):
    """A hold. In `cooling` it still holds, until `ends_at`."""

    id: str
    name: str
    reason: str
    asked: dict[str, Any]
    is_dynamic: bool
    state: str
    placed_by: str
    placed_at: datetime
    release_asked_by: str | None
    release_reason: str | None
    released_by: str | None
    ends_at: datetime | None


class Holds(BaseModel):
    """All holds, newest first, released ones too."""

    items: list[HoldOut]


class ReasonIn(BaseModel):
    """Why."""

    reason: Words


class CandidateOut(BaseModel):
    """A key (a conversation's month) and when its records may go; `awaiting` are unknown triggers that keep it."""

    key: int
    conversation: int
    month: str
    records: int
    record_class: str
    due: datetime | None
    is_due: bool
    rule: str | None
    awaiting: list[str]


class Candidates(BaseModel):
    """Every living key of a corp."""

    items: list[CandidateOut]
    due: int
    awaiting: int


class DisposalIn(BaseModel):
    """Ask that all that is due of a corp goes."""

    corp: Corp
    reason: Words


class DisposalOut(BaseModel):
    """A disposal; `buckets` are its keys, each with why it was kept after all, if so."""

    id: str
    state: str
    reason: str
    buckets: list[dict[str, Any]]
    requested_by: str
    requested_at: datetime
    approvals: list[dict[str, Any]]
    done_at: datetime | None
    has_certificate: bool


class DisposalList(BaseModel):
    """All disposals, newest first."""

    items: list[DisposalOut]


def routes(
    db: Database, disposals: Disposals, check: SelfCheck, settings: Settings, gate: Gate
) -> APIRouter:
    """Routes of retention."""
    router = APIRouter(tags=["保存与销毁"])
    _schedule_routes(router, db, settings, gate)
    _hold_routes(router, db, settings, gate)
    _disposal_routes(router, db, disposals, gate)

    @router.post("/retention/self-check", summary="随机抽取记录，解密、核对并按内容找回")
    def run_check(caller: Annotated[Caller, gate.needs(Action.SEE_RETENTION)]) -> SelfCheckOut:
        _looked(db, caller, "self-check")
        return check.run()

    return router


def _schedule_routes(router: APIRouter, db: Database, settings: Settings, gate: Gate) -> None:
    @router.get("/retention/rules", summary="保存规则及其历史")
    def list_rules(caller: Annotated[Caller, gate.needs(Action.SEE_RETENTION)]) -> Rules:
        _looked(db, caller, "rules")
        with db.read() as connection:
            return Rules(items=[RuleOut(**row._asdict()) for row in schedules.rows(connection)])

    @router.post("/retention/rules", summary="设定期限：延长即时生效，缩短待批准", status_code=201)
    def propose(
        caller: Annotated[Caller, gate.needs(Action.MANAGE_RETENTION)], body: RuleIn
    ) -> RuleOut:
        found = schedules.propose(
            db, caller, body.record_class, body.trigger, body.months, body.basis
        )
        return RuleOut(**found._asdict())

    @router.post("/retention/rules/{name}/decide", summary="由另一人批准或驳回缩短")
    def decide(
        caller: Annotated[Caller, gate.needs(Action.APPROVE_RETENTION)], name: Id, body: DecisionIn
    ) -> RuleOut:
        wait = timedelta(days=settings.retention_wait_days)
        found = schedules.decide(db, caller, name, agree=body.agree, wait=wait)
        return RuleOut(**found._asdict())

    @router.post("/retention/events", summary="登记关系、合同或产品的结束", status_code=201)
    def note_event(
        caller: Annotated[Caller, gate.needs(Action.MANAGE_RETENTION)], body: EventIn
    ) -> Made:
        given = (body.corp, body.client, body.trigger, body.at, body.note)
        return Made(id=schedules.note_event(db, caller, *given))


def _hold_routes(router: APIRouter, db: Database, settings: Settings, gate: Gate) -> None:
    @router.get("/holds", summary="法律保全")
    def list_holds(caller: Annotated[Caller, gate.needs(Action.SEE_RETENTION)]) -> Holds:
        _looked(db, caller, "holds")
        with db.read() as connection:
            return Holds(items=[_hold(each) for each in holds.every(connection)])

    @router.post("/holds", summary="施加保全", status_code=201)
    def place(
        caller: Annotated[Caller, gate.needs(Action.MANAGE_RETENTION)], body: HoldIn
    ) -> HoldOut:
        asked = Asked(
            body.q,
            tuple(body.adviser),
            tuple(body.client),
            body.conversation,
            None if body.since is None else to_ms(body.since),
            None if body.until is None else to_ms(body.until),
        )
        found = holds.place(
            db,
            caller,
            corp=body.corp,
            name=body.name,
            reason=body.reason,
            asked=asked,
            is_dynamic=body.dynamic,
        )
        return _hold(found)

    @router.post("/holds/{name}/ask-release", summary="申请解除")
    def ask_release(
        caller: Annotated[Caller, gate.needs(Action.MANAGE_RETENTION)], name: Id, body: ReasonIn
    ) -> HoldOut:
        return _hold(holds.ask_release(db, caller, name, body.reason))

    @router.post("/holds/{name}/release", summary="由另一人同意解除，进入冷静期")
    def release(
        caller: Annotated[Caller, gate.needs(Action.APPROVE_RETENTION)], name: Id
    ) -> HoldOut:
        cooling = timedelta(days=settings.hold_cooling_days)
        return _hold(holds.release(db, caller, name, cooling))

    @router.post("/holds/{name}/keep", summary="撤回解除，继续保全")
    def keep(caller: Annotated[Caller, gate.needs(Action.APPROVE_RETENTION)], name: Id) -> HoldOut:
        return _hold(holds.refuse_release(db, caller, name))


def _disposal_routes(router: APIRouter, db: Database, disposals: Disposals, gate: Gate) -> None:
    @router.get("/retention/candidates", summary="各组记录何时到期，因何保留")
    def list_candidates(
        caller: Annotated[Caller, gate.needs(Action.SEE_RETENTION)], corp: Corp
    ) -> Candidates:
        _looked(db, caller, "candidates")
        return candidates_of(db, corp)

    @router.get("/disposals", summary="销毁申请")
    def list_disposals(
        caller: Annotated[Caller, gate.needs(Action.SEE_RETENTION)],
    ) -> DisposalList:
        _looked(db, caller, "disposals")
        with db.read() as connection:
            return DisposalList(items=[_disposal(each) for each in disposal.every(connection)])

    @router.post("/disposals", summary="申请销毁已到期的记录", status_code=201)
    def ask(
        caller: Annotated[Caller, gate.needs(Action.MANAGE_RETENTION)], body: DisposalIn
    ) -> DisposalOut:
        return _disposal(disposals.request(caller, body.corp, body.reason))

    @router.post("/disposals/{name}/approve", summary="批准：须两人，均非申请人")
    def approve(
        caller: Annotated[Caller, gate.needs(Action.APPROVE_RETENTION)], name: Id
    ) -> DisposalOut:
        return _disposal(disposals.approve(caller, name))

    @router.post("/disposals/{name}/reject", summary="驳回")
    def reject(
        caller: Annotated[Caller, gate.needs(Action.APPROVE_RETENTION)], name: Id, body: ReasonIn
    ) -> DisposalOut:
        return _disposal(disposals.reject(caller, name, body.reason))

    @router.post("/disposals/{name}/execute", summary="执行已批准的销毁，或续完中断的一次")
    def execute(
        caller: Annotated[Caller, gate.needs(Action.MANAGE_RETENTION)], name: Id
    ) -> DisposalOut:
        return _disposal(disposals.execute(caller, name))

    @router.get("/disposals/{name}/certificate", summary="销毁证明（DSSE 签名）")
    def read_certificate(
        caller: Annotated[Caller, gate.needs(Action.SEE_RETENTION)], name: Id
    ) -> dict[str, Any]:
        _looked(db, caller, name)
        with db.read() as connection:
            return disposal.certificate(disposal.one(connection, name))


def candidates_of(db: Database, corp: str) -> Candidates:
    """Every living key of a corp with its due date."""
    at = now()
    with db.read() as connection:
        corp_id = disposal.corp_of(connection, corp)
        items = [
            CandidateOut(
                key=each.bucket,
                conversation=each.conversation,
                month=each.month,
                records=each.records,
                record_class=each.record_class,
                due=each.due.at,
                is_due=each.due.at is not None and each.due.at <= at,
                rule=each.due.rule,
                awaiting=list(each.due.awaiting),
            )
            for each in candidates.of_corp(connection, corp_id)
        ]
    awaiting = sum(bool(each.awaiting) for each in items)
    return Candidates(items=items, due=sum(each.is_due for each in items), awaiting=awaiting)


def _hold(found: holds.Hold) -> HoldOut:
    fields = {name: getattr(found, name) for name in HoldOut.model_fields}
    return HoldOut(**{**fields, "is_dynamic": bool(found.is_dynamic)})


def _disposal(found: disposal.One) -> DisposalOut:
    names = DisposalOut.model_fields.keys() - {"has_certificate"}
    fields = {name: getattr(found, name) for name in names}
    return DisposalOut(**fields, has_certificate=found.certificate is not None)


def _looked(db: Database, caller: Caller, what: str) -> None:
    with db.write() as connection:
        record(connection, Event.RETENTION_READ, caller, what)
