"""`screen`: from a window of one conversation to findings. Pure and deterministic.

fold → match → confirm → decide → explain, on every run of messages of one speaker; then the
questions that staff answered with a yes, the requests that a colleague agreed to, and the
second opinion of the learned model.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from app.screening import affirm
from app.screening.affirm import Question
from app.screening.decide import Stance, around, interrogative, stance
from app.screening.dialogue import Run, Said, hear, may_quote, runs
from app.screening.domain import Finding, Outcome, Role, Turn
from app.screening.explain import Decided, finding
from app.screening.fold import Folded
from app.screening.lexicon import STAFF, Category, Lexicon
from app.screening.match import Hit, hits, read_again
from app.screening.opinion import reviewed

_CLAUSE = re.compile(r"[，。！？\n ]")
_REST = 200  # symbols after a question that are looked at for another one
_REMEMBERED = 1_000  # characters of a text whose reading is kept
_AT_ONCE = 32  # hits looked at together at one place of a text


class Judged(NamedTuple):
    """A confirmed hit and what its speaker does with it."""

    run: Run
    folded: Folded
    hit: Hit
    stance: Stance
    category: Category


def screen(window: Sequence[Turn], lexicon: Lexicon) -> list[Finding]:
    """Find what must be alerted or recorded in one conversation window, in order of place."""
    if len(window) == 1 and lexicon.learned is None and _says_nothing(lexicon, window[0]):
        return []
    said = hear(lexicon.speech, window)
    judged = [one for run in _all_runs(said) for one in _judge(lexicon, run)]
    found = _found(lexicon, said, judged) if judged else []
    return sorted(reviewed(lexicon, said, found), key=_order)


def _found(lexicon: Lexicon, said: Sequence[Said], judged: Sequence[Judged]) -> list[Finding]:
    decided = [one for one in map(_decide, judged) if one]
    answered = _answered(lexicon, judged, said)
    kept = _standing_alone(_strongest([*decided, *answered]))
    agreed = (_agreed(lexicon, one, said) for one in kept)
    return [finding(lexicon, one) for one in agreed]


def _says_nothing(lexicon: Lexicon, turn: Turn) -> bool:
    """Whether a message that quotes nothing holds no wording of any rule."""
    if len(turn.text) > _REMEMBERED or may_quote(turn.text):
        return False
    return not _find_again(lexicon, turn.text, turn.role)[1]


def _all_runs(said: Sequence[Said]) -> Iterable[Run]:
    yield from runs(said)
    for one in said:
        if one.quote and one.role in STAFF:
            quoted = one._replace(role="client", speaker="\0", text=one.quote, filler=False)
            yield Run("client", "\0", (quoted,), one.quote, (0,))


def _judge(lexicon: Lexicon, run: Run) -> list[Judged]:
    find = _find_again if len(run.text) <= _REMEMBERED else _find
    folded, found = find(lexicon, run.text, run.role)
    if folded is None:
        return []
    return [
        Judged(
            run,
            folded,
            hit,
            _stance(lexicon, run, folded, hit),
            lexicon.categories[hit.rule.category],
        )
        for hit in found
    ]


def _find(lexicon: Lexicon, text: str, role: Role) -> tuple[Folded | None, Sequence[Hit]]:
    """The text as it is read, and the confirmed hits in it."""
    folded = read_again(lexicon, text, role)
    return folded, () if folded is None else _distinct(folded, hits(lexicon, folded, role))


_find_again = lru_cache(maxsize=2_048)(
    _find
)  # a message is read anew in the window of each that follows


def _distinct(folded: Folded, found: Sequence[Hit]) -> list[Hit]:
    """Drop what a longer wording of another category in the same clause says: 「不赔」 in 「稳赚不赔」."""
    kept: list[Hit] = []
    wide: list[Hit] = []  # the hits that can still hold one that starts later; few at any place
    for hit in found:
        wide = [one for one in wide if one.end > hit.start]
        if not any(_swallows(one, hit) for one in wide):
            kept.append(hit)
        if len(wide) < _AT_ONCE and not _CLAUSE.search(folded.text, hit.start, hit.end):
            wide.append(hit)
    return kept


def _swallows(one: Hit, hit: Hit) -> bool:
    longer = one.end - one.start > hit.end - hit.start
    stronger = longer or (one.pattern.literal and not hit.pattern.literal)
    apart = one.rule.category != hit.rule.category and not hit.rule.act
    return stronger and hit.end <= one.end + 1 and (apart or one.pattern.literal)


def _stance(lexicon: Lexicon, run: Run, folded: Folded, hit: Hit) -> Stance:
    judged = stance(lexicon.speech, folded, hit, run.text, run.role)
    if run.role == "client" and judged is Stance.ASSERTED and _elsewhere(lexicon, folded, hit):
        return Stance.REPORTED
    return judged


def _elsewhere(lexicon: Lexicon, folded: Folded, hit: Hit) -> bool:
    """Whether somebody else's offer is spoken about (隔壁银行说他们的保本)."""
    left = around(folded, hit).left
    return bool(lexicon.speech["others"].search(left)) and not lexicon.speech["ours"].search(left)


def _decide(one: Judged) -> Decided | None:
    outcome = _client_outcome(one) if one.run.role == "client" else _staff_outcome(one)
    if outcome is None or one.run.speaker == "\0":
        return None
    return Decided(one.run, one.folded, one.hit, outcome)


def _staff_outcome(one: Judged) -> Outcome | None:
    if one.hit.rule.ask or one.run.role not in one.hit.rule.by:
        return None
    asserted = one.stance is Stance.ASSERTED or (one.category.act and one.stance is Stance.ASKED)
    if not asserted:
        return None
    return Outcome.LEAD if one.hit.rule.lead else Outcome.VIOLATION


def _client_outcome(one: Judged) -> Outcome | None:
    rule = one.hit.rule
    if "client" not in rule.by and rule.by != STAFF and not rule.ask:
        return None
    if one.stance is Stance.DENIED and not rule.ask:
        return None
    if one.stance is Stance.REPORTED:
        return None
    if "client" not in rule.by or rule.lead or rule.ask:
        return Outcome.LEAD
    asked = one.stance is Stance.ASKED and rule.negation
    if asked or not one.category.two_sided:
        return Outcome.LEAD
    return Outcome.VIOLATION


def _answered(lexicon: Lexicon, judged: Sequence[Judged], said: Sequence[Said]) -> list[Decided]:
    complaining = {id(one.run) for one in judged if one.hit.rule.category == "complaint_intent"}
    found = []
    for one in judged:
        if id(one.run) in complaining or not _is_question(one) or _asks_on(lexicon, one):
            continue
        given = (
            affirm.answer(lexicon.speech, lexicon.fold, _question(lexicon, one), said)
            if one.run.speaker != "\0"
            else _quoted_answer(lexicon, one, said)
        )
        if given:
            found.append(_affirmed(one, given))
    return found


def _is_question(one: Judged) -> bool:
    if one.run.role == "client":
        return _client_outcome(one) is not None and not one.hit.rule.lead
    return one.stance is Stance.ASKED and not one.category.act


def _asks_on(lexicon: Lexicon, one: Judged) -> bool:
    """Whether the speaker goes on to ask about something else, so that a yes belongs to that."""
    start = one.hit.end + len(around(one.folded, one.hit).clause_right)
    rest = one.folded.text[start : start + _REST]
    rest = rest.strip("，。！？\n ")
    if len(rest) < 4:  # noqa: PLR2004
        return False
    return "？" in rest or interrogative(lexicon.speech, rest, "adviser") or rest[-1] in "没不"


def _question(lexicon: Lexicon, one: Judged) -> Question:
    near = around(one.folded, one.hit)
    wording = one.folded.text[one.hit.start : one.hit.end]
    touched = one.run.messages(one.folded.starts[one.hit.start], one.folded.ends[one.hit.end - 1])
    return Question(
        category=one.category.slug,
        wording=near.clause_left + wording + near.clause_right,
        by_denial=one.hit.rule.denied_by,
        either=not one.hit.rule.denied_by and bool(lexicon.speech["inner_no"].search(wording)),
        asker=(one.run.role, one.run.speaker),
        at=touched[-1].at,
    )


def _quoted_answer(lexicon: Lexicon, one: Judged, said: Sequence[Said]) -> Said | None:
    at = one.run.said[0].at
    verdict = affirm.judge(lexicon.speech, lexicon.fold, _question(lexicon, one), said[at].text)
    return said[at] if verdict else None


def _affirmed(one: Judged, given: Said) -> Decided:
    return Decided(one.run, one.folded, one.hit, Outcome.VIOLATION, answer=given)


def _agreed(lexicon: Lexicon, one: Decided, said: Sequence[Said]) -> Decided:
    """Add the message of a colleague who agrees to an improper request."""
    if one.outcome is not Outcome.VIOLATION or one.answer or one.run.role == "client":
        return one
    last = one.run.said[-1].at
    question = Question(
        "", "", by_denial=False, either=False, asker=(one.run.role, one.run.speaker), at=last
    )
    given = affirm.answer(lexicon.speech, lexicon.fold, question, said)
    return one._replace(also=(given.at,)) if given else one


def _strongest(decided: Sequence[Decided]) -> list[Decided]:
    """Of overlapping hits of one category in one message keep one: violations first, then the longest."""
    ranked = sorted(
        decided,
        key=lambda d: (d.outcome != "violation", d.answer is not None, -_size(d), d.hit.start),
    )
    taken: dict[tuple[int, str, object], set[int]] = {}
    kept: list[Decided] = []
    for one in ranked:
        place = range(1) if one.answer else range(one.hit.start, one.hit.end)
        key = (id(one.run), one.hit.rule.category, one.answer and one.answer.at)
        here = taken.setdefault(key, set())
        if here.isdisjoint(place):
            here.update(place)
            kept.append(one)
    return kept


def _standing_alone(decided: Sequence[Decided]) -> list[Decided]:
    """Drop reassurance and urging that only go along with a promise in the same message."""
    firm = {
        (id(one.run), said.at)
        for one in decided
        if one.outcome is Outcome.VIOLATION and not one.hit.rule.attached
        for said in _said_in(one)
    }
    return [
        one
        for one in decided
        if not one.hit.rule.attached
        or one.answer
        or not any((id(one.run), said.at) in firm for said in _said_in(one))
    ]


def _said_in(one: Decided) -> tuple[Said, ...]:
    return one.run.messages(one.folded.starts[one.hit.start], one.folded.ends[one.hit.end - 1])


def _size(one: Decided) -> int:
    return one.hit.end - one.hit.start


def _order(one: Finding) -> tuple[int, int, int, str, str]:
    return (one.at[0], one.start, one.end, one.category, one.rule)
