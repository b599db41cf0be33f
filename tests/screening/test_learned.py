"""The learned model: its arithmetic, its file, and what its word counts for."""

import dataclasses
import math
import shutil
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.screening import Lexicon, LexiconError, Outcome, Turn, read_cases, screen
from app.screening.dialogue import hear
from app.screening.learned import (
    BLOCKS,
    JOINT,
    LONG,
    UNIT,
    Heard,
    Message,
    Model,
    Policy,
    blocks,
    pack,
    parts_of,
    pieces,
    weight,
)
from app.screening.modelfile import read_model, write_model
from app.screening.opinion import _TOGETHER, message
from tests.screening import scoring

WORDLISTS = Path(__file__).parents[2] / "wordlists"
CASES = Path(__file__).parent / "cases"
PLAIN = "我明天上午十点把对账单给您送过去"
STEPS = st.lists(st.integers(-2_000, 2_000), min_size=3, max_size=3)
TEXT = st.text(alphabet="保本赚钱不会0？", max_size=12)


def model_of(
    blocks_: Mapping[str, Mapping[str, Sequence[int]]], policy: Policy, rules: Sequence[str] = ()
) -> Model:
    packed = {b: {p: pack(row) for p, row in blocks_.get(b, {}).items()} for b in BLOCKS}
    categories = ("principal_guarantee", "kickback", "abuse")
    return Model(categories, (-2.0, -2.0, -2.0), policy, frozenset(rules), packed)


@given(STEPS)
def test_a_packed_weight_is_read_back(steps: list[int]) -> None:
    assert [weight(pack(steps), at) for at in range(3)] == steps


@given(st.dictionaries(TEXT.filter(bool).map(lambda t: t[:3]), STEPS, max_size=30), TEXT, TEXT)
def test_chances_are_those_of_plain_arithmetic(
    weights: dict[str, list[int]], own: str, before: str
) -> None:
    model = model_of({"staff": weights, "staff_short_after_other": weights}, Policy(0, 0, 1))
    one = Message(Heard("client", before), Heard("adviser", own), "short")
    known = [weights[p] for text in (own, before) for p in pieces(text) if p in weights]
    for at, chance in enumerate(model.opinion(one).chances.values()):
        odds = -2.0 + UNIT * sum(row[at] for row in known) / math.sqrt(len(known) or 1)
        assert chance == pytest.approx(1 / (1 + math.exp(-odds)), abs=1e-9)


def test_pieces_run_over_the_ends_of_a_message() -> None:
    assert pieces("保本") == {"^", "保", "本", "$", "^保", "保本", "本$", "^保本", "保本$"}


@given(st.text(alphabet="保本。？|", max_size=3 * LONG))
def test_a_long_text_loses_nothing_but_its_breaks_when_cut(text: str) -> None:
    parts = parts_of(text)
    assert all(len(part) <= LONG for part in parts)
    kept = "".join(parts)
    assert kept in (text, "".join(each for each in text if each not in "。？|"))


@given(st.dictionaries(TEXT.filter(bool).map(lambda t: t[:3]), STEPS.filter(any), max_size=20))
def test_a_written_model_is_read_back(weights: dict[str, list[int]]) -> None:
    codes = {"pg": "principal_guarantee", "kb": "kickback", "ab": "abuse"}
    filled = {block: weights if block == "client" else {} for block in BLOCKS}
    policy = Policy(0.5, 0.1, 0.6)
    text = write_model(codes, dict.fromkeys(codes, -1.25), policy, {"a/b": "12"}, filled)
    model = read_model(tomllib.loads(text), {"a/b": "12", "c/d": "1"})
    assert model.categories == tuple(codes.values())
    assert (model.bias, model.policy, model.judges) == ((-1.25,) * 3, policy, frozenset({"a/b"}))
    assert model.blocks["client"] == {piece: pack(row) for piece, row in weights.items()}


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    return Path(shutil.copytree(WORDLISTS, tmp_path / "wordlists"))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("staff = '''\n", "staff = '''\n保本 好\n", "片段 代码权重"),
        ("staff = '''\n", "staff = '''\n保本 zz3\n", "zz3"),
        ("staff = '''\n", "staff = '''\n保本保本 pg3\n", "片段 代码权重"),
        ("staff = '''\n", "staffs = '''\n", "weights 要写"),
        ("[policy]\nfamiliar", "[policy]\nfamiliars", "policy 要写"),
        ('pg = "principal_guarantee"', "", "bias 要为每个类别"),
        ("[bias]\npg = ", '[bias]\npg = "x" #', "缺少 [bias]"),
        ("[rules]", "[rule]", "缺少 [rules]"),
    ],
)
def test_a_mistake_in_the_file_is_told_with_its_place(
    lists: Path, old: str, new: str, told: str
) -> None:
    path = lists / "learned.toml"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(LexiconError) as caught:
        Lexicon.load(lists)
    assert told in str(caught.value)
    assert "learned.toml 第" in str(caught.value)


def test_without_the_file_only_rules_speak(lists: Path) -> None:
    (lists / "learned.toml").unlink()
    assert Lexicon.load(lists).learned is None


def test_the_file_is_readable_and_small() -> None:
    data = (WORDLISTS / "learned.toml").read_bytes()
    assert len(data) < 2_000_000
    assert data.decode().splitlines()[0].startswith("# 学习模型")


def test_the_model_was_trained_beside_the_rules_as_they_are(lexicon: Lexicon) -> None:
    assert lexicon.learned
    assert lexicon.learned.judges == {rule.id for rule in lexicon.rules}, (
        "train anew: python -m tests.screening.learn"
    )


def test_a_changed_rule_is_doubted_no_more(lists: Path) -> None:
    path = lists / "categories" / "kickback.toml"
    text = path.read_text("utf-8")
    path.write_text(text.replace("say = [", 'say = ["新加的说法",', 1), "utf-8")
    before, after = Lexicon.load(WORDLISTS).learned, Lexicon.load(lists).learned
    assert before
    assert after
    assert len(before.judges - after.judges) == 1


def with_model(lexicon: Lexicon, model: Model) -> Lexicon:
    return dataclasses.replace(lexicon, learned=model)


def said(text: str) -> list[Turn]:
    return [Turn("adviser", text)]


def everything(text: str, steps: Sequence[int]) -> dict[str, dict[str, Sequence[int]]]:
    return {"staff": dict.fromkeys(pieces(text), steps)}


def test_a_doubted_violation_stays_as_a_lead_with_the_reason(lexicon: Lexicon) -> None:
    text = "这款保本的"
    doubting = everything(text, (-100, 0, 0))
    model = model_of(doubting, Policy(0.5, 0.1, 1.0), [rule.id for rule in lexicon.rules])
    before = screen(said(text), with_model(lexicon, model_of({}, Policy(0.5, 0.1, 1.0))))
    after = screen(said(text), with_model(lexicon, model))
    assert [one.outcome for one in before] == [Outcome.VIOLATION]
    assert [one.outcome for one in after] == [Outcome.LEAD]
    assert "学习模型" in after[0].explanation
    assert after[0]._replace(outcome=Outcome.VIOLATION, explanation="", confidence=0) == before[
        0
    ]._replace(explanation="", confidence=0)


def test_what_it_cannot_read_it_does_not_doubt(lexicon: Lexicon) -> None:
    judges = [rule.id for rule in lexicon.rules]
    model = model_of({}, Policy(0.5, 0.2, 1.0), judges)
    found = screen(said("这款保本的"), with_model(lexicon, model))
    assert [one.outcome for one in found] == [Outcome.VIOLATION]


def test_a_finding_it_adds_is_marked_and_told_by_its_pieces(lexicon: Lexicon) -> None:
    start = len("您听我说，")
    model = model_of({"staff": {"对账单": (0, 900, 0)}}, Policy(0, 0, 0.5))
    text = f"您听我说，{PLAIN}"
    (one,) = screen(said(text), with_model(lexicon, model))
    assert (one.rule, one.category, one.outcome) == (
        "kickback/learned",
        "kickback",
        Outcome.VIOLATION,
    )
    assert text[one.start : one.end] == one.phrase == "对账单"
    assert one.start > start
    assert "学习模型" in one.explanation
    assert "「对账单」" in one.explanation


def test_a_lead_it_is_sure_of_becomes_a_violation(lexicon: Lexicon) -> None:
    question = [Turn("client", "这个能保本吗？")]
    before = screen(question, with_model(lexicon, model_of({}, Policy(0, 0, 1))))
    sure = model_of({}, Policy(0, 0, 0.5))
    category = before[0].category
    lifting = dataclasses.replace(
        sure, categories=(category, "kickback", "abuse"), bias=(5.0, -9.0, -9.0)
    )
    after = screen(question, with_model(lexicon, lifting))
    assert [one.outcome for one in before] == [Outcome.LEAD]
    assert [one.outcome for one in after] == [Outcome.VIOLATION]
    assert "升为违规" in after[0].explanation


def test_pieces_of_one_promise_sent_apart_are_read_together(lexicon: Lexicon) -> None:
    model = model_of({"staff": {"原|数": (900, 0, 0)}}, Policy(0, 0, 0.5))
    turns = [Turn("adviser", "原"), Turn("adviser", "数奉还了")]
    assert [one.at for one in screen(turns, with_model(lexicon, model))] == [(1,)]


def test_an_answer_is_weighed_by_what_it_answers(lexicon: Lexicon) -> None:
    yes = {"staff_yes_after_other": {"周五": (0, 900, 0)}}
    model = with_model(lexicon, model_of(yes, Policy(0, 0, 0.5)))
    asked = Turn("client", "周五见吗")
    assert [one.at for one in screen([asked, Turn("adviser", "好的")], model)] == [(1,)]
    assert screen([asked, Turn("adviser", "不行")], model) == []


@pytest.mark.parametrize("factor", [1, 4])
def test_what_came_before_is_read_no_further_back_than_a_part(
    factor: int, lexicon: Lexicon
) -> None:
    said_ = hear(lexicon.speech, [Turn("client", "好" * LONG * factor), Turn("adviser", "对")])
    before = message(lexicon, said_, 1).before
    assert before
    assert len(before.symbols) == LONG


def test_no_more_than_a_handful_of_short_messages_is_read_together(lexicon: Lexicon) -> None:
    turns = [Turn("adviser", f"第{at}句") for at in range(200)]
    own = message(lexicon, hear(lexicon.speech, turns), 199).own
    assert own.symbols.count(JOINT) + 1 == _TOGETHER


def test_every_message_belongs_to_blocks_that_exist() -> None:
    for role in ("adviser", "colleague", "client"):
        for before in (None, Heard("client", "好"), Heard("adviser", "好")):
            for manner in ("yes", "no", "short", "long"):
                found = blocks(before, Heard(role, "好"), manner)
                assert {block for block, _ in found} <= set(BLOCKS)


@pytest.mark.parametrize("name", ["aside-b", "aside-d"])
def test_it_earns_its_place_on_cases_it_never_saw(name: str, lexicon: Lexicon) -> None:
    alone = dataclasses.replace(lexicon, learned=None)
    cases = list(read_cases(CASES / f"{name}.jsonl"))
    with_it: Counter[str] = Counter()
    without: Counter[str] = Counter()
    for case in cases:
        with_it += scoring.tally(case, lexicon)
        without += scoring.tally(case, alone)
    assert recall(with_it) >= recall(without) + 0.03
    assert precision(with_it) >= precision(without)


def recall(counts: Counter[str]) -> float:
    return scoring.rate(counts["tp"], counts["tp"] + counts["fn"])


def precision(counts: Counter[str]) -> float:
    return scoring.rate(counts["tp"], counts["tp"] + counts["fp"])
