# ruff: noqa: RUF001 - full-width forms are what these tests are about
import base64
from collections.abc import Sequence
from typing import get_args

import pytest

from app.foundation.followers import CursorMoved
from app.search import statements
from app.search.domain import SLOTS, BadCursor, Document, Hit, Note, Page, first_rid
from app.search.embedded import EmbeddedIndex
from app.search.filters import Filters, Order, Visible
from app.search.opensearch import engine
from app.search.query import parse

NOON = 1_767_240_000_000
CORP = 1


def document(seq: int, text: str, sent_at: int | None = None, **others: object) -> Document:
    plain = Document(
        seq=seq,
        sent_at=NOON + seq if sent_at is None else sent_at,
        conversation=1,
        direction="outbound",
        kind="text",
        employees=("adviser",),
        clients=("client",),
        departments=(1,),
        text=text,
    )
    return plain._replace(**others)  # type: ignore[arg-type]  # named by the caller


def written(index: EmbeddedIndex, texts: Sequence[str]) -> None:
    documents = [document(seq, text) for seq, text in enumerate(texts, 1)]
    index.write(CORP, 0, documents, len(documents))


def seqs(page: Page) -> list[int]:
    return [row.seq for row in page.rows]


def found(index: EmbeddedIndex, query: str, **filters: object) -> list[int]:
    return seqs(index.search(parse(query), Filters(**filters)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("保", "这款保本"),
        ("本", "这款保本"),
        ("这", "这"),
        ("保本", "这款绝对保本保息"),
        ("私下返", "可以私下返点"),
        ("转到我个人账", "直接把钱转到我个人账户"),
        ("5.8%", "年化5.8%起"),
        ("t+1", "T＋1确认份额"),
        ("OK，the", "ok，THE fee"),
        ("👍", "👍好的"),
        ("👍👍", "就按您说的办👍👍"),
        ("保😀本", "保😀本"),
        ("保证收益", "保證收益"),
        ("保證收益", "保证收益"),
        ("保本", "保\u200b本"),
        ('"保本 保息"', "保本\n保息"),
        ('"""稳"""', '所谓"稳"赚'),
        ('"("', "年化(预期)"),
        ("的 吗", "保本的吗"),
        ("保本|保息", "只有保息"),
        ("-风险", "保本"),
        ("-(风险 收益)", "只有收益"),
        ("风险|-收益", "都没有"),
    ],
)
def test_a_message_that_contains_it_is_found(index: EmbeddedIndex, query: str, text: str) -> None:
    written(index, [text])
    assert found(index, query) == [1]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("保本", "本保"),
        ("保本", "保 本"),
        ("保本", "保\n本"),
        ("保本", "保😀本"),
        ("保本保息", "保本，保息"),
        ("保本保息", "保本本保保息"),
        ("私下返点", "私下不返点"),
        ("5.8%", "5.8 %"),
        ("58", "5.8"),
        ("息", ""),
        ('"␞"', "保本"),
        ('"本␞"', "保本"),
        ("e61", "保本"),
        ("-保本", "保本"),
        ("收益 -风险", "收益有风险"),
        ("保本 收益", "保本"),
        ("风险|-收益", "收益"),
    ],
)
def test_a_near_miss_is_not_found(index: EmbeddedIndex, query: str, text: str) -> None:
    written(index, [text])
    assert found(index, query) == []


def test_newest_come_first_or_last_as_asked_and_late_arrivals_stand_in_time(
    index: EmbeddedIndex,
) -> None:
    index.write(CORP, 0, [document(1, "保本", NOON), document(2, "保本", NOON + 10)], 2)
    index.write(CORP, 2, [document(3, "保本", NOON + 5), document(4, "保本", NOON - 5)], 4)
    assert found(index, "保本") == [2, 3, 1, 4]
    assert found(index, "保本", order="oldest") == [4, 1, 3, 2]
    assert found(index, "", order="oldest") == [4, 1, 3, 2]


def test_since_is_included_and_until_is_not(index: EmbeddedIndex) -> None:
    written(index, ["保本"] * 4)
    times = {"since": NOON + 2, "until": NOON + 4}
    assert found(index, "保本", **times) == [3, 2]
    assert found(index, "", **times) == [3, 2]


def test_the_very_first_place_of_a_millisecond_belongs_to_it(index: EmbeddedIndex) -> None:
    index.write(CORP, 0, [document(SLOTS, "保本", NOON)], SLOTS)
    assert found(index, "保本", until=NOON) == []
    assert found(index, "保本", since=NOON) == [SLOTS]


def test_times_before_the_epoch_and_beyond_every_calendar_keep_their_order(
    index: EmbeddedIndex,
) -> None:
    times = [-(10**15), 0, 1_577_836_799_999, 1_577_836_800_000, NOON, 10**15]
    documents = [document(seq, "保本", sent_at) for seq, sent_at in enumerate(times, 1)]
    index.write(CORP, 0, documents, 6)
    assert found(index, "保本") == [6, 5, 4, 3, 2, 1]
    assert found(index, "保本", since=0, until=1_577_836_800_000) == [3, 2]
    assert found(index, "保本", since=10**15) == [6]
    assert found(index, "保本", until=-(10**9)) == [1]


def test_messages_of_one_millisecond_and_slot_are_all_kept_in_that_millisecond(
    index: EmbeddedIndex,
) -> None:
    clashing = [document(seq, "保本", NOON) for seq in (5, 6, 5 + SLOTS, 6 + SLOTS)]
    index.write(CORP, 0, clashing, 10 + SLOTS)
    index.write(2, 0, clashing, 10 + SLOTS)
    page = index.search(parse("保本"), Filters())
    assert page.total == 8
    assert {(row.corp_id, row.seq) for row in page.rows} == {
        (corp, document.seq) for corp in (1, 2) for document in clashing
    }
    assert all(first_rid(NOON) <= row.rid < first_rid(NOON + 1) for row in page.rows)


IDS = [
    "a",
    "A",
    "Ａ",
    "a b",
    "b",
    "",
    " ",
    '"',
    "a\x00",
    "张三",
    "張三",
    "\ud800",
    "😀",
    "a*",
    "-a",
]


def test_every_person_is_found_by_the_exact_id_and_as_nobody_else(index: EmbeddedIndex) -> None:
    people = [
        document(seq, "保本", employees=(name,), clients=(name + "c",))
        for seq, name in enumerate(IDS, 1)
    ]
    index.write(CORP, 0, people, len(people))
    for seq, name in enumerate(IDS, 1):
        assert found(index, "保本", advisers=(name,)) == [seq]
        assert found(index, "保本", clients=(name + "c",)) == [seq]
        assert found(index, "", visible=Visible(employee=(CORP, name))) == [seq]
        assert found(index, "", visible=Visible(employee=(CORP + 1, name))) == []
    assert found(index, "", advisers=("a", "b")) == [5, 1]
    assert found(index, "", clients=("a",)) == []


def test_each_filter_narrows_and_all_must_hold(index: EmbeddedIndex) -> None:
    index.write(
        CORP,
        0,
        [
            document(1, "保本", departments=(1, 12), conversation=7),
            document(2, "保本", departments=(2,), direction="inbound", conversation=77),
            document(3, "保息", departments=(), kind="voice", conversation=-7),
        ],
        3,
    )
    index.write(2, 0, [document(1, "保本", conversation=7, departments=(1,))], 1)
    assert found(index, "", departments=(12, 2), corp_ids=(1,)) == [2, 1]
    assert found(index, "", conversation=7, corp_ids=(1,)) == [1]
    assert found(index, "", conversation=-7) == [3]
    assert found(index, "", direction="inbound") == [2]
    assert found(index, "", kind="voice") == [3]
    assert found(index, "保本", kind="voice") == []
    assert found(index, "-保本", corp_ids=(1,)) == [3]
    assert found(index, "-保本", corp_ids=(2,)) == []
    assert found(index, "", corp_ids=(3,)) == []


def test_the_scope_hides_rows_and_totals_alike(index: EmbeddedIndex) -> None:
    index.write(
        CORP,
        0,
        [
            document(1, "保本", departments=(1,), employees=("a",)),
            document(2, "保本", departments=(2,), employees=("a", "b")),
            document(3, "保本", departments=(), employees=()),
        ],
        3,
    )

    def seen(departments: set[int], employee: str | None) -> list[int]:
        filters = Filters(
            visible=Visible(frozenset(departments), (CORP, employee) if employee else None)
        )
        pages = [
            index.search(parse(query), filters, count="exact") for query in ("保本", "-保息", "")
        ]
        assert pages[0] == pages[1] == pages[2]
        assert pages[0].total == len(pages[0].rows)
        return seqs(pages[0])

    assert found(index, "保本") == [3, 2, 1]
    assert seen({1}, None) == [1]
    assert seen({1, 2}, "b") == [2, 1]
    assert seen({1}, "b") == [2, 1]
    assert seen(set(), "a") == [2, 1]
    assert seen(set(), None) == []


def test_a_capped_total_stops_at_the_cap_and_an_exact_one_does_not(
    index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (statements, engine):
        monkeypatch.setattr(module, "CAP", 5)
    written(index, ["保本"] * 5 + ["保息"] * 6)
    tree = parse("保本")
    assert index.search(tree, Filters(), limit=2)[1:3] == (5, "eq")
    tree = parse("保息")
    assert index.search(tree, Filters(), limit=2)[1:3] == (5, "gte")
    assert index.search(tree, Filters(), limit=2, count="exact")[1:3] == (6, "eq")


def test_pages_stay_in_step_while_messages_arrive(index: EmbeddedIndex) -> None:
    written(index, ["保本"] * 10)
    tree = parse("保本")
    first = index.search(tree, Filters(), limit=4)
    newer = [document(seq, "保本") for seq in range(11, 15)]
    late = document(15, "保本", NOON + 5)
    index.write(CORP, 10, [*newer, late], 15)
    second = index.search(tree, Filters(), limit=4, cursor=first.next)
    third = index.search(tree, Filters(), limit=4, cursor=second.next)
    assert seqs(first) == [10, 9, 8, 7]
    assert [*seqs(second), *seqs(third)] == [6, 15, 5, 4, 3, 2, 1]
    assert third.next is None


def test_a_page_mark_of_another_search_is_refused(index: EmbeddedIndex) -> None:
    written(index, ["保本保息"] * 3)
    mark = index.search(parse("保本"), Filters(), limit=1).next
    assert mark is not None
    others = [
        (parse("保息"), Filters()),
        (None, Filters()),
        (parse("保本"), Filters(order="oldest")),
        (parse("保本"), Filters(visible=Visible(employee=(CORP, "adviser")))),
        (parse("保本"), Filters(visible=Visible(frozenset({1})))),
        (parse("保本"), Filters(since=1)),
    ]
    for tree, filters in others:
        with pytest.raises(BadCursor):
            index.search(tree, filters, cursor=mark)
    assert seqs(index.search(parse("保本"), Filters(), cursor=mark)) == [2, 1]


@pytest.mark.parametrize("mark", ["", "x", "保本", "!!!!", "A" * 22, "A" * 5000, "=\n"])
def test_an_invented_page_mark_is_refused(index: EmbeddedIndex, mark: str) -> None:
    with pytest.raises(BadCursor):
        index.search(parse("保本"), Filters(), cursor=mark)


@pytest.mark.parametrize("rid", [-(1 << 63), (1 << 63) - 1])
def test_a_forged_place_beyond_all_numbers_gives_a_page(index: EmbeddedIndex, rid: int) -> None:
    written(index, ["保本"] * 2)
    for order in get_args(Order):
        filters = Filters(order=order)
        mark = index.search(parse("保本"), filters, limit=1).next
        assert mark is not None
        raw = base64.urlsafe_b64decode(mark + "==")
        elsewhere = raw[:8] + rid.to_bytes(8, signed=True) * (len(raw) // 8 - 1)
        forged = base64.urlsafe_b64encode(elsewhere).decode().rstrip("=")
        assert len(index.search(parse("保本"), filters, cursor=forged).rows) in {0, 2}


def test_a_batch_moves_the_position_and_a_second_writer_is_refused(index: EmbeddedIndex) -> None:
    assert index.position(CORP) == 0
    index.write(CORP, 0, [document(2, "保本")], 5)
    with pytest.raises(CursorMoved):
        index.write(CORP, 0, [document(3, "保本")], 6)
    index.write(CORP, 5, [], 9)
    assert index.position(CORP) == 9
    assert index.position(2) == 0
    assert found(index, "保本") == [2]


def test_a_document_outside_the_batch_is_refused(index: EmbeddedIndex) -> None:
    for seq in (0, 6):
        with pytest.raises(ValueError, match="outside"):
            index.write(CORP, 0, [document(seq, "保本")], 5)
    with pytest.raises(ValueError, match="forward"):
        index.write(CORP, 0, [], -1)


def test_a_batch_that_fails_in_the_middle_leaves_nothing_behind(index: EmbeddedIndex) -> None:
    good, bad = document(1, "保本"), document(2, "")._replace(text=None)  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        index.write(CORP, 0, [good, bad], 2)
    assert index.position(CORP) == 0
    assert found(index, "保本") == []
    assert index.check() == ()


def test_findings_are_searched_by_one_finding_that_has_all(index: EmbeddedIndex) -> None:
    written(index, ["保本"] * 3)
    notes = [
        Note(1, (Hit("promise", "red", "open"), Hit("private", "yellow"))),
        Note(2, (Hit("promise", "yellow", "closed"),)),
    ]
    index.annotate(CORP, notes, stream="findings", after=0, upto=8)
    for query in ("保本", "-风险", ""):
        assert found(index, query, categories=("promise",)) == [2, 1]
        assert found(index, query, categories=("promise",), severities=("yellow",)) == [2]
        assert found(index, query, severities=("red", "yellow"), states=("open",)) == [1]
        assert found(index, query, states=("gone",)) == []
    assert found(index, "保息", categories=("promise",)) == []
    assert found(index, "", categories=("promise",), since=NOON + 2) == [2]
    assert index.position(CORP, "findings") == 8


def test_a_later_note_replaces_the_earlier_one(index: EmbeddedIndex) -> None:
    written(index, ["保本"] * 2)
    for after, state in enumerate(("open", "closed")):
        note = Note(1, (Hit("promise", "red", state),))
        index.annotate(CORP, [note], stream="alerts", after=after, upto=after + 1)
    assert found(index, "", states=("open",)) == []
    assert found(index, "", states=("closed",)) == [1]
    index.annotate(CORP, [Note(1, ())], stream="alerts", after=2, upto=3)
    assert found(index, "", categories=("promise",)) == []


def test_a_note_may_come_before_its_message(index: EmbeddedIndex) -> None:
    index.annotate(CORP, [Note(2, (Hit("promise", "red"),))], stream="findings", after=0, upto=1)
    assert found(index, "", categories=("promise",)) == []
    written(index, ["保本"] * 2)
    assert found(index, "", categories=("promise",)) == [2]


def test_notes_have_positions_of_their_own(index: EmbeddedIndex) -> None:
    index.annotate(CORP, [], stream="findings", after=0, upto=3)
    with pytest.raises(CursorMoved):
        index.annotate(CORP, [], stream="findings", after=0, upto=4)
    with pytest.raises(ValueError, match="write"):
        index.annotate(CORP, [], stream="messages", after=0, upto=4)
    assert (index.position(CORP), index.position(CORP, "findings")) == (0, 3)


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_a_page_has_a_sensible_size(index: EmbeddedIndex, limit: int) -> None:
    with pytest.raises(ValueError, match="limit"):
        index.search(None, Filters(), limit=limit)


def test_the_bounds_of_a_long_text_are_found(index: EmbeddedIndex) -> None:
    written(index, ["头" + "中" * 300_000 + "尾巴"])
    assert found(index, "头中") == [1]
    assert found(index, "中尾巴") == [1]
    assert found(index, '"' + "中" * 64 + '"') == [1]
