"""A data folder has one writer, and every command reaches it: here while the folder is free, in its holder otherwise.

Whoever holds the folder answers for it on a socket in the folder that only the folder's owner can open. A command
that finds the folder held asks there; one that comes while the holder starts or leaves waits and tries again.
"""

import contextlib
import json
import os
import queue
import socket
import stat
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

import httpx
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from app import operate, worker
from app.bootstrap import Services, open_services
from app.foundation import clock, logs
from app.foundation.database import FolderInUse
from app.foundation.errors import AppError, Unavailable
from app.foundation.settings import Settings
from app.operate import Answer, Progress

SOCKET = "operator.sock"
PATIENCE = 60  # seconds for a holder that starts or leaves
_ADDRESS_BYTES = 100  # a socket's address holds 107 on Linux, 103 elsewhere
_LOOK_EVERY = 0.1  # seconds
_LEAVE = 10  # seconds for operations under way when the holder leaves


class Do(Protocol):
    """Does an operation of `app.operate` by its name."""

    def __call__(self, name: str, /, on_progress: Progress = ..., **arguments: object) -> Answer:
        """Give the operation's answer; raises what it raises."""
        ...


class RemoteError(AppError):
    """The refusal of the process that holds the folder."""

    def __init__(self, problem: Answer) -> None:
        super().__init__(problem["detail"], **problem["facts"])
        self.title = problem["title"]  # type: ignore[misc]
        self.status = problem["status"]  # type: ignore[misc]
        self.code = problem["code"]  # type: ignore[misc]


class NoAnswer(Unavailable):
    """The holder of the folder does not answer, or went away in the middle: `is_begun`."""

    code = "no_answer"
    title = "数据目录被占用，但占用它的进程没有应答"

    def __init__(self, *, is_begun: bool) -> None:
        super().__init__("请稍后重试；若该进程已无响应，请先停止它")
        self.is_begun = is_begun


def quiet(_done: int, _total: int) -> None:
    """Progress that nobody looks at."""


@contextmanager
def operating(settings: Settings, *, migrate: bool = False) -> Generator[Do]:
    """Gives a function that does operations, wherever the folder's holder is; raises `NoAnswer` in the end."""
    with ExitStack() as stack:
        held: Services | None = None

        def do(name: str, /, on_progress: Progress = quiet, **arguments: object) -> Answer:
            nonlocal held
            deadline = clock.now_ms() + PATIENCE * 1000
            while True:
                held = held or _hold(stack, settings, migrate=migrate)
                if held:
                    return operate.perform(held, name, arguments, on_progress=on_progress)
                try:
                    return _ask(settings, name, arguments, on_progress)
                except NoAnswer as error:
                    is_unsafe = error.is_begun and name in operate.NOT_TWICE
                    if is_unsafe or clock.now_ms() > deadline:
                        raise
                time.sleep(_LOOK_EVERY)

        yield do


@contextmanager
def listening(services: Services, staff: worker.Staff | None = None) -> Generator[None]:
    """Answer on the folder's socket until the block ends."""
    with _short(services.settings.data) as folder:
        path = folder / SOCKET
        path.unlink(missing_ok=True)  # of a holder that was killed
        endpoint = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        endpoint.bind(str(path))
        path.chmod(stat.S_IRUSR | stat.S_IWUSR)
        config = uvicorn.Config(
            _application(services, staff), log_config=None, access_log=False, lifespan="off"
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(
            target=server.run, kwargs={"sockets": [endpoint]}, name="operator", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            server.should_exit = True
            thread.join(timeout=_LEAVE)


def _hold(stack: ExitStack, settings: Settings, *, migrate: bool) -> Services | None:
    """Take the folder and answer for it as long as the stack lives; None while somebody else has it."""
    with contextlib.suppress(FolderInUse):
        services = stack.enter_context(open_services(settings, migrate=migrate))
        stack.enter_context(listening(services))
        return services
    return None


def _ask(settings: Settings, name: str, arguments: Answer, on_progress: Progress) -> Answer:
    """Have the holder do an operation; raises `RemoteError`, `NoAnswer`."""
    with _short(settings.data) as folder:
        transport = httpx.HTTPTransport(uds=str(folder / SOCKET))
        try:
            with (
                httpx.Client(transport=transport, timeout=None) as client,  # noqa: S113  (fsck takes hours)
                client.stream("POST", f"http://operator/{name}", json=arguments) as answer,
            ):
                return _read_answer(answer, on_progress)
        except httpx.ConnectError:
            raise NoAnswer(is_begun=False) from None
        except httpx.TransportError:
            raise NoAnswer(is_begun=True) from None


def _read_answer(answer: httpx.Response, on_progress: Progress) -> Answer:
    for line in answer.iter_lines():
        message = json.loads(line)
        if "progress" in message:
            on_progress(*message["progress"])
        elif "problem" in message:
            raise RemoteError(message["problem"])
        else:
            return dict(message["result"])
    raise NoAnswer(is_begun=True)


def _application(services: Services, staff: worker.Staff | None) -> FastAPI:
    application = FastAPI(openapi_url=None)

    @application.post("/{name}")
    async def operate_on(name: str, request: Request) -> StreamingResponse:
        arguments = await request.json()
        return StreamingResponse(_performed(services, staff, name, arguments))

    return application


def _performed(
    services: Services, staff: worker.Staff | None, name: str, arguments: Answer
) -> Iterator[str]:
    """Progress and then the result or problem of an operation, one JSON object a line."""
    lines: queue.SimpleQueue[Answer | None] = queue.SimpleQueue()

    def work() -> None:
        progress = partial(_put_progress, lines)
        try:
            done = operate.perform(services, name, arguments, on_progress=progress, staff=staff)
            lines.put({"result": done})
        except AppError as error:
            lines.put({"problem": _problem(error)})
        except Exception as error:  # noqa: BLE001  (the command must get an answer)
            logs.get(__name__).error("operation_failed", name=name, exc_info=error)
            lines.put({"problem": _problem(AppError(type(error).__name__))})
        lines.put(None)

    threading.Thread(target=work, name=name, daemon=True).start()
    while (line := lines.get()) is not None:
        yield json.dumps(line, default=str) + "\n"


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
def _short(folder: Path) -> Generator[Path]:
    """The folder under a name short enough for a socket's address."""
    if len(os.fsencode(folder / SOCKET)) <= _ADDRESS_BYTES:
        yield folder
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield Path(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)
