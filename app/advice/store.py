"""Every query of advice."""

import json
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, func, insert, or_, select

from app.access import Caller
from app.advice.domain import CheckNotFound, Decision, Outcome, Policy
from app.advice.models import CheckDecision, CheckMatch, CheckPolicy, CheckRow
from app.archive.models import Record
from app.foundation import clock
from app.foundation.database import insert_new

LATER = timedelta(hours=24)  # how long after its check a text is still looked for in the archive
SKEW = timedelta(minutes=10)  # how far the sender's clock may be behind ours
_LATEST = 100  # messages of one conversation looked through for a text decided late


class Check(NamedTuple):
    """A check as it was answered."""

    number: int
    id: str
    corp_id: int
    sender: str
    conversation_id: int | None
    at: datetime
    outcome: Outcome
    lexicon_version: str
    salt: bytes
    digest: bytes
    text: str | None
    findings: list[dict[str, Any]]
    actor: str


class Decided(NamedTuple):
    """What the sender did with a warning."""

    at: datetime
    decision: Decision
    reason: str
    digest: bytes | None


class Warned(NamedTuple):
    """That the sender of an archived message had been warned, and what he said to that."""

    record: int
    check_id: str
    outcome: Outcome
    at: datetime
    decision: Decision | None
    reason: str


class PolicyRow(NamedTuple):
    """A policy in force, where it holds and who set it."""

    department_id: int | None
    policy: Policy
    at: datetime
    actor_name: str


_COLUMNS = tuple(getattr(CheckRow, name) for name in Check._fields)


def add(connection: Connection, check: Check) -> None:
    """Keep a check; its number is given by the database."""
    row = check._asdict()
    del row["number"]
    row["findings"] = json.dumps(check.findings, ensure_ascii=False)
    connection.execute(insert(CheckRow).values(row))


def one(connection: Connection, name: str) -> Check:
    """A check by its id; raises `CheckNotFound`."""
    row = connection.execute(select(*_COLUMNS).where(CheckRow.id == name)).one_or_none()
    if row is None:
        raise CheckNotFound
    return _check(row)


def decide(
    connection: Connection, check: Check, decided: Decided, text: str | None, caller: Caller
) -> Decided:
    """Keep a decision unless there is one; gives the one that is kept."""
    row = {"check_number": check.number, **decided._asdict(), "text": text, "actor": caller.id}
    insert_new(connection, CheckDecision, [row])
    columns = (getattr(CheckDecision, name) for name in Decided._fields)
    query = select(*columns).where(CheckDecision.check_number == check.number)
    kept = Decided(*connection.execute(query).one())
    return kept._replace(decision=Decision(kept.decision))


def decision_of(connection: Connection, check: Check) -> Decided | None:
    """The decision on a check, if there is one."""
    columns = (getattr(CheckDecision, name) for name in Decided._fields)
    query = select(*columns).where(CheckDecision.check_number == check.number)
    row = connection.execute(query).one_or_none()
    return Decided(*row)._replace(decision=Decision(row.decision)) if row else None


def of_sender(
    connection: Connection, corp_id: int, sender: str, *, before: int | None, limit: int
) -> list[tuple[Check, Decided | None]]:
    """The checks of one sender with what he decided, newest first."""
    decided = (getattr(CheckDecision, name) for name in Decided._fields)
    query = (
        select(*_COLUMNS, *(each.label(f"decided_{each.key}") for each in decided))
        .outerjoin(CheckDecision, CheckDecision.check_number == CheckRow.number)
        .where(CheckRow.corp_id == corp_id, CheckRow.sender == sender)
        .order_by(CheckRow.number.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(CheckRow.number < before)
    size = len(_COLUMNS)
    return [
        (
            _check(row[:size]),
            Decided(*row[size:])._replace(decision=Decision(row[size + 1])) if row[size] else None,
        )
        for row in connection.execute(query)
    ]


def unmatched(
    connection: Connection, corp_id: int, senders: Collection[str], first: datetime, last: datetime
) -> list[tuple[Check, bytes | None]]:
    """The warned checks of some senders that a message sent from `first` to `last` may be, newest first.

    With each the digest of what was decided to send instead.
    """
    query = (
        select(*_COLUMNS, CheckDecision.digest.label("decided"))
        .outerjoin(CheckDecision, CheckDecision.check_number == CheckRow.number)
        .outerjoin(CheckMatch, CheckMatch.check_number == CheckRow.number)
        .where(
            CheckRow.corp_id == corp_id,
            CheckRow.sender.in_(senders),
            CheckRow.at.between(first - LATER, last + SKEW),
            CheckRow.outcome != Outcome.CLEAR,
            CheckMatch.check_number.is_(None),
        )
        .order_by(CheckRow.number.desc())
    )
    return [(_check(row[:-1]), row.decided) for row in connection.execute(query)]


def match(connection: Connection, pairs: Sequence[tuple[Check, int]]) -> None:
    """Say which message a check's text became; a check that is matched stays so."""
    now = clock.now()
    rows = [
        {"check_number": check.number, "record_id": record, "at": now} for check, record in pairs
    ]
    insert_new(connection, CheckMatch, rows)


def said_since(connection: Connection, conversation: int, since: datetime) -> list[tuple[int, str]]:
    """Record and text of what was said in a conversation since a moment."""
    query = (
        select(Record.id, Record.text)
        .where(Record.conversation_id == conversation, Record.sent_at >= since - SKEW)
        .order_by(Record.counter.desc())
        .limit(_LATEST)
    )
    return [(row.id, row.text) for row in connection.execute(query)]


def warned(connection: Connection, records: Collection[int]) -> list[Warned]:
    """Which of some messages were sent after a warning; for those who may see these messages."""
    query = (
        select(
            CheckMatch.record_id,
            CheckRow.id,
            CheckRow.outcome,
            CheckRow.at,
            CheckDecision.decision,
            CheckDecision.reason,
        )
        .join(CheckRow, CheckRow.number == CheckMatch.check_number)
        .outerjoin(CheckDecision, CheckDecision.check_number == CheckRow.number)
        .where(CheckMatch.record_id.in_(records))
        .order_by(CheckRow.number)
    )
    return [
        Warned(
            row.record_id,
            row.id,
            Outcome(row.outcome),
            row.at,
            Decision(row.decision) if row.decision else None,
            row.reason or "",
        )
        for row in connection.execute(query)
    ]


def policies(connection: Connection) -> list[PolicyRow]:
    """The policy in force of every department that has one of its own, and of the whole firm."""
    newest = select(func.max(CheckPolicy.id)).group_by(CheckPolicy.department_id)
    rows = connection.execute(_policy_rows().where(CheckPolicy.id.in_(newest)))
    return [_policy(row) for row in rows]


def policies_for(connection: Connection, departments: Collection[int]) -> dict[int | None, Policy]:
    """The policies in force of some departments and of the whole firm."""
    newest = (
        select(func.max(CheckPolicy.id))
        .where(or_(CheckPolicy.department_id.is_(None), CheckPolicy.department_id.in_(departments)))
        .group_by(CheckPolicy.department_id)
    )
    rows = connection.execute(_policy_rows().where(CheckPolicy.id.in_(newest)))
    return {row.department_id: _policy(row).policy for row in rows}


def set_policy(
    connection: Connection, department: int | None, policy: Policy, caller: Caller
) -> None:
    """Let a policy hold from now on."""
    row = {
        "department_id": department,
        **policy._asdict(),
        "at": clock.now(),
        "actor": caller.id,
        "actor_name": caller.name,
    }
    connection.execute(insert(CheckPolicy).values(row))


def _policy_rows() -> Select[Any]:
    return select(CheckPolicy).with_only_columns(
        CheckPolicy.department_id,
        *(getattr(CheckPolicy, name) for name in Policy._fields),
        CheckPolicy.at,
        CheckPolicy.actor_name,
    )


def _policy(row: Any) -> PolicyRow:
    policy = Policy(Outcome(row.red), Outcome(row.orange), Outcome(row.yellow), row.keep_text)
    return PolicyRow(row.department_id, policy, row.at, row.actor_name)


def _check(row: Any) -> Check:
    fields = Check(*row)
    return fields._replace(
        outcome=Outcome(fields.outcome),
        salt=bytes(fields.salt),
        digest=bytes(fields.digest),
        findings=json.loads(str(fields.findings)),
    )
