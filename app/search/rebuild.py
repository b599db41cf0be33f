"""Building the embedded index anew from the log while the old one serves, and exchanging the two."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from app.foundation.errors import Conflict
from app.foundation.followers import Follower
from app.search import embedded
from app.search.embedded import EmbeddedIndex

FollowersOf = Callable[[EmbeddedIndex], Sequence[Follower]]
EndsOf = Callable[[Follower], dict[int, int]]


class AlreadyRebuilding(Conflict):
    """One rebuild at a time is enough."""

    code = "already_rebuilding"
    title = "索引正在重建，请等它完成"


class Progress(NamedTuple):
    """How far a rebuild is, in records and notes."""

    done: int
    total: int


class Rebuilder:
    """Makes a second file beside the index, follows everything into it, and puts it in the index's place."""

    def __init__(self, index: EmbeddedIndex, followers_of: FollowersOf, ends_of: EndsOf) -> None:
        self._index, self._followers_of, self._ends_of = index, followers_of, ends_of
        self._turn = threading.Lock()
        self.progress: Progress | None = None  # None while nothing is rebuilt

    def run(self, on_progress: Callable[[int, int], None] = lambda _done, _total: None) -> None:
        """Rebuild to the end; raises `AlreadyRebuilding`. After an error the old index stays as it was."""
        if not self._turn.acquire(blocking=False):
            raise AlreadyRebuilding
        place = self._index.path.with_name(f"{self._index.path.name}.new")
        try:
            self._build(place, on_progress)
            self._index.replace(place)
        finally:
            embedded.remove(place)  # there only after an error
            self.progress = None
            self._turn.release()

    def _build(self, place: Path, on_progress: Callable[[int, int], None]) -> None:
        embedded.remove(place)
        fresh = EmbeddedIndex(place)
        try:
            followers = self._followers_of(fresh)
            while self._step(followers, on_progress):
                pass
            is_left = fresh.merge(start=True)
            while is_left:
                is_left = fresh.merge()
            while self._step(followers, on_progress):  # what has come during the merge
                pass
        finally:
            fresh.close()

    def _step(self, followers: Sequence[Follower], on_progress: Callable[[int, int], None]) -> bool:
        """One batch of every follower that is behind; whether there was one."""
        done, total, moved = 0, 0, False
        for follower in followers:
            for corp_id, end in self._ends_of(follower).items():
                after = follower.position(corp_id)
                if after < end:
                    after = follower.step(corp_id, after, end)
                    moved = True
                done, total = done + min(after, end), total + end
        self.progress = Progress(done, total)
        on_progress(done, total)
        return moved
