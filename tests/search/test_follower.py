"""The index follows the log, the people and the findings, and ends the same however it is interrupted."""

import pytest

from app.access import EVERYTHING, OPERATOR, Scope
from app.archive.store import read_log
from app.bootstrap import Services
from app.foundation.errors import AppError
from app.oversight import store
from app.oversight.domain import Step
from app.oversight.review import take_step
from app.oversight.store import Wanted
from app.search.asked import NothingAsked
from app.search.query import BadQuery
from tests.search.firm import department, employee, follow, line, search, texts


def test_a_message_counts_to_the_department_its_adviser_was_in_when_it_was_sent(
    firm: Services,
) -> None:
    assert texts(search(firm, q="话", department=["east"])) == ["苏禾的话，保本保息", "二月的话"]
    assert texts(search(firm, q="话", department=["west"])) == ["三月的话"]
    assert len(search(firm, q="话", department=["hq"]).items) == 3
    assert texts(search(firm, q="话", department=["nowhere"])) == []


def test_a_scope_shows_its_departments_and_its_own_employee_and_no_more(firm: Services) -> None:
    west, own = department(firm, "west"), employee(firm, "su.he")
    seen = search(firm, Scope(frozenset({west}), None), q="话", count="exact")
    assert (texts(seen), seen.total.value) == (["三月的话"], 1)
    seen = search(firm, Scope(frozenset(), own), q="话", count="exact")
    assert (texts(seen), seen.total.value) == (["苏禾的话，保本保息"], 1)
    seen = search(firm, Scope(frozenset({west}), own), q="话")
    assert texts(seen) == ["苏禾的话，保本保息", "三月的话"]
    assert texts(search(firm, Scope(frozenset(), None), q="话")) == []


def test_findings_can_be_searched_for_and_are_shown(firm: Services) -> None:
    page = search(firm, category=["principal_guarantee"])
    assert texts(page) == ["苏禾的话，保本保息"]
    (finding, *_) = page.items[0].findings
    assert finding.category == "principal_guarantee"
    assert page.items[0].text[finding.start : finding.end] in page.items[0].text
    assert texts(search(firm, category=["private_deal"])) == []


def test_an_index_rebuilt_while_it_serves_ends_the_same(firm: Services) -> None:
    before = search(firm, q="话", count="exact")
    for follower in firm.followers[1:]:
        follower.reset()
    assert search(firm, q="话").items == []
    follow(firm)
    after = search(firm, q="话", count="exact")
    assert (after.items, after.total) == (before.items, before.total)
    assert texts(search(firm, category=["principal_guarantee"])) == ["苏禾的话，保本保息"]


def test_highlights_point_into_the_original_text(firm: Services) -> None:
    (item,) = search(firm, q="保本").items
    assert [item.text[start:end] for start, end in item.highlights] == ["保本"]


def test_nothing_asked_is_refused_and_says_so(firm: Services) -> None:
    with pytest.raises(NothingAsked):
        search(firm)
    with pytest.raises(AppError) as refused:
        search(firm, q='"没有结束')
    assert refused.value.code == "bad_query"


def test_pages_join_to_the_whole_while_messages_arrive(firm: Services) -> None:
    firm.capture.receive([line(number, f"第{number}句话") for number in range(10, 30)])
    follow(firm)
    seen: list[str] = []
    cursor = None
    for late in range(40, 60):
        page = search(firm, q="句话", limit=3, cursor=cursor)
        seen += texts(page)
        cursor = page.next
        if cursor is None:
            break
        firm.capture.receive([line(late, "后来的一句话", month=4)])
        follow(firm)
    assert seen == [f"第{number}句话" for number in range(29, 9, -1)]


def test_the_state_of_an_alert_can_be_searched_for_and_follows_its_steps(firm: Services) -> None:
    assert texts(search(firm, state=["open"])) == ["苏禾的话，保本保息"]
    with firm.db.write() as connection:
        (alert,) = store.read_page(connection, Wanted(), EVERYTHING, before=None, limit=10)
        take_step(connection, alert.id, EVERYTHING, OPERATOR, Step.CLAIM)
    follow(firm)
    assert texts(search(firm, state=["open"])) == []
    assert texts(search(firm, state=["claimed"], category=["principal_guarantee"])) == [
        "苏禾的话，保本保息"
    ]


def test_field_terms_find_people_by_id_and_by_name(firm: Services) -> None:
    assert texts(search(firm, q="from:su.he")) == ["苏禾的话，保本保息"]
    assert texts(search(firm, q="发送人:苏禾 话")) == ["苏禾的话，保本保息"]
    assert len(search(firm, q="to:wmA1").items) == 3
    assert texts(search(firm, q="to:苏禾")) == []
    assert texts(search(firm, q="话 -员工:何屿")) == ["苏禾的话，保本保息"]
    assert texts(search(firm, q="部门:西区")) == ["三月的话"]
    assert len(search(firm, q="部门:hq 类型:text").items) == 3


def test_a_field_term_for_nobody_says_so_to_those_who_see_everything(firm: Services) -> None:
    with pytest.raises(BadQuery, match="没有叫「何羽」的人") as refused:
        search(firm, q="话 from:何羽")
    assert refused.value.facts == {"position": 2}
    west = Scope(frozenset({department(firm, "west")}), None)
    assert texts(search(firm, west, q="from:何羽")) == []


def recall(number: int, recalls: int) -> bytes:
    return line(number, "撤回了一条消息", action="recall", recalls=str(recalls), month=3)


def test_a_recall_marks_its_message_whichever_comes_first(firm: Services) -> None:
    firm.capture.receive([recall(20, 2)])
    follow(firm)
    assert texts(search(firm, recalled=True)) == ["三月的话"]
    firm.capture.receive([recall(21, 22)])
    follow(firm)
    firm.capture.receive([line(22, "晚到的话", month=3)])
    follow(firm)
    assert texts(search(firm, q="话", recalled=True)) == ["晚到的话", "三月的话"]
    assert texts(search(firm, q="话", recalled=False)) == ["苏禾的话，保本保息", "二月的话"]
    (item,) = search(firm, q="三月", recalled=True).items
    assert item.recalled_by is not None


def test_findings_and_recalls_of_one_message_stand_together(firm: Services) -> None:
    firm.capture.receive([recall(30, 3)])
    follow(firm)
    assert texts(search(firm, category=["principal_guarantee"], recalled=True)) == [
        "苏禾的话，保本保息"
    ]
    assert texts(search(firm, category=["principal_guarantee"], recalled=False)) == []


def test_attachments_can_be_asked_for(firm: Services) -> None:
    firm.capture.receive([line(40, "[图片]", kind="image")])
    follow(firm)
    with firm.db.read() as connection:
        kept = [each.has_media for each in read_log(connection, 1, 3, 1)]
    assert len(search(firm, kind="image", has_media=kept[0]).items) == 1
    assert texts(search(firm, kind="image", has_media=not kept[0])) == []
