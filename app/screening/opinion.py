"""The learned model's word on what the rules found: confirm, doubt, lift, or add. Pure.

A doubted violation stays on record as a lead; nothing a rule found is dropped. Rules that were written or changed
after the model was trained are never doubted: it does not know them.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from app.screening import affirm, learned
from app.screening.dialogue import PAUSE, Said
from app.screening.domain import Finding, Outcome, Role
from app.screening.explain import WHO
from app.screening.fold import Folded
from app.screening.learned import SHORT, Heard, Message, Model
from app.screening.lexicon import Category, Lexicon
from app.screening.match import read_again

RULE = "learned"  # the rule named by what the model alone has found, after its category
_FEW = 2  # symbols that say nothing when nothing came before
_SHOWN = 24  # symbols between the first and the last telling piece that are marked together
Chances = Sequence[Mapping[str, float]]


def reviewed(lexicon: Lexicon, said: Sequence[Said], found: Sequence[Finding]) -> list[Finding]:
    """The findings as they stand after the second opinion, in order of place; unchanged without a model."""
    model = lexicon.learned
    if model is None:
        return list(found)
    heard = [message(lexicon, said, at) for at in range(len(said))]
    chances = [_chances(model, one) for one in heard]
    return weighed(lexicon, model, said, heard, found, chances)


def weighed(
    lexicon: Lexicon,
    model: Model,
    said: Sequence[Said],
    heard: Sequence[Message],
    found: Sequence[Finding],
    chances: Chances,
) -> list[Finding]:
    """The findings of the rules as the model's policy makes them stand."""
    kept = [_weighed(model, one, heard, chances) for one in found]
    added = _added(lexicon, model, said, heard, kept, chances)
    return sorted(
        [*kept, *added], key=lambda one: (one.at[0], one.start, one.end, one.category, one.rule)
    )


def _weighed(model: Model, one: Finding, heard: Sequence[Message], chances: Chances) -> Finding:
    chance = max(chances[at].get(one.category, 0.0) for at in one.at)
    if one.outcome is Outcome.LEAD and chance >= model.policy.add:
        why = f"{one.explanation}学习模型判断属违规（{chance:.0%}），由线索升为违规。"
        return one._replace(outcome=Outcome.VIOLATION, explanation=why, confidence=round(chance, 2))
    if one.outcome is Outcome.VIOLATION and _doubted(model, one, heard, chance):
        why = f"{one.explanation}学习模型判断更像正常表述（违规可能 {chance:.0%}），降为线索。"
        return one._replace(outcome=Outcome.LEAD, explanation=why, confidence=round(chance, 2))
    return one


def _doubted(model: Model, one: Finding, heard: Sequence[Message], chance: float) -> bool:
    policy = model.policy
    if one.rule not in model.judges or chance >= policy.keep:
        return False
    wording = learned.symbols(one.canonical)
    return all(model.familiarity(heard[at].own) >= policy.familiar for at in one.at) and any(
        wording in heard[at].own.symbols or _in(wording, heard[at].before) for at in one.at
    )


def _in(wording: str, before: Heard | None) -> bool:
    """Whether a wording stands in what came before; further back the model does not look."""
    return before is not None and wording in before.symbols


def _added(
    lexicon: Lexicon,
    model: Model,
    said: Sequence[Said],
    heard: Sequence[Message],
    known: Sequence[Finding],
    chances: Chances,
) -> Iterator[Finding]:
    taken = {
        (at, one.category) for one in known if one.outcome is Outcome.VIOLATION for at in one.at
    }
    for at, each in enumerate(chances):
        for slug, chance in each.items():
            if chance < model.policy.add or slug not in lexicon.categories:
                continue
            is_new = taken.isdisjoint({(at, slug), (at - 1, slug)})
            if is_new and _can_tell(model, heard[at]):
                reasons = model.reasons(heard[at], slug)
                yield _finding(lexicon, said[at], lexicon.categories[slug], chance, reasons)
            taken.add((at, slug))


def _can_tell(model: Model, one: Message) -> bool:
    """Whether a message says enough, by itself or as an answer, in words that the model knows."""
    says_enough = one.before is not None or len(one.own.symbols) > _FEW
    return says_enough and model.familiarity(one.own) >= model.policy.familiar


def _finding(
    lexicon: Lexicon,
    one: Said,
    category: Category,
    chance: float,
    reasons: Sequence[tuple[str, str]],
) -> Finding:
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


def _chances(model: Model, one: Message) -> Mapping[str, float]:
    is_long = len(one.own.symbols) > learned.LONG
    return model.chances(one) if is_long else _chances_again(model, one)


@lru_cache(maxsize=4_096)
def _chances_again(model: Model, one: Message) -> Mapping[str, float]:
    return model.chances(one)


def message(lexicon: Lexicon, said: Sequence[Said], at: int) -> Message:
    """A message as the model reads it, and what it answers: the quoted message, else the one before.

    Short messages that one speaker sends in a row are read together, up to the one at hand.
    """
    one = said[at]
    texts, first = [_symbols(lexicon, one.text, one.role)], at
    while len(texts[0]) <= SHORT and _goes_on(said, first):
        earlier = _symbols(lexicon, said[first - 1].text, one.role)
        if len(earlier) > SHORT:
            break
        texts.insert(0, earlier)
        first -= 1
    own = Heard(one.role, learned.JOINT.join(texts))
    before = _before(lexicon, said[first], said[first - 1] if first else None)
    return Message(before, own, _manner(lexicon, own.symbols))


def _goes_on(said: Sequence[Said], at: int) -> bool:
    one, last = said[at], said[at - 1]
    same = (one.role, one.speaker) == (last.role, last.speaker)
    return at > 0 and same and not one.quote and one.sent_at - last.sent_at <= PAUSE


def _before(lexicon: Lexicon, one: Said, last: Said | None) -> Heard | None:
    if one.quote:
        return Heard("client", _symbols(lexicon, one.quote, "client"))
    if last is None or one.sent_at - last.sent_at > affirm.LAPSE:
        return None
    return Heard(last.role, _symbols(lexicon, last.text, last.role))


def _manner(lexicon: Lexicon, text: str) -> str:
    opens = affirm.opening(lexicon.speech, text)
    if opens is not None:
        return "yes" if opens else "no"
    return "short" if len(text) <= SHORT else "long"


def _symbols(lexicon: Lexicon, text: str, role: Role) -> str:
    folded = read_again(lexicon, text, role)
    return learned.symbols(lexicon.fold.plain(text) if folded is None else folded.text)
