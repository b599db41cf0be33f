"""What the command line can ask for, done here when no server runs and by the running server otherwise.

A data folder has one writer. While a server holds it, commands reach that server through a socket in the data
folder that only the folder's owner can open; the caller is then the local operator, as he is without a server.
"""

import inspect
import json
import os
import queue
import socket
import stat
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from app import health, worker
from app.access import OPERATOR, Event, Role, TokenScope, record
from app.archive import fsck, quarantine
from app.bootstrap import FINDINGS, Services, findings_of
from app.capture.receive import tally
from app.foundation import followers, jobs, logs
from app.foundation.errors import AppError, NotFound, Unavailable
from app.foundation.settings import Settings
from app.search.api import Asked, find

SOCKET = "operator.sock"
Answer: TypeAlias = dict[str, Any]
Progress: TypeAlias = Callable[[int, int], None]
Operation: TypeAlias = Callable[..., Answer]


def first_administrator(services: Services) -> Answer:
    """Login and password of the first administrator; empty when there is one."""
    made = services.access.create_first_administrator()
    return {"login": made.login, "password": made.password} if made else {}


def create_token(services: Services, name: str, scopes: list[str]) -> Answer:
    """A new API token, shown this once."""
    granted = [TokenScope(scope) for scope in scopes]
    return {"token": services.access.create_token(name, granted, OPERATOR)}


def create_user(services: Services, login: str, name: str, password: str, role: str) -> Answer:
    """A new console user with one role everywhere."""
    roles = [(Role(role), None)]
    return {
        "id": services.access.create_user(
            OPERATOR, login=login, name=name, password=password, employee_id=None, roles=roles
        )
    }


def ingest(services: Services, lines: list[str], corp: str | None) -> Answer:
    """One batch of lines, WeCom messages when a corp is given; `latin-1` carries bytes through JSON."""
    data = [line.encode("latin-1") for line in lines]
    receive = services.capture.receive
    receipts = services.capture.receive_wecom(data, corp) if corp else receive(data)
    return {**tally(receipts), "errors": _first_errors(receipts)}


def import_people(services: Services, document: str) -> Answer:
    """The people document of an import, as JSON text."""
    report = services.people.import_json(OPERATOR, document.encode())
    return {**report._asdict(), "problems": [each._asdict() for each in report.problems]}


def search(services: Services, asked: dict[str, Any]) -> Answer:
    """A search as the local operator."""
    with services.db.write() as connection:
        record(connection, Event.MESSAGE_SEARCH, OPERATOR, asked=asked)
    page = find(services.db, services.index, findings_of, Asked(**asked), OPERATOR.scope)
    return page.model_dump(mode="json")


def lag(services: Services) -> Answer:
    """How far behind each follower is."""
    return {"lag": worker.lags(services)}


def rebuild(services: Services, name: str) -> Answer:
    """Put a follower back to the start of the log."""
    chosen = {follower.name: follower for follower in services.followers}
    if name not in chosen or name == FINDINGS:
        names = "、".join(sorted(chosen.keys() - {FINDINGS}))
        raise NotFound(f"没有名为 {name} 的跟随者；可选：{names}")
    with services.db.write() as connection:
        record(connection, Event.REBUILD_RUN, OPERATOR, name)
    chosen[name].reset()
    services.db.bell.ring(followers.TOPIC)
    return {"rebuilding": name, "lag": worker.lags(services)}


def check_archive(services: Services, on_progress: Progress) -> Answer:
    """Re-derive every claim of the archive."""
    with services.db.write() as connection:
        record(connection, Event.FSCK_RUN, OPERATOR)
    report = fsck.check(services.db, services.keyring, services.blobs, on_progress)
    return {
        "records": report.records,
        "quarantined": report.quarantined,
        "index": list(services.index.check()),
        "differences": [difference._asdict() for difference in report.differences],
    }


def doctor(services: Services) -> Answer:
    """The state of every part."""
    with services.db.read() as connection:
        waiting = quarantine.waiting(connection)
        dead = [
            {"kind": kind, "count": count}
            for (kind, state), count in jobs.counts(connection).items()
            if state == jobs.JobState.DEAD
        ]
    parts = health.parts(services, None)
    return {
        "ok": all(part.is_ok for part in parts) and not dead,
        "parts": {part.name: part.shown() for part in parts},
        "quarantine": waiting,
        "dead_jobs": dead,
    }


OPERATIONS: dict[str, Operation] = {
    operation.__name__: operation
    for operation in (
        first_administrator,
        create_token,
        create_user,
        ingest,
        import_people,
        search,
        lag,
        rebuild,
        check_archive,
        doctor,
    )
}


def _first_errors(receipts: list[Any]) -> list[dict[str, str | None]]:
    failed = [receipt for receipt in receipts if receipt.error]
    return [{"error": each.error, "detail": each.detail} for each in failed[:5]]


class RemoteError(AppError):
    """What the running server answered."""

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(problem["detail"], **problem["facts"])
        self.title = problem["title"]  # type: ignore[misc]
        self.status = problem["status"]  # type: ignore[misc]
        self.code = problem["code"]  # type: ignore[misc]


@contextmanager
def listening(services: Services) -> Generator[None]:
    """Serve operations on the folder's socket until the block ends."""
    with _short_path(services.settings.data) as folder:
        path = folder / SOCKET
        path.unlink(missing_ok=True)
        endpoint = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        endpoint.bind(str(path))
        path.chmod(stat.S_IRUSR | stat.S_IWUSR)
        config = uvicorn.Config(_application(services), log_config=None, lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(
            target=server.run, kwargs={"sockets": [endpoint]}, name="operator", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            server.should_exit = True
            thread.join(timeout=10)
            path.unlink(missing_ok=True)


def perform(services: Services, name: str, arguments: Answer, on_progress: Progress) -> Answer:
    """Do an operation here and now."""
    operation = OPERATIONS[name]
    if "on_progress" in inspect.signature(operation).parameters:
        return operation(services, **arguments, on_progress=on_progress)
    return operation(services, **arguments)


def call_server(settings: Settings, name: str, arguments: Answer, on_progress: Progress) -> Answer:
    """Have the running server do an operation; raises `RemoteError`, `Unavailable`."""
    with _short_path(settings.data) as folder:
        transport = httpx.HTTPTransport(uds=str(folder / SOCKET))
        try:
            with (
                httpx.Client(transport=transport, timeout=None) as client,  # noqa: S113
                client.stream("POST", f"http://operator/{name}", json=arguments) as answer,
            ):
                return _read_answer(answer, on_progress)
        except httpx.TransportError as error:
            raise Unavailable("数据目录被占用，但其服务没有应答；请稍后重试") from error


def _read_answer(answer: httpx.Response, on_progress: Progress) -> Answer:
    for line in answer.iter_lines():
        message = json.loads(line)
        if "progress" in message:
            on_progress(*message["progress"])
        elif "problem" in message:
            raise RemoteError(message["problem"])
        else:
            return dict(message["result"])
    raise Unavailable("服务中断了这次操作")


def _application(services: Services) -> FastAPI:
    application = FastAPI(openapi_url=None)

    @application.post("/{name}")
    async def operate(name: str, request: Request) -> StreamingResponse:
        arguments = await request.json()
        return StreamingResponse(_performed(services, name, arguments))

    return application


def _performed(services: Services, name: str, arguments: Answer) -> Iterator[str]:
    """Progress and then the result or problem of an operation, one JSON object a line."""
    lines: queue.SimpleQueue[Answer | None] = queue.SimpleQueue()

    def work() -> None:
        try:
            progress = partial(_put_progress, lines)
            lines.put({"result": perform(services, name, arguments, progress)})
        except AppError as error:
            lines.put({"problem": _problem(error)})
        except Exception as error:  # noqa: BLE001  (the command must get an answer)
            logs.get(__name__).error("operation_failed", name=name, exc_info=error)
            lines.put({"problem": _problem(AppError(type(error).__name__))})
        lines.put(None)

    threading.Thread(target=work, name=name, daemon=True).start()
    while (line := lines.get()) is not None:
        yield json.dumps(line, ensure_ascii=False, default=str) + "\n"


def _put_progress(lines: queue.SimpleQueue[Answer | None], done: int, total: int) -> None:
    lines.put({"progress": [done, total]})


def _problem(error: AppError) -> Answer:
    return {
        "code": error.code,
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "facts": error.facts,
    }


@contextmanager
def _short_path(folder: Path) -> Generator[Path]:
    """The folder under a name short enough for a socket address, which holds 107 bytes."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield Path(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)
