"""Single claims about the engine that the labelled cases do not state one by one."""

import itertools
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.screening import Finding, Lexicon, Outcome, Turn, screen

LEXICON = Lexicon.load(Path(__file__).parents[2] / "wordlists")


def said(text: str, role: str = "adviser", at: int = 0, speaker: str = "") -> Turn:
    return Turn(role, text, speaker, at)  # type: ignore[arg-type]


def violations(*turns: Turn) -> list[Finding]:
    return [one for one in screen(turns, LEXICON) if one.outcome is Outcome.VIOLATION]


def test_offsets_skip_what_hides_the_word() -> None:
    (one,) = violations(said("您好，保\u200b本\ufe0f的，放心"))
    assert (one.start, one.end, one.phrase) == (3, 8, "保\u200b本\ufe0f的")
    assert one.canonical == "保本的"
    assert one.evasion == "零宽字符"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("baoben的", "拼音"),
        ("保ben的", "拼音混写"),
        ("宝本的", "谐音"),
        ("亻呆本的", "拆字"),
        ("保保本本", "叠字"),
        ("稳*赚*不*赔", "插入符号"),
        ("穩賺不賠", "异体字形"),
    ],
)
def test_the_disguise_is_named(text: str, kind: str) -> None:
    (one,) = violations(said(text))
    assert one.evasion == kind


def test_a_plain_wording_has_no_disguise() -> None:
    (one,) = violations(said("这款保本的"))
    assert one.evasion is None


def test_a_finding_says_why_on_what_law_and_how_to_put_it() -> None:
    (one,) = violations(said("这款保本的"))
    assert "保本" in one.explanation
    assert "106号" in one.basis
    assert "不保证本金" in one.suggestion
    assert one.rule == "principal_guarantee/word"
    assert one.lexicon_version == LEXICON.version
    assert one.severity == "red"


def test_a_promise_torn_over_messages_points_into_the_last_one() -> None:
    (one,) = violations(said("这个保"), said("本的，放心", at=3000))
    assert one.at == (0, 1)
    assert (one.message, one.start, one.end) == (1, 0, 2)
    assert one.phrase == "保 / 本的"
    assert one.evasion == "拆条发送"


def test_messages_of_two_speakers_are_never_joined() -> None:
    assert violations(said("医保", "client"), said("本周可以办")) == []
    assert violations(said("保", speaker="a"), said("本", speaker="b")) == []


def test_messages_far_apart_in_time_are_not_joined() -> None:
    assert violations(said("保"), said("本", at=3 * 60 * 60 * 1000)) == []


def test_an_answer_hours_later_affirms_nothing() -> None:
    late = said("嗯", at=5 * 60 * 60 * 1000)
    assert violations(said("能保本吗", "client"), late) == []


def test_an_answer_belongs_to_the_last_question() -> None:
    assert violations(said("保本吗？你们周五开门吗", "client"), said("开的")) == []


def test_an_answer_may_come_after_others_spoke() -> None:
    turns = (
        said("能保本吗", "client", speaker="a"),
        said("早", "client", speaker="b"),
        said("能的"),
    )
    assert [one.at for one in violations(*turns)] == [(2,)]


def test_the_words_of_a_quotation_are_not_the_advisers() -> None:
    rule = "\n- - - - - - - - - - - - - - -\n"
    assert violations(said(f"「张女士：保本保息」{rule}不能这么说")) == []
    assert violations(said(f"「张女士：保本吗」{rule}是的"))[0].at == (0,)
    long = '这是一条引用/回复消息：\n"张女士：\n稳赚吗"\n------\n'
    assert violations(said(f"{long}稳赚的"))[0].start >= len(long)


def test_a_client_asking_is_a_lead_and_no_violation() -> None:
    found = screen([said("这个保本吗", "client")], LEXICON)
    assert [(one.outcome, one.category) for one in found] == [("lead", "principal_guarantee")]


def test_screening_twice_gives_the_same() -> None:
    turns = [said("保本保息，年化8%打底"), said("加我vx")]
    assert screen(turns, LEXICON) == screen(turns, LEXICON)


def test_an_empty_window_has_no_findings() -> None:
    assert screen([], LEXICON) == []
    assert screen([said("")], LEXICON) == []


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.text(max_size=60), max_size=4), st.sampled_from(["adviser", "client", "colleague"])
)
def test_any_text_is_screened_and_offsets_stay_inside(texts: list[str], role: str) -> None:
    turns = [said(text, role, at * 1000) for at, text in enumerate(texts)]
    for one in screen(turns, LEXICON):
        assert 0 <= one.start < one.end <= len(turns[one.message].text)


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="保本息稳赚不赔的吗？，。 \n*-「」bao1%个点您我钱亏打卡", max_size=80))
def test_dense_text_keeps_offsets_inside(text: str) -> None:
    for one in screen([said(text)], LEXICON):
        assert 0 <= one.start < one.end <= len(text)


ADVERSARIAL = {
    "one character": "保",
    "a promise": "保本，",
    "quotes": "「",
    "spaces": "保 ",
    "lines": "保\n",
    "questions": "保本吗？",
    "negation": "不",
    "numbers": "8%",
    "concepts": "本金收益",
    "pinyin": "bao ",
}


def calls(piece: str, length: int) -> int:
    """How many functions screening calls for `piece` repeated to `length` characters."""
    text = "".join(itertools.islice(itertools.cycle(piece), length))
    turns, count = [said(text)], 0

    def seen(_frame: object, event: str, _arg: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(seen)
    try:
        screen(turns, LEXICON)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("piece", ADVERSARIAL.values(), ids=ADVERSARIAL)
def test_work_grows_with_the_length_and_no_faster(piece: str) -> None:
    assert calls(piece, 40_000) < 5 * calls(piece, 10_000) + 10_000
