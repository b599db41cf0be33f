"""Live changes as server-sent events: which alert changed how, never its content.

A stream ends after a while, so that the browser comes back and its rights are looked at again; it says by
`Last-Event-ID` where it was.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Header
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from sqlalchemy import Connection, select

from app.access import Action, Caller, Event, Scope, record
from app.access.api import Gate
from app.archive.models import Record
from app.archive.store import visible
from app.foundation.database import Database
from app.oversight import store
from app.oversight.alerts import TOPIC
from app.oversight.models import Alert, AlertStep

LASTS = 300.0  # seconds of a stream
LOOK_EVERY = 0.1  # seconds between two looks at the bell, which cost nothing
BEAT_EVERY = 15.0  # seconds of silence after which proxies might close
BATCH = 500
_HIGHEST = 2**63 - 1


class Change(NamedTuple):
    """A step of an alert, as the stream tells it."""

    number: int
    id: str
    severity: str
    category: str
    step: str
    state: str


def routes(db: Database, gate: Gate) -> APIRouter:
    """The one stream."""
    router = APIRouter(tags=["预警"])

    @router.get("/events", summary="预警的实时变化", response_class=StreamingResponse)
    def events(
        caller: Annotated[Caller, gate.needs(Action.SEE_ALERTS)],
        last_event_id: Annotated[str | None, Header(max_length=32)] = None,
    ) -> StreamingResponse:
        with db.write() as connection:
            record(connection, Event.ALERT_LIST, caller, "events")
        with db.read() as connection:
            last = store.last_id(connection)
        return StreamingResponse(
            stream(db, caller.scope, _place(last_event_id, last)),
            media_type="text/event-stream",
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )

    return router


async def stream(
    db: Database, scope: Scope, last: int, *, lasts: float = LASTS
) -> AsyncIterator[str]:
    """Every change after a step's number that the scope may see, as it happens."""
    loop = asyncio.get_running_loop()
    ends, beat, seen = loop.time() + lasts, loop.time(), -1
    yield "retry: 2000\n\n"
    while loop.time() < ends:
        rung = db.bell.count(TOPIC)
        if rung != seen:
            found = await run_in_threadpool(_read, db, scope, last)
            last, changes = found
            seen = rung if len(changes) < BATCH else -1
            for each in changes:
                beat = loop.time()
                yield f"id: {each.number}\nevent: alert\ndata: {_json(each)}\n\n"
        if loop.time() - beat > BEAT_EVERY:
            beat = loop.time()
            yield ": beat\n\n"
        await asyncio.sleep(LOOK_EVERY)


def _read(db: Database, scope: Scope, last: int) -> tuple[int, list[Change]]:
    with db.read() as connection:
        end = store.last_id(connection)
        changes = changed(connection, scope, last, BATCH)
    return (changes[-1].number if len(changes) == BATCH else max(last, end)), changes


def changed(connection: Connection, scope: Scope, last: int, limit: int) -> list[Change]:
    """The steps after a number that the scope may see, in order."""
    query = (
        select(
            AlertStep.id,
            Alert.id.label("alert"),
            Alert.severity,
            Alert.category,
            AlertStep.step,
            AlertStep.state,
        )
        .join(Alert, Alert.number == AlertStep.alert_number)
        .join(Record, Record.id == Alert.record_id)
        .where(AlertStep.id > last, visible(connection, scope))
        .order_by(AlertStep.id)
        .limit(limit)
    )
    return [Change(*row) for row in connection.execute(query)]


def _place(given: str | None, last: int) -> int:
    """Where a stream goes on: after what the browser has seen, or from now on."""
    if given is None or not (given.isascii() and given.isdigit()) or int(given) > _HIGHEST:
        return last
    return min(int(given), last)


def _json(change: Change) -> str:
    fields = change._asdict()
    del fields["number"]
    return json.dumps(fields, ensure_ascii=False)
