"""Packages over HTTP: request, approve or reject, watch, download. A download is audited before its first byte."""

from datetime import datetime
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import FileResponse
from pydantic import AwareDatetime, BaseModel, Field

from app.access import Action, Caller, Event, record
from app.access.api import Gate
from app.evidence import exports
from app.evidence.build import Builder
from app.evidence.exports import ExportNotFound, ExportStateWrong, One, Request, State
from app.evidence.selection import Asked
from app.foundation.clock import to_ms
from app.foundation.database import Database
from app.foundation.paging import decode_number, encode

ExportName = Annotated[str, Path(max_length=64)]
Words = Annotated[str, Field(min_length=1, max_length=2000)]
Names = Annotated[list[Annotated[str, Field(max_length=256)]], Field(max_length=1000)]


class ExportIn(BaseModel):
    """Why, for whom and what. `redactions` maps message ids to the reason for withholding their content."""

    corp: Annotated[str, Field(min_length=1, max_length=256)]
    case: Words
    legal_basis: Words
    purpose: Words
    recipient: Words
    jurisdiction: Annotated[str, Field(min_length=2, max_length=64)] = "CN"
    foreign_approval: Annotated[str, Field(max_length=2000)] = ""
    q: Annotated[str, Field(max_length=1000)] = ""
    adviser: Names = []
    client: Names = []
    conversation: Annotated[str | None, Field(max_length=256)] = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    redactions: Annotated[dict[str, str], Field(max_length=10_000)] = {}

    def request(self) -> Request:
        """As the service takes it."""
        asked = Asked(
            self.q,
            tuple(self.adviser),
            tuple(self.client),
            self.conversation,
            None if self.since is None else to_ms(self.since),
            None if self.until is None else to_ms(self.until),
        )
        return Request(
            self.corp,
            self.case,
            self.legal_basis,
            self.purpose,
            self.recipient,
            self.jurisdiction,
            self.foreign_approval,
            asked,
            self.redactions,
        )


class DecisionIn(BaseModel):
    """A word on the decision; a rejection needs one."""

    note: Annotated[str, Field(max_length=2000)] = ""


class ExportOut(BaseModel):
    """An export. `done` of `total` are records written and shown; `digest` is the package's SHA-256."""

    id: str
    name: str
    state: State
    request: dict[str, Any]
    preview: dict[str, Any]
    requested_by: str
    requested_by_name: str
    requested_at: datetime
    decided_by: str | None
    decided_by_name: str | None
    decided_at: datetime | None
    decision_note: str
    done: int
    total: int
    failure: str | None
    digest: str | None
    size: int | None
    built_at: datetime | None


class ExportPage(BaseModel):
    """Exports, newest first."""

    items: list[ExportOut]
    next: str | None


def shown(found: One) -> ExportOut:
    """An export as it is shown."""
    fields = {name: getattr(found, name) for name in ExportOut.model_fields if hasattr(found, name)}
    return ExportOut(**{**fields, "name": found.file_name, "request": found.asked})


def routes(db: Database, builder: Builder, gate: Gate) -> APIRouter:
    """Routes of exports."""
    router = APIRouter(tags=["证据"])

    @router.post("/exports", summary="申请导出证据包；答复中有预览", status_code=201)
    def ask(caller: Annotated[Caller, gate.needs(Action.EXPORT)], body: ExportIn) -> ExportOut:
        return shown(exports.request(db, caller, body.request()))

    @router.get("/exports", summary="自己申请的导出")
    def list_own(
        caller: Annotated[Caller, gate.needs(Action.EXPORT)],
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: str | None = None,
    ) -> ExportPage:
        return _page(db, caller, caller.id, limit, cursor)

    @router.get("/exports/to-decide", summary="全部导出，供批准人查看")
    def list_all(
        caller: Annotated[Caller, gate.needs(Action.APPROVE_EXPORT)],
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: str | None = None,
    ) -> ExportPage:
        return _page(db, caller, None, limit, cursor)

    @router.get("/exports/{name}", summary="一次导出的状态与进度")
    def read(caller: Annotated[Caller, gate.signed_in()], name: ExportName) -> ExportOut:
        return shown(_seen(db, caller, name))

    @router.post("/exports/{name}/approve", summary="由另一人批准")
    def approve(
        caller: Annotated[Caller, gate.needs(Action.APPROVE_EXPORT)],
        name: ExportName,
        body: DecisionIn | None = None,
    ) -> ExportOut:
        return shown(exports.approve(db, caller, name, body.note if body else ""))

    @router.post("/exports/{name}/reject", summary="驳回，须写明理由")
    def reject(
        caller: Annotated[Caller, gate.needs(Action.APPROVE_EXPORT)],
        name: ExportName,
        body: DecisionIn,
    ) -> ExportOut:
        return shown(exports.reject(db, caller, name, body.note))

    @router.get("/exports/{name}/package", summary="下载证据包", response_class=Response)
    def download(
        caller: Annotated[Caller, gate.needs(Action.EXPORT)], name: ExportName
    ) -> FileResponse:
        found = _own(db, caller, name)
        return _file(db, caller, found, builder.package(found), "application/zip")

    @router.get(
        "/exports/{name}/signature", summary="整个证据包的签名（DSSE）", response_class=Response
    )
    def download_signature(
        caller: Annotated[Caller, gate.needs(Action.EXPORT)], name: ExportName
    ) -> FileResponse:
        found = _own(db, caller, name)
        return _file(db, caller, found, builder.signature(found), "application/json")

    return router


def _page(
    db: Database, caller: Caller, by: str | None, limit: int, cursor: str | None
) -> ExportPage:
    before = None if cursor is None else decode_number(cursor, of=["exports", by])
    with db.write() as connection:
        record(connection, Event.EXPORT_READ, caller)
    with db.read() as connection:
        found = exports.page(connection, by=by, before=before, limit=limit + 1)
    more = encode(found[limit - 1].number, of=["exports", by]) if len(found) > limit else None
    return ExportPage(items=[shown(each) for each in found[:limit]], next=more)


def _seen(db: Database, caller: Caller, name: str) -> One:
    """An export that is the caller's own, or that she may decide about; raises `ExportNotFound`."""
    with db.read() as connection:
        found = exports.one(connection, name)
    if found.requested_by != caller.id and not caller.may(Action.APPROVE_EXPORT):
        raise ExportNotFound
    with db.write() as connection:
        record(connection, Event.EXPORT_READ, caller, name)
    return found


def _own(db: Database, caller: Caller, name: str) -> One:
    """An export of the caller's that can be downloaded."""
    with db.read() as connection:
        found = exports.one(connection, name)
    if found.requested_by != caller.id:
        raise ExportNotFound
    if found.state != State.READY:
        raise ExportStateWrong(f"证据包尚不可下载，状态是 {found.state}", state=found.state)
    return found


def _file(
    db: Database, caller: Caller, found: One, path: FilePath, media_type: str
) -> FileResponse:
    if not path.is_file():
        raise ExportNotFound("证据包文件已清除，请重新申请")
    with db.write() as connection:
        record(connection, Event.EXPORT_DOWNLOAD, caller, found.id, file=path.name)
    return FileResponse(path, media_type=media_type, filename=path.name)
