"""Who is told, by when, who stands in for whom, and what became of the telling."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field
from sqlalchemy import Connection

from app.access import Action, Caller, Event, Holder, holders, record
from app.access.api import Gate, RowId, storable
from app.foundation import clock, paging
from app.foundation.database import Database
from app.foundation.errors import BadInput, Forbidden
from app.oversight import notice_store, rules, store
from app.oversight.notice_store import NoticeState
from app.oversight.notices import Notifier
from app.oversight.routing import Audience
from app.oversight.rules import Rules
from app.oversight.views import NoticeOut, notice_out

DRY = 50  # alerts a dry run looks at


class UnknownUser(BadInput):
    """There is no such user, or she may not see alerts."""

    code = "unknown_receiver"
    title = "没有可以查看预警的该用户"


class DryRunIn(BaseModel):
    """Rules to try, by default those in force, on the newest alerts of the caller's scope, or on one."""

    rules: Rules | None = None
    alert: Annotated[str, Field(max_length=64), AfterValidator(storable)] | None = None


class ReceiverOut(BaseModel):
    """Who would have been told, why, and how."""

    user_id: str
    name: str
    why: list[str]
    channels: list[str]


class DryAlertOut(BaseModel):
    """One alert and who would have been told of it."""

    id: str
    severity: str
    category: str
    receivers: list[ReceiverOut]


class DryRunOut(BaseModel):
    """What rules would have done; nothing was sent."""

    items: list[DryAlertOut]


class AbsenceIn(BaseModel):
    """Somebody is away; without a stand-in nobody is told in her place."""

    user_id: Annotated[str, Field(max_length=64), AfterValidator(storable)]
    stand_in: Annotated[str, Field(max_length=64), AfterValidator(storable)] | None = None
    since: AwareDatetime
    until: AwareDatetime


class AbsenceOut(BaseModel):
    """An absence."""

    id: int
    user_id: str
    stand_in: str | None
    since: datetime
    until: datetime


class AbsenceList(BaseModel):
    """Absences that have not ended."""

    items: list[AbsenceOut]


class ContactIn(BaseModel):
    """Where somebody is reached."""

    address: Annotated[
        str, Field(min_length=1, max_length=256, pattern=r"^[^\s]+$"), AfterValidator(storable)
    ]


class NoticePage(BaseModel):
    """One page of notices, newest first."""

    items: list[NoticeOut]
    next: str | None


UserName = Annotated[str, Path(max_length=64)]


def routes(db: Database, notifier: Notifier, gate: Gate) -> APIRouter:
    """Routes of telling people."""
    router = APIRouter(tags=["通知"])
    _rules(router, db, gate)
    _people(router, db, gate)
    _notices(router, db, notifier, gate)
    return router


def _rules(router: APIRouter, db: Database, gate: Gate) -> None:
    @router.get("/oversight-rules", summary="通知与时限规则")
    def read_rules(_caller: Annotated[Caller, gate.needs(Action.SEE_ALERTS)]) -> Rules:
        with db.read() as connection:
            return rules.current(connection)

    @router.put("/oversight-rules", summary="设定通知与时限规则", status_code=204)
    def put_rules(
        caller: Annotated[Caller, gate.needs(Action.MANAGE_OVERSIGHT)], given: Rules
    ) -> Response:
        _needs_everything(caller)
        with db.write() as connection:
            rules.put(connection, given, caller)
            record(connection, Event.RULES_PUT, caller, rules=given.model_dump(mode="json"))
        return Response(status_code=204)

    @router.post("/oversight-rules/dry-run", summary="试算：谁会收到通知")
    def dry_run(
        caller: Annotated[Caller, gate.needs(Action.MANAGE_OVERSIGHT)], given: DryRunIn
    ) -> DryRunOut:
        with db.write() as connection:
            record(connection, Event.ALERT_LIST, caller, "dry-run")
        with db.read() as connection:
            wanted = store.Wanted()
            found = (
                [store.read_one(connection, given.alert, caller.scope)]
                if given.alert
                else store.read_page(connection, wanted, caller.scope, before=None, limit=DRY)
            )
            audience = Audience(connection, given.rules or rules.current(connection))
            return DryRunOut(items=[_dry(audience, each) for each in found])


def _people(router: APIRouter, db: Database, gate: Gate) -> None:
    @router.get("/absences", summary="缺席与代理")
    def list_absences(_caller: Annotated[Caller, gate.needs(Action.SEE_ALERTS)]) -> AbsenceList:
        with db.read() as connection:
            found = notice_store.absences(connection, clock.now())
        return AbsenceList(items=[AbsenceOut(**each._asdict()) for each in found])

    @router.post("/absences", summary="登记缺席与代理", status_code=204)
    def add_absence(
        caller: Annotated[Caller, gate.needs(Action.SEE_ALERTS)], given: AbsenceIn
    ) -> Response:
        _needs_own_or_manager(caller, given.user_id)
        if given.until <= given.since:
            raise BadInput("结束时间须晚于开始时间")
        with db.write() as connection:
            holder = _holder(connection, given.user_id)
            stand_in = _holder(connection, given.stand_in).id if given.stand_in else None
            if stand_in == holder.id:
                raise BadInput("代理人须是另一位人员")
            notice_store.add_absence(
                connection, holder, stand_in, given.since, given.until, caller.id
            )
            facts = {"since": given.since, "until": given.until, "stand_in": stand_in}
            record(connection, Event.ABSENCE_SET, caller, holder.id, **facts)
        return Response(status_code=204)

    @router.delete("/absences/{number}", summary="取消缺席", status_code=204)
    def cancel_absence(
        caller: Annotated[Caller, gate.needs(Action.MANAGE_OVERSIGHT)], number: RowId
    ) -> Response:
        with db.write() as connection:
            notice_store.cancel_absence(connection, number)
            record(connection, Event.ABSENCE_SET, caller, str(number), cancelled=True)
        return Response(status_code=204)

    @router.put("/contacts/{user_id}/{channel}", summary="设定接收地址", status_code=204)
    def set_contact(
        caller: Annotated[Caller, gate.needs(Action.MANAGE_OVERSIGHT)],
        user_id: UserName,
        channel: Literal["mail", "wecom"],
        given: ContactIn,
    ) -> Response:
        if channel == "mail" and "@" not in given.address:
            raise BadInput("请填写邮件地址")
        with db.write() as connection:
            holder = _holder(connection, user_id)
            notice_store.set_address(connection, holder.id, channel, given.address)
            record(connection, Event.CONTACT_SET, caller, holder.id, channel=channel)
        return Response(status_code=204)


def _notices(router: APIRouter, db: Database, notifier: Notifier, gate: Gate) -> None:
    @router.get("/notices", summary="通知及其结果")
    def list_notices(
        caller: Annotated[Caller, gate.needs(Action.MANAGE_OVERSIGHT)],
        state: NoticeState | None = None,
        cursor: str | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> NoticePage:
        _needs_everything(caller)
        before = None if cursor is None else paging.decode_number(cursor, of=state)
        with db.read() as connection:
            rows = notice_store.page(connection, state, before=before, limit=limit + 1)
        more = paging.encode(rows[limit - 1].id, of=state) if len(rows) > limit else None
        return NoticePage(items=[notice_out(each) for each in rows[:limit]], next=more)

    @router.post("/notices/{number}/retry", summary="重发失败的通知", status_code=204)
    def retry_notice(
        caller: Annotated[Caller, gate.needs(Action.MANAGE_OVERSIGHT)], number: RowId
    ) -> Response:
        _needs_everything(caller)
        with db.write() as connection:
            notifier.revive(connection, number)
            record(connection, Event.NOTICE_RETRY, caller, str(number))
        return Response(status_code=204)


def _dry(audience: Audience, alert: store.AlertRow) -> DryAlertOut:
    receivers = [
        ReceiverOut(
            user_id=each.user_id, name=each.name, why=list(each.why), channels=list(each.channels)
        )
        for each in audience.receivers(alert, alert.level)
    ]
    return DryAlertOut(
        id=alert.id, severity=alert.severity, category=alert.category, receivers=receivers
    )


def _holder(connection: Connection, user_id: str) -> Holder:
    found = holders(connection, Action.SEE_ALERTS, user_id)
    if not found:
        raise UnknownUser
    return found[0]


def _needs_everything(caller: Caller) -> None:
    if not caller.scope.is_everything:
        raise Forbidden("通知规则对全公司生效，须由负责全公司的人员管理")


def _needs_own_or_manager(caller: Caller, user_id: str) -> None:
    if user_id != caller.id and not caller.may(Action.MANAGE_OVERSIGHT):
        raise Forbidden("只能登记本人的缺席")
