"""Runs the sentences that every rule carries: those it must find and those it must leave alone."""

import dataclasses
import re
import tomllib
from collections.abc import Iterator
from typing import NamedTuple

from app.screening.domain import Outcome, Role, Turn
from app.screening.lexicon import Lexicon, Rule
from app.screening.screen import screen
from app.screening.wordfiles import Files

_ROLES: dict[str, Role] = {"客户": "client", "员工": "adviser", "同事": "colleague"}
_STEP = 5_000  # ms between the messages of an example


class Failure(NamedTuple):
    """An example that does not hold: `expected` is `match` or `no_match`."""

    file: str
    line: int
    rule: str
    sentence: str
    expected: str


class Verdict(NamedTuple):
    """How the examples of a version went."""

    examples: int
    failures: tuple[Failure, ...]


def window(example: str) -> list[Turn]:
    """Read 「客户：… → 员工：…」 as messages; the adviser speaks where nobody is named."""
    return [_turn(at, part.strip()) for at, part in enumerate(example.split("→"))]


def run(lexicon: Lexicon, files: Files) -> Verdict:
    """Run every example of every rule; the learned model, which knows them, has no say."""
    lexicon = dataclasses.replace(lexicon, learned=None)
    count = sum(len(rule.match) + len(rule.no_match) for rule in lexicon.rules)
    places = {slug: path for path, slug in _slugs(files)}
    failures = tuple(
        Failure(
            path := places[rule.category],
            _line(files[path], rule, sentence, expected),
            rule.id,
            sentence,
            expected,
        )
        for rule in lexicon.rules
        for sentence, expected in _failing(lexicon, rule)
    )
    return Verdict(count, failures)


def _failing(lexicon: Lexicon, rule: Rule) -> Iterator[tuple[str, str]]:
    yield from ((each, "match") for each in rule.match if not _is_found(lexicon, rule, each))
    yield from ((each, "no_match") for each in rule.no_match if _is_alarm(lexicon, rule, each))


def _is_found(lexicon: Lexicon, rule: Rule, sentence: str) -> bool:
    """Whether the rule's category is found; as a violation unless the rule only ever gives leads."""
    is_weak = rule.ask or rule.lead
    return any(
        each.category == rule.category and (is_weak or each.outcome is Outcome.VIOLATION)
        for each in screen(window(sentence), lexicon)
    )


def _is_alarm(lexicon: Lexicon, rule: Rule, sentence: str) -> bool:
    return any(
        each.category == rule.category and each.outcome is Outcome.VIOLATION
        for each in screen(window(sentence), lexicon)
    )


def _turn(at: int, part: str) -> Turn:
    who, colon, text = part.partition("：")
    if colon and who in _ROLES:
        return Turn(_ROLES[who], text, "", at * _STEP)
    return Turn("adviser", part, "", at * _STEP)


def _slugs(files: Files) -> Iterator[tuple[str, str]]:
    for path, text in files.items():
        if path.startswith("categories/"):
            yield path, str(tomllib.loads(text.removeprefix("\ufeff"))["category"])


def _line(text: str, rule: Rule, sentence: str, expected: str) -> int:
    """The line of a sentence in the list `expected` of its rule."""
    at = 0
    key = re.escape(rule.id.partition("/")[2])
    begins = rf"""^[ \t]*id\s*=\s*["']{key}["']"""
    for place in (begins, rf"^[ \t]*{expected}\s*=", re.escape(sentence)):
        found = re.compile(place, re.MULTILINE).search(text, at)
        at = found.start() if found else at
    return text.count("\n", 0, at) + 1
