"""Followers: each record dealt with once, whoever dies, doubles or overtakes; woken by the ring."""

import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, select

from app.foundation import clock, followers
from app.foundation.database import Database, announce
from app.foundation.followers import (
    TOPIC,
    CursorMoved,
    FollowerCursor,
    Lease,
    Runner,
    catch_up,
    drop_lease,
    forget,
    lag,
    move,
    position,
    take_lease,
)

Together = Callable[[int, Callable[[int], Any]], list[Any]]
BATCH = 3


class Copier:
    """Writes every number it follows into a table of its own."""

    name = "copier"
    is_shared = True

    def __init__(self, db: Database) -> None:
        self._db = db
        self.fail: Callable[[int, int], None] = lambda _corp, _after: None
        self.steps = 0
        self.has_stepped = threading.Event()

    def position(self, corp_id: int) -> int:
        """The cursor in the record database."""
        with self._db.read() as connection:
            return position(connection, self.name, corp_id)

    def step(self, corp_id: int, after: int, end: int) -> int:
        """Copy the next batch, fail if told to, move the cursor."""
        to = min(after + BATCH, end)
        self.steps += 1
        with self._db.write() as connection:
            self._copy(connection, corp_id, after, to)
            self.fail(corp_id, after)
            move(connection, self.name, corp_id, after=after, to=to)
        self.has_stepped.set()
        return to

    def reset(self) -> None:
        """Forget the copies."""
        with self._db.write() as connection:
            connection.exec_driver_sql("DELETE FROM copies")
            forget(connection, self.name)

    def _copy(self, connection: Connection, corp_id: int, after: int, to: int) -> None:
        for seq in range(after + 1, to + 1):
            connection.exec_driver_sql(f"INSERT INTO copies VALUES ({corp_id}, {seq})")  # noqa: S608


@pytest.fixture
def copier(db: Database) -> Copier:
    with db.write() as connection:
        connection.exec_driver_sql("CREATE TABLE copies (corp_id BIGINT, seq BIGINT)")
    return Copier(db)


def copied(db: Database, corp_id: int = 1) -> list[int]:
    with db.read() as connection:
        query = f"SELECT seq FROM copies WHERE corp_id = {corp_id} ORDER BY seq"  # noqa: S608
        return list(connection.exec_driver_sql(query).scalars())


def upto(end: int) -> list[int]:
    return list(range(1, end + 1))


def wait_for(is_true: Callable[[], bool]) -> None:
    for _ in range(1_000):
        if is_true():
            return
        threading.Event().wait(0.02)
    raise AssertionError("waited in vain")


def runner(db: Database, follower: Any, tails: dict[int, int], holder: str = "me") -> Runner:
    return Runner(db, follower, lambda: dict(tails), holder=holder)


@pytest.fixture
def far_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Put the clock forward."""
    real, ahead = clock.now, [timedelta()]
    monkeypatch.setattr(clock, "now", lambda: real() + ahead[0])

    def put_forward(by: timedelta) -> None:
        ahead[0] += by

    return put_forward


# --- the cursor


def test_a_cursor_moves_from_where_it_is_and_from_nowhere_else(db: Database) -> None:
    with db.write() as connection:
        assert position(connection, "a", 1) == 0
        move(connection, "a", 1, after=0, to=5)
        move(connection, "a", 1, after=5, to=9)
        move(connection, "a", 2, after=0, to=3)
        for wrong in (0, 5, 8, 10):
            with pytest.raises(CursorMoved):
                move(connection, "a", 1, after=wrong, to=20)
        with pytest.raises(CursorMoved):
            move(connection, "b", 1, after=1, to=2)
        assert [position(connection, "a", corp) for corp in (1, 2, 3)] == [9, 3, 0]
        assert position(connection, "b", 1) == 0


def test_forgetting_puts_one_follower_back_to_the_start(db: Database) -> None:
    with db.write() as connection:
        for name in ("a", "b"):
            move(connection, name, 1, after=0, to=5)
            move(connection, name, 2, after=0, to=5)
        forget(connection, "a")
        assert [position(connection, name, 1) for name in ("a", "b")] == [0, 5]
        move(connection, "a", 2, after=0, to=1)


def test_a_step_taken_twice_at_once_counts_once(
    db: Database, copier: Copier, at_once: Together
) -> None:
    for start in (0, BATCH, 2 * BATCH):
        amid = threading.Barrier(4)
        copier.fail = lambda _corp, _after: None
        if not db.is_sqlite:  # all have written before the first commits; SQLite has one writer
            copier.fail = lambda _corp, _after, amid=amid: amid.wait(10) and None  # type: ignore[misc]

        def take(_: int, start: int = start) -> str:
            try:
                copier.step(1, start, 100)
            except CursorMoved:
                return "moved"
            return "done"

        assert Counter(at_once(4, take)) == {"done": 1, "moved": 3}
    assert copied(db) == upto(3 * BATCH)


def test_a_step_that_dies_between_result_and_cursor_leaves_neither(
    db: Database, copier: Copier
) -> None:
    def die(_corp: int, after: int) -> None:
        if after == BATCH:
            raise ZeroDivisionError

    copier.fail = die
    copier.step(1, 0, 10)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            copier.step(1, BATCH, 10)
        assert copied(db) == upto(BATCH)
        assert copier.position(1) == BATCH
    copier.fail = lambda _corp, _after: None
    catch_up(copier, {1: 10}, lambda _lag: None)
    assert copied(db) == upto(10)


def test_catching_up_tells_what_is_left(db: Database, copier: Copier) -> None:
    left: list[int] = []
    tails = {1: 7, 2: 2}
    assert lag(copier, tails) == 9
    catch_up(copier, tails, left.append)
    assert left == [6, 3, 2, 0]
    assert (copied(db, 1), copied(db, 2)) == (upto(7), upto(2))
    assert lag(copier, {1: 5, 2: 4}) == 2  # a shorter log is no negative lag


def test_after_a_reset_everything_is_done_again(db: Database, copier: Copier) -> None:
    catch_up(copier, {1: 7}, lambda _lag: None)
    copier.reset()
    assert (copied(db), copier.position(1), lag(copier, {1: 7})) == ([], 0, 7)
    catch_up(copier, {1: 7}, lambda _lag: None)
    assert copied(db) == upto(7)


# --- the lease


def test_a_lease_is_one_holders_until_it_ends(
    db: Database, far_clock: Callable[[timedelta], None]
) -> None:
    assert take_lease(db, "a", "one")
    assert not take_lease(db, "a", "two")
    assert take_lease(db, "b", "two")
    far_clock(followers.LEASE / 2)
    assert take_lease(db, "a", "one")  # renewed
    far_clock(followers.LEASE * 0.9)
    assert not take_lease(db, "a", "two")
    far_clock(followers.LEASE * 0.2)
    assert take_lease(db, "a", "two")
    assert not take_lease(db, "a", "one")


def test_a_lease_given_back_is_free_and_only_its_holder_gives_it_back(db: Database) -> None:
    assert take_lease(db, "a", "one")
    drop_lease(db, "a", "two")
    assert not take_lease(db, "a", "two")
    drop_lease(db, "a", "one")
    assert take_lease(db, "a", "two")


def test_a_lease_asked_for_at_once_goes_to_one(db: Database, at_once: Together) -> None:
    assert sum(at_once(8, lambda number: take_lease(db, "a", str(number)))) == 1


# --- the runner


def test_a_runner_wakes_by_the_ring_alone(
    db: Database, copier: Copier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followers, "LOOK_EVERY", 3_600)
    tails = {1: 1}
    running = runner(db, copier, tails)
    running.start()
    for end in (1, 2, 9):
        tails[1] = end
        with db.write() as connection:
            announce(connection, TOPIC)
        wait_for(lambda end=end: copied(db) == upto(end))  # type: ignore[misc]
    running.stop()
    assert running.lag() == 0


def is_leased(db: Database, name: str) -> bool:
    with db.read() as connection:
        return bool(connection.execute(select(Lease.holder).where(Lease.name == name)).scalar())


def test_a_runner_wakes_by_the_ring_of_another_connection(
    db: Database, copier: Copier, monkeypatch: pytest.MonkeyPatch
) -> None:
    if db.is_sqlite:
        pytest.skip("SQLite has no other process")
    monkeypatch.setattr(followers, "LOOK_EVERY", 3_600)
    db.listen()
    tails = {1: 0}
    running = runner(db, copier, tails)
    running.start()
    wait_for(lambda: is_leased(db, copier.name))  # it has begun and found nothing
    tails[1] = 5
    other = Database(db.url)

    def tell() -> bool:  # more than once: the listener needs a moment to connect
        with other.write() as connection:
            announce(connection, TOPIC)
        return copied(db) == upto(5)

    wait_for(tell)
    other.close()
    running.stop()


def test_of_two_runners_one_runs_and_the_other_takes_over(
    db: Database, copier: Copier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followers, "LOOK_EVERY", 0.02)
    tails = {1: 3}
    first, second = runner(db, copier, tails, "one"), runner(db, spare := Copier(db), tails, "two")
    first.start()
    assert copier.has_stepped.wait(30)
    second.start()
    tails[1] = 30
    wait_for(lambda: copied(db) == upto(30))
    assert spare.steps == 0
    first.stop()
    steps = copier.steps
    tails[1] = 60
    wait_for(lambda: copied(db) == upto(60))
    second.stop()
    assert copier.steps == steps
    assert (first.failure, second.failure) == (None, None)


def test_a_runner_takes_over_from_a_dead_one_when_its_lease_ends(
    db: Database,
    copier: Copier,
    monkeypatch: pytest.MonkeyPatch,
    far_clock: Callable[[timedelta], None],
) -> None:
    monkeypatch.setattr(followers, "LOOK_EVERY", 0.02)
    assert take_lease(db, copier.name, "dead")
    looks = [0]

    def tails() -> dict[int, int]:
        return {1: 5}

    running = Runner(db, copier, tails, holder="me")
    real_take = followers.take_lease

    def take(*arguments: Any, **options: Any) -> bool:
        looks[0] += 1
        return real_take(*arguments, **options)

    monkeypatch.setattr(followers, "take_lease", take)
    running.start()
    wait_for(lambda: looks[0] > 3)
    assert copied(db) == []
    far_clock(followers.LEASE)
    wait_for(lambda: copied(db) == upto(5))
    running.stop()


class Patience(threading.Event):
    """An event whose waits are noted and take no time."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        """Note it and go on."""
        self.waits.append(timeout)
        return self.is_set()


def test_a_failing_follower_backs_off_says_so_and_recovers_without_a_gap(
    db: Database, copier: Copier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followers, "LOOK_EVERY", 0.02)
    running = runner(db, copier, tails := {1: 10})
    running._stopping = patience = Patience()
    left, said = [12], list[str | None]()

    def fail(_corp: int, _after: int) -> None:
        if left[0]:
            left[0] -= 1
            said.append(running.failure)
            raise ZeroDivisionError

    copier.fail = fail
    running.start()
    wait_for(lambda: copied(db) == upto(10) and running.failure is None)
    left[0] = 2  # after a success it begins with short pauses again
    tails[1] = 12
    wait_for(lambda: copied(db) == upto(12) and running.failure is None)
    running.stop()
    doubling = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 5, 5, 5, 5]
    assert patience.waits == pytest.approx([*doubling, 0.1, 0.2])
    assert said == [None, *["ZeroDivisionError"] * 11, None, "ZeroDivisionError"]


def test_a_log_that_cannot_go_on_does_not_hold_up_the_others(db: Database, copier: Copier) -> None:
    def fail(corp_id: int, _after: int) -> None:
        if corp_id == 1:
            raise ZeroDivisionError

    copier.fail = fail
    running = runner(db, copier, {1: 3, 2: 3})
    with pytest.raises(ZeroDivisionError):
        running.advance()
    assert (copied(db, 1), copied(db, 2)) == ([], upto(3))


def test_a_step_that_gets_nowhere_is_no_movement(db: Database, copier: Copier) -> None:
    class Idle(Copier):
        def step(self, corp_id: int, after: int, end: int) -> int:  # noqa: ARG002
            return after

    assert not runner(db, Idle(db), {1: 3}).advance()
    assert runner(db, copier, {1: 3}).advance()
    assert not runner(db, copier, {1: 3}).advance()


def test_a_stopped_runner_gives_its_lease_back(db: Database, copier: Copier) -> None:
    running = runner(db, copier, {1: 3})
    running.start()
    assert copier.has_stepped.wait(30)
    running.stop()
    assert take_lease(db, copier.name, "another")
    with db.read() as connection:
        assert connection.scalars(select(FollowerCursor.seq)).all() == [3]


def test_a_runner_rests_as_long_as_messages_pour_in(db: Database, copier: Copier) -> None:
    busy = [True, True, True, False]
    resting = Runner(db, copier, lambda: {1: 3}, holder="me", is_busy=lambda: busy.pop(0))
    resting._stopping = patience = Patience()
    resting._give_way(1_000)
    assert patience.waits == [followers.YIELD_SLICE] * 3
    assert busy == []


def test_a_result_of_the_process_alone_needs_no_lease(db: Database, copier: Copier) -> None:
    assert take_lease(db, copier.name, "another")
    copier.is_shared = False
    running = runner(db, copier, {1: 3})
    running.start()
    assert copier.has_stepped.wait(30)
    running.stop()
    assert not take_lease(db, copier.name, "third")  # the other's is untouched
