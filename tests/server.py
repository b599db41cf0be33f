"""The real server and the real command line, in processes of their own that tests may kill.

    home = prepare(tmp_path)                      # a data folder after `liuhen init`, with a token for everything
    with Server(home) as server:                  # `liuhen serve`, accepting requests
        server.client().get("/api/v1/alerts")
        server.kill()                             # SIGKILL; `stop()` is SIGTERM and gives the exit code
        server.start()
    run(home, "fsck", "--json").json()            # any command

Every process runs `app.cli.main`, as the console script does, but is forked from one that has the program loaded
already: a start costs what starting costs, not the seconds that importing takes. Processes die with the tests.
"""

import ctypes
import json
import multiprocessing
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import httpx

SCOPES: Final = ("ingest", "search", "alerts", "admin")
READY_WITHIN: Final = 60.0  # seconds; only a server that hangs needs them
STOP_WITHIN: Final = 15.0
FOLLOWED_WITHIN: Final = 90.0  # a follower that has failed waits up to 30 before it tries again
_LOG_TAIL: Final = 4_000  # bytes of the log shown when a server fails
_PARENT_DIED: Final = 1  # prctl: which signal a process gets when its parent ends
_loaded = multiprocessing.get_context("forkserver")
_loaded.set_forkserver_preload(["pytest", "tests.faults.loaded"])
_numbers = count(1)


class Done(NamedTuple):
    """A command that has ended."""

    code: int
    out: str
    err: str

    def json(self) -> dict[str, Any]:
        """The object it printed; fails with its complaint when it printed none."""
        try:
            found: dict[str, Any] = json.loads(self.out)
        except ValueError:
            raise AssertionError(f"exit code {self.code}: {self.out}{self.err}") from None
        return found


class Home(NamedTuple):
    """A data folder, where logs go, every `LIUHEN_*` setting of its processes, and a token with all `SCOPES`."""

    data: Path
    logs: Path
    settings: Mapping[str, str]
    token: str = ""

    def environment(self) -> dict[str, str]:
        """The variables of a process that works on this folder; no setting leaks in from outside."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LIUHEN_")}
        return {**kept, "LIUHEN_DATA": str(self.data), **self.settings}


def prepare(folder: Path, *, data: Path | None = None, **settings: str) -> Home:
    """Initialise a data folder, `folder/data` unless given; `settings` are named without `LIUHEN_`."""
    named = {f"LIUHEN_{name.upper()}": value for name, value in settings.items()}
    named.setdefault("LIUHEN_KEYS_URL", f"file://{folder / 'root.key'}")
    home = Home(data or folder / "data", folder, named)
    run(home, "init", "--json").json()
    scopes = [part for scope in SCOPES for part in ("--scope", scope)]
    made = run(home, "token", "create", "--name", "tests", *scopes, "--json")
    return home._replace(token=made.json()["token"])


def run(home: Home, *arguments: str, timeout: float = 120) -> Done:
    """Run `liuhen` with these arguments to its end; fails when it takes longer than `timeout` seconds."""
    out, err = _outputs(home, arguments[0])
    process = _begin(home, arguments, out, err)
    process.join(timeout)
    if process.exitcode is None:
        process.kill()
        raise AssertionError(f"liuhen {' '.join(arguments)} took longer than {timeout} s")
    return Done(process.exitcode, out.read_text(), err.read_text())


class Server:
    """`liuhen serve` over a data folder, on one free port for all its lives."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = _outputs(home, "serve")[1]
        self._process: multiprocessing.process.BaseProcess | None = None

    def __enter__(self) -> Self:
        """Start it, unless that was done already."""
        if self.exit_code is not None or self._process is None:
            self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """The process' number."""
        if self._process is None or self._process.pid is None:
            raise RuntimeError("the server has not been started")
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """How it ended: its code, minus a signal's number, or None while it runs."""
        return None if self._process is None else self._process.exitcode

    def launch(self, before: Callable[[], None] | None = None) -> None:
        """Start it without waiting; `before`, which must be picklable, is called first in its process."""
        arguments = ("serve", "--port", str(self.port))
        out = self.log.with_suffix(".out")
        self._process = _begin(self.home, arguments, out, self.log, before)

    def start(self, before: Callable[[], None] | None = None) -> None:
        """Start it and wait until it accepts requests."""
        self.launch(before)
        deadline = time.monotonic() + READY_WITHIN
        while not self.is_ready():
            if self.exit_code is not None or time.monotonic() > deadline:
                raise AssertionError(f"not ready, exit code {self.exit_code}: {self.tail()}")
            time.sleep(0.01)

    def is_ready(self) -> bool:
        """Whether `/readyz` says so."""
        with suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/readyz", timeout=5).is_success
        return False

    def lags(self) -> dict[str, int]:
        """How far behind each follower is, as `/metrics` says."""
        answer = httpx.get(f"{self.url}/metrics", timeout=30)
        found = re.findall(
            r'^liuhen_follower_lag\{follower="(\w+)"\} (\S+)', answer.text, re.MULTILINE
        )
        return {name: int(float(lag)) for name, lag in found}

    def wait_until_followed(self) -> None:
        """Wait until its followers have caught up by themselves."""
        deadline = time.monotonic() + FOLLOWED_WITHIN
        while any(self.lags().values()):
            if time.monotonic() > deadline:
                raise AssertionError(f"still behind, {self.lags()}: {self.tail()}")
            time.sleep(0.05)

    def kill(self) -> None:
        """End it by SIGKILL, wherever it is; an ended one stays ended."""
        if self._process is not None:
            self._process.kill()
            self._process.join()

    def stop(self, within: float = STOP_WITHIN) -> int:
        """End it by SIGTERM and give the exit code; fails when it takes longer than `within` seconds."""
        os.kill(self.pid, signal.SIGTERM)
        return self.wait(within)

    def wait(self, within: float = STOP_WITHIN) -> int:
        """Wait for its end; fails when it takes longer than `within` seconds."""
        if self._process is not None:
            self._process.join(within)
        if self.exit_code is None:
            raise AssertionError(f"still running after {within} s: {self.tail()}")
        return self.exit_code

    def client(self, *, timeout: float = 60) -> httpx.Client:
        """A connection that carries the token."""
        headers = {"Authorization": f"Bearer {self.home.token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=timeout)

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_bytes()[-_LOG_TAIL:].decode("utf-8", "replace")


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _outputs(home: Home, name: str) -> tuple[Path, Path]:
    place = home.logs / f"{name}-{next(_numbers)}"
    return place.with_suffix(".out"), place.with_suffix(".log")


def _begin(
    home: Home,
    arguments: Sequence[str],
    out: Path,
    err: Path,
    before: Callable[[], None] | None = None,
) -> multiprocessing.process.BaseProcess:
    process = _loaded.Process(
        target=_main,
        args=(arguments, home.environment(), home.logs, out, err, before),
        daemon=True,
    )
    process.start()
    return process


def _main(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    out: Path,
    err: Path,
    before: Callable[[], None] | None,
) -> None:
    """What the forked process does: become `liuhen` in `folder`, writing to two files."""
    ctypes.CDLL(None).prctl(_PARENT_DIED, signal.SIGKILL)
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["liuhen", *arguments]
    if before is not None:
        before()
    from app.cli import main  # noqa: PLC0415  (loaded already where this runs, not where it is sent from)

    main()
