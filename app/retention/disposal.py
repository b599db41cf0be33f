"""Disposal: asked for by one, agreed to by two others, checked again, done in one transaction, proved, certified.

In the transaction: the door is closed, every key's rules and holds are checked again, the keys are destroyed, the
records' content is blanked and the audit entry written. After it: built packages are cleared, the index is made anew,
SQLite's log is emptied, and the proof is taken. What ends half-way is taken up again by doing it again.
"""

import json
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, insert, select, update

from app.access import Caller, Event, record
from app.access.audit import head as audit_head
from app.archive.models import Record, record_id
from app.evidence import exports
from app.evidence.build import Builder
from app.evidence.models import Export
from app.evidence.signer import Signer
from app.evidence.statement import envelope
from app.foundation import clock
from app.foundation.database import Database, chunks, exclusive
from app.foundation.errors import BadInput, Conflict, NotFound, Unavailable
from app.foundation.ids import new_id
from app.foundation.keys import BucketKey, KeyRing
from app.people import known_corp
from app.retention import candidates, holds, schedules
from app.retention.clockwatch import ClockWatch
from app.retention.models import Disposal
from app.retention.schedules import LOCK, SecondPerson

APPROVALS = 2
MOST_BUCKETS = 10_000  # in one disposal
_READ = 500


class DisposalState(StrEnum):
    """待批准, 已批准, 已驳回, 密钥已毁, 已出具证明."""

    REQUESTED = "requested"
    APPROVED = "approved"
    REJECTED = "rejected"
    DESTROYED = "destroyed"
    CERTIFIED = "certified"


class DisposalNotFound(NotFound):
    """There is no such disposal."""

    code = "disposal_not_found"
    title = "没有这次销毁"


class NothingDue(BadInput):
    """Nothing may go now."""

    code = "nothing_due"
    title = "现在没有可以销毁的记录"


class One(NamedTuple):
    """A disposal as it is kept."""

    id: str
    corp_id: int
    state: str
    reason: str
    buckets: list[dict[str, Any]]
    requested_by: str
    requested_at: datetime
    approvals: list[dict[str, Any]]
    done_at: datetime | None
    certificate: str | None


_COLUMNS = [getattr(Disposal, name) for name in One._fields]


class Disposals:
    """Requests, approvals and their execution; `forget_index` has the search index made anew."""

    def __init__(
        self,
        db: Database,
        keyring: KeyRing,
        signer: Signer,
        builder: Builder,
        origin: str,
        forget_index: Callable[[], None],
    ) -> None:
        self._db, self._keyring, self._signer, self._builder = db, keyring, signer, builder
        self._origin, self._forget_index = origin, forget_index
        self.watch = ClockWatch()

    def due(self, connection: Connection, corp: str) -> tuple[int, list[candidates.Candidate]]:
        """A corp and everything of it that no rule and no hold keeps any longer."""
        corp_id = corp_of(connection, corp)
        now = clock.now()
        found = [
            each
            for each in candidates.of_corp(connection, corp_id)
            if each.due.at is not None and each.due.at <= now
        ]
        return corp_id, found

    def request(self, caller: Caller, corp: str, reason: str) -> One:
        """Ask for the disposal of all that is due now; raises `NothingDue`."""
        if not reason.strip():
            raise BadInput("销毁须写明理由")
        with self._db.write() as connection:
            exclusive(connection, "append")
            exclusive(connection, LOCK)
            self.watch.require_steady(connection)
            schedules.settle(connection, clock.now())
            corp_id, found = self.due(connection, corp)
            buckets = [each.bucket for each in found]
            held = holds.refresh(connection, corp_id, buckets, clock.now())
            free = [each for each in found if each.bucket not in held][:MOST_BUCKETS]
            if not free:
                raise NothingDue(f"到期 {len(found)} 组，其中受保全 {len(held)} 组")
            name = new_id("dsp")
            connection.execute(
                insert(Disposal).values(
                    id=name,
                    corp_id=corp_id,
                    state=DisposalState.REQUESTED,
                    reason=reason,
                    buckets=[_told(each) for each in free],
                    requested_by=caller.id,
                    requested_at=clock.now(),
                    approvals=[],
                )
            )
            facts = {"keys": len(free), "records": sum(each.records for each in free)}
            record(connection, Event.DISPOSAL_STEP, caller, name, step="request", **facts)
            return one(connection, name)

    def approve(self, caller: Caller, name: str) -> One:
        """Agree; the second agreement lets it be done. Neither is the requester's; raises `SecondPerson`."""
        with self._db.write() as connection:
            exclusive(connection, LOCK)
            found = one(connection, name)
            _require(found, DisposalState.REQUESTED)
            known = {found.requested_by, *(each["by"] for each in found.approvals)}
            if caller.id in known:
                raise SecondPerson("销毁须由申请人之外的两个人分别批准")
            given = {"by": caller.id, "name": caller.name, "at": clock.now().isoformat()}
            approvals = [*found.approvals, given]
            state = (
                DisposalState.APPROVED if len(approvals) >= APPROVALS else DisposalState.REQUESTED
            )
            _change(connection, name, approvals=approvals, state=state)
            record(connection, Event.DISPOSAL_STEP, caller, name, step="approve")
            return one(connection, name)

    def reject(self, caller: Caller, name: str, reason: str) -> One:
        """Refuse, with a reason, while nothing is destroyed."""
        if not reason.strip():
            raise BadInput("驳回须写明理由")
        with self._db.write() as connection:
            exclusive(connection, LOCK)
            found = one(connection, name)
            _require(found, DisposalState.REQUESTED, DisposalState.APPROVED)
            _change(connection, name, state=DisposalState.REJECTED)
            record(connection, Event.DISPOSAL_STEP, caller, name, step="reject", reason=reason)
            return one(connection, name)

    def execute(self, caller: Caller, name: str) -> One:
        """Do an approved disposal, or end one that was cut off; raises `ClockJumped`, `KeyHeld`."""
        with self._db.read() as connection:
            found = one(connection, name)
        _require(found, DisposalState.APPROVED, DisposalState.DESTROYED, DisposalState.CERTIFIED)
        if found.state == DisposalState.APPROVED:
            found = self._destroy(caller, name)
        if found.state == DisposalState.DESTROYED:
            found = self._certify(found)
        return found

    def _destroy(self, caller: Caller, name: str) -> One:
        self._secure()
        with self._db.write() as connection:
            exclusive(connection, "append")
            exclusive(connection, LOCK)
            found = one(connection, name)
            _require(found, DisposalState.APPROVED)
            self.watch.require_steady(connection)
            now = clock.now()
            schedules.settle(connection, now)
            numbers = [each["key"] for each in found.buckets]
            held = holds.refresh(connection, found.corp_id, numbers, now)
            done: list[dict[str, Any]] = []
            kept: list[dict[str, Any]] = []
            for each in found.buckets:
                current = candidates.one(connection, found.corp_id, each["key"])
                why = _why_kept(current, each, held, now)
                (kept if why else done).append({**each, "kept_because": why} if why else each)
            self._keyring.destroy(connection, [each["key"] for each in done])
            for each in done:
                _blank(connection, found.corp_id, each)
            _change(
                connection,
                name,
                state=DisposalState.DESTROYED,
                buckets=[*done, *kept],
                done_at=now,
            )
            facts = {
                "keys": [each["key"] for each in done],
                "records": sum(each["records"] for each in done),
                "kept": len(kept),
            }
            record(connection, Event.DISPOSAL_DONE, caller, name, **facts)
            return one(connection, name)

    def _certify(self, found: One) -> One:
        """Remove every derived copy, prove it, sign the certificate."""
        self._clear_packages(found.corp_id)
        self._forget_index()
        self._truncate_log()
        with self._db.read() as connection:
            proof = self._proof(connection, found)
            entry = audit_head(connection)
        told = {
            "version": 1,
            "type": "liuhen-disposal",
            "disposal": found.id,
            "reason": found.reason,
            "requested_by": found.requested_by,
            "requested_at": found.requested_at.isoformat(),
            "approvals": found.approvals,
            "done_at": found.done_at.isoformat() if found.done_at else None,
            "method": "销毁桶密钥（AES-256-GCM），清空正文与密文，清除导出包，重建检索索引",
            "keys": found.buckets,
            "proof": proof,
            "audit_head": {"seq": entry.seq, "hash": entry.hash.hex()},
            "effective": "数据库备份中仍可能有这些密钥；备份过期前以备份的最长保存期为准",
        }
        vkeys = {"statement": self._signer.vkey(f"{self._origin}/disposal")}
        text = envelope(told, self._signer, vkeys)
        with self._db.write() as connection:
            _change(connection, found.id, state=DisposalState.CERTIFIED, certificate=text)
            return one(connection, found.id)

    def _proof(self, connection: Connection, found: One) -> dict[str, Any]:
        done = [each for each in found.buckets if "kept_because" not in each]
        numbers = [each["key"] for each in done]
        opened, left = len(self._keyring.by_id(connection, numbers)), 0
        for part in chunks(numbers, _READ):
            living = select(func.count()).where(
                BucketKey.id.in_(part), BucketKey.wrapped.is_not(None)
            )
            opened += connection.execute(living).scalar_one()
        for each in done:
            query = select(func.count()).where(*_of_bucket(found.corp_id, each), Record.text != "")
            left += connection.execute(query).scalar_one()
        if opened or left:
            raise Unavailable(f"销毁未能证明：{opened} 个密钥仍可打开，{left} 条正文仍在")
        return {
            "keys_destroyed": len(done),
            "keys_that_open": opened,
            "records": sum(each["records"] for each in done),
            "texts_left": left,
        }

    def _clear_packages(self, corp_id: int) -> None:
        """Packages hold text: all of the corp's are cleared and can be asked for again."""
        with self._db.read() as connection:
            query = select(Export.id).where(
                Export.corp_id == corp_id, Export.state != exports.State.REJECTED
            )
            found = [exports.one(connection, name) for name in connection.execute(query).scalars()]
        for each in found:
            self._builder.remove(each)
        with self._db.write() as connection:
            for each in found:
                exports.change(connection, each, state=exports.State.CLEARED)

    def _secure(self) -> None:
        if self._db.is_sqlite:  # freed pages are overwritten with zeros
            with self._db.write() as connection:
                connection.exec_driver_sql("PRAGMA secure_delete = ON")

    def _truncate_log(self) -> None:
        if self._db.is_sqlite:
            self._db.empty_log()


def corp_of(connection: Connection, corp: str) -> int:
    """A corp's number; raises `BadInput`."""
    corp_id = known_corp(connection, corp)
    if corp_id is None:
        raise BadInput(f"没有企业 {corp}")
    return corp_id


def one(connection: Connection, name: str) -> One:
    """A disposal by its id; raises `DisposalNotFound`."""
    row = connection.execute(select(*_COLUMNS).where(Disposal.id == name)).first()
    if row is None:
        raise DisposalNotFound
    return One(*row)


def every(connection: Connection) -> list[One]:
    """All disposals, newest first."""
    return [One(*row) for row in connection.execute(select(*_COLUMNS).order_by(Disposal.id.desc()))]


def _told(each: candidates.Candidate) -> dict[str, Any]:
    return {
        "key": each.bucket,
        "conversation": each.conversation,
        "month": each.month,
        "records": each.records,
        "first_seq": each.first_seq,
        "last_seq": each.last_seq,
        "class": each.record_class,
        "rule": each.due.rule,
        "due": each.due.at.isoformat() if each.due.at else None,
    }


def _why_kept(
    current: candidates.Candidate | None, asked: dict[str, Any], held: set[int], now: datetime
) -> str | None:
    """Why a key that was to go stays after all."""
    if asked["key"] in held:
        return "hold"
    if current is None:
        return "destroyed"
    if current.due.at is None or current.due.at > now:
        return "rule"
    if current.records != asked["records"]:
        return "changed"
    return None


def _of_bucket(corp_id: int, each: dict[str, Any]) -> tuple[Any, ...]:
    span = Record.id.between(
        record_id(corp_id, each["first_seq"]), record_id(corp_id, each["last_seq"])
    )
    conversation = Record.conversation_id == each["conversation"]
    return span, conversation, Record.bucket_id == each["key"]


def _blank(connection: Connection, corp_id: int, each: dict[str, Any]) -> None:
    connection.execute(
        update(Record)
        .where(*_of_bucket(corp_id, each))
        .values(text="", sealed=b"", wrapped_key=b"", digest=b"")
    )


def _require(found: One, *states: DisposalState) -> None:
    if found.state not in states:
        raise Conflict(f"这次销毁的状态是 {found.state}", state=found.state)


def _change(connection: Connection, name: str, **values: Any) -> None:
    connection.execute(update(Disposal).where(Disposal.id == name).values(**values))


def certificate(found: One) -> dict[str, Any]:
    """The signed certificate."""
    if found.certificate is None:
        raise DisposalNotFound("尚未出具销毁证明")
    told: dict[str, Any] = json.loads(found.certificate)
    return told
