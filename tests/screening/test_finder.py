"""Both machines find exactly what is there; the index never rules out a text that a rule would match."""

import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.screening import Lexicon, finder
from app.screening.domain import Role
from app.screening.finder import Finder, Trie
from app.screening.match import hits, read
from app.screening.undisguise import undisguise

WORDS = st.text(alphabet="保本息不a1%𠮷", min_size=1, max_size=4)
TEXTS = st.text(alphabet="保本息不a1%𠮷，", max_size=40)
MACHINES: list[dict[str, Callable[[list[str]], Any]]] = [{}, {"machine": Trie}]


def there(words: dict[str, int], text: str) -> list[tuple[int, int, int]]:
    return sorted(
        (start, start + len(word), value)
        for word, value in words.items()
        for start in range(len(text))
        if text.startswith(word, start)
    )


@pytest.mark.parametrize("machine", MACHINES, ids=["double array", "portable"])
@given(words=st.dictionaries(WORDS, st.integers(), max_size=12), text=TEXTS)
def test_every_occurrence_of_every_word_is_found_once(
    machine: dict[str, Callable[[list[str]], Any]], words: dict[str, int], text: str
) -> None:
    assert sorted(Finder(words, **machine).find(text)) == there(words, text)


@given(words=st.dictionaries(WORDS, st.integers(), min_size=1, max_size=12), text=TEXTS)
def test_words_may_be_spread_over_several_machines(words: dict[str, int], text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finder, "AT_ONCE", 2)
        assert sorted(Finder(words).find(text)) == there(words, text)


def test_no_word_and_an_empty_word_are_found_nowhere() -> None:
    assert Finder[int]({}).find("保本") == []
    assert Finder({"": 1, "保本": 2}).find("保本") == [(0, 2, 2)]


def work(lexicon: Lexicon, text: str) -> int:
    """How many lines are run in looking for candidates, every turn of a loop counted."""
    count = 0

    def seen(_frame: object, event: str, _arg: object) -> Callable[..., Any]:
        nonlocal count
        count += event == "line"
        return seen

    before = sys.gettrace()
    sys.settrace(seen)
    try:
        lexicon.index.spots(text)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize(("one", "other"), [("本金", "不会亏"), ("年化", "8%"), ("测评", "帮您改")])
def test_words_that_never_come_near_each_other_cost_by_their_number(
    lexicon: Lexicon, one: str, other: str
) -> None:
    for first, second in ((one, other), (other, one)):
        small = work(lexicon, first * 200 + "。" * 100 + second * 200)
        large = work(lexicon, first * 800 + "。" * 100 + second * 800)
        assert large < 5 * small + 10_000


PIECES = (
    "保本", "保 本", "本金", "不会", "亏", "承诺", "收益", "8%", "3-5%", "八个点", "您", "放心", "，", "。", "3.5",
    "年化", "转到", "我", "卡", "上", "微信", "加", "50万", "一年", "翻一番", "到手", "给您", "稳", "赚", "不赔", "+",
    "－", "返", "点", "私下", "签", "别", "跟", "合规", "说", "\n", "薇", "宝本", "wx_12-34ab",
)  # fmt: skip


@given(
    pieces=st.lists(st.sampled_from(PIECES), max_size=14),
    role=st.sampled_from(["adviser", "client"]),
)
def test_a_text_that_is_ruled_out_holds_no_wording(
    lexicon: Lexicon, pieces: list[str], role: Role
) -> None:
    text = "".join(pieces)
    if read(lexicon, text, role) is None:
        folded = undisguise(lexicon.fold.full(text), lexicon.disguises)
        assert hits(lexicon, folded, role) == []
