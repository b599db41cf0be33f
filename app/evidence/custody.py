"""Who saw the records of a package: every audit entry about them, about the export, and about the archive's checks."""

from pathlib import Path

from sqlalchemy import Connection, or_, select

from app.access import Event
from app.access.models import AuditEvent
from app.access.trail import Entry
from app.archive.store import MessageNotFound, parse_message_id
from app.evidence.logs import audit_leaf
from app.evidence.selection import Plan

PAGE = 5_000
_ABOUT_MESSAGES = (
    Event.MESSAGE_OPEN,
    Event.MESSAGE_CONTEXT,
    Event.MESSAGE_RAW,
    Event.MESSAGE_PROOF,
)
_ABOUT_ARCHIVE = (Event.FSCK_RUN, Event.REBUILD_RUN)
_COLUMNS = [getattr(AuditEvent, name) for name in Entry._fields]


def write(
    connection: Connection, corp_id: int, export: str, plan: Plan, size: int, target: Path
) -> list[int]:
    """Write the entries as the audit log commits to them, one a line; gives their numbers."""
    wanted = [event.value for event in (*_ABOUT_MESSAGES, *_ABOUT_ARCHIVE)]
    query = select(*_COLUMNS).where(
        AuditEvent.seq <= size, or_(AuditEvent.event.in_(wanted), AuditEvent.subject == export)
    )
    kept, after = [], 0
    with target.open("wb") as file:
        while True:
            part = query.where(AuditEvent.seq > after).order_by(AuditEvent.seq).limit(PAGE)
            rows = connection.execute(part).all()
            for row in rows:
                if _is_about(row.event, row.subject, corp_id, plan):
                    file.write(audit_leaf(row) + b"\n")
                    kept.append(row.seq)
            if len(rows) < PAGE:
                return kept
            after = rows[-1].seq


def _is_about(event: str, subject: str, corp_id: int, plan: Plan) -> bool:
    if event not in _ABOUT_MESSAGES:
        return True
    try:
        corp, seq = parse_message_id(subject)
    except MessageNotFound:
        return False
    return corp == corp_id and plan.has(seq)
