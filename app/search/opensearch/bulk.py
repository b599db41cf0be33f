"""Writing many documents: in requests of bearable size, every item's answer read, what may pass tried again.

Every document carries an id and a version of its own, so that a repeated write changes nothing and a late one
never covers a newer: an item that is refused for its version is done.
"""

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from app.foundation.errors import AppError, Unavailable
from app.search.opensearch.nodes import ClusterAway, Nodes

REQUEST_BYTES = 6 * 1024 * 1024
REQUEST_DOCUMENTS = 2_000
WITHIN = 20.0  # seconds for one request
PAUSES = (0.1, 0.3, 1.0, 2.0)  # seconds before each further try of items that may pass
DONE = frozenset({200, 201, 409})
MAY_PASS = frozenset({429, 502, 503, 504})


class IndexReadOnly(Unavailable):
    """The cluster takes no writes: a disk is nearly full, or somebody has closed the index."""

    code = "search_read_only"
    title = "检索集群拒绝写入"


class DocumentRefused(AppError):
    """The cluster will never take a document as it is; the template is not ours, or the limits are lower."""

    code = "search_document_refused"
    title = "检索集群拒绝了文档，请检查索引模板"


class Item(NamedTuple):
    """One document, where it goes and how new it is."""

    into: str
    id: str
    version: int
    body: dict[str, Any]

    def line(self) -> bytes:
        """As it stands in a bulk request."""
        target = {
            "_index": self.into,
            "_id": self.id,
            "version": self.version,
            "version_type": "external_gte",
        }
        body = json.dumps(self.body, ensure_ascii=False, separators=(",", ":"))
        return f'{{"index":{json.dumps(target)}}}\n{body}\n'.encode()


def write(nodes: Nodes, items: Sequence[Item]) -> None:
    """Write all of them or raise `ClusterAway`, `IndexReadOnly`, `DocumentRefused`; some may be written then."""
    for lines in _requests(items):
        left = lines
        for pause in (*PAUSES, None):
            left = _send(nodes, left)
            if not left:
                break
            if pause is None:
                raise ClusterAway("检索集群忙，写入未完成", retry_after=5)
            time.sleep(pause)


def _send(nodes: Nodes, lines: list[bytes]) -> list[bytes]:
    """One request; the lines to be sent again."""
    answer = nodes.ask(
        "POST",
        "/_bulk",
        body=b"".join(lines),
        params={"filter_path": "errors,items.*.status,items.*.error.type,items.*.error.reason"},
        within=WITHIN,
    )
    if not answer["errors"]:
        return []
    again = []
    for line, item in zip(lines, answer["items"], strict=True):
        result = item["index"]
        if result["status"] in DONE:
            continue
        _require_passing(result["status"], result.get("error", {}))
        again.append(line)
    return again


def _require_passing(status: int, error: dict[str, Any]) -> None:
    kind, reason = str(error.get("type")), str(error.get("reason"))
    if "block_exception" in kind:
        what = "磁盘空间不足" if "disk" in reason else "索引被设为只读"
        raise IndexReadOnly(f"{what}，请处理后等待自动恢复", retry_after=10)
    if status not in MAY_PASS:
        raise DocumentRefused(f"{status} {kind}")


def _requests(items: Sequence[Item]) -> Iterator[list[bytes]]:
    lines: list[bytes] = []
    size = 0
    for item in items:
        line = item.line()
        if lines and (size + len(line) > REQUEST_BYTES or len(lines) == REQUEST_DOCUMENTS):
            yield lines
            lines, size = [], 0
        lines.append(line)
        size += len(line)
    if lines:
        yield lines
