"""Run the server, or the worker alone, until told to stop."""

import signal
import sys
import threading
from collections.abc import Callable

import uvicorn

from app import operate
from app.bootstrap import open_services
from app.foundation import logs
from app.foundation.settings import Settings
from app.main import create_app
from app.worker import at_work

GRACE = 10  # seconds for requests under way
SWITCH = 0.0005  # seconds a busy thread may keep the interpreter; at the usual 0.005 a commit beside a follower waits


def serve(settings: Settings, *, on_ready: Callable[[], None] = lambda: None) -> None:
    """API, followers and jobs in this process; `on_ready` runs beside it once it accepts requests."""
    sys.setswitchinterval(SWITCH)
    with open_services(settings) as services, at_work(services) as staff:
        config = uvicorn.Config(
            create_app(services, staff),
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=GRACE,
            server_header=False,
        )
        server = _Server(config, on_ready)
        for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises them again when it has ended
            signal.signal(number, server.handle_exit)
        with operate.listening(services):
            server.run()


def work(settings: Settings) -> None:
    """Followers and jobs alone."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    with open_services(settings) as services, at_work(services), operate.listening(services):
        logs.get(__name__).info("working")
        stopping.wait()


class _Server(uvicorn.Server):
    """Tells when it accepts requests."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        await super().startup(sockets)  # type: ignore[arg-type]
        if self.started:
            logs.get(__name__).info("serving", port=self.config.port)
            threading.Thread(target=self._on_ready, daemon=True).start()
