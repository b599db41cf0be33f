"""Versions of the word lists for officers: their life, their differences, the test bench, back-tests, tables."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import AfterValidator
from sqlalchemy import Connection

from app.access import Action, Caller, Event, record
from app.access.api import Gate, storable
from app.foundation import paging
from app.foundation.database import Database
from app.foundation.errors import Forbidden
from app.foundation.http import Body
from app.screening import backtests, lexicons, tables
from app.screening.backtests import BacktestNotFound, Period
from app.screening.domain import Turn
from app.screening.lexicons import Version
from app.screening.service import Lexicons
from app.screening.views import (
    NAME,
    ApprovalIn,
    BacktestOut,
    DiffOut,
    DraftIn,
    FilesOut,
    ImportOut,
    OneVersion,
    PeriodIn,
    RejectionIn,
    ReleaseIn,
    TryIn,
    TryOut,
    VersionPage,
    backtest_out,
    diff_out,
    import_out,
    one_out,
    trace_out,
    version_out,
)

LexiconName = Annotated[str, Path(pattern=NAME)]
BacktestName = Annotated[str, Path(pattern=r"^bkt_[0-9a-z]{1,40}$")]
_STEP_MS = 5_000  # between the messages of the test bench
_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def routes(service: Lexicons, gate: Gate) -> APIRouter:
    """Routes of the word lists."""
    router = APIRouter(prefix="/lexicons", tags=["词库"])
    _add_reading(router, service, gate)
    _add_steps(router, service, gate)
    _add_backtests(router, service.db, service, gate)
    return router


def _add_reading(router: APIRouter, service: Lexicons, gate: Gate) -> None:
    reader = gate.needs(Action.SEE_LEXICONS)

    @router.get("", summary="词库版本列表")
    def list_lexicons(
        caller: Annotated[Caller, reader],
        cursor: str | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> VersionPage:
        before = None if cursor is None else int(paging.decode(cursor, of="lexicons"))
        with service.db.write() as connection:
            record(connection, Event.LEXICON_READ, caller)
            found = lexicons.page(connection, before=before, limit=limit + 1)
        is_more = len(found) > limit
        more = paging.encode(found[limit - 1].number, of="lexicons") if is_more else None
        return VersionPage(items=[version_out(each) for each in found[:limit]], next=more)

    @router.get("/{name}", summary="一个词库版本")
    def open_lexicon(caller: Annotated[Caller, reader], name: LexiconName) -> OneVersion:
        return one_out(service, caller, name)

    @router.get("/{name}/files", summary="一个版本的全部文件")
    def read_files(caller: Annotated[Caller, reader], name: LexiconName) -> FilesOut:
        version = service.one(name)
        files = dict(service.files(caller, version.id))
        return FilesOut(id=version.id, version=version.version, files=files)

    @router.get("/{name}/diff", summary="两个版本的差异")
    def compare(
        caller: Annotated[Caller, reader],
        name: LexiconName,
        against: Annotated[str, Query(pattern=NAME)] = "released",
    ) -> DiffOut:
        return diff_out(service, caller, against, name)

    @router.get("/{name}/table", summary="导出词表", response_class=Response)
    def export_table(
        caller: Annotated[Caller, reader],
        name: LexiconName,
        form: Annotated[Literal["csv", "xlsx"], Query(alias="format")] = "csv",
    ) -> Response:
        lines = service.table(caller, name)
        data = tables.write_csv(lines) if form == "csv" else tables.write_xlsx(lines)
        headers = {"Content-Disposition": f'attachment; filename="{name}.{form}"'}
        return Response(data, headers=headers, media_type=_TYPES[form])

    @router.post("/{name}/try", summary="试一试")
    def try_messages(caller: Annotated[Caller, reader], name: LexiconName, given: TryIn) -> TryOut:
        turns = [
            Turn(each.role, each.text, each.speaker, at * _STEP_MS)
            for at, each in enumerate(given.messages)
        ]
        return trace_out(service.attempt(caller, name, turns))


def _add_steps(router: APIRouter, service: Lexicons, gate: Gate) -> None:
    drafter, approver = gate.needs(Action.MANAGE_LEXICONS), gate.needs(Action.APPROVE_LEXICON)

    @router.post("", summary="起草新版本", status_code=201)
    def draft(caller: Annotated[Caller, drafter], given: DraftIn) -> OneVersion:
        made = service.draft(caller, given.files, based_on=given.based_on, note=given.note)
        return one_out(service, caller, made.id)

    @router.post("/import", summary="由词表起草新版本", status_code=201)
    def import_table(
        caller: Annotated[Caller, drafter],
        body: Body,
        based_on: Annotated[str, Query(pattern=NAME)] = "released",
        note: Annotated[str, Query(max_length=2000), AfterValidator(storable)] = "",
    ) -> ImportOut:
        lines = tables.read_table(body)
        made, imported = service.import_table(caller, lines, based_on=based_on, note=note)
        return import_out(made, imported)

    @router.post("/{name}/approve", summary="批准")
    def approve(
        caller: Annotated[Caller, approver], name: LexiconName, given: ApprovalIn | None = None
    ) -> OneVersion:
        given = given or ApprovalIn()
        made = service.approve(caller, name, note=given.note, override=given.override)
        return one_out(service, caller, made.id)

    @router.post("/{name}/reject", summary="驳回")
    def reject(
        caller: Annotated[Caller, approver], name: LexiconName, given: RejectionIn
    ) -> OneVersion:
        return one_out(service, caller, service.reject(caller, name, given.reason).id)

    @router.post("/{name}/release", summary="发布")
    def release(
        caller: Annotated[Caller, drafter], name: LexiconName, given: ReleaseIn | None = None
    ) -> OneVersion:
        given = given or ReleaseIn()
        made = service.release(caller, name, replaces=given.replaces, note=given.note)
        return one_out(service, caller, made.id)


def _add_backtests(router: APIRouter, db: Database, service: Lexicons, gate: Gate) -> None:
    reader, drafter = gate.needs(Action.SEE_LEXICONS), gate.needs(Action.MANAGE_LEXICONS)

    @router.post("/{name}/backtests", summary="开始回测", status_code=202)
    def start(
        caller: Annotated[Caller, drafter], name: LexiconName, given: PeriodIn | None = None
    ) -> BacktestOut:
        refuse_narrow(caller)
        period = Period(**(given or PeriodIn()).model_dump())
        made = backtests.start(db, caller, service.one(name).id, period)
        return backtest_out(made, service.alert_share, caller)

    @router.get("/{name}/backtests", summary="一个版本的回测")
    def list_backtests(caller: Annotated[Caller, reader], name: LexiconName) -> list[BacktestOut]:
        version = service.one(name)
        with db.write() as connection:
            record(connection, Event.LEXICON_READ, caller, version.id, backtests=True)
            found = backtests.of_version(connection, version)
        return [backtest_out(each, service.alert_share, caller) for each in found]

    @router.get("/{name}/backtests/{run}", summary="一次回测")
    def open_backtest(
        caller: Annotated[Caller, reader], name: LexiconName, run: BacktestName
    ) -> BacktestOut:
        version = service.one(name)
        with db.write() as connection:
            record(connection, Event.LEXICON_READ, caller, version.id, backtest=run)
            found = _of(connection, version, run)
        return backtest_out(found, service.alert_share, caller)

    @router.post("/{name}/backtests/{run}/{deed}", summary="停止或继续回测")
    def turn(
        caller: Annotated[Caller, drafter],
        name: LexiconName,
        run: BacktestName,
        deed: Literal["stop", "resume"],
    ) -> BacktestOut:
        refuse_narrow(caller)
        version = service.one(name)
        with db.read() as connection:
            _of(connection, version, run)
        act = backtests.stop if deed == "stop" else backtests.resume
        return backtest_out(act(db, caller, run), service.alert_share, caller)


def refuse_narrow(caller: Caller) -> None:
    """Raise `Forbidden` unless the caller sees the whole archive, which a back-test reads."""
    if not caller.scope.is_everything:
        raise Forbidden("回测读取全部存档，须由可见全部部门的人员操作")


def _of(connection: Connection, version: Version, run: str) -> backtests.Run:
    found = backtests.one(connection, run)
    if found.lexicon_number != version.number:
        raise BacktestNotFound
    return found
