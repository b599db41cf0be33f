"""What engines do not do alone: literal searches, relevance, threads, and names beside the counts."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app.access import EVERYTHING, Scope
from app.bootstrap import Services
from app.foundation.clock import now
from app.foundation.paging import BadCursor
from app.search import finder
from app.search.asked import Asked
from app.search.finder import NoThread, NotLiteral
from app.search.query import BadQuery
from app.search.shapes import FacetsOut, Thread
from tests.search.firm import department, follow, line, search, texts

ZONE = ZoneInfo("Asia/Shanghai")


def pushed(services: Services, *said: str, first: int = 60) -> None:
    services.capture.receive([line(number, text) for number, text in enumerate(said, first)])
    follow(services)


def thread(services: Services, scope: Scope = EVERYTHING, **asked: Any) -> Thread:
    given = {"client": ["wmA1"]} | {
        key: asked.pop(key) for key in ("conversation",) if key in asked
    }
    sides = {"at": None, "around": None, "before": 20, "after": 20} | asked
    return services.finder.thread(Asked(**given), scope, **sides)


def facets(services: Services, scope: Scope = EVERYTHING, **asked: Any) -> FacetsOut:
    return services.finder.facets(Asked(**asked), scope, ZONE)


def test_a_literal_search_tells_case_width_and_script_apart(firm: Services) -> None:
    pushed(firm, "Offer OK", "offer ok", "保證", "保证", "T＋1", "T+1", "保\u200b证")
    assert texts(search(firm, q="ok", literal=True)) == ["offer ok"]
    assert texts(search(firm, q="保證", literal=True)) == ["保證"]
    assert texts(search(firm, q="保证", literal=True)) == ["保证"]
    assert texts(search(firm, q="T＋1", literal=True)) == ["T＋1"]
    assert texts(search(firm, q="保\u200b证", literal=True)) == ["保\u200b证"]
    assert len(search(firm, q="保证").items) == 3
    page = search(firm, q="offer -ok", literal=True, count="exact")
    assert (texts(page), page.total.value, page.total.relation) == ([], 0, "eq")
    assert texts(search(firm, q="ok -Offer from:何屿", literal=True)) == ["offer ok"]
    (item,) = search(firm, q="OK", literal=True).items
    assert [item.text[start:end] for start, end in item.highlights] == ["OK"]


def test_pages_of_a_literal_search_join_to_the_whole(
    firm: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finder, "LOOKED", 3)
    monkeypatch.setattr(finder, "MOST_LOOKED", 6)
    said = [f"第{number}个 {'OK' if number % 4 == 0 else 'ok'}" for number in range(40)]
    pushed(firm, *said)
    seen: list[str] = []
    cursor, turns = None, 0
    while turns == 0 or cursor is not None:
        page = search(firm, q="OK", literal=True, limit=2, cursor=cursor)
        seen, cursor, turns = seen + texts(page), page.next, turns + 1
    assert seen == [text for text in reversed(said) if "OK" in text]
    assert turns > 5
    assert search(firm, q="OK", literal=True, limit=2, count="exact").total.value == 10


def test_a_literal_search_stays_within_the_scope(firm: Services) -> None:
    west = Scope(frozenset({department(firm, "west")}), None)
    assert texts(search(firm, west, q="话", literal=True)) == ["三月的话"]
    assert search(firm, west, q="话", literal=True, count="exact").total.value == 1
    with pytest.raises(BadQuery, match="原样"):
        search(firm, q="话|from:何屿", literal=True)
    with pytest.raises(NotLiteral):
        facets(firm, q="话", literal=True)


def test_relevance_puts_the_densest_text_first_and_pages_stay_in_step(firm: Services) -> None:
    pushed(firm, "返点", "返点返点", "说了很多很多别的话以后才提到的返点", *["无关"] * 3)
    wanted = ["返点返点", "返点", "说了很多很多别的话以后才提到的返点"]
    assert texts(search(firm, q="返点", order="relevance")) == wanted
    first = search(firm, q="返点", order="relevance", limit=2)
    pushed(firm, "返点返点返点", first=80)
    second = search(firm, q="返点", order="relevance", limit=2, cursor=first.next)
    assert texts(first) + texts(second) == wanted
    assert second.next is None
    for bad in ("x", search(firm, q="话", order="relevance", limit=1).next):
        with pytest.raises(BadCursor):
            search(firm, q="返点", order="relevance", cursor=bad)


def test_relevance_looks_at_the_newest_only(
    firm: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finder, "RANKED", 2)
    pushed(firm, "返点返点", "返点一", "返点二")
    page = search(firm, q="返点", order="relevance", count="exact")
    assert texts(page) == ["返点二", "返点一"]
    assert page.total.value == 3


def test_a_violation_outranks_a_harmless_mention(firm: Services) -> None:
    pushed(firm, "保本保息", "不保本")
    page = search(firm, q="保本", order="relevance")
    assert texts(page)[-1] == "不保本"


def test_facets_name_people_and_places(firm: Services) -> None:
    found = facets(firm, q="话")
    assert [(each.id, each.name, each.count) for each in found.advisers] == [
        ("he.yu", "何屿", 2),
        ("su.he", "苏禾", 1),
    ]
    assert {each.name: each.count for each in found.departments} == {"东区": 2, "西区": 1}
    assert [each.id for each in found.categories] == ["principal_guarantee"]
    assert [(each.id, each.count) for each in found.months] == [("2026-02", 1), ("2026-03", 2)]
    assert (found.counted, found.relation, found.behind) == (3, "eq", 0)
    west = Scope(frozenset({department(firm, "west")}), None)
    assert facets(firm, west, q="话").counted == 1


def test_a_clients_thread_spans_advisers_and_can_be_walked_from_any_day(firm: Services) -> None:
    whole = ["二月的话", "三月的话", "苏禾的话，保本保息"]
    assert [each.text for each in thread(firm).items] == whole
    (_, middle, _) = thread(firm).items
    around = thread(firm, at=middle.sent_at, before=1, after=1)
    assert [each.text for each in around.items] == whole[:2]
    assert [each.text for each in thread(firm, around=middle.id, before=0, after=1).items] == [
        "三月的话"
    ]
    later = thread(firm, at=middle.sent_at, before=0, after=9, later=around.later)
    assert [each.text for each in later.items] == whole[2:]
    assert (around.earlier, later.later) == (None, None)
    last = thread(firm, before=1)
    assert [each.text for each in last.items] == whole[2:]
    rest = thread(firm, before=9, earlier=last.earlier)
    assert [each.text for each in rest.items] == whole[:2]
    assert thread(firm, at=now(), before=0).items == []


def test_a_thread_shows_what_the_scope_shows_and_needs_somebody(firm: Services) -> None:
    west = Scope(frozenset({department(firm, "west")}), None)
    assert [each.text for each in thread(firm, west).items] == ["三月的话"]
    with pytest.raises(NoThread):
        firm.finder.thread(Asked(), EVERYTHING, at=None, around=None, before=1, after=1)


def test_what_is_not_indexed_yet_is_told(firm: Services) -> None:
    firm.capture.receive([line(300, "刚到的话")])
    page = search(firm, q="话")
    assert (len(page.items), page.behind) == (3, 1)
    follow(firm)
    page = search(firm, q="话")
    assert (len(page.items), page.behind) == (4, 0)
