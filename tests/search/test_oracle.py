"""The engine against the plainest search there is: every message, one after the other."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from unittest import mock
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.foundation.clock import from_ms
from app.search import fts
from app.search.domain import Document, Facets, Hit, Note, Page, Row, party_key
from app.search.embedded import EmbeddedIndex
from app.search.filters import Filters, Visible
from app.search.query import And, Field, Near, Not, Or, Query, Term, matches
from app.search.tokens import norm
from tests.search.conftest import AnyIndex
from tests.search.followed import FollowedIndex

EPOCH = 1_577_836_800_000
ALPHABET = '保本息本證a1 \n😀\u200b"*␞'
PEOPLE = ("甲", "a", "a b")
PARTIES = tuple(party_key(kind, name) for kind in ("employee", "client") for name in PEOPLE)
ZONE = ZoneInfo("Asia/Shanghai")
MONTH_MS = 31 * 86_400_000


class Stored(NamedTuple):
    """What the oracle knows of a message."""

    corp_id: int
    document: Document
    hits: frozenset[Hit]
    recalled: bool


def some(values: tuple[object, ...], most: int = 2) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(st.sampled_from(values), max_size=most, unique=True).map(tuple)


HITS = st.builds(
    Hit,
    st.sampled_from(("promise", "private")),
    st.sampled_from(("red", "yellow")),
    st.sampled_from(("", "open", "closed")),
)
BODIES = st.builds(
    Stored,
    corp_id=st.sampled_from((1, 2)),
    document=st.builds(
        Document,
        seq=st.just(0),
        sent_at=st.integers(EPOCH - 2, EPOCH + 4) | st.integers(EPOCH - MONTH_MS, EPOCH + MONTH_MS),
        conversation=st.sampled_from((7, 8)),
        direction=st.sampled_from(("inbound", "outbound")),
        kind=st.sampled_from(("text", "voice")),
        employees=some(PEOPLE),
        clients=some(PEOPLE),
        departments=some((1, 2, 12)),
        text=st.text(ALPHABET, max_size=8),
        sender=st.sampled_from(("", *PARTIES)),
        recipients=some(PARTIES),
        has_media=st.booleans(),
    ),
    hits=st.frozensets(HITS, max_size=2),
    recalled=st.booleans(),
)


@st.composite
def logs(draw: st.DrawFn) -> list[Stored]:
    """Messages of two corps, numbered from one in each."""
    numbered: list[Stored] = []
    last = {1: 0, 2: 0}
    for body in draw(st.lists(BODIES, max_size=20)):
        last[body.corp_id] += 1
        document = body.document._replace(seq=last[body.corp_id])
        numbered.append(body._replace(document=document))
    return numbered


TERMS = st.text(ALPHABET, min_size=1, max_size=3).map(norm).filter(bool).map(Term)
PAIRS = st.text(ALPHABET, min_size=2, max_size=3).map(norm).filter(lambda text: len(text) > 1)
NEARS = st.builds(Near, PAIRS, PAIRS, st.integers(0, 5))
FIELDS = st.one_of(
    st.builds(Field, st.sampled_from(("from", "to")), some((*PARTIES, "client:nobody"))),
    st.builds(Field, st.sampled_from(("adviser", "client")), some((*PEOPLE, "nobody"))),
    st.builds(Field, st.just("department"), some(("1", "2", "12", "3"))),
    st.builds(Field, st.just("kind"), some(("text", "voice", "file"))),
)
TREES: st.SearchStrategy[Query] = st.recursive(
    TERMS | TERMS | NEARS | FIELDS,
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple))
        | st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple))
    ),
    max_leaves=6,
)
FILTERS = st.builds(
    Filters,
    corp_ids=some((1, 2, 3)),
    advisers=some((*PEOPLE, "nobody"), 1),
    clients=some(PEOPLE, 1),
    departments=some((1, 2, 12), 1),
    conversation=st.sampled_from((None, None, 7)),
    direction=st.sampled_from((None, None, "inbound")),
    kind=st.sampled_from((None, None, "voice")),
    since=st.none() | st.integers(EPOCH - 3, EPOCH + 5),
    until=st.none() | st.integers(EPOCH - 3, EPOCH + 5),
    categories=some(("promise", "private"), 1),
    severities=some(("red", "yellow"), 1),
    states=some(("", "open"), 1),
    has_media=st.sampled_from((None, None, True, False)),
    recalled=st.sampled_from((None, None, True, False)),
    order=st.sampled_from(("newest", "oldest")),
    visible=st.none()
    | st.builds(
        Visible,
        st.frozensets(st.sampled_from((1, 2, 12)), max_size=2),
        st.none() | st.tuples(st.sampled_from((1, 2)), st.sampled_from(PEOPLE)),
    ),
)
SEARCHES = st.tuples(st.none() | TREES, FILTERS | st.just(Filters()), st.integers(1, 6))


def answers(stored: Stored, tree: Query | None, filters: Filters) -> bool:
    """The meaning of a search, spelled out."""
    document = stored.document
    checks = (
        not filters.corp_ids or stored.corp_id in filters.corp_ids,
        not filters.advisers or bool({*filters.advisers} & {*document.employees}),
        not filters.clients or bool({*filters.clients} & {*document.clients}),
        not filters.departments or bool({*filters.departments} & {*document.departments}),
        filters.conversation in (None, document.conversation),
        filters.direction in (None, document.direction),
        filters.kind in (None, document.kind),
        filters.since is None or document.sent_at >= filters.since,
        filters.until is None or document.sent_at < filters.until,
        not filters.by_finding() or any(hit_answers(hit, filters) for hit in stored.hits),
        filters.visible is None or is_visible(stored, filters.visible),
        filters.has_media in (None, document.has_media),
        filters.recalled in (None, stored.recalled),
        tree is None or matches(tree, norm(document.text), lambda field: carries(document, field)),
    )
    return all(checks)


def carries(document: Document, field: Field) -> bool:
    carried: dict[str, Iterable[Any]] = {
        "from": (document.sender,),
        "to": document.recipients,
        "adviser": document.employees,
        "client": document.clients,
        "department": map(str, document.departments),
        "kind": (document.kind,),
    }
    return bool({*field.values} & {*carried[field.name]})


def counted(found: list[Stored]) -> Facets:
    """The facets of these messages, spelled out."""
    advisers = Counter(name for each in found for name in set(each.document.employees))
    departments = Counter(place for each in found for place in set(each.document.departments))
    categories = Counter(name for each in found for name in {hit.category for hit in each.hits})
    months = Counter(f"{from_ms(each.document.sent_at).astimezone(ZONE):%Y-%m}" for each in found)
    return Facets(advisers, departments, categories, months, len(found), "eq")


def is_visible(stored: Stored, visible: Visible) -> bool:
    document = stored.document
    present = {(stored.corp_id, name) for name in document.employees}
    return bool(visible.departments & {*document.departments}) or visible.employee in present


def hit_answers(hit: Hit, filters: Filters) -> bool:
    return (
        (not filters.categories or hit.category in filters.categories)
        and (not filters.severities or hit.severity in filters.severities)
        and (not filters.states or hit.state in filters.states)
    )


def fill(index: AnyIndex, log: list[Stored]) -> None:
    """In small batches, the notes sometimes before and sometimes after their messages."""
    index.reset()
    for step, stored in enumerate(log):
        corp_id, seq = stored.corp_id, stored.document.seq
        note = Note(seq, tuple(stored.hits), stored.recalled)
        if step % 2:
            index.annotate(corp_id, [note], stream="findings", after=seq - 1, upto=seq)
        index.write(corp_id, seq - 1, [stored.document], seq)
        if not step % 2:
            index.annotate(corp_id, [note], stream="findings", after=seq - 1, upto=seq)


def pages(index: AnyIndex, tree: Query | None, filters: Filters, limit: int) -> Iterator[Page]:
    cursor = None
    while True:
        page = index.search(tree, filters, limit, cursor, count="exact")
        yield page
        if page.next is None:
            return
        cursor = page.next


def in_order(rows: list[Row], filters: Filters, times: dict[tuple[int, int], int]) -> bool:
    forward = rows if filters.order == "oldest" else rows[::-1]
    moments = [times[row.corp_id, row.seq] for row in forward]
    places = [(row.rid, row.corp_id, row.seq) for row in forward]
    return moments == sorted(moments) and places == sorted(set(places))


def check(
    index: AnyIndex,
    log: list[Stored],
    searches: list[tuple[Query | None, Filters, int]],
    few: int,
) -> None:
    """Fill the index and compare every search with the oracle."""
    fill(index, log)
    times = {(each.corp_id, each.document.seq): each.document.sent_at for each in log}
    for tree, filters, limit in searches:
        found = [each for each in log if answers(each, tree, filters)]
        wanted = {(each.corp_id, each.document.seq) for each in found}
        with mock.patch.object(fts, "FEW", few):
            turned = list(pages(index, tree, filters, limit))
            assert index.facets(tree, filters, ZONE) == counted(found)
        rows = [row for page in turned for row in page.rows]
        assert {(row.corp_id, row.seq) for row in rows} == wanted
        assert in_order(rows, filters, times)
        assert all(page[1:3] == (len(wanted), "eq") for page in turned)
        assert all(len(page.rows) == limit for page in turned[:-1])
    assert index.check() == ()


SCENES = {
    "log": logs(),
    "searches": st.lists(SEARCHES, min_size=4, max_size=8),
    "few": st.sampled_from((0, 1, fts.FEW)),
}
SLOW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


@settings(deadline=None, suppress_health_check=SLOW)
@given(**SCENES)
def test_every_search_gives_what_reading_all_messages_gives(
    embedded: EmbeddedIndex, **scene: Any
) -> None:
    check(embedded, **scene)


@settings(deadline=None, suppress_health_check=SLOW, max_examples=30)
@given(**SCENES)
def test_every_search_of_a_cluster_gives_what_reading_all_messages_gives(
    clustered: FollowedIndex, **scene: Any
) -> None:
    check(clustered, **scene)
