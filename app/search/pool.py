"""Reading the embedded index from many threads: a few connections in two lanes.

Every search begins in the quick lane and may stay there for `QUICK` seconds. One that needs longer is interrupted
and starts again in the slow lane, so that slow searches wait for each other and never hold up quick ones.
"""

import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias, TypeVar

import apsw

from app.foundation.errors import Unavailable

QUICK = 0.1  # seconds
STEPS = 1_000  # of SQLite's machine between two looks at the clock
BUSY_MS = 5_000  # another process may be writing
CACHE_KIB = 65_536

T = TypeVar("T")
Reader: TypeAlias = apsw.Connection | None  # None is opened when needed


class Lane:
    """Some connections, handed out in the order in which they are asked for."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._free: list[Reader] = [None] * size
        self._waiting: deque[queue.SimpleQueue[Reader]] = deque()
        self._guard = threading.Lock()

    def take(self, timeout: float | None = None) -> Reader:
        """Wait for one, `timeout` seconds at most; raises `Unavailable`."""
        with self._guard:
            if self._free and not self._waiting:
                return self._free.pop()
            turn: queue.SimpleQueue[Reader] = queue.SimpleQueue()
            self._waiting.append(turn)
        try:
            return turn.get(timeout=timeout)
        except queue.Empty:
            with self._guard:
                if turn in self._waiting:
                    self._waiting.remove(turn)
                    raise Unavailable("同时检索的人太多，请稍后再试", retry_after=1) from None
            return turn.get()  # handed over in the last moment

    def give(self, reader: Reader) -> None:
        """Give one back, to whoever has waited longest."""
        with self._guard:
            if self._waiting:
                self._waiting.popleft().put(reader)
            else:
                self._free.append(reader)


class Pool:
    """`quick` and `slow` read-only connections to a file that may be exchanged while they are at work."""

    def __init__(self, path: Path, *, quick: int = 4, slow: int = 2) -> None:
        self._path = path
        self.quick, self.slow = Lane(quick), Lane(slow)

    def read(self, work: Callable[[apsw.Connection], T], timeout: float) -> T:
        """Do `work`, perhaps twice, on one snapshot; raises `Unavailable` or `apsw.InterruptError` in time."""
        deadline = time.monotonic() + timeout
        try:
            return self._in(self.quick, deadline, QUICK, work)
        except apsw.InterruptError:
            return self._in(self.slow, deadline, timeout, work)

    @contextlib.contextmanager
    def emptied(self) -> Iterator[None]:
        """Wait for the searches under way and hold up new ones; afterwards every connection is opened anew."""
        with contextlib.ExitStack() as held:
            for lane in (self.quick, self.slow):
                for _ in range(lane.size):
                    _close(lane.take())
                    held.callback(lane.give, None)
            yield

    def close(self) -> None:
        """Wait for the searches under way and close every connection; nobody reads any more."""
        for lane in (self.quick, self.slow):
            for _ in range(lane.size):
                _close(lane.take())

    def _in(
        self, lane: Lane, deadline: float, seconds: float, work: Callable[[apsw.Connection], T]
    ) -> T:
        reader = lane.take(max(0.0, deadline - time.monotonic()))
        try:
            reader = reader or _open(self._path)
            with _within(reader, min(deadline, time.monotonic() + seconds)):
                return work(reader)
        finally:
            lane.give(reader)


def _open(path: Path) -> apsw.Connection:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    connection.set_busy_timeout(BUSY_MS)
    connection.pragma("cache_size", -CACHE_KIB)
    return connection


def _close(reader: apsw.Connection | None) -> None:
    if reader is not None:
        reader.close()


@contextlib.contextmanager
def _within(connection: apsw.Connection, deadline: float) -> Iterator[None]:
    """One snapshot; whatever runs in it is interrupted once the deadline has passed."""

    def expired() -> bool:
        return time.monotonic() > deadline

    connection.set_progress_handler(expired, STEPS)
    try:
        with connection:
            yield
    finally:
        connection.set_progress_handler(None)
