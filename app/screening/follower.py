"""Screens the log behind the door: every new message with what was said before it in its conversation.

A message is screened as it was when it came, whatever came with it, so that the result does not depend on where a
batch ends. A finding belongs to the last message carrying it and is reported there, once.

A batch is screened by the version that is released when it begins, all of it by this one; the next batch asks again.
Findings, what others make of them (`hand_on`) and the cursor are one transaction.
"""

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Sequence

from sqlalchemy import Connection

from app.archive.domain import Action, PartyType
from app.archive.models import record_id
from app.archive.store import Message, read_log, windows
from app.foundation import clock
from app.foundation.database import Database
from app.foundation.followers import forget, move, position
from app.screening import store
from app.screening.domain import Finding, Role, Turn
from app.screening.lexicon import Lexicon
from app.screening.screen import screen

BATCH = 500  # records a step deals with
BEFORE = 10  # earlier messages a window reaches back
HandOn = Callable[[Connection, Sequence[store.Found]], None]


class ScreeningFollower:
    """Follows the log with the lexicon in force, which `lexicon` gives."""

    name = "screening"
    is_shared = True

    def __init__(self, db: Database, lexicon: Callable[[], Lexicon], hand_on: HandOn) -> None:
        self._db, self._lexicon, self._hand_on = db, lexicon, hand_on

    def position(self, corp_id: int) -> int:
        """The last number screened."""
        with self._db.read() as connection:
            return position(connection, self.name, corp_id)

    def step(self, corp_id: int, after: int, end: int) -> int:
        """Screen the next batch."""
        lexicon, now = self._lexicon(), clock.now()
        with self._db.read() as connection:
            fresh = read_log(connection, corp_id, after, min(BATCH, end - after))
            groups = windows(
                connection, spans((each.conversation_id, each.counter) for each in fresh)
            )
        wanted = {record_id(corp_id, each.seq) for each in fresh}
        rows = [
            store.row_of(finding, records, now)
            for messages in groups
            for finding, records in found(messages, wanted, lexicon)
        ]
        reached = fresh[-1].seq
        with self._db.write() as connection:
            move(connection, self.name, corp_id, after=after, to=reached)
            self._hand_on(connection, store.add(connection, rows))
        return reached

    def reset(self) -> None:
        """Screen everything again; earlier findings stay, new ones are added beside them."""
        with self._db.write() as connection:
            forget(connection, self.name)


def found(
    messages: Sequence[Message], wanted: Container[int], lexicon: Lexicon
) -> Iterator[tuple[Finding, list[int]]]:
    """What each wanted record of one conversation adds, with the records of the window it was heard in."""
    for place, message in enumerate(messages):
        own = record_id(message.corp_id, message.seq)
        turns, records = heard(messages[max(0, place - BEFORE) : place + 1])
        if own in wanted and own in records:
            for finding in _added(turns, records, own, lexicon):
                yield finding, records


def _added(turns: list[Turn], records: list[int], own: int, lexicon: Lexicon) -> Iterator[Finding]:
    """What a window says only since one of its records has come.

    That is what ends with this record; and where the record comes late, before others in time, also what these
    others mean now: a question that arrives after its answer.
    """
    place = records.index(own)
    others = records[:place] + records[place + 1 :]
    is_late = place < len(others)
    known = screen(turns[:place] + turns[place + 1 :], lexicon) if is_late else []
    before = {_identity(finding, others) for finding in known}
    for finding in screen(turns, lexicon):
        ends_here = max(records[index] for index in finding.at) == own
        if ends_here or (is_late and _identity(finding, records) not in before):
            yield finding


def _identity(finding: Finding, records: Sequence[int]) -> tuple[str, str, int, int]:
    return finding.category, finding.rule, records[finding.message], finding.start


def heard(messages: Sequence[Message]) -> tuple[list[Turn], list[int]]:
    """What is said in a window, in the order it was sent, and the record of each turn."""
    spoken = sorted(
        (each for each in messages if each.action is Action.SEND), key=lambda each: each.sent_at
    )
    return [turn_of(each) for each in spoken], [
        record_id(each.corp_id, each.seq) for each in spoken
    ]


def spans(places: Iterable[tuple[int, int]]) -> dict[int, tuple[int, int]]:
    """From conversations and counters: per conversation from `BEFORE` its first to its last."""
    counters: dict[int, list[int]] = defaultdict(list)
    for conversation, counter in places:
        counters[conversation].append(counter)
    return {place: (min(seen) - BEFORE, max(seen)) for place, seen in counters.items()}


def turn_of(message: Message) -> Turn:
    """A message as screening sees it. Staff who talk among themselves are colleagues."""
    return Turn(_role(message), message.text, message.sender.id, clock.to_ms(message.sent_at))


def _role(message: Message) -> Role:
    if message.sender.type is PartyType.EMPLOYEE:
        faces_client = any(party.type is PartyType.CLIENT for party in message.recipients)
        return "adviser" if faces_client else "colleague"
    if message.sender.type is PartyType.ROBOT:
        return "colleague"
    return "client"
