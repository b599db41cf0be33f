"""Filling a new generation beside the one that serves, then changing over.

The followers of the new one have positions of their own, so a rebuild that was cut short goes on where it stopped.
Searches and the usual followers stay with the old one until the alias moves in one request.
"""

import threading
from collections.abc import Callable, Mapping, Sequence

from opensearchpy.exceptions import NotFoundError

from app.foundation import followers
from app.foundation.followers import Follower
from app.search.domain import NeedsRebuild
from app.search.opensearch import layout
from app.search.opensearch.engine import ADMIN_WITHIN, OpenSearchIndex
from app.search.opensearch.state import put_template
from app.search.rebuild import AlreadyRebuilding, EndsOf, Progress

FollowersOf = Callable[[int], Sequence[Follower]]


class ClusterRebuilder:
    """Builds a new generation from the archive and uses it; `followers_of(generation)` fill one."""

    def __init__(self, index: OpenSearchIndex, followers_of: FollowersOf, ends_of: EndsOf) -> None:
        self._index, self._followers_of, self._ends_of = index, followers_of, ends_of
        self._turn = threading.Lock()
        self.progress: Progress | None = None  # None while nothing is rebuilt

    def run(self, on_progress: Callable[[int, int], None] = lambda _done, _total: None) -> None:
        """Rebuild to the end; raises `AlreadyRebuilding`, and `NeedsRebuild` when documents are missing in the end.

        After an error the old generation stays in use.
        """
        if not self._turn.acquire(blocking=False):
            raise AlreadyRebuilding
        try:
            self._build(on_progress)
        finally:
            self.progress = None
            self._turn.release()

    def _build(self, on_progress: Callable[[int, int], None]) -> None:
        index = self._index
        index.state.begin_anew()
        generation = _next(index)
        put_template(index.nodes, index.prefix, generation, is_used=False)
        fillers = self._followers_of(generation)
        whole = self._behind(fillers)
        self._tell(0, whole, on_progress)
        while self._behind(fillers):
            for follower in fillers:
                _step(follower, self._ends_of(follower))
                self._tell(max(0, whole - self._behind(fillers)), whole, on_progress)
        _require_complete(index, generation)
        index.use(generation)
        self._tell(whole, whole, on_progress)

    def _behind(self, fillers: Sequence[Follower]) -> int:
        return sum(followers.lag(follower, self._ends_of(follower)) for follower in fillers)

    def _tell(self, done: int, whole: int, on_progress: Callable[[int, int], None]) -> None:
        self.progress = Progress(done, whole)
        on_progress(done, whole)


def _next(index: OpenSearchIndex) -> int:
    """The generation to fill: one that was begun by the same rules, or a new one."""
    generation = max(1, index.state.latest()) + 1  # the first is begun by the usual followers
    while _version(index, generation) not in (None, layout.VERSION):
        generation += 1
    return generation


def _version(index: OpenSearchIndex, generation: int) -> str | None:
    path = f"/_index_template/{layout.template_name(index.prefix, generation)}"
    try:
        found = index.nodes.ask("GET", path, within=ADMIN_WITHIN)
    except NotFoundError:
        return None
    return str(found["index_templates"][0]["index_template"]["_meta"]["version"])


def _step(follower: Follower, tails: Mapping[int, int]) -> None:
    for corp_id, end in tails.items():
        after = follower.position(corp_id)
        if after < end:
            follower.step(corp_id, after, end)


def _require_complete(index: OpenSearchIndex, generation: int) -> None:
    index.refresh()
    wanted = index.state.documents(generation)
    answer = index.nodes.ask(
        "GET",
        f"/{layout.template_name(index.prefix, generation)}-*/_count",
        within=ADMIN_WITHIN,
    )
    shards = answer["_shards"]
    if answer["count"] < wanted or shards["successful"] != shards["total"]:
        raise NeedsRebuild(f"新索引应有 {wanted} 条记录，实有 {answer['count']} 条；仍使用旧索引")
