"""Back-tests: a candidate and the released version over the same archived messages, slice by slice.

A slice reads, screens twice, and adds its result and its place in one transaction, unless the back-test was stopped or
another worker was faster; so a killed worker leaves neither a gap nor a double. Messages that arrive after the start
are left out. What is kept of a finding is where it is, never its words.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    false,
    func,
    insert,
    or_,
    select,
    update,
)

from app.access import NOTHING, Caller, Event, record
from app.archive.domain import Action
from app.archive.models import Record, record_id
from app.archive.store import tails, windows
from app.foundation import clock, ids, jobs
from app.foundation.database import Database, exclusive
from app.foundation.errors import Conflict, NotFound
from app.screening import lexicons, store
from app.screening.follower import found, spans
from app.screening.lexicon import Lexicon
from app.screening.lexicons import Version
from app.screening.models import Backtest
from app.screening.releases import LOCK
from app.screening.tally import Result, Seen, counted, nothing, together
from app.screening.versions import TRANSITIONS, Step, next_state

KIND = "lexicon.backtest"
SLICE = 500  # messages
SPELL = 5_000  # ms of slices before the next job takes over, so that a server can stop
REST = 8  # times as long as it worked, while messages pour in
LONGEST_REST = 5_000  # ms
_LOOK_EVERY = 0.02  # seconds between two looks whether it is still so


class BacktestState(StrEnum):
    """running → done, or stopped → running again."""

    RUNNING = "running"
    STOPPED = "stopped"
    DONE = "done"


class BacktestNotFound(NotFound):
    """There is no such back-test."""

    code = "backtest_not_found"
    title = "没有这次回测"


class BacktestStateWrong(Conflict):
    """The back-test is in a state that does not allow this."""

    code = "backtest_state_wrong"
    title = "回测当前状态不允许此操作"


class Period(NamedTuple):
    """Which messages: those sent from `since` to before `until`, of each corp's log at most the `last` ones."""

    since: datetime | None = None
    until: datetime | None = None
    last: int | None = None


class Run(NamedTuple):
    """A back-test as it stands."""

    number: int
    id: str
    lexicon_number: int
    base_number: int
    state: BacktestState
    since: datetime | None
    until: datetime | None
    last: int | None
    spans: Mapping[str, Sequence[int]]
    place: int
    done: int
    total: int
    result: Result
    run: int
    started_by: str
    started_by_name: str
    created_at: datetime
    ended_at: datetime | None


_COLUMNS = tuple(getattr(Backtest, name) for name in Run._fields)
Compile = Callable[[str], Lexicon]


def start(db: Database, caller: Caller, name: str, period: Period) -> Run:
    """Ask for a back-test of a version whose examples hold; raises `BacktestStateWrong` while one is running."""
    with db.write() as connection:
        exclusive(connection, LOCK)
        version, base = lexicons.one(connection, name), lexicons.released(connection)
        next_state(version.state, Step.BACKTEST)
        if base is None or _all(connection, version, BacktestState.RUNNING):
            raise BacktestStateWrong("这个版本的回测正在进行")
        chosen = _spans(connection, period)
        row = {
            "id": ids.new_id("bkt"),
            "lexicon_number": version.number,
            "base_number": base.number,
            "state": BacktestState.RUNNING,
            **period._asdict(),
            "spans": json.dumps(chosen),
            "place": 0,
            "done": 0,
            "total": _count(connection, period, chosen),
            "result": json.dumps(nothing()),
            "run": 1,
            "started_by": caller.id,
            "started_by_name": caller.name,
            "created_at": clock.now(),
        }
        connection.execute(insert(Backtest).values(row))
        made = one(connection, row["id"])
        _enqueue(connection, made)
        record(
            connection, Event.LEXICON_BACKTEST, caller, version.id, id=made.id, **period._asdict()
        )
    return made


def stop(db: Database, caller: Caller, name: str) -> Run:
    """Stop a running back-test after the slice in hand."""
    return _turn(db, caller, name, BacktestState.RUNNING, BacktestState.STOPPED)


def resume(db: Database, caller: Caller, name: str) -> Run:
    """Go on with a stopped back-test where it stopped."""
    return _turn(db, caller, name, BacktestState.STOPPED, BacktestState.RUNNING)


def one(connection: Connection, name: str) -> Run:
    """A back-test by its id; raises `BacktestNotFound`."""
    row = connection.execute(select(*_COLUMNS).where(Backtest.id == name)).one_or_none()
    if row is None:
        raise BacktestNotFound
    return _run(row)


def of_version(connection: Connection, version: Version) -> list[Run]:
    """The back-tests of a version, newest first."""
    return _all(connection, version, *BacktestState)


def last_done(connection: Connection, version: Version) -> Run | None:
    """The last back-test of a version that came to its end."""
    return next(iter(_all(connection, version, BacktestState.DONE)), None)


def handler(
    db: Database, compile_version: Compile, is_busy: Callable[[], bool] = lambda: False
) -> jobs.Handler:
    """What does the jobs of back-tests; it rests while messages pour in."""

    def work(payload: dict[str, Any]) -> None:
        with db.read() as connection:
            asked = one(connection, payload["id"])
        if asked.run == payload["run"] and work_on(db, compile_version, asked.id, SPELL, is_busy):
            with db.write() as connection:
                _next(connection, asked)

    return jobs.Handler(work)


def work_on(
    db: Database,
    compile_version: Compile,
    name: str,
    milliseconds: float,
    is_busy: Callable[[], bool] = lambda: False,
) -> bool:
    """Do slices for that long, at least one; whether some are left for this worker."""
    began = clock.now_ms()
    until = began + milliseconds
    while _slice(db, compile_version, name):
        _rest(clock.now_ms() - began, is_busy)
        began = clock.now_ms()
        if began >= until:
            return True
    return False


def _rest(worked: int, is_busy: Callable[[], bool]) -> None:
    until = clock.now_ms() + min(worked * REST, LONGEST_REST)
    while is_busy() and clock.now_ms() < until:
        time.sleep(_LOOK_EVERY)


def _slice(db: Database, compile_version: Compile, name: str) -> bool:
    """Do the next slice; False when there is nothing more to do here."""
    with db.read() as connection:
        asked = one(connection, name)
        if asked.state is not BacktestState.RUNNING:
            return False
        picked = connection.execute(
            _wanted(_period(asked), asked.spans)
            .where(Record.id > asked.place)
            .order_by(Record.id)
            .limit(SLICE)
        ).all()
        groups = windows(connection, spans((row.conversation_id, row.counter) for row in picked))
        versions = [
            lexicons.numbered(connection, number).version
            for number in (asked.base_number, asked.lexicon_number)
        ]
    fresh = {row.id for row in picked}
    released, candidate = (_seen(groups, fresh, compile_version(each)) for each in versions)
    result = together(asked.result, counted(len(picked), released, candidate))
    return _keep(db, asked, picked[-1].id if picked else asked.place, len(picked), result)


def _keep(db: Database, asked: Run, place: int, size: int, result: Result) -> bool:
    """Add a slice; whether this worker should go on."""
    is_last = size < SLICE
    values: dict[str, Any] = {
        "place": place,
        "done": asked.done + size,
        "result": json.dumps(result),
    }
    if is_last:
        values |= {"state": BacktestState.DONE, "ended_at": clock.now()}
    with db.write() as connection:
        exclusive(connection, LOCK)
        kept = connection.execute(
            update(Backtest)
            .where(
                Backtest.number == asked.number,
                Backtest.state == BacktestState.RUNNING,
                Backtest.place == asked.place,
                Backtest.done == asked.done,
            )
            .values(values)
        )
        if is_last and kept.rowcount == 1:
            _note(connection, asked, result)
    return not is_last and kept.rowcount == 1


def _note(connection: Connection, asked: Run, result: Result) -> None:
    """Take the version one step on, unless somebody has decided about it meanwhile."""
    version = lexicons.numbered(connection, asked.lexicon_number)
    if version.state not in TRANSITIONS[Step.BACKTEST].sources:
        return
    state = next_state(version.state, Step.BACKTEST)
    lexicons.change(connection, version, state)
    words = (
        f"{result['messages']} 条消息，预警 {result['released']['alerts']} → "
        f"{result['candidate']['alerts']}，新增 {result['gained']['count']}，减少 {result['lost']['count']}"
    )
    by = Caller("user", asked.started_by, asked.started_by_name, frozenset(), NOTHING)
    lexicons.add_step(connection, version, Step.BACKTEST, state, by, words)


def _seen(groups: Iterable[Sequence[Any]], fresh: set[int], lexicon: Lexicon) -> list[Seen]:
    """The findings whose last message is among the fresh ones."""
    rows = (
        store.row_of(finding, records, None)
        for messages in groups
        for finding, records in found(messages, fresh, lexicon)
    )
    return [
        Seen(row["record_id"], row["spoken_id"], *(row[name] for name in Seen._fields[2:]))
        for row in rows
    ]


def _turn(
    db: Database, caller: Caller, name: str, source: BacktestState, target: BacktestState
) -> Run:
    with db.write() as connection:
        exclusive(connection, LOCK)
        asked = one(connection, name)
        if asked.state is not source:
            raise BacktestStateWrong(f"这次回测的状态是 {asked.state}", state=asked.state)
        ended = clock.now() if target is BacktestState.STOPPED else None
        connection.execute(
            update(Backtest)
            .where(Backtest.number == asked.number, Backtest.state == source)
            .values(state=target, ended_at=ended)
        )
        if target is BacktestState.RUNNING:
            _next(connection, asked)
        facts = {"id": asked.id, "state": target, "done": asked.done}
        version = lexicons.numbered(connection, asked.lexicon_number)
        record(connection, Event.LEXICON_BACKTEST, caller, version.id, **facts)
        return one(connection, name)


def _next(connection: Connection, asked: Run) -> None:
    """Ask for the job after this one; of two that ask, one does."""
    moved = connection.execute(
        update(Backtest)
        .where(Backtest.number == asked.number, Backtest.run == asked.run)
        .values(run=asked.run + 1)
    )
    if moved.rowcount == 1:
        _enqueue(connection, asked._replace(run=asked.run + 1))


def _enqueue(connection: Connection, asked: Run) -> None:
    key, payload = f"{asked.id}:{asked.run}", {"id": asked.id, "run": asked.run}
    jobs.enqueue(connection, KIND, key, payload)


def _spans(connection: Connection, period: Period) -> dict[str, tuple[int, int]]:
    """Per corp the number before the first and the last number of its log that count."""
    return {
        str(corp): (max(0, end - period.last) if period.last else 0, end)
        for corp, end in tails(connection).items()
    }


def _wanted(period: Period, chosen: Mapping[str, Sequence[int]]) -> Any:
    query = select(Record.id, Record.conversation_id, Record.counter)
    return query.where(*_conditions(period, chosen))


def _count(connection: Connection, period: Period, chosen: Mapping[str, Sequence[int]]) -> int:
    query = select(func.count()).select_from(Record).where(*_conditions(period, chosen))
    return connection.execute(query).scalar_one()


def _conditions(
    period: Period, chosen: Mapping[str, Sequence[int]]
) -> Iterable[ColumnElement[bool]]:
    yield Record.action == Action.SEND
    yield or_(
        false(),
        *(
            and_(Record.id > record_id(int(corp), after), Record.id <= record_id(int(corp), end))
            for corp, (after, end) in chosen.items()
        ),
    )
    if period.since is not None:
        yield Record.sent_at >= period.since
    if period.until is not None:
        yield Record.sent_at < period.until


def _period(asked: Run) -> Period:
    return Period(asked.since, asked.until, asked.last)


def _all(connection: Connection, version: Version, *states: BacktestState) -> list[Run]:
    query = select(*_COLUMNS).where(
        Backtest.lexicon_number == version.number, Backtest.state.in_(states)
    )
    return [_run(row) for row in connection.execute(query.order_by(Backtest.number.desc()))]


def _run(row: Any) -> Run:
    fields = Run(*row)
    return fields._replace(
        state=BacktestState(fields.state),
        spans=json.loads(row.spans),
        result=json.loads(row.result),
    )
