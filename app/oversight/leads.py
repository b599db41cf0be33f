"""Note leads from findings, and follow them up: an owner, a due date, an end with a word about it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection

from app.access import EVERYTHING, Action, Caller, Event, holders, record
from app.archive.domain import PartyType
from app.archive.models import position_of, record_id
from app.archive.store import Message, read_many
from app.foundation import clock, ids
from app.foundation.database import Database, announce
from app.foundation.worktime import Calendar
from app.oversight import lead_store as store
from app.oversight import rules
from app.oversight.domain import Breach, Group, Open, grouped
from app.oversight.lead_states import (
    COMPLAINT,
    DueMissing,
    LeadState,
    LeadStep,
    LeadStepNotPossible,
    next_lead_state,
)
from app.oversight.review import UnknownAssignee
from app.screening.domain import Outcome
from app.screening.store import Found

TOPIC = "leads"
_MACHINES = frozenset({LeadStep.NOTE, LeadStep.JOIN})
By = Mapping[int, Sequence[Found]]


class LeadGiven(NamedTuple):
    """What comes with a step: a note, for `assign` to whom, for `postpone` until when."""

    note: str = ""
    assignee: str | None = None
    due_at: datetime | None = None


def note_leads(connection: Connection, found: Sequence[Found], calendar: Calendar) -> None:
    """One lead per client and stretch of conversation, in the transaction that found it."""
    by_record: dict[int, list[Found]] = defaultdict(list)
    for finding in found:
        if finding.outcome is Outcome.LEAD:
            by_record[finding.record].append(finding)
    fresh = by_record.keys() - store.of_records(connection, list(by_record))
    if not fresh:
        return
    messages = read_many(connection, [position_of(each) for each in fresh], EVERYTHING)
    asked = sorted(
        (
            Breach(
                record_id(each.corp_id, each.seq), each.conversation_id, _client(each), each.sent_at
            )
            for each in messages
        ),
        key=lambda each: each.record,
    )
    known = store.joinable(connection, {each.conversation for each in asked})
    opened = {key: Open(each.number, each.last_at, each.messages) for key, each in known.items()}
    groups = grouped(asked, opened)
    by_number = {each.number: each for each in known.values()}
    times = rules.current(connection).leads
    made = _begun(
        connection, [each for each in groups if each.alert is None], by_record, times, calendar
    )
    for group in groups:
        if group.alert is None:
            _write(connection, made[group.breaches[0].record], group, LeadStep.NOTE, by_record)
        else:
            lead = _grown(by_number[group.alert], group, by_record, times, calendar)
            store.grow(connection, lead)
            _write(connection, lead, group, LeadStep.JOIN, by_record)
    announce(connection, TOPIC)


def _client(message: Message) -> str:
    """The client who asks, or whom somebody of the firm answers."""
    if message.sender.type is not PartyType.EMPLOYEE:
        return message.sender.id
    return next((each.id for each in message.recipients if each.type is PartyType.CLIENT), "")


def _begun(
    connection: Connection,
    groups: Sequence[Group],
    by_record: By,
    times: rules.LeadTimes,
    calendar: Calendar,
) -> dict[int, store.LeadRow]:
    now = clock.now()
    rows = []
    for group in groups:
        first, category = group.breaches[0], _category(group, by_record)
        rows.append(
            {
                "id": ids.new_id("led"),
                "record_id": first.record,
                "last_record_id": group.breaches[-1].record,
                "corp_id": position_of(first.record)[0],
                "conversation_id": first.conversation,
                "client": first.adviser,
                "category": category,
                "state": LeadState.OPEN,
                "due_at": calendar.after(now, _span(times, category)),
                "messages": len(group.breaches),
                "last_at": max(each.sent_at for each in group.breaches),
                "raised_at": now,
                "changed_at": now,
            }
        )
    return store.add(connection, rows)


def _grown(
    lead: store.LeadRow,
    group: Group,
    by_record: By,
    times: rules.LeadTimes,
    calendar: Calendar,
) -> store.LeadRow:
    now, category = clock.now(), _category(group, by_record)
    changed = lead._replace(
        last_record_id=group.breaches[-1].record,
        last_at=max(lead.last_at, *(each.sent_at for each in group.breaches)),
        messages=lead.messages + len(group.breaches),
        changed_at=now,
    )
    if category != COMPLAINT or lead.category == COMPLAINT:
        return changed
    due_at = min(lead.due_at, calendar.after(now, _span(times, category)))
    return changed._replace(category=category, due_at=due_at)


def _span(times: rules.LeadTimes, category: str) -> timedelta:
    return timedelta(minutes=times.complaint if category == COMPLAINT else times.other)


def _category(group: Group, by_record: By) -> str:
    """A complaint before anything else, then what came first."""
    categories = [each.category for one in group.breaches for each in by_record[one.record]]
    return COMPLAINT if COMPLAINT in categories else categories[0]


def _write(
    connection: Connection, lead: store.LeadRow, group: Group, step: LeadStep, by_record: By
) -> None:
    records = [{"record_id": each.record, "lead_number": lead.number} for each in group.breaches]
    store.add_records(connection, records)
    rules_found = sorted({each.rule for one in group.breaches for each in by_record[one.record]})
    entry = store.LeadEntry(
        clock.now(), step, lead.state, "screening", "自动筛查", "、".join(rules_found)
    )
    store.add_entries(connection, [(lead.number, entry)])


def take_lead(
    db: Database, caller: Caller, name: str, step: LeadStep, given: LeadGiven
) -> store.LeadRow:
    """One step of one lead in one transaction with its audit entry.

    Raises `LeadNotFound`, `LeadStepNotPossible`, `LeadNoteMissing`, `DueMissing`, `UnknownAssignee`.
    """
    with db.write() as connection:
        lead = store.read_one(connection, name, caller.scope)
        if step in _MACHINES:
            raise LeadStepNotPossible
        state = next_lead_state(lead.state, step, note=given.note)
        values: dict[str, Any] = {"state": state, "changed_at": clock.now()}
        values |= _due(step, given) | _owner(connection, lead, step, caller, given)
        if not store.change(connection, lead, values):
            raise LeadStepNotPossible("另一位同事刚处理了这条线索，请刷新")
        changed = lead._replace(**values)
        words = f"转派给{changed.owner_name}" if step is LeadStep.ASSIGN else ""
        note = "；".join(part for part in (words, given.note) if part)
        entry = store.LeadEntry(values["changed_at"], step, state, caller.id, caller.name, note)
        store.add_entries(connection, [(lead.number, entry)])
        record(connection, Event.LEAD_STEP, caller, name, step=step, state=state)
        announce(connection, TOPIC)
    return changed


def _due(step: LeadStep, given: LeadGiven) -> dict[str, Any]:
    if step is not LeadStep.POSTPONE:
        return {}
    if given.due_at is None or given.due_at <= clock.now():
        raise DueMissing
    return {"due_at": given.due_at}


def _owner(
    connection: Connection, lead: store.LeadRow, step: LeadStep, caller: Caller, given: LeadGiven
) -> dict[str, Any]:
    if step is LeadStep.CLAIM:
        return {"owner": caller.id, "owner_name": caller.name}
    if step in (LeadStep.RELEASE, LeadStep.REOPEN):
        return {"owner": None, "owner_name": None}
    if step is not LeadStep.ASSIGN:
        return {}
    found = holders(connection, Action.REVIEW_ALERTS, given.assignee or caller.id)
    if not found:
        raise UnknownAssignee("请选择有预警处理权限的用户")
    try:
        store.read_one(connection, lead.id, found[0].scope)
    except store.LeadNotFound:
        raise UnknownAssignee("该用户看不到这条线索") from None
    return {"owner": found[0].id, "owner_name": found[0].name}
