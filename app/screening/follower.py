"""Screens the log behind the door: every new message in the window of its conversation.

A batch is screened by the version that is released when it begins, all of it by this one; the next batch asks again.

Findings, what others make of them (`hand_on`) and the cursor are one transaction. A finding belongs to the
batch that holds the last message carrying it, so overlapping windows report it once.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from sqlalchemy import Connection

from app.archive.domain import Action, PartyType
from app.archive.models import record_id
from app.archive.store import Message, read_log, windows
from app.foundation import clock
from app.foundation.database import Database
from app.foundation.followers import forget, move, position
from app.screening import store
from app.screening.domain import Role, Turn
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
        reached = fresh[-1].seq
        rows = [
            store.row_of(finding, records, now)
            for turns, records in map(heard, groups)
            for finding in screen(turns, lexicon)
            if max(records[index] for index in finding.at) > record_id(corp_id, after)
        ]
        with self._db.write() as connection:
            move(connection, self.name, corp_id, after=after, to=reached)
            self._hand_on(connection, store.add(connection, rows))
        return reached

    def reset(self) -> None:
        """Screen everything again; earlier findings stay, new ones are added beside them."""
        with self._db.write() as connection:
            forget(connection, self.name)


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
