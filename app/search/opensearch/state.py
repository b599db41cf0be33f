"""Which generation is in use, and how far each follower has come: small documents in an index of their own.

Read by id, so always as last written. A position moves only from where its step began, by the cluster's own
compare-and-swap.
"""

from typing import Any, NamedTuple

from opensearchpy.exceptions import ConflictError, NotFoundError, RequestError

from app.foundation.followers import CursorMoved
from app.search.domain import NeedsRebuild
from app.search.opensearch import layout
from app.search.opensearch.nodes import Nodes

WITHIN = 5.0  # seconds
CURRENT = "current"


class Stored(NamedTuple):
    """A document as it stands, with what a write must name to replace just this."""

    source: dict[str, Any]
    seq_no: int
    primary_term: int


class Held(NamedTuple):
    """A position as it stood when a step began."""

    name: str
    generation: int
    found: Stored | None


class State:
    """The state of the indexes with one prefix."""

    def __init__(self, nodes: Nodes, prefix: str) -> None:
        self._nodes, self._prefix = nodes, prefix
        self._index = layout.state_index(prefix)

    def generation(self) -> int | None:
        """The generation in use; None before the first. Raises `NeedsRebuild` if it follows other rules."""
        found = self._read(CURRENT)
        if found is None:
            return None
        version = found.source["version"]
        if version != layout.VERSION:
            raise NeedsRebuild(f"索引版本为“{version}”，程序需要“{layout.VERSION}”")
        return int(found.source["generation"])

    def latest(self) -> int:
        """The generation in use, whatever rules it follows; 0 before the first."""
        found = self._read(CURRENT)
        return 0 if found is None else int(found.source["generation"])

    def begin(self) -> int:
        """The generation in use; the first one is made, with its template, where there is none."""
        generation = self.generation()
        if generation is not None:
            return generation
        self._make_index()
        put_template(self._nodes, self._prefix, 1, is_used=True)
        current = {"generation": 1, "version": layout.VERSION}
        try:
            self._put(CURRENT, current, {"op_type": "create"})
        except ConflictError:
            return self.begin()  # another process was faster
        return 1

    def begin_anew(self) -> None:
        """Make the index of states where there is none, without choosing a generation."""
        self._make_index()

    def use(self, generation: int) -> None:
        """Make it the generation in use."""
        self._make_index()
        self._put(CURRENT, {"generation": generation, "version": layout.VERSION}, {})

    def position(self, generation: int, corp_id: int, stream: str) -> int:
        """Up to which number the stream has been dealt with; 0 before the first."""
        found = self._read(layout.position_id(generation, corp_id, stream))
        return 0 if found is None else int(found.source["seq"])

    def hold(self, generation: int, corp_id: int, stream: str, *, after: int, to: int) -> Held:
        """Begin a step: raises `CursorMoved` if the position is not at `after`."""
        if to < after:
            raise ValueError("a position only moves forward")
        name = layout.position_id(generation, corp_id, stream)
        found = self._read(name)
        if (0 if found is None else found.source["seq"]) != after:
            raise CursorMoved(follower="search")
        return Held(name, generation, found)

    def move(self, held: Held, to: int, documents: int = 0) -> None:
        """End it; raises `CursorMoved` if somebody else moved the position meanwhile."""
        found = held.found
        condition = {"op_type": "create"}
        if found is not None:
            condition = {
                "if_seq_no": str(found.seq_no),
                "if_primary_term": str(found.primary_term),
            }
        written = documents + (0 if found is None else found.source["documents"])
        source = {"generation": held.generation, "seq": to, "documents": written}
        try:
            self._put(held.name, source, condition)
        except ConflictError:
            raise CursorMoved(follower="search") from None

    def documents(self, generation: int) -> int:
        """How many documents the generation must hold."""
        self._nodes.ask("POST", f"/{self._index}/_refresh", within=WITHIN)
        body = {
            "size": 0,
            "query": {"term": {"generation": generation}},
            "aggs": {"documents": {"sum": {"field": "documents"}}},
        }
        answer = self._nodes.ask("POST", f"/{self._index}/_search", body=body, within=WITHIN)
        return int(answer["aggregations"]["documents"]["value"])

    def _read(self, name: str) -> Stored | None:
        try:
            found = self._nodes.ask("GET", f"/{self._index}/_doc/{name}", within=WITHIN)
        except NotFoundError:
            return None
        return Stored(found["_source"], found["_seq_no"], found["_primary_term"])

    def _put(self, name: str, source: dict[str, Any], condition: dict[str, str]) -> None:
        path = f"/{self._index}/_doc/{name}"
        self._nodes.ask("PUT", path, body=source, params=condition, within=WITHIN)

    def _make_index(self) -> None:
        settings = {"number_of_shards": 1, "auto_expand_replicas": "0-1"}
        body = {"settings": {"index": settings}, "mappings": layout.STATE_MAPPINGS}
        try:
            self._nodes.ask("PUT", f"/{self._index}", body=body, within=WITHIN * 2)
        except RequestError as error:
            if error.error != "resource_already_exists_exception":
                raise


def put_template(nodes: Nodes, prefix: str, generation: int, *, is_used: bool) -> None:
    """Install the template of a generation."""
    path = f"/_index_template/{layout.template_name(prefix, generation)}"
    body = layout.template(prefix, generation, is_used=is_used)
    nodes.ask("PUT", path, body=body, within=WITHIN * 2)
