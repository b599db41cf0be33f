"""Every query of leads. Who may see a lead may see its first message."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, insert, select, update

from app.access import Scope
from app.archive.models import Record
from app.archive.store import visible
from app.foundation.database import chunks, insert_new
from app.foundation.errors import NotFound
from app.oversight.lead_states import AT_WORK, LeadState, LeadStep
from app.oversight.models import Lead, LeadRecord, LeadStepRow
from app.people import departments_named, subtree

_LOOKUP = 500


class LeadNotFound(NotFound):
    """There is no such lead, or the caller may not know of it."""

    code = "lead_not_found"
    title = "没有这条线索"


class LeadRow(NamedTuple):
    """A lead as it stands."""

    number: int
    id: str
    record_id: int
    last_record_id: int
    corp_id: int
    conversation_id: int
    client: str
    category: str
    state: LeadState
    owner: str | None
    owner_name: str | None
    due_at: datetime
    messages: int
    last_at: datetime
    raised_at: datetime
    changed_at: datetime


class LeadEntry(NamedTuple):
    """An entry of a lead's history."""

    at: datetime
    step: LeadStep
    state: LeadState
    actor: str
    actor_name: str
    note: str


class LeadsWanted(NamedTuple):
    """Which leads a list shows; empty is any. `owner` is a user's id or `none`; `due_before` leaves out what has ended."""

    states: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    departments: tuple[str, ...] = ()
    owner: str | None = None
    due_before: datetime | None = None


_COLUMNS = tuple(getattr(Lead, name) for name in LeadRow._fields)
_ENTRY = tuple(getattr(LeadStepRow, name) for name in LeadEntry._fields)


def of_records(connection: Connection, records: Collection[int]) -> set[int]:
    """Which of some messages have a lead already; for followers, so without a scope."""
    found: set[int] = set()
    for part in chunks(list(records), _LOOKUP):
        query = select(LeadRecord.record_id).where(LeadRecord.record_id.in_(part))
        found |= set(connection.execute(query).scalars())
    return found


def joinable(
    connection: Connection, conversations: Collection[int]
) -> dict[tuple[int, str], LeadRow]:
    """The newest open lead of each client in each conversation, locked until the transaction ends."""
    found: dict[tuple[int, str], LeadRow] = {}
    for part in chunks(sorted(conversations), _LOOKUP):
        query = (
            select(*_COLUMNS)
            .where(Lead.conversation_id.in_(part), Lead.state.in_(AT_WORK))
            .order_by(Lead.number)
            .with_for_update()
        )
        for row in connection.execute(query):
            found[row.conversation_id, row.client] = _lead(row)
    return found


def add(connection: Connection, rows: Sequence[dict[str, Any]]) -> dict[int, LeadRow]:
    """Add leads; gives them by the first of their records."""
    insert_new(connection, Lead, rows)
    found: dict[int, LeadRow] = {}
    for part in chunks([row["record_id"] for row in rows], _LOOKUP):
        query = select(*_COLUMNS).where(Lead.record_id.in_(part))
        found |= {row.record_id: _lead(row) for row in connection.execute(query)}
    return found


def add_records(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Say which messages belong to which leads."""
    insert_new(connection, LeadRecord, rows)


def grow(connection: Connection, lead: LeadRow) -> None:
    """Put down what further messages have made of a lead."""
    names = ("last_record_id", "last_at", "messages", "category", "due_at", "changed_at")
    values = {name: getattr(lead, name) for name in names}
    connection.execute(update(Lead).where(Lead.number == lead.number).values(values))


def change(connection: Connection, lead: LeadRow, values: dict[str, Any]) -> bool:
    """Change a lead unless somebody has done so meanwhile."""
    changed = connection.execute(
        update(Lead)
        .where(
            Lead.number == lead.number,
            Lead.state == lead.state,
            Lead.owner.is_not_distinct_from(lead.owner),
        )
        .values(values)
    )
    return changed.rowcount == 1


def add_entries(connection: Connection, rows: Sequence[tuple[int, LeadEntry]]) -> None:
    """Append to the history of leads."""
    if rows:
        values = [{"lead_number": number, **entry._asdict()} for number, entry in rows]
        connection.execute(insert(LeadStepRow), values)


def read_page(
    connection: Connection, wanted: LeadsWanted, scope: Scope, *, before: int | None, limit: int
) -> list[LeadRow]:
    """Leads within the scope, newest first."""
    query = _in_scope(connection, scope).order_by(Lead.number.desc()).limit(limit)
    if before is not None:
        query = query.where(Lead.number < before)
    if wanted.states:
        query = query.where(Lead.state.in_(wanted.states))
    if wanted.categories:
        query = query.where(Lead.category.in_(wanted.categories))
    if wanted.departments:
        meant = subtree(connection, departments_named(connection, wanted.departments))
        query = query.where(visible(connection, Scope(meant, None)))
    if wanted.owner:
        is_nobodys = wanted.owner == "none"
        query = query.where(Lead.owner.is_(None) if is_nobodys else Lead.owner == wanted.owner)
    if wanted.due_before:
        query = query.where(Lead.due_at < wanted.due_before, Lead.state.in_(AT_WORK))
    return [_lead(row) for row in connection.execute(query)]


def read_one(connection: Connection, name: str, scope: Scope) -> LeadRow:
    """One lead by its id; raises `LeadNotFound`."""
    row = connection.execute(_in_scope(connection, scope).where(Lead.id == name)).one_or_none()
    if row is None:
        raise LeadNotFound
    return _lead(row)


def records_of(connection: Connection, leads: Collection[int]) -> dict[int, list[int]]:
    """The messages of some leads by the lead's number, in the order of the log."""
    found: dict[int, list[int]] = {number: [] for number in leads}
    query = (
        select(LeadRecord.lead_number, LeadRecord.record_id)
        .where(LeadRecord.lead_number.in_(leads))
        .order_by(LeadRecord.record_id)
    )
    for number, record in connection.execute(query):
        found[number].append(record)
    return found


def history(connection: Connection, lead: LeadRow) -> list[LeadEntry]:
    """Everything that happened to a lead, oldest first."""
    query = select(*_ENTRY).where(LeadStepRow.lead_number == lead.number).order_by(LeadStepRow.id)
    return [
        LeadEntry(*row)._replace(step=LeadStep(row.step), state=LeadState(row.state))
        for row in connection.execute(query)
    ]


def _in_scope(connection: Connection, scope: Scope) -> Select[Any]:
    return (
        select(*_COLUMNS)
        .join(Record, Record.id == Lead.record_id)
        .where(visible(connection, scope))
    )


def _lead(row: Any) -> LeadRow:
    fields = LeadRow(*row)
    return fields._replace(state=LeadState(fields.state))
