"""A compliant wording of the very sentence that was found, where one can be made. Pure.

What claims too much is replaced by what may be said instead, or left out where nothing need be said. A wording is
offered only when the check itself finds nothing in it; otherwise the category's approved wording stands.
"""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

INSTEAD = {  # what the product room may say in place of a claim; categories not named are left to their own wording
    "principal_guarantee": "不保证本金，可能亏损",
    "exaggerated_yield": "收益不确定，过往业绩不预示未来表现",
    "rigid_redemption": "以信托财产为限分配，不存在刚性兑付",
    "risk_denial": "有投资风险，请先阅读风险揭示书",
    "deposit_comparison": "不是存款，收益和本金均不保证",
}
LEFT_OUT = frozenset({"superlative", "urgency", "disparagement"})  # the sentence stands without it
_SENTENCE = re.compile(r"[^。！？!?\n；;]+[。！？!?\n；;]*")
_CLAUSE = re.compile(r"[^，,、 ]+[，,、 ]*")
_ENDING = re.compile(r"[。！？!?\n；;，,、 ]+$")
_SUBJECT = re.compile(
    r"^.{0,8}?(这款|这个|该|本|那款|咱们这个|我们的|这只|这期)?(产品|信托|基金|理财|计划|项目)"
)
_LEAST = 4  # characters of a sentence worth sending
_ROUNDS = 3


class Span(NamedTuple):
    """A place in the text and the category found there."""

    start: int
    end: int
    category: str


Look = Callable[[str], Sequence[Span]]


def rewrites(text: str, spans: Sequence[Span], look: Look) -> dict[Span, str]:
    """The sentence of each span as it may be said; spans without one are left out. `look` checks a text."""
    found: dict[Span, str] = {}
    for match in _SENTENCE.finditer(text):
        own = [each for each in spans if match.start() <= each.start < match.end()]
        if not own:
            continue
        shift = match.start()
        inside = [Span(each.start - shift, each.end - shift, each.category) for each in own]
        said = _sentence(match[0].rstrip("\n"), inside, look)
        if said:
            found |= dict.fromkeys(own, said)
    return found


def _sentence(sentence: str, spans: Sequence[Span], look: Look) -> str | None:
    said = sentence
    for _ in range(_ROUNDS):
        if not all(each.category in INSTEAD or each.category in LEFT_OUT for each in spans):
            return None
        said = _clauses(said, spans)
        if len(_ENDING.sub("", said)) < _LEAST:
            return None
        spans = look(said)
        if not spans:
            return said
    return None


def _clauses(sentence: str, spans: Sequence[Span]) -> str:
    """The clauses nobody objects to, and once for each category what may be said instead."""
    ending = _ENDING.search(sentence)
    kept: list[str] = []
    told: set[str] = set()
    for clause in _CLAUSE.finditer(sentence):
        own = [each for each in spans if each.start < clause.end() and each.end > clause.start()]
        if not own:
            kept.append(_ENDING.sub("", clause[0]))
            continue
        subject = _SUBJECT.match(clause[0])
        before = subject[0] if subject else ""
        for each in own:
            instead = INSTEAD.get(each.category)
            if instead and each.category not in told and instead not in sentence:
                kept.append(before + instead)
                before = ""
            told.add(each.category)
    mark = ending[0].strip("，,、 ") if ending else ""
    return "，".join(part for part in kept if part) + (mark or "。")
