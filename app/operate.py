"""What the command line can ask of a data folder. `app.local` brings each request to whoever holds the folder.

Every operation takes the opened services and plain JSON values, and gives a JSON object. The caller is the local
operator, who holds the keys and the files anyway.
"""

import inspect
import time
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeAlias, TypeVar

from pydantic import ValidationError

from app import evidence_operations, health, lexicon_operations, worker
from app.access import OPERATOR, Event, Role, TokenScope, record
from app.archive import fsck, quarantine
from app.bootstrap import NOTES, Services
from app.capture.receive import tally
from app.evidence import fsck as log_fsck
from app.foundation import clock, followers, jobs
from app.foundation.errors import BadInput, NotFound
from app.foundation.followers import Follower
from app.foundation.http import InvalidFields
from app.people.reading import Kind
from app.search.asked import AskedPage
from app.search.follower import IndexFollower

Answer: TypeAlias = dict[str, Any]
Progress: TypeAlias = Callable[[int, int], None]
Operation: TypeAlias = Callable[..., Answer]
Choice = TypeVar("Choice", bound=StrEnum)

NOT_TWICE = (
    frozenset({"first_administrator", "create_token", "create_user"})
    | lexicon_operations.NOT_TWICE
    | evidence_operations.NOT_TWICE
)


def first_administrator(services: Services) -> Answer:
    """Login and password of the first administrator; both null when there is one already."""
    made = services.access.create_first_administrator()
    return {
        "created": made is not None,
        "login": made.login if made else None,
        "password": made.password if made else None,
    }


def create_token(services: Services, name: str, scopes: list[str]) -> Answer:
    """A new API token, shown this once."""
    granted = [_one_of(TokenScope, scope, "令牌权限") for scope in scopes]
    return {"token": services.access.create_token(name, granted, OPERATOR)}


def create_user(services: Services, login: str, name: str, password: str, role: str) -> Answer:
    """A new console user with one role everywhere."""
    made = services.access.create_user(
        OPERATOR,
        login=login,
        name=name,
        password=password,
        employee_id=None,
        roles=[(_one_of(Role, role, "角色"), None)],
    )
    return {"id": made, "login": login, "role": role}


def ingest(services: Services, lines: list[str], corp: str | None) -> Answer:
    """One batch of lines, WeCom messages when a corp is given; `errors` counts what went wrong by its code."""
    data = [line.encode("latin-1") for line in lines]  # carries bytes through JSON
    receive = services.capture.receive
    receipts = services.capture.receive_wecom(data, corp) if corp else receive(data)
    errors = Counter(receipt.error for receipt in receipts if receipt.error)
    return {**tally(receipts), "errors": errors}


def import_people(services: Services, document: str, kind: str | None, corp: str | None) -> Answer:
    """The people document of an import, or with `kind` and `corp` a CSV file; bytes as `latin-1`."""
    data = document.encode("latin-1")
    if kind is None:
        report = services.people.import_json(OPERATOR, data)
    elif not corp:
        raise BadInput("CSV 导入须给出企业编号 --corp")
    else:
        chosen = _one_of(Kind, kind, "CSV 种类")
        report = services.people.import_csv(OPERATOR, data, kind=chosen, corp=corp)
    return {**report._asdict(), "problems": [each._asdict() for each in report.problems]}


def search(services: Services, asked: Answer) -> Answer:
    """A search as the local operator."""
    try:
        wanted = AskedPage(**asked)
    except ValidationError as error:
        places = [".".join(map(str, each["loc"])) for each in error.errors()]
        raise InvalidFields(f"请检查：{'、'.join(places)}", fields=places) from None
    with services.db.write() as connection:
        record(connection, Event.MESSAGE_SEARCH, OPERATOR, asked=asked)
    page = services.finder.page(wanted, OPERATOR.scope)
    return page.model_dump(mode="json")


def lag(services: Services) -> Answer:
    """How far behind each follower is."""
    return {"lag": worker.lags(services)}


def catch_up(services: Services, seconds: float, staff: worker.Staff | None) -> Answer:
    """For that long follow, or wait for this process's runners; then tell how far behind each follower is."""
    deadline = clock.now_ms() + seconds * 1000
    if staff is None:
        for follower in services.followers:
            _follow(services, follower, deadline)
    while any(worker.lags(services).values()) and clock.now_ms() < deadline:
        time.sleep(LOOK_EVERY)
    return lag(services)


def rebuild(services: Services, name: str, on_progress: Progress) -> Answer:
    """Put a follower back to the start of the log; the search index is built anew beside the one that serves."""
    chosen = {each.name: each for each in services.followers if each.name not in NOTES}
    if name not in chosen:
        raise BadInput(f"没有名为 {name} 的部分；可选：{'、'.join(sorted(chosen))}")
    with services.db.write() as connection:
        record(connection, Event.REBUILD_RUN, OPERATOR, name)
    if name == IndexFollower.name:
        services.rebuilder.run(on_progress)
    else:
        chosen[name].reset()
    services.db.bell.ring(followers.TOPIC)
    return {"rebuilt": name, **lag(services)}


def check_archive(services: Services, on_progress: Progress) -> Answer:
    """Re-derive every claim of the archive."""
    with services.db.write() as connection:
        record(connection, Event.FSCK_RUN, OPERATOR)
    report = fsck.check(services.db, services.keyring, services.blobs, on_progress)
    differences = [difference._asdict() for difference in report.differences]
    index = list(services.index.check())
    logs = log_fsck.check(services.db, services.signer, services.settings.log_origin)
    return {
        "ok": not differences and not index and not logs,
        "records": report.records,
        "quarantined": report.quarantined,
        "differences": differences,
        "index": index,
        "logs": logs,
    }


def doctor(services: Services, staff: worker.Staff | None) -> Answer:
    """The state of every part."""
    with services.db.read() as connection:
        waiting = quarantine.waiting(connection)
        dead = [
            {"kind": kind, "count": count}
            for (kind, state), count in jobs.counts(connection).items()
            if state == jobs.JobState.DEAD
        ]
    parts = health.parts(services, staff)
    return {
        "ok": all(part.is_ok for part in parts) and not dead,
        "parts": {part.name: part.shown() for part in parts},
        "quarantine": waiting,
        "dead_jobs": dead,
    }


LOOK_EVERY = 0.1  # seconds between two looks at the lag

OPERATIONS: dict[str, Operation] = (
    {
        operation.__name__: operation
        for operation in (
            first_administrator,
            create_token,
            create_user,
            ingest,
            import_people,
            search,
            lag,
            catch_up,
            rebuild,
            check_archive,
            doctor,
        )
    }
    | lexicon_operations.OPERATIONS
    | evidence_operations.OPERATIONS
)


def perform(
    services: Services,
    name: str,
    arguments: Answer,
    *,
    on_progress: Progress,
    staff: worker.Staff | None = None,
) -> Answer:
    """Do an operation here and now; raises `NotFound` for a name that is none."""
    if name not in OPERATIONS:
        raise NotFound(f"没有名为 {name} 的操作")
    operation = OPERATIONS[name]
    wanted = inspect.signature(operation).parameters
    given = {"on_progress": on_progress, "staff": staff}
    return operation(
        services, **arguments, **{key: given[key] for key in given.keys() & wanted.keys()}
    )


def _follow(services: Services, follower: Follower, deadline: float) -> None:
    """Step a follower to its ends, unless a runner somewhere holds its lease."""
    holder = services.holder
    if follower.is_shared and not followers.take_lease(services.db, follower.name, holder):
        return
    try:
        for corp_id, end in services.tails_of(follower).items():
            after = follower.position(corp_id)
            while after < end and clock.now_ms() < deadline:
                after = follower.step(corp_id, after, end)
    except followers.CursorMoved:
        return  # another command of this process does the same
    finally:
        followers.drop_lease(services.db, follower.name, holder)


def _one_of(choices: type[Choice], word: str, what: str) -> Choice:
    try:
        return choices(word)
    except ValueError:
        known = "、".join(choices)
        raise BadInput(f"{what}没有「{word}」；可选：{known}") from None
