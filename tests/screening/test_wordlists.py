"""Every rule's own examples, as the word lists write them."""

from pathlib import Path
from typing import get_args

import pytest

from app.screening import Lexicon, Role, Rule, Turn, screen

LEXICON = Lexicon.load(Path(__file__).parents[2] / "wordlists")
ROLES = dict(zip(("员工", "客户", "同事"), get_args(Role), strict=True))


def window(example: str) -> list[Turn]:
    """Read an example of the word lists: 「客户：… → 员工：…」, the adviser when nobody is named."""
    return [_turn(part.strip(), at) for at, part in enumerate(example.split("→"))]


def _turn(part: str, at: int) -> Turn:
    who, _, text = part.partition("：")
    role = ROLES.get(who)
    return Turn(role, text, "", at * 5_000) if role else Turn("adviser", part, "", at * 5_000)


RULES = [pytest.param(rule, id=rule.id) for rule in LEXICON.rules]


@pytest.mark.parametrize("rule", RULES)
def test_match_examples_are_found(rule: Rule) -> None:
    for example in rule.match:
        found = screen(window(example), LEXICON)
        weak = rule.ask or rule.lead
        assert any(
            one.category == rule.category and (weak or one.outcome == "violation") for one in found
        ), example


@pytest.mark.parametrize("rule", RULES)
def test_no_match_examples_raise_nothing(rule: Rule) -> None:
    for example in rule.no_match:
        found = screen(window(example), LEXICON)
        alarms = [
            one for one in found if one.category == rule.category and one.outcome == "violation"
        ]
        assert alarms == [], example


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_examples_of_both_kinds(rule: Rule) -> None:
    assert rule.match
    assert rule.no_match


def test_a_rule_id_stands_for_one_rule() -> None:
    ids = [rule.id for rule in LEXICON.rules]
    assert len(ids) == len(set(ids))


def test_every_basis_has_source_and_date() -> None:
    assert all(category.basis for category in LEXICON.categories.values())
