"""Jobs: asked for with the fact, done at least once, never by two at once while the claim stands."""

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from app.foundation import clock, jobs
from app.foundation.database import Database
from app.foundation.errors import NotFound
from app.foundation.jobs import (
    BATCH,
    CLAIM,
    TOPIC,
    Claimed,
    Handler,
    Job,
    JobState,
    Retry,
    Worker,
    claim,
    counts,
    enqueue,
    fail,
    finish,
    give_back,
    retry_dead,
)

ROOT = Path(__file__).parents[2]
Together = Callable[[int, Callable[[int], Any]], list[Any]]
Forward = Callable[[timedelta], None]
AT_ONCE = Retry(attempts=3, first=timedelta(0))


@pytest.fixture
def forward(monkeypatch: pytest.MonkeyPatch) -> Forward:
    """Put the clock forward."""
    real, ahead = clock.now, [timedelta()]
    monkeypatch.setattr(clock, "now", lambda: real() + ahead[0])

    def put(by: timedelta) -> None:
        ahead[0] += by

    return put


def ask(db: Database, keys: Iterable[object], kind: str = "mail") -> None:
    with db.write() as connection:
        for key in keys:
            enqueue(connection, kind, str(key), {"key": str(key)})


def take(db: Database, worker: str = "me", kinds: Iterable[str] = ("mail",)) -> list[Claimed]:
    with db.write() as connection:
        return claim(connection, worker, list(kinds))


def states(db: Database) -> dict[str, tuple[str, int]]:
    with db.read() as connection:
        rows = connection.execute(select(Job.key, Job.state, Job.attempts))
        return {key: (state, attempts) for key, state, attempts in rows}


def give_up(db: Database, job: Claimed, retry: Retry = AT_ONCE) -> None:
    with db.write() as connection:
        fail(connection, job, "ZeroDivisionError", retry)


# --- asking


def test_a_job_is_asked_for_once_by_kind_and_key(db: Database) -> None:
    with db.write() as connection:
        enqueue(connection, "mail", "a", {"n": 1})
        enqueue(connection, "mail", "a", {"n": 2})
        enqueue(connection, "fax", "a", {"n": 3})
    with db.read() as connection:
        assert counts(connection) == {("mail", "waiting"): 1, ("fax", "waiting"): 1}
    assert [job.payload for job in take(db)] == [{"n": 1}]
    ask(db, "a")
    assert states(db)["a"]


def test_a_done_job_is_not_done_again_when_asked_for_again(db: Database) -> None:
    ask(db, "a")
    for job in take(db):
        with db.write() as connection:
            finish(connection, job.id)
    ask(db, "a")
    assert take(db) == []
    assert states(db) == {"a": ("done", 1)}


def test_a_job_of_a_failed_transaction_was_never_asked_for(db: Database) -> None:
    def ask_and_fail() -> None:
        with db.write() as connection:
            enqueue(connection, "mail", "a", {})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ask_and_fail()
    assert states(db) == {}
    assert db.bell.count(TOPIC) == 0


@pytest.mark.parametrize(
    "payload", [{}, {"a": None, "b": [1, {"c": "保本\n"}]}, {"x": "字" * 10**5}]
)
def test_a_payload_comes_back_as_it_was(db: Database, payload: dict[str, Any]) -> None:
    with db.write() as connection:
        enqueue(connection, "mail", "a", payload)
    assert [job.payload for job in take(db)] == [payload]


def test_a_delayed_job_is_taken_when_it_is_due(db: Database, forward: Forward) -> None:
    with db.write() as connection:
        due = clock.now() + timedelta(hours=1)
        enqueue(connection, "mail", "a", {}, run_at=due)
    assert take(db) == []
    forward(timedelta(hours=1))
    assert len(take(db)) == 1


# --- claiming


def test_a_claim_takes_the_earliest_due_of_its_kinds_up_to_a_batch(db: Database) -> None:
    ask(db, range(BATCH + 5))
    ask(db, ["other"], kind="fax")
    first, second = take(db), take(db)
    assert {job.payload["key"] for job in first} == {str(n) for n in range(BATCH)}
    assert (len(first), len(second)) == (BATCH, 5)
    assert take(db) == []
    assert [job.kind for job in take(db, kinds=["fax", "mail"])] == ["fax"]
    assert take(db, kinds=[]) == []


def test_a_claim_keeps_to_its_batch_however_the_database_plans_it(db: Database) -> None:
    if db.is_sqlite:
        pytest.skip("a matter of PostgreSQL's planner")
    ask(db, range(5 * BATCH))
    with db.write() as connection:
        for way in ("hashjoin", "mergejoin", "hashagg", "sort", "material"):
            connection.exec_driver_sql(f"SET LOCAL enable_{way} = off")
        assert len(claim(connection, "me", ["mail"])) == BATCH


def test_jobs_claimed_at_once_go_to_one_worker_each(db: Database, at_once: Together) -> None:
    ask(db, range(150))

    def work(number: int) -> list[int]:
        mine: list[int] = []
        while taken := take(db, str(number)):
            mine += [job.id for job in taken]
        return mine

    taken = [number for each in at_once(8, work) for number in each]
    assert len(taken) == len(set(taken)) == 150


def test_a_claim_that_ended_is_taken_again_and_counts(db: Database, forward: Forward) -> None:
    ask(db, "a")
    [first] = take(db, "dead")
    forward(CLAIM * 0.9)
    assert take(db) == []
    forward(CLAIM * 0.2)
    [again] = take(db)
    assert (again.id, first.attempts, again.attempts) == (first.id, 1, 2)


def test_who_lost_the_claim_cannot_fail_the_job(db: Database, forward: Forward) -> None:
    ask(db, "a")
    [late] = take(db, "slow")
    forward(CLAIM)
    [held] = take(db, "quick")
    give_up(db, late)
    assert states(db) == {"a": ("running", 2)}
    with db.write() as connection:
        finish(connection, held.id)
    give_up(db, late)
    give_up(db, held)
    assert states(db) == {"a": ("done", 2)}


def test_jobs_given_back_are_free_and_have_lost_no_attempt(db: Database, forward: Forward) -> None:
    ask(db, "ab")
    taken = take(db)
    with db.write() as connection:
        give_back(connection, taken)
    assert states(db) == {"a": ("waiting", 0), "b": ("waiting", 0)}
    again = take(db, "another")
    forward(CLAIM)
    held = take(db, "third")
    with db.write() as connection:
        give_back(connection, again)  # no longer theirs to give
    assert states(db) == {"a": ("running", 2), "b": ("running", 2)}
    assert len(held) == 2


# --- trying again


def test_the_waits_of_a_schedule_are_data() -> None:
    retry = Retry(attempts=6, first=timedelta(seconds=5), longest=timedelta(seconds=60))
    waits = [wait and wait.seconds for wait in map(retry.wait, range(1, 8))]
    assert waits == [5, 10, 20, 40, 60, None, None]


@given(
    st.integers(1, 500),
    st.timedeltas(timedelta(0), timedelta(days=1)),
    st.timedeltas(timedelta(0), timedelta(days=30)),
)
def test_waits_never_shrink_pass_the_longest_or_outnumber_the_attempts(
    attempts: int, first: timedelta, longest: timedelta
) -> None:
    retry = Retry(attempts, first, longest)
    waits = [wait for n in range(1, attempts + 3) if (wait := retry.wait(n)) is not None]
    assert len(waits) == attempts - 1
    assert waits == sorted(waits)
    assert all(wait <= longest for wait in waits)


def test_a_failed_job_waits_its_time(db: Database, forward: Forward) -> None:
    ask(db, "a")
    hour = Retry(attempts=3, first=timedelta(hours=1), longest=timedelta(hours=9))
    give_up(db, take(db)[0], hour)
    assert take(db) == []
    forward(timedelta(hours=1))
    give_up(db, take(db)[0], hour)
    forward(timedelta(hours=1))
    assert take(db) == []
    forward(timedelta(hours=1))
    assert take(db)[0].attempts == 3


def test_after_the_last_attempt_a_job_is_dead_until_somebody_revives_it(db: Database) -> None:
    ask(db, "a")
    for attempt in (1, 2, 3):
        [taken] = take(db)
        assert taken.attempts == attempt
        give_up(db, taken)
    assert take(db) == []
    with db.read() as connection:
        assert counts(connection) == {("mail", "dead"): 1}
        row = connection.execute(select(Job.failure, Job.worker, Job.claimed_until)).one()
        assert tuple(row) == ("ZeroDivisionError", None, None)
    with db.write() as connection:
        retry_dead(connection, 1)
    assert [(each.id, each.attempts) for each in take(db)] == [(1, 1)]


def test_only_a_dead_letter_is_revived(db: Database) -> None:
    ask(db, "a")
    [job] = take(db)
    for number in (job.id, 999):
        with db.write() as connection, pytest.raises(NotFound):
            retry_dead(connection, number)
    assert states(db) == {"a": ("running", 1)}


# --- working


def test_workers_do_every_job_once_and_none_at_the_same_time(
    db: Database, at_once: Together
) -> None:
    ask(db, range(100))
    active: Counter[str] = Counter()
    done: Counter[str] = Counter()
    doubled: list[str] = []
    guard = threading.Lock()

    def work(payload: dict[str, Any]) -> None:
        key = payload["key"]
        with guard:
            active[key] += 1
            doubled.extend([key] if active[key] > 1 else [])
        with guard:
            active[key] -= 1
            done[key] += 1

    workers = [Worker(db, {"mail": Handler(work)}, name=str(n)) for n in range(4)]
    assert sum(at_once(4, lambda n: workers[n].work_off())) == 100
    assert done == {str(n): 1 for n in range(100)}
    assert doubled == []


def test_a_handler_that_fails_is_tried_again_and_the_others_go_on(db: Database) -> None:
    ask(db, "abc")
    tried: Counter[str] = Counter()

    def work(payload: dict[str, Any]) -> None:
        tried[payload["key"]] += 1
        if payload["key"] == "b" or tried["c"] == 1:
            raise ZeroDivisionError

    Worker(db, {"mail": Handler(work, AT_ONCE)}, name="me").work_off()
    assert states(db) == {"a": ("done", 1), "b": ("dead", 3), "c": ("done", 2)}
    assert tried == {"a": 1, "b": 3, "c": 2}


def test_a_worker_wakes_by_the_ring_alone(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "LOOK_EVERY", 3_600)
    worked = threading.Semaphore(0)
    worker = Worker(db, {"mail": Handler(lambda _payload: worked.release())}, name="me")
    worker.start()
    for key in "abc":
        ask(db, key)
        assert worked.acquire(timeout=30)
    worker.stop()


def test_a_worker_outlives_an_error_of_the_database(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "LOOK_EVERY", 0.01)
    done, left = threading.Event(), [3]

    def refuse(*arguments: Any) -> list[Claimed]:
        left[0] -= 1
        if left[0] >= 0:
            raise ZeroDivisionError
        return claim(*arguments)

    monkeypatch.setattr(jobs, "claim", refuse)
    ask(db, "a")
    worker = Worker(db, {"mail": Handler(lambda _payload: done.set())}, name="me")
    worker.start()
    assert done.wait(30)
    worker.stop()
    assert states(db) == {"a": ("done", 1)}


def test_a_slow_worker_begins_no_job_whose_claim_is_about_to_end(
    db: Database, forward: Forward
) -> None:
    ask(db, range(10))
    done: list[str] = []
    left: list[timedelta] = []

    def work(payload: dict[str, Any]) -> None:
        with db.read() as connection:
            query = select(Job.claimed_until).where(Job.key == payload["key"])
            until = connection.execute(query).scalar_one()
        left.append(until - clock.now() if until else timedelta(0))
        done.append(payload["key"])
        forward(CLAIM / 5)

    assert Worker(db, {"mail": Handler(work)}, name="me").work_off() == 10
    assert len(done) == len(set(done)) == 10
    assert min(left) > CLAIM / 3
    assert set(states(db).values()) == {("done", 1)}


def test_a_stopped_worker_finishes_the_job_in_hand_and_gives_the_others_back(
    db: Database,
) -> None:
    ask(db, range(5))
    begun, going = threading.Event(), threading.Event()

    def work(_payload: dict[str, Any]) -> None:
        begun.set()
        going.wait(30)

    worker = Worker(db, {"mail": Handler(work)}, name="me")
    worker.start()
    assert begun.wait(30)
    worker._stopping.set()
    going.set()
    worker.stop()
    assert Counter(states(db).values()) == {("done", 1): 1, ("waiting", 0): 4}


KILLED = """
import sys, time
from app.foundation.database import Database
from app.foundation.jobs import Handler, Worker

def work(payload):
    print(payload["key"], flush=True)
    time.sleep(600)

Worker(Database(sys.argv[1]), {"mail": Handler(work)}, name="killed").work_off()
"""


def killed_at_work(url: str) -> str:
    """Start a worker and kill it in the middle of a job; the job's key."""
    command = [sys.executable, "-c", KILLED, url]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        key = process.stdout.readline().strip()
        os.kill(process.pid, signal.SIGKILL)
    return key


def test_a_job_whose_worker_was_killed_is_done_when_the_claim_ends(
    database_url: str, forward: Forward
) -> None:
    db = Database(database_url)
    ask(db, "a")
    db.close()
    assert killed_at_work(database_url) == "a"
    db = Database(database_url)
    done: list[dict[str, Any]] = []
    worker = Worker(db, {"mail": Handler(done.append)}, name="next")
    assert worker.work_off() == 0
    forward(CLAIM + timedelta(minutes=1))
    assert worker.work_off() == 1
    assert done == [{"key": "a"}]
    assert states(db) == {"a": ("done", 2)}
    db.close()


def test_a_job_that_kills_its_workers_ends_as_a_dead_letter(db: Database, forward: Forward) -> None:
    ask(db, "a")
    for _ in range(AT_ONCE.attempts):
        assert len(take(db, "dies")) == 1
        forward(CLAIM)
    begun: list[dict[str, Any]] = []
    Worker(db, {"mail": Handler(begun.append, AT_ONCE)}, name="me").work_off()
    assert begun == []
    assert states(db)["a"][0] == JobState.DEAD
