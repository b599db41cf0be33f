"""The Merkle logs: one per corp over its records' leaves, and one over the audit trail. Queries and proofs."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import quote

from sqlalchemy import Connection, func, insert, select

from app.access.audit import head as audit_head
from app.access.models import AuditEvent
from app.access.trail import Entry, canonical
from app.archive.models import Record, record_id
from app.archive.store import tail
from app.evidence import merkle, note, tiles
from app.evidence.models import LogCheckpoint
from app.foundation import clock
from app.foundation.errors import NotFound, Unavailable
from app.people import corp_codes

AUDIT = 0  # the number of the audit trail's log; a corp's log has the corp's number


class LogNotFound(NotFound):
    """There is no such log."""

    code = "log_not_found"
    title = "没有这条日志"


class NotSealed(Unavailable):
    """The tree has not reached this entry yet."""

    code = "not_sealed"
    title = "尚未封存，请稍后再试"


class Sealed(NamedTuple):
    """A signed checkpoint as it is kept."""

    size: int
    root: bytes
    note: str
    signed_at: datetime


def origins(connection: Connection, name: str) -> dict[int, str]:
    """Every log's number and the name it signs under; `name` is the installation's."""
    corps = corp_codes(connection)
    found = {number: f"{name}/records/{quote(code, safe='')}" for number, code in corps.items()}
    return {AUDIT: f"{name}/audit"} | found


def name_of(log_id: int) -> str:
    """How a log is called in addresses and commands: `audit` or `records-<corp's number>`."""
    return "audit" if log_id == AUDIT else f"records-{log_id}"


def named(connection: Connection, name: str) -> int:
    """A log's number by its name; raises `LogNotFound`."""
    for log_id in (AUDIT, *corp_codes(connection)):
        if name_of(log_id) == name:
            return log_id
    raise LogNotFound(f"没有日志 {name}；可选：audit 与 records-<企业序号>")


def end(connection: Connection, log_id: int) -> int:
    """How many entries a log has, sealed or not."""
    return audit_head(connection).seq if log_id == AUDIT else tail(connection, log_id)


def leaf_hashes(connection: Connection, log_id: int, after: int, to: int) -> list[bytes]:
    """The leaf hashes of the entries (after, to]; raises `Unavailable` when one is missing."""
    leaves = audit_leaves if log_id == AUDIT else record_leaves
    found = leaves(connection, log_id, after, to)
    if len(found) != to - after:
        raise Unavailable("日志中缺少条目：请运行 liuhen fsck")
    return [merkle.hash_leaf(leaf) for leaf in found]


def record_leaves(connection: Connection, log_id: int, after: int, to: int) -> Sequence[bytes]:
    """The leaves of a corp's records (after, to]."""
    span = Record.id.between(record_id(log_id, after + 1), record_id(log_id, to))
    query = select(Record.leaf).where(span).order_by(Record.id)
    return connection.execute(query).scalars().all()


def audit_leaves(connection: Connection, log_id: int, after: int, to: int) -> list[bytes]:
    """The leaves of the audit entries (after, to]: their canonical JSON, as the chain hashes it."""
    del log_id
    columns = [getattr(AuditEvent, field) for field in Entry._fields]
    query = select(*columns).where(AuditEvent.seq > after, AuditEvent.seq <= to)
    return [audit_leaf(row) for row in connection.execute(query.order_by(AuditEvent.seq))]


def audit_leaf(row: Sequence[object]) -> bytes:
    """The bytes that the audit log commits to; `row` has the columns of `Entry`."""
    entry = dict(zip(Entry._fields, row, strict=True))
    moment = entry["at"]
    if isinstance(moment, datetime):
        entry["at"] = clock.to_ms(moment)
    return canonical(entry).encode("ascii")


def latest(connection: Connection, log_id: int) -> Sealed | None:
    """The newest checkpoint of a log."""
    query = _checkpoints(log_id).order_by(LogCheckpoint.size.desc()).limit(1)
    row = connection.execute(query).first()
    return Sealed(*row) if row else None


def at_size(connection: Connection, log_id: int, size: int) -> Sealed | None:
    """The checkpoint signed at exactly this size."""
    row = connection.execute(_checkpoints(log_id).where(LogCheckpoint.size == size)).first()
    return Sealed(*row) if row else None


def covering(connection: Connection, log_id: int, seq: int) -> Sealed:
    """The first checkpoint that covers an entry; raises `NotSealed`."""
    query = _checkpoints(log_id).where(LogCheckpoint.size >= seq).order_by(LogCheckpoint.size)
    row = connection.execute(query.limit(1)).first()
    if row is None:
        raise NotSealed(retry_after=1)
    return Sealed(*row)


def count(connection: Connection, log_id: int) -> int:
    """How many checkpoints of a log there are."""
    query = select(func.count()).select_from(LogCheckpoint).where(LogCheckpoint.log_id == log_id)
    return connection.execute(query).scalar_one()


def never_sealed(connection: Connection) -> bool:
    """Whether no log has ever been signed here."""
    return connection.execute(select(LogCheckpoint.log_id).limit(1)).first() is None


def checkpoints(connection: Connection, log_id: int) -> list[Sealed]:
    """Every checkpoint of a log, oldest first."""
    rows = connection.execute(_checkpoints(log_id).order_by(LogCheckpoint.size))
    return [Sealed(*row) for row in rows]


def keep(connection: Connection, log_id: int, sealed: Sealed) -> None:
    """Store a signed checkpoint."""
    connection.execute(insert(LogCheckpoint).values(log_id=log_id, **sealed._asdict()))


def inclusion_text(connection: Connection, log_id: int, seq: int, sealed: Sealed) -> str:
    """The stand-alone proof (tlog-proof) that entry `seq` is under a checkpoint."""
    path = merkle.inclusion(tiles.Reader(connection, log_id).node, seq - 1, sealed.size)
    return note.proof_text(seq - 1, path, sealed.note)


def _checkpoints(log_id: int) -> Any:
    columns = (LogCheckpoint.size, LogCheckpoint.root, LogCheckpoint.note, LogCheckpoint.signed_at)
    return select(*columns).where(LogCheckpoint.log_id == log_id)
