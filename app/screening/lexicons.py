"""Every query of the versions of the word lists and of their history."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert, select, update

from app.access import Caller
from app.foundation import clock, ids
from app.foundation.errors import NotFound
from app.screening.examples import Failure, Verdict
from app.screening.models import LexiconRow, LexiconStep
from app.screening.versions import BEGINNINGS, State, Step

TOPIC = "lexicons"  # rings when a version was approved or released


class LexiconNotFound(NotFound):
    """There is no such version."""

    code = "lexicon_not_found"
    title = "没有这个词库版本"


class Version(NamedTuple):
    """A version as it stands, without its files."""

    number: int
    id: str
    version: str
    state: State
    note: str
    based_on: str | None
    examples: int
    failures: tuple[Failure, ...]
    created_by: str
    created_by_name: str
    created_at: datetime
    approved_by: str | None
    approved_by_name: str | None
    approved_at: datetime | None
    released_at: datetime | None
    retired_at: datetime | None


class StepRow(NamedTuple):
    """An entry of a version's history."""

    at: datetime
    step: Step
    state: State
    actor: str
    actor_name: str
    note: str


_COLUMNS = tuple(getattr(LexiconRow, name) for name in Version._fields)
_STEP_COLUMNS = tuple(getattr(LexiconStep, name) for name in StepRow._fields)


def released(connection: Connection) -> Version | None:
    """The released version; None before the first."""
    row = connection.execute(select(*_COLUMNS).where(LexiconRow.state == State.RELEASED)).first()
    return _version(row) if row else None


def released_name(connection: Connection) -> str | None:
    """The released version's name alone: asked for at every step of screening."""
    query = select(LexiconRow.version).where(LexiconRow.state == State.RELEASED)
    return connection.execute(query).scalar()


def of_state(connection: Connection, state: State, limit: int) -> list[Version]:
    """The versions in a state, newest first."""
    query = select(*_COLUMNS).where(LexiconRow.state == state)
    query = query.order_by(LexiconRow.number.desc()).limit(limit)
    return [_version(row) for row in connection.execute(query)]


def page(connection: Connection, *, before: int | None, limit: int) -> list[Version]:
    """Versions, newest first, those with a number below `before`."""
    query = select(*_COLUMNS).order_by(LexiconRow.number.desc()).limit(limit)
    if before is not None:
        query = query.where(LexiconRow.number < before)
    return [_version(row) for row in connection.execute(query)]


def one(connection: Connection, name: str) -> Version:
    """A version by its id or by its version; raises `LexiconNotFound`."""
    wanted = (LexiconRow.id == name) | (LexiconRow.version == name)
    row = connection.execute(select(*_COLUMNS).where(wanted)).first()
    if row is None:
        raise LexiconNotFound
    return _version(row)


def numbered(connection: Connection, number: int) -> Version:
    """The version that another row refers to."""
    return _version(connection.execute(select(*_COLUMNS).where(LexiconRow.number == number)).one())


def named(connection: Connection, version: str) -> Version | None:
    """The version with exactly this content, whatever became of it."""
    row = connection.execute(select(*_COLUMNS).where(LexiconRow.version == version)).first()
    return _version(row) if row else None


def packed(connection: Connection, version: str) -> bytes:
    """The packed files of a version; raises `LexiconNotFound`."""
    query = select(LexiconRow.files).where(LexiconRow.version == version)
    found: bytes | None = connection.execute(query).scalar()
    if found is None:
        raise LexiconNotFound
    return found


def add(
    connection: Connection,
    step: Step,
    caller: Caller,
    *,
    version: str,
    files: bytes,
    verdict: Verdict,
    note: str,
    based_on: str | None,
) -> Version:
    """Add a version that begins with the given step."""
    now, name = clock.now(), ids.new_id("lex")
    row = {
        "id": name,
        "version": version,
        "state": BEGINNINGS[step],
        "files": files,
        "note": note,
        "based_on": based_on,
        "examples": verdict.examples,
        "failures": json.dumps([list(each) for each in verdict.failures], ensure_ascii=False),
        "created_by": caller.id,
        "created_by_name": caller.name,
        "created_at": now,
        "released_at": now if step is Step.INSTALL else None,
    }
    connection.execute(insert(LexiconRow).values(row))
    made = one(connection, name)
    add_step(connection, made, step, made.state, caller, note)
    return made


def change(connection: Connection, version: Version, state: State, **values: Any) -> bool:
    """Put a version into another state unless somebody has done so meanwhile."""
    changed = connection.execute(
        update(LexiconRow)
        .where(LexiconRow.number == version.number, LexiconRow.state == version.state)
        .values(state=state, **values)
    )
    return changed.rowcount == 1


def add_step(
    connection: Connection, version: Version, step: Step, state: State, caller: Caller, note: str
) -> None:
    """Append to a version's history."""
    row = StepRow(clock.now(), step, state, caller.id, caller.name, note)
    connection.execute(insert(LexiconStep).values(lexicon_number=version.number, **row._asdict()))


def history(connection: Connection, version: Version) -> Sequence[StepRow]:
    """Everything that happened to a version, oldest first."""
    query = select(*_STEP_COLUMNS).where(LexiconStep.lexicon_number == version.number)
    rows = connection.execute(query.order_by(LexiconStep.id))
    return [StepRow(*row)._replace(step=Step(row.step), state=State(row.state)) for row in rows]


def _version(row: Any) -> Version:
    failures = tuple(Failure(*each) for each in json.loads(row.failures))
    return Version(*row)._replace(state=State(row.state), failures=failures)
