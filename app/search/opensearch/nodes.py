"""Asking a cluster: whichever node answers, within a time of our own.

A dead node refuses at once; a hung one keeps its port open, and every healthy node that passes a search on to it
waits too, for half a minute until the cluster drops it. So no try waits long: after a first try that came to
nothing every node is looked at directly, and the next try goes to one that answered and asks it to read from
those that answered. Name every node in the setting, or a hung one cannot be told from a slow search.
"""

import itertools
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from opensearchpy import OpenSearch
from opensearchpy.exceptions import ConnectionError as NotConnected
from opensearchpy.exceptions import (
    ConnectionTimeout,
    OpenSearchException,
    SSLError,
    TransportError,
)

from app.foundation import logs
from app.foundation.errors import Unavailable

FIRST_TRY = 1.0  # seconds until the nodes are looked at
LOOK = 0.7  # seconds in which a healthy node answers a look
LOOK_AGAIN = 2.0  # seconds between two looks while a node is missing
PAUSE = 0.05  # seconds before a try after a passing refusal
PASSING = frozenset({429, 502, 503, 504})  # statuses that another try may turn
logging.getLogger("opensearch").setLevel(logging.CRITICAL)  # what goes wrong is told here
CONNECTIONS = 40  # a node; as many as requests are served at once


class ClusterAway(Unavailable):
    """No node answers, or none can do what was asked."""

    code = "search_cluster_away"
    title = "检索集群暂不可用"


class Access(NamedTuple):
    """How the cluster is reached; an empty user for none, an empty `ca` for the system's authorities."""

    urls: tuple[str, ...]
    user: str = ""
    password: str = ""
    ca: str = ""


class Node:
    """One address, and whether it answered last time."""

    def __init__(self, url: str, access: Access) -> None:
        self.url = url
        self.is_answering = True
        self.id: str | None = None  # as the cluster names it; learnt by a look
        self.client = OpenSearch(
            [url],
            http_auth=(access.user, access.password) if access.user else None,
            ca_certs=access.ca or None,
            verify_certs=True,
            max_retries=0,
            pool_maxsize=CONNECTIONS,
        )

    def ask(
        self, method: str, path: str, *, body: Any, params: Mapping[str, str], within: float
    ) -> Any:
        """One request to this node; raises what opensearch-py raises."""
        return self.client.transport.perform_request(
            method, path, params=dict(params), body=body, timeout=within
        )

    def look(self) -> None:
        """Learn whether it answers, and its id."""
        try:
            found = self.ask(
                "GET",
                "/_nodes/_local",
                body=None,
                params={"filter_path": "nodes.*.name"},
                within=LOOK,
            )
        except OpenSearchException:
            self.is_answering = False
            return
        self.id = next(iter(found["nodes"]))
        self.is_answering = True

    @property
    def name(self) -> str:
        """Host and port, without a password that the address may hold."""
        parts = urlsplit(self.url)
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


class Nodes:
    """The nodes of one cluster; usable from any thread."""

    def __init__(self, access: Access) -> None:
        if not access.urls:
            raise ValueError("no address")
        self.all = [Node(url, access) for url in access.urls]
        self._turns = itertools.count()
        self._looking = threading.Lock()
        self._looked_at = 0.0

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        params: Mapping[str, str] | None = None,
        within: float,
        is_search: bool = False,
    ) -> Any:
        """The JSON answer; raises `ClusterAway`, and `TransportError` where the cluster refuses for good.

        A try takes up to `within` seconds. A search that does not answer within `FIRST_TRY` is tried once more,
        beside the nodes that hang. Everything sent here may safely arrive twice.
        """
        deadline = time.monotonic() + within
        patience = min(within, FIRST_TRY) if is_search and len(self.all) > 1 else within
        refusals = 0
        while True:
            node = self._next()
            beside = self._beside() if is_search else {}
            try:
                return node.ask(
                    method, path, body=body, params={**(params or {}), **beside}, within=patience
                )
            except ConnectionTimeout as error:
                self.look()
                if patience == within:
                    raise ClusterAway(self._silent(), retry_after=2) from error
                patience, deadline = within, time.monotonic() + within
            except NotConnected as error:
                node.is_answering = False
                refusals += 1
                if isinstance(error, SSLError) or refusals > len(self.all):
                    raise ClusterAway(self._refused(error)) from error
            except TransportError as error:
                if not _may_pass(error):
                    raise
                if time.monotonic() + PAUSE > deadline:
                    raise ClusterAway(_reason(error), retry_after=1) from error
                time.sleep(PAUSE)

    def look(self) -> None:
        """Look at every node at once; somebody else's look under way counts."""
        if not self._looking.acquire(blocking=False):
            with self._looking:
                return
        try:
            before = [node.is_answering for node in self.all]
            with ThreadPoolExecutor(len(self.all)) as pool:
                list(pool.map(Node.look, self.all))
            self._looked_at = time.monotonic()
            for node, answered in zip(self.all, before, strict=True):
                if node.is_answering != answered:
                    word = "node_back" if node.is_answering else "node_silent"
                    logs.get(__name__).warning(word, node=node.name)
        finally:
            self._looking.release()

    def silent(self) -> list[Node]:
        """The nodes that did not answer last time."""
        return [node for node in self.all if not node.is_answering]

    def close(self) -> None:
        """Close every connection."""
        for node in self.all:
            node.client.close()

    def _next(self) -> Node:
        """The next in turn among those that answer; of none, any."""
        if self.silent() and time.monotonic() - self._looked_at > LOOK_AGAIN:
            self._looked_at = time.monotonic()
            threading.Thread(target=self.look, daemon=True).start()
        candidates = [node for node in self.all if node.is_answering] or self.all
        return candidates[next(self._turns) % len(candidates)]

    def _beside(self) -> dict[str, str]:
        """Read from the nodes that answered, where a copy allows it."""
        if not self.silent():
            return {}
        known = [node.id for node in self.all if node.is_answering and node.id]
        return {"preference": f"_prefer_nodes:{','.join(known)}"} if known else {}

    def _refused(self, error: NotConnected) -> str:
        if isinstance(error, SSLError):
            return "检索集群的 TLS 证书未通过校验，请检查 LIUHEN_SEARCH_CA"
        return self._silent()

    def _silent(self) -> str:
        silent = self.silent()
        if len(silent) == len(self.all):
            return f"连不上任何检索节点（{_names(silent)}）"
        if silent:
            return f"检索节点没有应答：{_names(silent)}"
        return "检索集群没有及时应答，请缩小时间范围或增加条件"


def _may_pass(error: TransportError) -> bool:
    """Whether another try may succeed; raises `ClusterAway` where the cluster turns us away."""
    if _is_block(error):
        return False
    if error.status_code in (401, 403):
        raise ClusterAway("检索集群不接受配置的用户名或口令，或其权限不足") from error
    return error.status_code in PASSING


def _names(nodes: Sequence[Node]) -> str:
    return "、".join(node.name for node in nodes)


def _is_block(error: TransportError) -> bool:
    """Whether an index or the cluster is closed to writing: a full disk, or an operator's order."""
    return "block_exception" in str(error.error)


def _reason(error: TransportError) -> str:
    if error.status_code == 429:  # noqa: PLR2004
        return "检索集群忙，请稍后再试"
    return "索引有分片不可用，此时的结果会缺漏，因此不给出"
