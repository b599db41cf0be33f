"""The search engine of a cluster: the same answers as the embedded one, from OpenSearch.

What is written is always a whole message with all that is known of it, under an id and a version of its own, so
that repeats, races and stragglers change nothing. The cluster gives places only, never text: what is shown is read
from the archive, within the scope once more. An answer that does not come from every shard is no answer.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Any

from opensearchpy.exceptions import NotFoundError

from app.archive.models import position_of, record_id
from app.search import cursors
from app.search.domain import (
    CAP,
    MAX_ROWS,
    NO_FACETS,
    Count,
    Document,
    Facets,
    NeedsRebuild,
    Note,
    Page,
    Relation,
    Row,
)
from app.search.filters import Filters
from app.search.opensearch import bulk, compiled, counts, layout
from app.search.opensearch.nodes import Access, ClusterAway, Nodes
from app.search.opensearch.state import State, put_template
from app.search.tree import Query

MESSAGES = "messages"  # the stream that the documents come from
KNOWN_FOR = 2.0  # seconds that a process relies on the generation it read
ADMIN_WITHIN = 30.0  # seconds for what changes indexes
_PLACE = 2  # numbers that order a message: its `rid` and its record


class OpenSearchIndex:
    """The indexes named `prefix…` of a cluster; usable from any thread and from many processes.

    Opening it asks the cluster for nothing. A search takes up to `timeout` seconds, or twice that when a node
    hangs. Everything raises `ClusterAway` while the cluster cannot answer.
    """

    def __init__(self, access: Access, *, prefix: str = "liuhen", timeout: float = 2.0) -> None:
        self.nodes = Nodes(access)
        self.prefix = prefix
        self._timeout = timeout
        self.state = State(self.nodes, prefix)
        self._known: int | None = None
        self._known_until = 0.0

    # Writing

    def write(
        self,
        corp_id: int,
        after: int,
        documents: Sequence[Document],
        upto: int,
        *,
        notes: Mapping[int, Note],
        version: int,
        generation: int | None = None,
    ) -> None:
        """Add the messages of (after, upto] with what is noted of them, and move the position to `upto`.

        `version` grows with every change of what is noted. Raises `CursorMoved` if the position is not `after`;
        after any error some messages may be written, and are written over by the next try.
        """
        if any(not after < document.seq <= upto for document in documents):
            raise ValueError("a document lies outside the batch")
        used = self.state.begin() if generation is None else generation
        held = self.state.hold(used, corp_id, MESSAGES, after=after, to=upto)
        self._put(used, corp_id, documents, notes, version)
        self.state.move(held, upto, len(documents))

    def annotate(
        self,
        corp_id: int,
        notes: Mapping[int, Note],
        documents: Sequence[Document],
        *,
        stream: str,
        after: int,
        upto: int,
        version: int,
        generation: int | None = None,
    ) -> None:
        """Write the messages again that something was noted of, and move the position in `stream`.

        `documents` are those of the `notes`, as far as they are archived. They may come before `write` brings them.
        """
        if stream == MESSAGES:
            raise ValueError("the messages' own position is moved by write")
        used = self.state.begin() if generation is None else generation
        held = self.state.hold(used, corp_id, stream, after=after, to=upto)
        self._put(used, corp_id, documents, notes, version)
        self.state.move(held, upto)

    def reset(self) -> None:
        """Forget everything, positions included; searches find nothing until the log is followed again."""
        generation = self.state.latest() + 1
        self.use(generation)

    def use(self, generation: int) -> None:
        """Search this generation from now on, follow it, and drop every other one.

        One request moves the alias, so every search sees either all of the old or all of the new.
        """
        name = layout.template_name(self.prefix, generation)
        actions: list[dict[str, Any]] = [
            {"add": {"index": index, "alias": self.prefix}} for index in self._indexes(f"{name}-*")
        ]
        try:
            held = self.nodes.ask("GET", f"/_alias/{self.prefix}", within=ADMIN_WITHIN)
        except NotFoundError:
            held = {}
        actions += [
            {"remove": {"index": index, "alias": self.prefix}}
            for index in held
            if not index.startswith(f"{name}-")
        ]
        if actions:
            self.nodes.ask("POST", "/_aliases", body={"actions": actions}, within=ADMIN_WITHIN)
        put_template(self.nodes, self.prefix, generation, is_used=True)
        self.state.use(generation)
        self._known_until = 0.0
        self.drop_others(generation)

    def drop_others(self, generation: int) -> None:
        """Delete the indexes and templates of every other generation, left-overs included."""
        kept = f"{layout.template_name(self.prefix, generation)}-"
        for index in self._indexes(f"{self.prefix}-g*"):
            if not index.startswith(kept):
                self._delete(f"/{index}")
        found = self.nodes.ask("GET", "/_index_template", within=ADMIN_WITHIN)
        for each in found["index_templates"]:
            name = each["name"]
            if name.startswith(f"{self.prefix}-g") and f"{name}-" != kept:
                self._delete(f"/_index_template/{name}")

    def refresh(self) -> None:
        """Make everything written so far findable now instead of within a second."""
        self.nodes.ask(
            "POST",
            f"/{self.prefix}-g*/_refresh",
            params={"ignore_unavailable": "true"},
            within=ADMIN_WITHIN,
        )

    # Reading

    def position(self, corp_id: int, stream: str = MESSAGES, generation: int | None = None) -> int:
        """Up to which number the stream of this corp has been dealt with; 0 before the first."""
        used = self.state.generation() if generation is None else generation
        return 0 if used is None else self.state.position(used, corp_id, stream)

    def search(
        self,
        query: Query | None,
        filters: Filters,
        limit: int = 50,
        cursor: str | None = None,
        count: Count = "capped",
    ) -> Page:
        """One page of the messages that match, in `filters.order`, with the total of all pages.

        A message is found within a second of being indexed. A capped total stops at `CAP`. Raises `BadCursor`
        for a mark of another search. Pages stay in step while messages arrive: nothing is shown twice.
        """
        if not 1 <= limit <= MAX_ROWS:
            raise ValueError(f"limit must be within 1 and {MAX_ROWS}")
        search = cursors.fingerprint(query, filters)
        last = None if cursor is None else cursors.place(search, cursor, _PLACE)
        if filters.sees_nothing() or self._in_use() is None:
            return Page((), 0, "eq", None)
        body: dict[str, Any] = {
            "query": compiled.query(query, filters),
            "sort": compiled.order(filters),
            "size": limit + 1,
            "track_total_hits": True if count == "exact" else CAP + 1,
            "_source": False,
        }
        if last is not None:
            body["search_after"] = list(last)
        hits = self.ask_every_shard(body, "hits.total,hits.hits.sort")["hits"]
        rows = [_row(*hit["sort"]) for hit in hits.get("hits", ())]
        total, relation = _total(hits["total"], count)
        more = None
        if len(rows) > limit:
            more = _mark(search, rows[limit - 1])
        return Page(tuple(rows[:limit]), total, relation, more)

    def mark_after(self, query: Query | None, filters: Filters, row: Row) -> str:
        """The page mark by which this very search goes on after a row that it gave."""
        return _mark(cursors.fingerprint(query, filters), row)

    def facets(self, query: Query | None, filters: Filters, zone: tzinfo) -> Facets:
        """What a search finds, counted by adviser, department, category and month of `zone`."""
        if filters.sees_nothing() or self._in_use() is None:
            return NO_FACETS
        body = counts.body(compiled.query(query, filters), zone)
        return counts.read(self.ask_every_shard(body, counts.WANTED))

    def ask_every_shard(self, body: dict[str, Any], wanted: str) -> dict[str, Any]:
        """Search with a body of our own; raises `ClusterAway` unless every shard has answered in full."""
        answer: dict[str, Any] = self.nodes.ask(
            "POST",
            f"/{self.prefix}/_search",
            body=body,
            params={
                "allow_partial_search_results": "false",
                "ignore_unavailable": "true",
                "filter_path": f"timed_out,_shards,{wanted}",
            },
            within=self._timeout,
            is_search=True,
        )
        shards = answer["_shards"]
        if answer["timed_out"] or shards["failed"] or shards["successful"] != shards["total"]:
            raise ClusterAway("索引有分片没有应答，此时的结果会缺漏，因此不给出")
        if not shards["total"]:
            self._require_nothing_lost()
        return answer

    def check(self) -> tuple[str, ...]:
        """What is wrong with the indexes, in words; empty when they are sound."""
        generation = self.state.generation()
        if generation is None:
            return ()
        self.refresh()
        wanted = self.state.documents(generation)
        body = {"size": 0, "track_total_hits": True}
        found = self.ask_every_shard(body, "hits.total")["hits"]["total"]["value"]
        if found < wanted:  # a note may bring its message before the log does
            return (f"登记了 {wanted} 条记录，检索集群里有 {found} 条",)
        return ()

    def close(self) -> None:
        """Close the connections."""
        self.nodes.close()

    def _put(
        self,
        generation: int,
        corp_id: int,
        documents: Sequence[Document],
        notes: Mapping[int, Note],
        version: int,
    ) -> None:
        items = [
            bulk.Item(
                layout.index_name(self.prefix, generation, document.sent_at),
                layout.document_id(corp_id, document.seq),
                version,
                layout.body(
                    corp_id,
                    document,
                    notes.get(document.seq),
                    record_id(corp_id, document.seq),
                ),
            )
            for document in documents
        ]
        bulk.write(self.nodes, items)

    def _in_use(self) -> int | None:
        if self._known is None or time.monotonic() > self._known_until:
            self._known = self.state.generation()
            self._known_until = time.monotonic() + KNOWN_FOR
        return self._known

    def _require_nothing_lost(self) -> None:
        """No shard at all is right before the first message only."""
        generation = self.state.generation()
        if generation is not None and self.state.documents(generation):
            raise NeedsRebuild("检索集群里的索引已被删除")

    def _indexes(self, pattern: str) -> list[str]:
        found: list[dict[str, str]] = self.nodes.ask(
            "GET",
            f"/_cat/indices/{pattern}",
            params={"format": "json", "h": "index", "expand_wildcards": "all"},
            within=ADMIN_WITHIN,
        )
        return [each["index"] for each in found]

    def _delete(self, path: str) -> None:
        try:
            self.nodes.ask("DELETE", path, within=ADMIN_WITHIN)
        except NotFoundError:
            return


def _mark(search: bytes, row: Row) -> str:
    return cursors.encode(search, row.rid, record_id(row.corp_id, row.seq))


def _row(rid: int, record: int) -> Row:
    corp_id, seq = position_of(record)
    return Row(corp_id, seq, rid)


def _total(found: dict[str, Any], count: Count) -> tuple[int, Relation]:
    if count == "capped" and found["value"] > CAP:
        return CAP, "gte"
    return int(found["value"]), "eq"
