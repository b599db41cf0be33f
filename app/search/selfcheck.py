"""A recall alarm: random archived messages must be found again by random pieces of themselves.

Works on any engine, because it only searches. A miss is a defect of the index, never of the record.
"""

import random
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from app.access import EVERYTHING
from app.archive.store import Message, read_many, tails
from app.foundation import metrics
from app.foundation.clock import to_ms
from app.foundation.database import Database
from app.search import tokens
from app.search.domain import MAX_ROWS
from app.search.filters import Filters
from app.search.ports import SearchEngine
from app.search.tree import Term

LONGEST = 12  # characters of a piece
SAMPLE = 100  # messages of one check


class Recall(NamedTuple):
    """How many messages were looked for, and the ids of those not found."""

    checked: int
    missed: tuple[str, ...]


def check_recall(
    db: Database, index: SearchEngine, chance: random.Random, sample: int = SAMPLE
) -> Recall:
    """Look for `sample` random messages among those that the index has dealt with."""
    with db.read() as connection:
        messages = _drawn(connection, index, chance, sample)
    asked = [each for each in messages if tokens.norm(each.text)]
    missed = tuple(each.id for each in asked if not _is_found(index, each, chance))
    metrics.SEARCH_CHECKED.inc(len(asked))
    metrics.SEARCH_MISSED.inc(len(missed))
    return Recall(len(asked), missed)


def _drawn(
    connection: Connection, index: SearchEngine, chance: random.Random, sample: int
) -> Sequence[Message]:
    reached = {corp_id: index.position(corp_id) for corp_id in tails(connection)}
    corps = [corp_id for corp_id, position in reached.items() if position]
    if not corps:
        return []
    weights = [reached[corp_id] for corp_id in corps]
    drawn = chance.choices(corps, weights, k=sample)
    places = {(corp_id, chance.randint(1, reached[corp_id])) for corp_id in drawn}
    return read_many(connection, sorted(places), EVERYTHING)


def _is_found(index: SearchEngine, message: Message, chance: random.Random) -> bool:
    """Every message of that millisecond is asked for, so that the one looked for cannot be on a later page."""
    normed = tokens.norm(message.text)
    length = chance.randint(1, min(LONGEST, len(normed)))
    start = chance.randint(0, len(normed) - length)
    sent_at = to_ms(message.sent_at)
    filters = Filters(
        corp_ids=(message.corp_id,),
        conversation=message.conversation_id,
        since=sent_at,
        until=sent_at + 1,
    )
    page = index.search(Term(normed[start : start + length]), filters, MAX_ROWS)
    return any(row.seq == message.seq for row in page.rows)
