"""Packages from the request to the download: who asked for what, who approved it, how far it is built.

    requested → approved → building → ready        requested → rejected        building → failed → building

Nobody approves her own request. The local operator may take it on himself; the package says so.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, insert, select, update

from app.access import Caller, Event, Scope, record
from app.access.audit import head as audit_head
from app.archive.store import parse_message_id, tail
from app.evidence import selection
from app.evidence.models import Export
from app.foundation import clock, jobs
from app.foundation.database import Database, exclusive
from app.foundation.errors import BadInput, Conflict, Forbidden, NotFound
from app.foundation.ids import new_id
from app.people import known_corp

KIND = "export"
HOME = "CN"
PREVIEWED = 20  # conversations shown in a preview


class State(StrEnum):
    """待批准, 已批准, 制作中, 可下载, 已驳回, 失败, 已清除."""

    REQUESTED = "requested"
    APPROVED = "approved"
    BUILDING = "building"
    READY = "ready"
    REJECTED = "rejected"
    FAILED = "failed"
    CLEARED = "cleared"  # records of the corp were disposed of; ask again


class ExportNotFound(NotFound):
    """There is no such export, or the caller may not know of it."""

    code = "export_not_found"
    title = "没有这次导出"


class ExportStateWrong(Conflict):
    """The export is in another state than this needs."""

    code = "export_state"
    title = "导出的状态不允许这样做"


class SamePerson(Forbidden):
    """Whoever asked may not approve."""

    code = "same_person"
    title = "申请人不能批准自己的申请"


class NothingSelected(BadInput):
    """Nothing answers the request."""

    code = "nothing_selected"
    title = "没有符合条件的消息"


class Request(NamedTuple):
    """Why and for whom, besides what."""

    corp: str
    case: str
    legal_basis: str
    purpose: str
    recipient: str
    jurisdiction: str
    foreign_approval: str
    asked: selection.Asked
    redactions: Mapping[str, str]  # message id to the reason


class One(NamedTuple):
    """An export as it is kept."""

    number: int
    id: str
    corp_id: int
    state: str
    asked: dict[str, Any]
    scope: dict[str, Any]
    preview: dict[str, Any]
    requested_by: str
    requested_by_name: str
    requested_at: datetime
    decided_by: str | None
    decided_by_name: str | None
    decided_at: datetime | None
    decision_note: str
    pinned: dict[str, Any] | None
    run: int
    done: int
    total: int
    failure: str | None
    digest: str | None
    size: int | None
    built_at: datetime | None

    @property
    def file_name(self) -> str:
        """How the package is called."""
        return f"EXP-{self.requested_at:%Y}-{self.number:06d}"

    def selected(self) -> selection.Asked:
        """What was asked for."""
        fields = {name: self.asked[name] for name in selection.Asked._fields}
        listed = {name: tuple(fields[name]) for name in ("adviser", "client")}
        return selection.Asked(**{**fields, **listed})

    def seen_from(self) -> Scope:
        """The scope of the requester when he asked."""
        departments = self.scope["departments"]
        return Scope(
            None if departments is None else frozenset(departments), self.scope["employee"]
        )


_COLUMNS = [getattr(Export, name) for name in One._fields]


def request(db: Database, caller: Caller, wanted: Request) -> One:
    """Ask for a package; counts what it would hold. Raises `BadInput`, `NothingSelected`."""
    _require_lawful(wanted)
    with db.read() as connection:
        corp_id = known_corp(connection, wanted.corp)
        if corp_id is None:
            raise BadInput(f"没有企业 {wanted.corp}")
        end = tail(connection, corp_id)
        plan = selection.make(connection, corp_id, end, wanted.asked, caller.scope)
        if not plan.disclosed:
            raise NothingSelected
        consents = selection.consents(connection, plan.places, corp_id, end)
        redactions = _redactions(wanted, corp_id, plan)
    asked = {
        **wanted.asked._asdict(),
        **{
            name: getattr(wanted, name)
            for name in (
                "corp",
                "case",
                "legal_basis",
                "purpose",
                "recipient",
                "jurisdiction",
                "foreign_approval",
            )
        },
        "redactions": redactions,
    }
    departments = caller.scope.departments
    with db.write() as connection:
        exclusive(connection, "exports")
        number = _next(connection)
        name = new_id("exp")
        connection.execute(
            insert(Export).values(
                number=number,
                id=name,
                corp_id=corp_id,
                state=State.REQUESTED,
                asked=asked,
                scope={
                    "departments": None if departments is None else sorted(departments),
                    "employee": caller.scope.employee,
                },
                preview=_preview(plan, consents, redactions),
                requested_by=caller.id,
                requested_by_name=caller.name,
                requested_at=clock.now(),
                decision_note="",
                pinned={
                    "end": end,
                    "consents": consents,
                    "names": {each.tag.hex(): each.name for each in plan.places if each.name},
                },
                run=0,
                done=0,
                total=len(plan.seqs),
            )
        )
        record(connection, Event.EXPORT_REQUEST, caller, name, asked=asked)
        return one(connection, name)


def approve(db: Database, caller: Caller, name: str, note: str) -> One:
    """Let a package be built; raises `SamePerson`, `ExportStateWrong`.

    The local operator may approve what he asked for himself, with a reason.
    """
    with db.write() as connection:
        exclusive(connection, "exports")
        found = one(connection, name)
        _require_state(found, State.REQUESTED)
        if found.requested_by == caller.id and (caller.kind != "operator" or not note.strip()):
            raise SamePerson
        record(connection, Event.EXPORT_APPROVE, caller, name, note=note)
        pinned = {**(found.pinned or {}), "audit": audit_head(connection).seq}
        _decide(connection, found, caller, State.APPROVED, note, pinned=pinned)
        jobs.enqueue(connection, KIND, f"{name}:1", {"id": name, "run": 1})
        return one(connection, name)


def reject(db: Database, caller: Caller, name: str, note: str) -> One:
    """Refuse a package; a reason is needed."""
    if not note.strip():
        raise BadInput("驳回须写明理由")
    with db.write() as connection:
        exclusive(connection, "exports")
        found = one(connection, name)
        _require_state(found, State.REQUESTED)
        record(connection, Event.EXPORT_REJECT, caller, name, note=note)
        _decide(connection, found, caller, State.REJECTED, note)
        return one(connection, name)


def one(connection: Connection, name: str) -> One:
    """An export by its id; raises `ExportNotFound`."""
    row = connection.execute(select(*_COLUMNS).where(Export.id == name)).first()
    if row is None:
        raise ExportNotFound
    return One(*row)


def page(connection: Connection, *, by: str | None, before: int | None, limit: int) -> list[One]:
    """Exports newest first, those `by` one requester unless None."""
    query = select(*_COLUMNS).order_by(Export.number.desc()).limit(limit)
    conditions: list[ColumnElement[bool]] = []
    if by is not None:
        conditions.append(Export.requested_by == by)
    if before is not None:
        conditions.append(Export.number < before)
    return [One(*row) for row in connection.execute(query.where(*conditions))]


def change(connection: Connection, found: One, **values: Any) -> None:
    """Set columns of an export."""
    connection.execute(update(Export).where(Export.number == found.number).values(**values))


def _decide(
    connection: Connection, found: One, caller: Caller, state: State, note: str, **more: Any
) -> None:
    change(
        connection,
        found,
        state=state,
        decided_by=caller.id,
        decided_by_name=caller.name,
        decided_at=clock.now(),
        decision_note=note,
        **more,
    )


def _require_state(found: One, *states: State) -> None:
    if found.state not in states:
        raise ExportStateWrong(f"这次导出的状态是 {found.state}", state=found.state)


def _require_lawful(wanted: Request) -> None:
    """Data kept in China goes to no foreign judicial or enforcement body without approval (数据安全法 36)."""
    if wanted.jurisdiction.upper() != HOME and not wanted.foreign_approval.strip():
        raise BadInput(
            "接收方在境外：向境外司法或执法机构提供存于境内的数据须经主管机关批准，请填写 foreign_approval（批准文号）"
        )


def _redactions(wanted: Request, corp_id: int, plan: selection.Plan) -> dict[str, str]:
    """Log number to the reason, of the messages whose content is to be withheld."""
    included = {seq for seq, bare in zip(plan.seqs, plan.is_bare, strict=True) if not bare}
    found = {}
    for name, reason in wanted.redactions.items():
        corp, seq = parse_message_id(name)
        if corp != corp_id or seq not in included:
            raise BadInput(f"要遮盖的消息 {name} 不在所选范围内")
        if not reason.strip():
            raise BadInput(f"遮盖 {name} 须写明理由")
        found[str(seq)] = reason
    return found


def _preview(
    plan: selection.Plan, consents: dict[str, int], redactions: dict[str, str]
) -> dict[str, Any]:
    largest = sorted(plan.places, key=lambda each: -each.disclosed)[:PREVIEWED]
    return {
        "messages": plan.disclosed,
        "bare_leaves": len(plan.seqs) - plan.disclosed,
        "conversations": len(plan.places),
        "redacted": len(redactions),
        "first_sent_at": _iso(plan.first_sent),
        "last_sent_at": _iso(plan.last_sent),
        "consents": consents,
        "largest": [
            {
                "conversation": each.number,
                "kind": each.kind,
                "room": each.room,
                "name": each.name,
                "messages": each.disclosed,
                "first_counter": each.first,
                "last_counter": each.last,
            }
            for each in largest
        ],
    }


def _iso(ms: int | None) -> str | None:
    moment = selection.moment(ms)
    return moment.isoformat(timespec="milliseconds") if moment else None


def _next(connection: Connection) -> int:
    last = connection.execute(
        select(Export.number).order_by(Export.number.desc()).limit(1)
    ).scalar()
    return (last or 0) + 1
