"""What an index needs besides being written: a look whether its file is sound, a nightly merge, a recall check.

Runs on a thread of its own. A file that was deleted, exchanged or damaged begins anew and is filled by the
followers; until they are done, every answer says how many records are not in it yet.
"""

import contextlib
import random
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, tzinfo
from typing import NamedTuple

from app.foundation import clock, logs, metrics
from app.foundation.database import Database
from app.foundation.errors import AppError
from app.search.domain import NeedsRebuild
from app.search.embedded import EmbeddedIndex
from app.search.opensearch import OpenSearchIndex
from app.search.selfcheck import Recall, check_recall

LOOK_EVERY = 5.0  # seconds between two looks at the file
CHECK_EVERY = 3600.0  # seconds between two recall checks
NIGHT = 3  # the hour in which the night's work begins
MERGE_PAUSE = 0.05  # seconds between two steps of a merge, for those who write


class Health(NamedTuple):
    """What the last looks have shown: when the file began anew, whom the recall check missed, what is damaged."""

    renewed_at: datetime | None = None
    missed: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    merged_at: datetime | None = None


class Care:
    """Takes care of one index until it is stopped; `also` is done every `also_every` seconds besides."""

    def __init__(
        self,
        db: Database,
        index: EmbeddedIndex | OpenSearchIndex,
        zone: tzinfo,
        *,
        also: Callable[[], object] = lambda: None,
        also_every: float = 300.0,
        is_busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self.health = Health()
        self._db, self._index, self._zone, self._is_busy = db, index, zone, is_busy
        self._also, self._also_every = also, also_every
        self._chance = random.SystemRandom()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="search care", daemon=True)

    def start(self) -> None:
        """Begin to take care."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the step in hand."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=30)

    def look(self) -> bool:
        """Look at the file, where there is one; whether it had to begin anew."""
        if not isinstance(self._index, EmbeddedIndex):
            return False
        if self._index.is_lost():
            logs.get(__name__).error(
                "index_lost", advice="the index file is gone; filling a new one"
            )
            self._index.reopen()
            return self._note_renewed()
        with contextlib.suppress(NeedsRebuild):
            self._index.position(0)
        if self._index.is_damaged:
            logs.get(__name__).error("index_damaged", advice="filling it again from the log")
            self._index.reset()
            return self._note_renewed()
        return False

    def check_recall(self) -> Recall:
        """Search for random archived messages; an index that misses one is told of until it misses none."""
        recall = check_recall(self._db, self._index, self._chance)
        if recall.missed:
            logs.get(__name__).error("index_misses", messages=recall.missed, of=recall.checked)
        self.health = self.health._replace(missed=recall.missed)
        return recall

    def tend(self) -> None:
        """The night's work: merge to one piece, then read everything and compare. A cluster merges by itself."""
        if not isinstance(self._index, EmbeddedIndex):
            self.health = self.health._replace(faults=self._index.check())
            return
        start = True
        while not self._stopping.wait(MERGE_PAUSE):
            if self._is_busy():
                continue
            if not self._index.merge(start=start):
                break
            start = False
        self.health = self.health._replace(merged_at=clock.now())
        faults: Sequence[str]
        try:
            faults = self._index.check()
        except NeedsRebuild as error:
            faults = [error.detail or error.title]
        if faults:
            logs.get(__name__).error("index_faulty", faults=list(faults))
            self._index.reset()
            self._note_renewed()
        self.health = self.health._replace(faults=tuple(faults))

    def _note_renewed(self) -> bool:
        self.health = Health(renewed_at=clock.now())
        metrics.SEARCH_RENEWED.inc()
        return True

    def _run(self) -> None:
        next_check, next_also, tended = _later(CHECK_EVERY / 60), _later(0), self._today()
        while not self._stopping.wait(LOOK_EVERY):
            now = clock.now_ms()
            self._try(self.look)
            if now >= next_check:
                self._try(self.check_recall)
                next_check = _later(CHECK_EVERY)
            if now >= next_also:
                self._try(self._also)
                next_also = _later(self._also_every)
            if tended != self._today() and self._hour() >= NIGHT:
                self._try(self.tend)
                tended = self._today()

    def _try(self, deed: Callable[[], object]) -> None:
        try:
            deed()
        except AppError as error:  # a database or a disk away; the next round tries again
            logs.get(__name__).error("search_care_failed", code=error.code, detail=error.detail)
        except Exception as error:  # noqa: BLE001  (the loop must outlive any failure)
            logs.get(__name__).error("search_care_failed", exc_info=error)

    def _today(self) -> str:
        return f"{clock.now().astimezone(self._zone):%Y-%m-%d}"

    def _hour(self) -> int:
        return clock.now().astimezone(self._zone).hour


def _later(seconds: float) -> int:
    return clock.now_ms() + int(seconds * 1000)
