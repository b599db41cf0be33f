"""What the speaker does with a wording: assert it, deny it, ask it, or report somebody else's words.

Scope is a clause for everyday negation (「不」), the sentence for bans and warnings (「严禁」), and the
words just after the hit for a verdict on it (「…是不可能的」). Look-alike words (「不但」「不用担心」「没问题」) are
masked first. A rhetorical or double negation (「还能不保本」) asserts.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

from app.screening.domain import Role
from app.screening.fold import Folded
from app.screening.match import Hit, sentence_end, sentence_start

Speech = Mapping[str, re.Pattern[str]]
_NEAR_NEGATION = 10  # symbols between a negator and what it negates
_FAR_NEGATION = 32
_VERDICT = 16
_TOUCHING = 2  # symbols between a negator inside a wording and the item it negates
_BARE = 4  # symbols a lone 「不」 or 「没」 reaches; it rather negates the verb beside it
_MASK = "○"
_HEADLINE = 11  # symbols; anything shorter may be a whole chat message
_CLAUSE = re.compile(r"[，。！？\n ]")
_QUOTES = {"“": "”", "「": "」", "『": "』", "《": "》", "‘": "’", '"': '"', "【": "】"}


class Stance(StrEnum):
    """What the speaker does with the wording."""

    ASSERTED = "asserted"
    DENIED = "denied"
    ASKED = "asked"
    REPORTED = "reported"


class Around(NamedTuple):
    """The text round a hit: left and right part of its sentence, of its clause, and the mark after."""

    left: str
    right: str
    clause_left: str
    clause_right: str
    mark: str


def around(folded: Folded, hit: Hit) -> Around:
    """Cut the sentence of a hit."""
    text = folded.text
    end = sentence_end(text, hit.end)
    left = text[sentence_start(text, hit.start) : hit.start]
    right = text[hit.end : end]
    cut = _CLAUSE.search(right)
    clause_right = right[: cut.start()] if cut else right
    after = hit.end + len(clause_right)
    return Around(left, right, _CLAUSE.split(left)[-1], clause_right, text[after : after + 1])


def stance(speech: Speech, folded: Folded, hit: Hit, original: str, role: Role) -> Stance:
    """Judge one hit that `role` wrote; `original` is the text that `folded` was made from."""
    near = around(folded, hit)
    if _rhetorical(speech, near):
        return Stance.ASSERTED
    if hit.rule.negation and (_denied(speech, near) or _denied_inside(speech, folded.text, hit)):
        return Stance.DENIED
    impersonal = hit.rule.topic and _impersonal(speech, near, hit.end - hit.start)
    if impersonal or _quoted(speech, folded, hit, original) or _reported(speech, near):
        return Stance.REPORTED
    if asks(speech, near, folded.text[hit.start : hit.end], role):
        return Stance.ASKED
    return Stance.ASSERTED


def masked(speech: Speech, text: str) -> str:
    """Blank out words that look like negators and are none; the length stays."""
    return speech["traps"].sub(lambda found: _MASK * len(found[0]), text)


def _rhetorical(speech: Speech, near: Around) -> bool:
    found = None
    for found in speech["rhetorical"].finditer(near.clause_left):  # noqa: B007  the last one counts
        pass
    return found is not None and len(near.clause_left) - found.end() <= 3  # noqa: PLR2004


def _denied(speech: Speech, near: Around) -> bool:
    return (
        _negated(speech, near)
        or _condemned(speech, near)
        or _banned(speech, near)
        or _warned(speech, near)
    )


def _denied_inside(speech: Speech, text: str, hit: Hit) -> bool:
    """Whether a negator stands between two items, in the clause of the later one (公司不会垫付)."""
    gaps = (text[end:start] for (_, end), (start, _) in pairwise(hit.items))
    return any(
        len(left) - found.end() <= (_TOUCHING if len(found[0]) == 1 else _TOUCHING * 3)
        for left in (masked(speech, _CLAUSE.split(gap)[-1]) for gap in gaps)
        for found in speech["negators"].finditer(left)
    )


def _warned(speech: Speech, near: Around) -> bool:
    sentence = masked(speech, near.left) + _MASK + near.right
    return any(
        not speech["negators"].search(sentence[max(0, found.start() - 2) : found.start()])
        for found in speech["warnings"].finditer(sentence)
    )


def _negated(speech: Speech, near: Around) -> bool:
    return _governs(speech, "negators", masked(speech, near.clause_left), _NEAR_NEGATION)


def _banned(speech: Speech, near: Around) -> bool:
    return _governs(speech, "bans", masked(speech, near.left), _FAR_NEGATION)


def _governs(speech: Speech, kind: str, left: str, reach: int) -> bool:
    """Whether a word of `kind` stands at most `reach` before the end with no turn of thought between."""
    for found in speech[kind].finditer(left):
        between = left[found.end() :]
        far = reach if len(found[0]) > 1 else min(reach, _BARE)
        if len(between) <= far and not speech["turns"].search(between):
            return True
    return False


def _condemned(speech: Speech, near: Around) -> bool:
    right = near.right[:_VERDICT]
    found = speech["verdicts"].search(right)
    if not found:
        return False
    return not speech["turns"].search(right[: found.start()])


def _reported(speech: Speech, near: Around) -> bool:
    return _governs(speech, "reports", masked(speech, near.clause_left), _NEAR_NEGATION)


def _impersonal(speech: Speech, near: Around, size: int) -> bool:
    """Whether the sentence speaks to nobody, as headlines and statutes do."""
    sentence = near.left + near.right
    long = len(sentence) + size >= _HEADLINE
    return long and not speech["personal"].search(sentence)


def _quoted(speech: Speech, folded: Folded, hit: Hit, original: str) -> bool:
    """Whether the whole hit stands in one pair of quotation marks and is spoken about."""
    first, last = folded.starts[hit.start], folded.ends[hit.end - 1]
    low = max(0, first - _FAR_NEGATION)
    for at in range(first - 1, low - 1, -1):
        if original[at] in _QUOTES.values() and original[at] != '"':
            return False
        closing = _QUOTES.get(original[at])
        if closing:
            end = original.find(closing, at + 1, last + _FAR_NEGATION)
            about = original[max(0, at - 12) : at] + original[end + 1 : end + 13]
            return end >= last and (closing == "》" or bool(speech["about_words"].search(about)))
    return False


def asks(speech: Speech, near: Around, wording: str, role: Role) -> bool:
    """Whether the clause of a hit is a question; a client's tone asks with less."""
    clause = near.clause_left + wording + near.clause_right
    if speech["leading_questions"].search(near.clause_left):
        return False
    if interrogative(speech, clause, role):
        return True
    return near.mark == "？" and len(near.clause_right) <= _NEAR_NEGATION


def interrogative(speech: Speech, clause: str, role: Role) -> bool:
    """Whether a clause without its closing mark asks something."""
    own = ("asks_at_end", "client_asks_at_end") if role == "client" else ("asks_at_end",)
    inside = ("asks_inside", "client_asks_inside") if role == "client" else ("asks_inside",)
    tail = clause[-2:]
    ends = any(tail.endswith(found[0]) for name in own for found in speech[name].finditer(tail))
    return ends or any(speech[name].search(clause) for name in inside)
