"""What dispositions teach: how often each rule is right, and phrases that would have spared a false alarm.

Nothing changes by itself: a phrase becomes a draft of the word lists, which a second person approves.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, case, func, select

from app.access import Caller, Scope
from app.archive.models import Record, position_of
from app.archive.store import read_many, visible
from app.foundation.database import Database
from app.foundation.errors import Conflict
from app.oversight import store
from app.oversight.domain import Disposition, State
from app.oversight.models import Alert, AlertRecord
from app.screening.allow import BadPhrase, with_allowed
from app.screening.domain import Outcome
from app.screening.lexicons import Version
from app.screening.models import FindingRow
from app.screening.service import Lexicons
from app.screening.store import of_records

PENDING = "pending"
_CLAUSE = re.compile(r"[，。！？,!?;；\n]")
_SEEN = 500  # false alarms looked through for phrases


class NoFalseAlarm(Conflict):
    """Only an alert that was resolved as a false alarm proposes an allow phrase."""

    code = "no_false_alarm"
    title = "只有办结为误报的预警可以提出放行语"


class Span(NamedTuple):
    """When the alerts counted were raised; None is open."""

    since: datetime | None
    until: datetime | None


class Precision(NamedTuple):
    """How one rule did: alerts by what became of them; `precision` is None before the first is resolved."""

    rule: str
    confirmed: int
    remedy: int
    lead: int
    false_alarm: int
    pending: int
    precision: float | None


class Proposal(NamedTuple):
    """A clause in which a rule was wrong, and the alerts that say so."""

    rule: str
    phrase: str
    times: int
    alerts: tuple[str, ...]


def precision(connection: Connection, scope: Scope, span: Span) -> list[Precision]:
    """How often each rule was right, the most frequent first."""
    outcome = case((Alert.state == State.RESOLVED, Alert.disposition), else_=PENDING)
    query = (
        select(FindingRow.rule, outcome.label("became"), func.count(Alert.number.distinct()))
        .join(AlertRecord, AlertRecord.record_id == FindingRow.record_id)
        .join(Alert, Alert.number == AlertRecord.alert_number)
        .join(Record, Record.id == Alert.record_id)
        .where(FindingRow.outcome == Outcome.VIOLATION, visible(connection, scope))
        .group_by(FindingRow.rule, "became")
    )
    if span.since:
        query = query.where(Alert.raised_at >= span.since)
    if span.until:
        query = query.where(Alert.raised_at < span.until)
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for rule, became, number in connection.execute(query):
        counts[rule][became or PENDING] = number
    found = [_precision(rule, became) for rule, became in counts.items()]
    return sorted(found, key=lambda each: (-sum(each[1:6]), each.rule))


def _precision(rule: str, became: dict[str, int]) -> Precision:
    confirmed, remedy, lead, false_alarm, pending = (
        became.get(name, 0) for name in (*_ORDER, PENDING)
    )
    resolved = confirmed + remedy + lead + false_alarm
    share = (confirmed + remedy) / resolved if resolved else None
    return Precision(rule, confirmed, remedy, lead, false_alarm, pending, share)


_ORDER = (
    Disposition.CONFIRMED,
    Disposition.REMEDY,
    Disposition.LEAD,
    Disposition.FALSE_ALARM,
)


def proposals(connection: Connection, scope: Scope) -> list[Proposal]:
    """Clauses of the newest false alarms by rule, those that came most often first."""
    wanted = store.Wanted(states=(State.RESOLVED,), dispositions=(Disposition.FALSE_ALARM,))
    alerts = store.read_page(connection, wanted, scope, before=None, limit=_SEEN)
    records = store.records_of(connection, [each.number for each in alerts])
    found: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for alert in alerts:
        for rule, clause in _clauses(connection, records[alert.number], scope):
            found[rule, clause][alert.id] = None
    made = [
        Proposal(rule, clause, len(names), tuple(names)) for (rule, clause), names in found.items()
    ]
    return sorted(made, key=lambda each: (-each.times, each.rule, each.phrase))


def _clauses(connection: Connection, records: Sequence[int], scope: Scope) -> list[tuple[str, str]]:
    found = [each for each in of_records(connection, records) if each.outcome is Outcome.VIOLATION]
    places = {position_of(each.spoken) for each in found}
    texts = {(each.corp_id, each.seq): each.text for each in read_many(connection, places, scope)}
    clauses = []
    for each in found:
        text = texts.get(position_of(each.spoken))
        if text is not None:
            clauses.append((each.rule, clause_around(text, each.start, each.end)))
    return [pair for pair in clauses if pair[1]]


def clause_around(text: str, start: int, end: int) -> str:
    """The clause that holds a place of a text."""
    left = max((match.end() for match in _CLAUSE.finditer(text, 0, start)), default=0)
    right = _CLAUSE.search(text, end)
    return text[left : right.start() if right else len(text)].strip()


def draft_allowed(
    db: Database,
    lexicons: Lexicons,
    caller: Caller,
    *,
    alert: str,
    rule: str,
    phrase: str,
    example: str | None,
) -> Version:
    """A draft of the word lists in which the rule is still where the phrase stands.

    Its examples are run: where the phrase does not help, the draft says so and cannot be approved. Raises
    `AlertNotFound`, `NoFalseAlarm`, `BadPhrase`, `UnknownRule`.
    """
    with db.read() as connection:
        found = store.read_one(connection, alert, caller.scope)
        if (found.state, found.disposition) != (State.RESOLVED, Disposition.FALSE_ALARM):
            raise NoFalseAlarm
        records = store.records_of(connection, [found.number])[found.number]
        clauses = [own for name, own in _clauses(connection, records, caller.scope) if name == rule]
    said = next((each for each in clauses if phrase in each), None)
    if said is None:
        raise BadPhrase("放行语须出自该预警中此规则命中的那一句")
    base = lexicons.one("released")
    changed = with_allowed(lexicons.files(caller, base.id), rule, phrase, example or said)
    note = f"误报 {alert}：规则 {rule} 遇「{phrase}」放行"
    return lexicons.draft(caller, changed, based_on=base.id, note=note)
