"""Builds packages as a job in slices: each unit leaves a whole file behind, so that whoever goes on skips it.

Everything in a package follows from the log as it stood at the request and from the audit trail as it stood at the
approval, so the same export is the same bytes whenever and however often interrupted it is built.
"""

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from app.access import Event, operator, record
from app.evidence import exports, logs
from app.evidence.assembly import Assembly, Tools
from app.evidence.exports import One, State
from app.evidence.statement import Heads
from app.foundation import clock, jobs
from app.foundation.errors import AppError, Unavailable
from app.foundation.files import make_folder
from app.foundation.followers import drop_lease, take_lease

SPELL = 20.0  # seconds of one job
LEASE = timedelta(minutes=10)
SYSTEM = operator("证据包")
RETRY = jobs.Retry(attempts=20, first=timedelta(seconds=1), longest=timedelta(minutes=5))


class Builder:
    """Makes packages, one folder an export; `holder` is this process in leases."""

    def __init__(self, tools: Tools, holder: str) -> None:
        self._tools, self._db, self._holder = tools, tools.db, holder

    def handler(self) -> jobs.Handler:
        """What does the jobs."""
        return jobs.Handler(self._work, RETRY)

    def package(self, found: One) -> Path:
        """Where the finished package stands."""
        return self._tools.package(found)

    def signature(self, found: One) -> Path:
        """Where the signature over the whole package stands."""
        return self._tools.signature(found)

    def remove(self, found: One) -> None:
        """Delete what was built; it can be built again from what the archive still holds."""
        shutil.rmtree(self._tools.folder / found.id, ignore_errors=True)

    def build(
        self,
        name: str,
        on_progress: Callable[[int, int], None] = lambda _done, _total: None,
        seconds: float | None = None,
    ) -> bool:
        """Go on with a package, for `seconds` at most; True when it is ready."""
        lease = f"export {name}"[:64]
        if not take_lease(self._db, lease, self._holder, lasting=LEASE):
            raise Unavailable("另一个进程正在制作这个证据包")
        try:
            return self._go_on(name, on_progress, seconds, lease)
        finally:
            drop_lease(self._db, lease, self._holder)

    def _work(self, payload: dict[str, Any]) -> None:
        name, run = payload["id"], payload["run"]
        with self._db.read() as connection:
            found = exports.one(connection, name)
        if found.state not in (State.APPROVED, State.BUILDING, State.FAILED):
            return
        try:
            is_ready = self.build(name, seconds=SPELL)
        except Exception as error:
            self._note(found, error)
            raise
        if not is_ready:
            with self._db.write() as connection:
                jobs.enqueue(
                    connection, exports.KIND, f"{name}:{run + 1}", {"id": name, "run": run + 1}
                )

    def _note(self, found: One, error: Exception) -> None:
        words = str(error) if isinstance(error, AppError) else type(error).__name__
        with self._db.write() as connection:
            exports.change(connection, found, failure=words)

    def _go_on(
        self,
        name: str,
        on_progress: Callable[[int, int], None],
        seconds: float | None,
        lease: str,
    ) -> bool:
        with self._db.read() as connection:
            found = exports.one(connection, name)
            if found.state == State.READY:
                return True
            heads = self._heads(connection, found)
        work = self._tools.folder / name / "work"
        make_folder(work)
        deadline = None if seconds is None else clock.now_ms() + seconds * 1000
        job = Assembly(self._tools, found, heads, work)
        done = 0
        for unit in job.units():
            if not unit.target.exists():
                if deadline is not None and clock.now_ms() > deadline and done:
                    self._progress(found, done)
                    return False
                unit.work()
                take_lease(self._db, lease, self._holder, lasting=LEASE)
            done += unit.weight
            on_progress(done, job.total)
        self._finish(found, job.finish())
        return True

    def _heads(self, connection: Any, found: One) -> Heads:
        pinned = found.pinned or {}
        origins = logs.origins(connection, self._tools.origin)
        return Heads(
            origins[found.corp_id],
            logs.covering(connection, found.corp_id, pinned["end"]),
            origins[logs.AUDIT],
            logs.covering(connection, logs.AUDIT, pinned["audit"]),
        )

    def _progress(self, found: One, done: int) -> None:
        with self._db.write() as connection:
            exports.change(connection, found, state=State.BUILDING, done=done, failure=None)

    def _finish(self, found: One, digest: str) -> None:
        size = self.package(found).stat().st_size
        with self._db.write() as connection:
            exports.change(
                connection,
                found,
                state=State.READY,
                done=found.total,
                failure=None,
                digest=digest,
                size=size,
                built_at=clock.now(),
            )
            record(connection, Event.EXPORT_BUILD, SYSTEM, found.id, sha256=digest, size=size)
        shutil.rmtree(self._tools.folder / found.id / "work", ignore_errors=True)
