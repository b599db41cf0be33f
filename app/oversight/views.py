"""How alerts are shown: with the messages they are about, the reasons, and what the sender had been told before."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel
from sqlalchemy import Connection

from app.access import Caller
from app.archive.api import MessageOut, shown
from app.archive.models import position_of
from app.archive.store import Message, context, message_id, read_many, recalled_by
from app.oversight import notice_store, store
from app.oversight.domain import Disposition, State, Step
from app.oversight.notice_store import NoticeState
from app.screening.domain import Outcome
from app.screening.store import Found, of_records

AROUND = 5  # messages before and after
EARLIER = 20


class StepOut(BaseModel):
    """An entry of an alert's history."""

    at: datetime
    step: Step
    state: State
    actor: str
    actor_name: str
    disposition: Disposition | None
    note: str


class ReasonOut(BaseModel):
    """Why the alert was raised: one finding."""

    message: str
    category: str
    severity: str
    start: int
    end: int
    phrase: str
    canonical: str
    evasion: str | None
    rule: str
    lexicon_version: str
    explanation: str
    basis: str
    suggestion: str


class WarningOut(BaseModel):
    """That the sender had been warned before he sent it, and what he said to that."""

    check_id: str
    outcome: str
    at: datetime
    decision: str | None
    reason: str


class AlertOut(BaseModel):
    """An alert with the newest message it is about, and the reasons of its first and its newest message.

    `adviser` is the userid of whom it is about; `found_severity` is lower than `severity` where he has repeated it.
    `level` counts escalations; `proposed_by` is the user whose disposition of a red alert awaits a second person.
    """

    id: str
    severity: Literal["red", "orange", "yellow"]
    found_severity: Literal["red", "orange", "yellow"]
    category: str
    state: State
    level: int
    adviser: str
    messages: int
    last_at: datetime
    proposed_by: str | None
    due_at: datetime | None
    owner: str | None
    owner_name: str | None
    disposition: Disposition | None
    raised_at: datetime
    changed_at: datetime
    message: MessageOut
    reasons: list[ReasonOut]
    warnings: list[WarningOut]


class EarlierOut(BaseModel):
    """An earlier alert about the same adviser."""

    id: str
    severity: str
    category: str
    state: State
    disposition: Disposition | None
    raised_at: datetime


class NoticeOut(BaseModel):
    """Somebody who was, or is to be, told of an alert; without a name it is a channel shared by many."""

    id: int
    alert: str
    user_id: str
    user_name: str
    channel: str
    occasion: str
    state: NoticeState
    attempts: int
    failure: str
    created_at: datetime
    ended_at: datetime | None


def notice_out(row: notice_store.NoticeRow) -> NoticeOut:
    """A notice as it is shown."""
    fields = row._asdict()
    return NoticeOut(**{name: fields[name] for name in NoticeOut.model_fields})


class OneAlert(AlertOut):
    """An alert with every message and reason, what was said around it, the adviser's earlier alerts, and its history."""

    all_messages: list[MessageOut]
    surroundings: list[MessageOut]
    earlier: list[EarlierOut]
    notices: list[NoticeOut]
    history: list[StepOut]


class AlertPage(BaseModel):
    """One page of alerts, newest first; `next` asks for the following one."""

    items: list[AlertOut]
    next: str | None


WarningsOf = Callable[[Connection, Sequence[int]], dict[int, list[WarningOut]]]


class Views:
    """Shows alerts to one caller; `warnings_of` tells which messages were sent after a warning."""

    def __init__(self, connection: Connection, caller: Caller, warnings_of: WarningsOf) -> None:
        self._connection, self._caller, self._warnings_of = connection, caller, warnings_of

    def many(self, rows: Sequence[store.AlertRow]) -> list[AlertOut]:
        """A page of alerts; those whose newest message the caller may not see are shown with their first."""
        wanted = {number for row in rows for number in (row.record_id, row.last_record_id)}
        messages, reasons = self._messages(wanted), self._reasons(wanted)
        records = store.records_of(self._connection, [row.number for row in rows])
        every = [record for own in records.values() for record in own]
        warnings = self._warnings_of(self._connection, every)
        recalls = recalled_by(self._connection, list(messages.values()))
        found = []
        for row in rows:
            newest = messages.get(row.last_record_id) or messages.get(row.record_id)
            if newest is None:
                continue
            own = dict.fromkeys((row.record_id, row.last_record_id))
            found.append(
                AlertOut(
                    **_plain(row),
                    message=MessageOut(**shown(newest, recalls)),
                    reasons=[each for number in own for each in reasons.get(number, ())],
                    warnings=[
                        each for number in records[row.number] for each in warnings.get(number, ())
                    ],
                )
            )
        return found

    def one(self, row: store.AlertRow) -> OneAlert:
        """One alert with everything at hand; raises `AlertNotFound`."""
        found = self.many([row])
        if not found:
            raise store.AlertNotFound
        numbers = store.records_of(self._connection, [row.number])[row.number]
        messages, reasons = self._messages(numbers), self._reasons(numbers)
        around = self._around(messages)
        recalls = recalled_by(self._connection, [*messages.values(), *around])
        earlier = store.earlier(self._connection, row, self._caller.scope, EARLIER)
        fields = dict(found[0]) | {
            "reasons": [each for number in numbers for each in reasons.get(number, ())],
        }
        return OneAlert(
            **fields,
            all_messages=[
                MessageOut(**shown(messages[each], recalls)) for each in numbers if each in messages
            ],
            surroundings=[MessageOut(**shown(each, recalls)) for each in around],
            earlier=[_earlier(each) for each in earlier],
            notices=[
                notice_out(each) for each in notice_store.of_alert(self._connection, row.number)
            ],
            history=[StepOut(**each._asdict()) for each in store.history(self._connection, row)],
        )

    def _messages(self, records: Sequence[int] | set[int]) -> dict[int, Message]:
        places = {position_of(number): number for number in records}
        found = read_many(self._connection, places, self._caller.scope)
        return {places[each.corp_id, each.seq]: each for each in found}

    def _around(self, messages: dict[int, Message]) -> list[Message]:
        """What was said around the first and around the newest message, each once."""
        if not messages:
            return []
        found: dict[str, Message] = {}
        for number in (min(messages), max(messages)):
            near = context(
                self._connection, messages[number], self._caller.scope, before=AROUND, after=AROUND
            )
            found |= {each.id: each for each in near}
        return sorted(found.values(), key=lambda each: (each.conversation_id, each.counter))

    def _reasons(self, records: Sequence[int] | set[int]) -> dict[int, list[ReasonOut]]:
        reasons: dict[int, list[ReasonOut]] = {}
        for finding in of_records(self._connection, sorted(records)):
            if finding.outcome is Outcome.VIOLATION:
                reasons.setdefault(finding.record, []).append(_reason(finding))
        return reasons


def _plain(row: store.AlertRow) -> dict[str, object]:
    fields = row._asdict()
    return {name: value for name, value in fields.items() if name in AlertOut.model_fields}


def _earlier(row: store.AlertRow) -> EarlierOut:
    fields = row._asdict()
    return EarlierOut(**{name: fields[name] for name in EarlierOut.model_fields})


def _reason(finding: Found) -> ReasonOut:
    fields = finding._asdict() | {"message": message_id(*position_of(finding.spoken))}
    return ReasonOut(**{name: fields[name] for name in ReasonOut.model_fields})
