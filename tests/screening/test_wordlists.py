"""Every rule's own examples, as the word lists write them."""

import importlib.util
from pathlib import Path

import pytest

from app.screening import Lexicon, Rule, screen

_spec = importlib.util.spec_from_file_location("screening_conftest", Path(__file__).with_name("conftest.py"))
assert _spec
assert _spec.loader
_helpers = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_helpers)
window = _helpers.window
LEXICON = Lexicon.load(_helpers.WORDLISTS)
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
        alarms = [one for one in found if one.category == rule.category and one.outcome == "violation"]
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
