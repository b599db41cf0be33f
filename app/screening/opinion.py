"""The learned model's word on what the rules found: confirm, doubt, lift, or add. Pure.

A doubted violation stays on record as a lead; nothing a rule found is dropped. Rules that were written or changed
after the model was trained are never doubted: it does not know them.
"""

from collections.abc import Container, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from app.screening import affirm, learned
from app.screening.dialogue import PAUSE, Said
from app.screening.domain import Finding, Outcome, Role
from app.screening.explain import WHO
from app.screening.fold import Folded
from app.screening.learned import SHORT, Heard, Message, Model, Opinion, Policy
from app.screening.lexicon import Category, Lexicon
from app.screening.match import read_again

RULE = "learned"  # the rule named by what the model alone has found, after its category
_TOGETHER = 8  # short messages in a row that are read together at most
_FEW = 2  # symbols that say nothing when nothing came before
_SHOWN = 24  # symbols between the first and the last telling piece that are marked together


class Judged(NamedTuple):
    """A message as it was said, as the model reads it, and what the model makes of it."""

    said: Said
    read: Message
    opinion: Opinion


def reviewed(lexicon: Lexicon, said: Sequence[Said], found: Sequence[Finding]) -> list[Finding]:
    """The findings as they stand after the second opinion, in no order; unchanged without a model."""
    if lexicon.learned is None:
        return list(found)
    return weighed(lexicon, lexicon.learned.policy, judged(lexicon, lexicon.learned, said), found)


def judged(lexicon: Lexicon, model: Model, said: Sequence[Said]) -> list[Judged]:
    """What the model makes of each message."""
    read = (message(lexicon, said, at) for at in range(len(said)))
    return [Judged(one, each, _opinion(model, each)) for one, each in zip(said, read, strict=True)]


def weighed(
    lexicon: Lexicon, policy: Policy, heard: Sequence[Judged], found: Sequence[Finding]
) -> list[Finding]:
    """The findings of the rules as a policy makes them stand, and what it adds."""
    judges = lexicon.learned.judges if lexicon.learned else frozenset()
    kept = [_weighed(policy, judges, one, [heard[at] for at in one.at]) for one in found]
    return [*kept, *_added(lexicon, policy, heard, kept)]


def _weighed(
    policy: Policy, judges: Container[str], one: Finding, carriers: Sequence[Judged]
) -> Finding:
    chance = max(each.opinion.chances.get(one.category, 0.0) for each in carriers)
    if one.outcome is Outcome.LEAD and chance >= policy.add:
        why = f"{one.explanation}学习模型判断属违规（{chance:.0%}），由线索升为违规。"
        return one._replace(outcome=Outcome.VIOLATION, explanation=why, confidence=round(chance, 2))
    doubtful = one.rule in judges and chance < policy.keep and _can_doubt(policy, one, carriers)
    if one.outcome is Outcome.VIOLATION and doubtful:
        why = f"{one.explanation}学习模型判断更像正常表述（违规可能 {chance:.0%}），降为线索。"
        return one._replace(outcome=Outcome.LEAD, explanation=why, confidence=round(chance, 2))
    return one


def _can_doubt(policy: Policy, one: Finding, carriers: Sequence[Judged]) -> bool:
    """Whether the model knows the words of every message and has heard the wording itself."""
    wording = learned.symbols(one.canonical)
    return all(each.opinion.familiarity >= policy.familiar for each in carriers) and any(
        wording in each.read.own.symbols or _in(wording, each.read.before) for each in carriers
    )


def _in(wording: str, before: Heard | None) -> bool:
    """Whether a wording stands in what came before; further back the model does not look."""
    return before is not None and wording in before.symbols


def _added(
    lexicon: Lexicon, policy: Policy, heard: Sequence[Judged], known: Sequence[Finding]
) -> Iterator[Finding]:
    taken = {
        (at, one.category) for one in known if one.outcome is Outcome.VIOLATION for at in one.at
    }
    for at, one in enumerate(heard):
        for slug, chance in one.opinion.chances.items():
            if chance < policy.add or slug not in lexicon.categories:
                continue
            if taken.isdisjoint({(at, slug), (at - 1, slug)}) and _can_tell(policy, one):
                yield _finding(lexicon, one, lexicon.categories[slug], chance)
            taken.add((at, slug))


def _can_tell(policy: Policy, one: Judged) -> bool:
    """Whether a message says enough, by itself or as an answer, in words that the model knows."""
    says_enough = one.read.before is not None or len(one.read.own.symbols) > _FEW
    return says_enough and one.opinion.familiarity >= policy.familiar


def _finding(lexicon: Lexicon, judged_: Judged, category: Category, chance: float) -> Finding:
    one = judged_.said
    reasons = lexicon.learned.reasons(judged_.read, category.slug) if lexicon.learned else []
    folded = read_again(lexicon, one.text, one.role) or lexicon.fold.full(one.text)
    start, end = _place(folded, [piece for block, piece in reasons if block in learned.OWN])
    words = "、".join(f"「{_shown(piece)}」" for _, piece in reasons)
    phrase = one.text[start:end]
    return Finding(
        at=(one.at,),
        message=one.at,
        category=category.slug,
        outcome=Outcome.VIOLATION,
        severity=category.severity,
        start=one.start + start,
        end=one.start + end,
        phrase=phrase,
        canonical=phrase,
        evasion=next((kind for kind in folded.kinds if kind), None),
        rule=f"{category.slug}/{RULE}",
        lexicon_version=lexicon.version,
        explanation=f"{WHO[one.role]}说「{' '.join(phrase.split())}」，学习模型判断属于{category.name}"
        f"（{chance:.0%}），主要依据 {words}。",
        basis=category.basis,
        suggestion=category.suggestion,
        confidence=round(chance, 2),
    )


def _place(folded: Folded, telling: Sequence[str]) -> tuple[int, int]:
    """Where the telling pieces stand in the original text; all of it when none can be shown."""
    spots: list[tuple[int, int]] = []
    for piece in telling:
        bare = _shown(piece)
        at = folded.text.find(bare) if bare else -1
        near = at >= 0 and all(abs(at - start) <= _SHOWN for start, _ in spots)
        if near:
            spots.append((at, at + len(bare)))
    if not spots:
        return (folded.starts[0], folded.ends[-1]) if folded.text else (0, 0)
    first, last = min(start for start, _ in spots), max(end for _, end in spots)
    return folded.starts[first], folded.ends[last - 1]


def _shown(piece: str) -> str:
    return piece.strip(learned.OPENS + learned.CLOSES)


def _opinion(model: Model, one: Message) -> Opinion:
    is_long = len(one.own.symbols) > learned.LONG
    return model.opinion(one) if is_long else _opinion_again(model, one)


@lru_cache(maxsize=4_096)
def _opinion_again(model: Model, one: Message) -> Opinion:
    return model.opinion(one)


def message(lexicon: Lexicon, said: Sequence[Said], at: int) -> Message:
    """A message as the model reads it, and what it answers: the quoted message, else the one before.

    Short messages that one speaker sends in a row are read together, up to the one at hand.
    """
    one = said[at]
    texts, first = [_symbols(lexicon, one.text, one.role)], at
    while first and len(texts[-1]) <= SHORT and len(texts) < _TOGETHER:
        earlier = _symbols(lexicon, said[first - 1].text, one.role)
        if len(earlier) > SHORT or not _goes_on(said[first - 1], said[first]):
            break
        texts.append(earlier)
        first -= 1
    own = Heard(one.role, learned.JOINT.join(reversed(texts)))
    before = _before(lexicon, said[first], said[first - 1] if first else None)
    return Message(before, own, _manner(lexicon, own.symbols))


def _goes_on(last: Said, one: Said) -> bool:
    same = (one.role, one.speaker) == (last.role, last.speaker)
    return same and not one.quote and one.sent_at - last.sent_at <= PAUSE


def _before(lexicon: Lexicon, one: Said, last: Said | None) -> Heard | None:
    if one.quote:
        return _context(lexicon, one.quote, "client")
    if last is None or one.sent_at - last.sent_at > affirm.LAPSE:
        return None
    return _context(lexicon, last.text, last.role)


def _context(lexicon: Lexicon, text: str, role: Role) -> Heard:
    return Heard(role, _symbols(lexicon, text, role)[-learned.LONG :])


def _manner(lexicon: Lexicon, text: str) -> str:
    opens = affirm.opening(lexicon.speech, text)
    if opens is not None:
        return "yes" if opens else "no"
    return "short" if len(text) <= SHORT else "long"


def _symbols(lexicon: Lexicon, text: str, role: Role) -> str:
    folded = read_again(lexicon, text, role)
    return learned.symbols(lexicon.fold.plain(text) if folded is None else folded.text)
