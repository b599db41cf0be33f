"""Run the server, or the worker alone, until told to stop.

SIGTERM and SIGINT end requests and batches under way, then the process, with exit code 0; a second one does not wait.
"""

import signal
import socket
import sys
import threading
from collections.abc import Callable
from types import FrameType

import uvicorn

from app import local
from app.bootstrap import open_services
from app.foundation import logs
from app.foundation.errors import Unavailable
from app.foundation.settings import Settings
from app.main import create_app
from app.worker import at_work

GRACE = 10  # seconds for requests under way
BACKLOG = 2048  # connections that may wait


class AddressInUse(Unavailable):
    """The address to listen on cannot be had."""

    code = "address_in_use"
    title = "监听地址不可用"


def serve(settings: Settings, *, on_ready: Callable[[], None] = lambda: None) -> None:
    """API, followers and jobs in this process; `on_ready` runs beside it once it accepts requests.

    Raises `AddressInUse`, `FolderInUse`, `SchemaOutdated`.
    """
    _stop_on_signals()
    with (
        _bound(settings.host, settings.port) as endpoint,
        open_services(settings) as services,
        at_work(services) as staff,
        local.listening(services, staff),
    ):
        config = uvicorn.Config(
            create_app(services, staff),
            log_config=None,
            access_log=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=GRACE,
            server_header=False,
        )
        server = _Server(config, on_ready)
        logs.get(__name__).info("starting", port=settings.port)
        server.run([endpoint])


def work(settings: Settings) -> None:
    """Followers and jobs alone; raises `FolderInUse`, `SchemaOutdated`."""
    _stop_on_signals()
    with (
        open_services(settings) as services,
        at_work(services) as staff,
        local.listening(services, staff),
    ):
        logs.get(__name__).info("working")
        threading.Event().wait()


class _Server(uvicorn.Server):
    """Tells when it accepts requests."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            logs.get(__name__).info("serving")
            threading.Thread(target=self._on_ready, daemon=True).start()


def _bound(host: str, port: int) -> socket.socket:
    """A socket on the address, before anything else is opened."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        reason = error.strerror or str(error)
        raise AddressInUse(f"{host}:{port}（{reason}）；请换一个 --port") from None


def _stop_on_signals() -> None:
    """Leave through every open block; uvicorn, while it runs, first ends its requests and then raises again."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)


def _leave(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)
