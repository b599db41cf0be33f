"""Six months at any time: draws random records, opens, decrypts, verifies and finds each again by its own words."""

import random
import time
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from pydantic import BaseModel
from sqlalchemy import Connection

from app.archive.leaf import FIELDS, commitments, salts
from app.archive.models import record_id
from app.archive.store import message_id, tails
from app.evidence import logs, merkle, selection, tiles
from app.evidence.records import Opener, facts_of
from app.evidence.selection import Row
from app.foundation import clock, metrics
from app.foundation.database import Database, select_in
from app.foundation.keys import SUITES, KeyRing
from app.people import corp_codes

DRAWN = 100
FindAgain = Callable[[int, int, str, int, int], bool]  # corp, number, text, conversation, sent (ms)


class Failure(NamedTuple):
    """A record that could not be had, and what failed: `open`, `leaf`, `proof` or `search`."""

    id: str
    what: str


class SelfCheckOut(BaseModel):
    """`retrievable` of `drawn` records; those disposed of by rule are counted apart. Times in milliseconds."""

    at: datetime
    population: int
    drawn: int
    retrievable: int
    disposed: int
    oldest: datetime | None
    newest: datetime | None
    p50_ms: float
    p99_ms: float
    failures: list[tuple[str, str]]
    words: str


class SelfCheck:
    """The standing check over everything that is kept."""

    def __init__(self, db: Database, keyring: KeyRing, find_again: FindAgain) -> None:
        self._db, self._keyring, self._find_again = db, keyring, find_again
        self._chance = random.SystemRandom()

    def run(self, count: int = DRAWN) -> SelfCheckOut:
        """Draw and check up to `count` records; the result is also a metric."""
        rows, population = self._drawn(count)
        failures: list[Failure] = []
        times: list[float] = []
        disposed = 0
        for corp_id, corp, row in rows:
            began = time.perf_counter()
            if not row.sealed:
                disposed += 1
                continue
            what = self._check(corp_id, corp, row)
            times.append((time.perf_counter() - began) * 1000)
            if what:
                failures.append(Failure(message_id(corp_id, row.seq), what))
        times.sort()
        sent = [row.sent_at for _, _, row in rows]
        tried = len(times)
        p99 = _quantile(times, 0.99)
        metrics.RETRIEVABLE.labels("drawn").set(tried)
        metrics.RETRIEVABLE.labels("retrievable").set(tried - len(failures))
        return SelfCheckOut(
            at=clock.now(),
            population=population,
            drawn=tried,
            retrievable=tried - len(failures),
            disposed=disposed,
            oldest=clock.from_ms(min(sent)) if sent else None,
            newest=clock.from_ms(max(sent)) if sent else None,
            p50_ms=_quantile(times, 0.5),
            p99_ms=p99,
            failures=[tuple(each) for each in failures],
            words=f"{tried} 条中 {tried - len(failures)} 条可调取，p99 {p99:.1f} 毫秒",
        )

    def _drawn(self, count: int) -> tuple[list[tuple[int, str, Row]], int]:
        with self._db.read() as connection:
            ends = tails(connection)
            codes = corp_codes(connection)
            population = sum(ends.values())
            places: dict[int, set[int]] = {}
            for number in self._chance.sample(range(population), min(count, population)):
                corp_id, seq = _place(ends, number)
                places.setdefault(corp_id, set()).add(seq)
            rows = [
                (corp_id, codes[corp_id], row)
                for corp_id, seqs in places.items()
                for row in selection.rows_of(connection, corp_id, sorted(seqs))
            ]
        return rows, population

    def _check(self, corp_id: int, corp: str, row: Row) -> str | None:
        """What fails first; None when all is well."""
        opener = Opener(self._keyring, corp)
        with self._db.read() as connection:
            opener.load(connection, [row])
            opened = opener.open(row)
            if opened is None:
                return "open"
            seed, raw = opened
            if not _is_committed(connection, corp, row, seed, raw):
                return "leaf"
            if not _is_proved(connection, corp_id, row):
                return "proof"
        if not row.text:
            return None
        is_found = self._find_again(corp_id, row.seq, row.text, row.conversation_id, row.sent_at)
        return None if is_found else "search"


def _is_committed(connection: Connection, corp: str, row: Row, seed: bytes, raw: bytes) -> bool:
    query = "SELECT id, kind, external_id FROM conversations WHERE id IN"
    [(_, kind, room)] = select_in(connection, query, [row.conversation_id])
    facts = facts_of(row, {row.conversation_id: (kind, room)}, corp)
    fields = (
        raw,
        row.text.encode(),
        row.sender.encode(),
        row.recipients.encode(),
        facts.encode(),
    )
    again = commitments(SUITES[row.suite], seed, fields)
    return row.leaf.endswith(again) and len(salts(seed)) == len(FIELDS)


def _is_proved(connection: Connection, corp_id: int, row: Row) -> bool:
    """Whether the record is under the newest signed head; one that is not sealed yet has nothing to prove."""
    head = logs.latest(connection, corp_id)
    if head is None or row.seq > head.size:
        return True
    path = merkle.inclusion(tiles.Reader(connection, corp_id).node, row.seq - 1, head.size)
    try:
        leaf = merkle.hash_leaf(row.leaf)
        merkle.verify_inclusion(leaf, row.seq - 1, head.size, path, head.root)
    except merkle.BadProof:
        return False
    return row.id == record_id(corp_id, row.seq)


def _place(ends: dict[int, int], number: int) -> tuple[int, int]:
    for corp_id, end in ends.items():
        if number < end:
            return corp_id, number + 1
        number -= end
    raise IndexError(number)


def _quantile(ordered: list[float], share: float) -> float:
    if not ordered:
        return 0.0
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 3)
