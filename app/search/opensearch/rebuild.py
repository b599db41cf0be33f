"""Filling a new generation beside the one that serves, then changing over.

The followers of the new one have positions of their own, so a rebuild that was cut short goes on where it stopped.
Searches and the usual followers stay with the old one until the alias moves in one request.
"""

from collections.abc import Callable, Mapping, Sequence

from opensearchpy.exceptions import NotFoundError

from app.foundation import followers
from app.foundation.followers import Follower
from app.search.domain import NeedsRebuild
from app.search.opensearch import layout
from app.search.opensearch.engine import ADMIN_WITHIN, OpenSearchIndex
from app.search.opensearch.state import put_template

FollowersOf = Callable[[int], Sequence[Follower]]
TailsOf = Callable[[Follower], Mapping[int, int]]
Progress = Callable[[int, int], None]


def rebuild(
    index: OpenSearchIndex, followers_of: FollowersOf, tails_of: TailsOf, on_progress: Progress
) -> int:
    """Build a new generation from the archive and use it; gives its number.

    `followers_of(generation)` fill it. Raises `NeedsRebuild` when the cluster has fewer documents in the end than
    were written; the old generation then stays in use.
    """
    index.state.begin_anew()
    generation = _next(index)
    put_template(index.nodes, index.prefix, generation, is_used=False)
    fillers = followers_of(generation)
    whole = _behind(fillers, tails_of)
    on_progress(0, whole)
    while _behind(fillers, tails_of):
        for follower in fillers:
            _step(follower, tails_of(follower))
            on_progress(max(0, whole - _behind(fillers, tails_of)), whole)
    _require_complete(index, generation)
    index.use(generation)
    on_progress(whole, whole)
    return generation


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


def _behind(fillers: Sequence[Follower], tails_of: TailsOf) -> int:
    return sum(followers.lag(follower, tails_of(follower)) for follower in fillers)


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
