"""Work outside the database, asked for in the transaction of the fact that needs it.

Done at least once, so every handler must be idempotent by its key. One job per (kind, key) ever exists. A
failure waits longer each time and ends as a dead letter that stays visible until somebody retries it. A worker
that dies in the middle loses its claim after `CLAIM`; the job is then taken again, which counts as an attempt.
Work that takes longer than `CLAIM` may be begun a second time beside the first.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    Index,
    Integer,
    String,
    func,
    select,
    update,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.foundation import clock, logs
from app.foundation.database import Base, BigKey, Database, UtcDateTime, announce, insert_new
from app.foundation.errors import NotFound

TOPIC = "jobs"
CLAIM = timedelta(minutes=5)
BATCH = 20
LOOK_EVERY = 1.0  # seconds; delayed and abandoned jobs ring no bell


class JobState(StrEnum):
    """waiting → running → done, or back to waiting, or dead after the last attempt."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    DEAD = "dead"


class Job(Base):
    """One piece of work."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index("uq_jobs_kind_key", "kind", "key", unique=True),
        Index("ix_jobs_state_run_at", "state", "run_at"),
    )
    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    kind: Mapped[str] = mapped_column(String(64))
    key: Mapped[str] = mapped_column(String(200))
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int] = mapped_column(Integer)
    run_at: Mapped[datetime] = mapped_column(UtcDateTime)
    worker: Mapped[str | None] = mapped_column(String(64))
    claimed_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    failure: Mapped[str | None] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Retry(NamedTuple):
    """How often and how soon a kind of job is tried again."""

    attempts: int = 8
    first: timedelta = timedelta(seconds=5)
    longest: timedelta = timedelta(hours=1)

    def wait(self, attempts: int) -> timedelta | None:
        """How long to wait after so many attempts; None when there is no further one."""
        if attempts >= self.attempts:
            return None
        doubled: timedelta = self.first * 2 ** min(
            attempts - 1, 20
        )  # a timedelta ends at 2.7 million years
        return min(doubled, self.longest)


class Handler(NamedTuple):
    """What does a kind of job; `work` gets the payload."""

    work: Callable[[dict[str, Any]], None]
    retry: Retry = Retry()


class Claimed(NamedTuple):
    """A job in hand."""

    id: int
    kind: str
    payload: dict[str, Any]
    attempts: int


def enqueue(
    connection: Connection,
    kind: str,
    key: str,
    payload: Mapping[str, Any],
    *,
    run_at: datetime | None = None,
) -> None:
    """Ask for a job in the caller's transaction; the same (kind, key) again changes nothing."""
    now = clock.now()
    row = {
        "kind": kind,
        "key": key,
        "payload": dict(payload),
        "state": JobState.WAITING,
        "attempts": 0,
        "run_at": run_at or now,
        "created_at": now,
    }
    insert_new(connection, Job, [row])
    announce(connection, TOPIC)


def claim(connection: Connection, worker: str, kinds: Sequence[str]) -> list[Claimed]:
    """Take up to `BATCH` due jobs, those of dead workers included."""
    now = clock.now()
    # A CTE that locks is evaluated once; a mere subquery, limit and all, PostgreSQL may evaluate per row.
    due = (
        select(Job.id)
        .where(
            Job.kind.in_(kinds),
            ((Job.state == JobState.WAITING) & (Job.run_at <= now))
            | ((Job.state == JobState.RUNNING) & (Job.claimed_until <= now)),
        )
        .order_by(Job.run_at, Job.id)
        .limit(BATCH)
        .with_for_update(skip_locked=True)  # PostgreSQL; SQLite has one writer and ignores it
        .cte("due")
    )
    taken = connection.execute(
        update(Job)
        .where(Job.id.in_(select(due.c.id)))
        .values(
            state=JobState.RUNNING,
            worker=worker,
            claimed_until=now + CLAIM,
            attempts=Job.attempts + 1,
        )
        .returning(Job.id, Job.kind, Job.payload, Job.attempts)
    )
    return [Claimed(*row) for row in taken]


def finish(connection: Connection, job_id: int) -> None:
    """Note that the work is done, whoever holds the claim by now."""
    _settle(connection, Job.id == job_id, state=JobState.DONE, failure=None, ended_at=clock.now())


def fail(connection: Connection, job: Claimed, failure: str, retry: Retry) -> None:
    """Put the job back for later, or among the dead letters; nothing when another holds the claim by now."""
    wait, now = retry.wait(job.attempts), clock.now()
    if wait is None:
        _settle(connection, _held(job), state=JobState.DEAD, failure=failure, ended_at=now)
        return
    _settle(connection, _held(job), state=JobState.WAITING, failure=failure, run_at=now + wait)


def give_back(connection: Connection, jobs: Sequence[Claimed]) -> None:
    """Leave claimed jobs that were not begun to whoever is free; it does not count as an attempt."""
    for job in jobs:
        _settle(connection, _held(job), state=JobState.WAITING, attempts=job.attempts - 1)


def retry_dead(connection: Connection, job_id: int) -> None:
    """Give a dead letter a new set of attempts; raises NotFound when there is none such."""
    revived = connection.execute(
        update(Job)
        .where(Job.id == job_id, Job.state == JobState.DEAD)
        .values(state=JobState.WAITING, attempts=0, run_at=clock.now(), ended_at=None)
    )
    if revived.rowcount != 1:
        raise NotFound("没有这样的失败任务")
    announce(connection, TOPIC)


def counts(connection: Connection) -> dict[tuple[str, str], int]:
    """How many jobs there are by kind and state."""
    rows = connection.execute(
        select(Job.kind, Job.state, func.count()).group_by(Job.kind, Job.state)
    )
    return {(kind, state): number for kind, state, number in rows}


def _held(job: Claimed) -> ColumnElement[bool]:
    """Whether a claim still stands: every claim counts the attempts up."""
    return (Job.id == job.id) & (Job.state == JobState.RUNNING) & (Job.attempts == job.attempts)


def _settle(connection: Connection, which: ColumnElement[bool], **values: Any) -> None:
    connection.execute(update(Job).where(which).values(worker=None, claimed_until=None, **values))


class Worker:
    """Does jobs on a thread of its own until it is stopped."""

    def __init__(self, db: Database, handlers: Mapping[str, Handler], *, name: str) -> None:
        self._db, self._handlers, self._name = db, handlers, name
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the job in hand."""
        self._stopping.set()
        self._db.bell.ring(TOPIC)
        if self._thread.is_alive():
            self._thread.join(timeout=30)

    def work_off(self) -> int:
        """Do every job that is due now; gives their number."""
        done = 0
        while not self._stopping.is_set():
            with self._db.write() as connection:
                jobs = claim(connection, self._name, list(self._handlers))
            if not jobs:
                break
            done += self._work_through(jobs)
        return done

    def _work_through(self, jobs: Sequence[Claimed]) -> int:
        """Do the jobs in hand while the claim surely stands, and give the others back."""
        sure_until = clock.now() + CLAIM / 2
        for number, job in enumerate(jobs):
            if self._stopping.is_set() or clock.now() > sure_until:
                with self._db.write() as connection:
                    give_back(connection, jobs[number:])
                return number
            self._do(job)
        return len(jobs)

    def _run(self) -> None:
        while not self._stopping.is_set():
            seen = self._db.bell.count(TOPIC)
            try:
                self.work_off()
            except Exception as error:  # noqa: BLE001  (the loop must outlive a database outage)
                logs.get(__name__).error("jobs_failed", exc_info=error)
            self._db.bell.wait(TOPIC, seen, LOOK_EVERY)

    def _do(self, job: Claimed) -> None:
        handler = self._handlers[job.kind]
        if job.attempts > handler.retry.attempts:  # it has killed every worker that took it
            with self._db.write() as connection:
                fail(connection, job, "WorkerDied", handler.retry)
            return
        try:
            handler.work(job.payload)
        except Exception as error:  # noqa: BLE001  (any failure of a handler is a retry)
            logs.get(__name__).error(
                "job_failed", kind=job.kind, job=job.id, attempts=job.attempts, exc_info=error
            )
            with self._db.write() as connection:
                fail(connection, job, type(error).__name__, handler.retry)
            return
        with self._db.write() as connection:
            finish(connection, job.id)
