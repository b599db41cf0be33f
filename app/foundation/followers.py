"""Followers read the log behind everyone else's back and keep a cursor of what they have dealt with.

A follower's `step` writes its result and moves its cursor in one transaction of its own; `move` refuses when
the cursor is not where the step began, so a killed, doubled or overtaken step leaves neither a gap nor a
double. A lease keeps one runner per follower; it saves work, the cursor keeps the truth. Runners wake when the
topic rings and look once a second besides. A failing follower backs off and says so; it never skips.
"""

import contextlib
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import Connection, String, delete, or_, select, update
from sqlalchemy.orm import Mapped, mapped_column

from app.foundation import clock, logs, metrics
from app.foundation.database import Base, BigKey, Database, UtcDateTime, insert_new
from app.foundation.errors import Conflict

TOPIC = "records"  # rings when the log has grown
LEASE = timedelta(seconds=10)
LOOK_EVERY = 1.0  # seconds, should a ring be lost between machines
LONGEST_PAUSE = 5.0  # seconds after repeated failures; alerts wait no longer once the fault is gone
YIELD_SHARE = 8.0  # while messages pour in, a follower rests this many times as long as it worked
LONGEST_YIELD = 5.0  # seconds; it ends at once when the door is quiet again
YIELD_SLICE = 0.02  # seconds between two looks whether it is still so


class CursorMoved(Conflict):
    """Somebody else has moved this follower's cursor meanwhile."""

    code = "cursor_moved"
    title = "跟随进度已被另一个进程推进"


class FollowerCursor(Base):
    """Up to which number of a corp's log a follower has dealt with."""

    __tablename__ = "follower_cursors"
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    corp_id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    seq: Mapped[int] = mapped_column(BigKey)
    moved_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Lease(Base):
    """Who may run a single-runner task, and until when unless renewed."""

    __tablename__ = "leases"
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    holder: Mapped[str] = mapped_column(String(64))
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Follower(Protocol):
    """Something derived from the log: findings, the search index, the Merkle tree.

    `is_shared` tells whether every process writes into the same result, so that one at a time must run it; a
    result in the process's own data folder needs no lease.
    """

    name: str
    is_shared: bool

    def position(self, corp_id: int) -> int:
        """The last number dealt with; 0 before the first."""
        ...

    def step(self, corp_id: int, after: int, end: int) -> int:
        """Deal with the next batch of (after, end], commit it with the cursor, give the new position."""
        ...

    def reset(self) -> None:
        """Forget every result and begin at the start of the log again."""
        ...


def position(connection: Connection, name: str, corp_id: int) -> int:
    """A follower's cursor kept in the record database."""
    seq = connection.execute(
        select(FollowerCursor.seq).where(
            FollowerCursor.name == name, FollowerCursor.corp_id == corp_id
        )
    ).scalar()
    return seq or 0


def move(connection: Connection, name: str, corp_id: int, *, after: int, to: int) -> None:
    """Move the cursor from `after` to `to` in the caller's transaction; raises `CursorMoved`."""
    now = clock.now()
    if after == 0:
        row = {"name": name, "corp_id": corp_id, "seq": 0, "moved_at": now}
        insert_new(connection, FollowerCursor, [row])
    moved = connection.execute(
        update(FollowerCursor)
        .where(
            FollowerCursor.name == name,
            FollowerCursor.corp_id == corp_id,
            FollowerCursor.seq == after,
        )
        .values(seq=to, moved_at=now)
    )
    if moved.rowcount != 1:
        raise CursorMoved(follower=name)


def forget(connection: Connection, name: str) -> None:
    """Put the cursor back to the start of every log."""
    connection.execute(delete(FollowerCursor).where(FollowerCursor.name == name))


def take_lease(db: Database, name: str, holder: str, *, lasting: timedelta = LEASE) -> bool:
    """Take or renew a lease; False while another holder's is running."""
    now = clock.now()
    with db.write() as connection:
        row = {"name": name, "holder": holder, "expires_at": now}
        insert_new(connection, Lease, [row])
        taken = connection.execute(
            update(Lease)
            .where(Lease.name == name, or_(Lease.holder == holder, Lease.expires_at <= now))
            .values(holder=holder, expires_at=now + lasting)
        )
        return taken.rowcount == 1


def drop_lease(db: Database, name: str, holder: str) -> None:
    """Give the lease back so that another runner need not wait for its end."""
    with db.write() as connection:
        connection.execute(delete(Lease).where(Lease.name == name, Lease.holder == holder))


class Runner:
    """Runs one follower on a thread of its own until it is stopped.

    Runners of one process share a `turn`: they share its processor anyway, and rest together while messages pour in.
    """

    def __init__(
        self,
        db: Database,
        follower: Follower,
        tails: Callable[[], Mapping[int, int]],
        *,
        holder: str,
        is_busy: Callable[[], bool] = lambda: False,
        topic: str = TOPIC,
        turn: AbstractContextManager[Any] | None = None,
    ) -> None:
        self.follower = follower
        self.failure: str | None = None
        self._db, self._tails, self._holder, self._is_busy = db, tails, holder, is_busy
        self._topic, self._turn = topic, turn or threading.Lock()
        self._stopping = threading.Event()
        self._lease_until = clock.now()
        self._thread = threading.Thread(target=self._run, name=follower.name, daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the batch in hand and give the lease back."""
        self._stopping.set()
        self._db.bell.ring(self._topic)
        if self._thread.is_alive():
            self._thread.join(timeout=30)

    def lag(self) -> int:
        """How many records of all logs are still ahead."""
        return lag(self.follower, self._tails())

    def _run(self) -> None:
        pause = 0.1
        while not self._stopping.is_set():
            seen = self._db.bell.count(self._topic)
            try:
                moved = self._leased() and self.advance()
            except CursorMoved:
                moved = False
            except Exception as error:  # noqa: BLE001  (the loop must outlive any failure of a batch)
                self._note_failure(error)
                self._stopping.wait(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
                continue
            self.failure, pause = None, 0.1
            metrics.FOLLOWER_FAILING.labels(self.follower.name).set(0)
            if not moved:
                self._db.bell.wait(self._topic, seen, LOOK_EVERY)
        with contextlib.suppress(Exception):  # the database may be gone already
            drop_lease(self._db, self.follower.name, self._holder)

    def advance(self) -> bool:
        """Take one step in every log that has grown; False when none moved.

        A log that cannot go on does not hold up the others; its error is raised after them.
        """
        moved, failure = False, None
        for corp_id, end in self._tails().items():
            try:
                moved |= self._step(corp_id, end)
            except Exception as error:  # noqa: BLE001  (raised below)
                failure = failure or error
        if failure:
            raise failure
        return moved

    def _step(self, corp_id: int, end: int) -> bool:
        after = self.follower.position(corp_id)
        if after >= end or self._stopping.is_set():
            return False
        with self._turn:
            began = clock.now_ms()
            reached = self.follower.step(corp_id, after, end)
            self._give_way((clock.now_ms() - began) / 1000)
        metrics.FOLLOWER_RECORDS.labels(self.follower.name).inc(reached - after)
        return reached > after

    def _leased(self) -> bool:
        """Renew at half time, so that a steady runner seldom writes for it."""
        now = clock.now()
        if not self.follower.is_shared or now < self._lease_until - LEASE / 2:
            return True
        if not take_lease(self._db, self.follower.name, self._holder):
            return False
        self._lease_until = now + LEASE
        return True

    def _give_way(self, worked: float) -> None:
        until = clock.now_ms() + 1000 * min(worked * YIELD_SHARE, LONGEST_YIELD)
        while self._is_busy() and clock.now_ms() < until and not self._stopping.is_set():
            self._stopping.wait(YIELD_SLICE)

    def _note_failure(self, error: Exception) -> None:
        self.failure = type(error).__name__
        metrics.FOLLOWER_FAILING.labels(self.follower.name).set(1)
        logs.get(__name__).error("follower_failed", follower=self.follower.name, exc_info=error)


def lag(follower: Follower, tails: Mapping[int, int]) -> int:
    """How many records a follower has still to deal with."""
    return sum(max(0, end - follower.position(corp_id)) for corp_id, end in tails.items())


def catch_up(follower: Follower, tails: Mapping[int, int], on_step: Callable[[int], Any]) -> None:
    """Run a follower here and now up to the given ends, telling the lag after every step."""
    for corp_id, end in tails.items():
        after = follower.position(corp_id)
        while after < end:
            after = follower.step(corp_id, after, end)
            on_step(lag(follower, tails))
