"""Turns a decided hit into a finding that a reviewer can check without asking back."""

import re
from typing import NamedTuple

from app.screening.dialogue import Run, Said
from app.screening.domain import Finding, Outcome
from app.screening.fold import Folded
from app.screening.lexicon import Lexicon
from app.screening.match import Hit

WHO = {"adviser": "员工", "colleague": "内部人员", "client": "客户"}
_DISGUISED = 0.85  # how much a disguised spelling lowers confidence
_ZERO_WIDTH = re.compile(r"[\u200b-\u200f\u2060\ufeff\ufe0f\u00ad]")


class Decided(NamedTuple):
    """A hit with its outcome.

    `answer` is the staff message that affirms the hit when that is a question; `also` are further
    messages that carry it (the colleague who agrees to a request).
    """

    run: Run
    folded: Folded
    hit: Hit
    outcome: Outcome
    answer: Said | None = None
    also: tuple[int, ...] = ()


class Shown(NamedTuple):
    """What a reviewer sees marked: `start` and `end` count in the original text of `message`."""

    at: tuple[int, ...]
    message: int
    start: int
    end: int
    phrase: str


def finding(lexicon: Lexicon, one: Decided) -> Finding:
    """Explain a decided hit."""
    category = lexicon.categories[one.hit.rule.category]
    asked = _wording(one)
    shown = _answer(one.answer, asked, two_sided=category.two_sided) if one.answer else asked
    evasion = _evasion(one, len(asked.at))
    return Finding(
        at=tuple(sorted({*shown.at, *one.also})),
        message=shown.message,
        category=category.slug,
        outcome=one.outcome,
        severity=one.hit.rule.severity,
        start=shown.start,
        end=shown.end,
        phrase=shown.phrase,
        canonical=one.folded.text[one.hit.start : one.hit.end],
        evasion=evasion,
        rule=one.hit.rule.id,
        lexicon_version=lexicon.version,
        explanation=_sentence(one, category.name, asked.phrase, evasion),
        basis=category.basis,
        suggestion=category.suggestion,
        confidence=round(one.hit.rule.confidence * (_DISGUISED if evasion else 1.0), 2),
    )


def _wording(one: Decided) -> Shown:
    """Where the hit stands; of a hit torn over messages the part in the last one is marked."""
    run = one.run
    start, end = one.folded.starts[one.hit.start], one.folded.ends[one.hit.end - 1]
    touched = run.messages(start, end)
    last = run.message(end - 1)
    pieces = (
        run.text[max(start, low) : min(end, low + len(said.text))]
        for low, said in zip(run.bounds, run.said, strict=True)
        if said in touched
    )
    shift = run.said[last].start - run.bounds[last]
    return Shown(
        tuple(said.at for said in touched),
        touched[-1].at,
        max(start, run.bounds[last]) + shift,
        end + shift,
        " / ".join(pieces),
    )


def _answer(answer: Said, asked: Shown, *, two_sided: bool) -> Shown:
    """The affirming reply; the question carries the violation too where clients can break the rule."""
    phrase = answer.text.strip()
    start = answer.start + answer.text.find(phrase)
    at = {answer.at, *asked.at} if two_sided else {answer.at}
    return Shown(tuple(at), answer.at, start, start + len(phrase), phrase)


def _evasion(one: Decided, messages: int) -> str | None:
    kinds = one.folded.kinds[one.hit.start : one.hit.end]
    disguise = next((kind for kind in kinds if kind), "")
    if disguise:
        return disguise
    if messages > 1:
        return "拆条发送"
    plain = one.folded.text[one.hit.start : one.hit.end]
    written = one.run.text[one.folded.starts[one.hit.start] : one.folded.ends[one.hit.end - 1]]
    if len(written) > len(plain) and _torn(one):
        return "零宽字符" if _ZERO_WIDTH.search(written) else "插入符号"
    seen = [one.run.text[at] for at in one.folded.starts[one.hit.start : one.hit.end]]
    changed = any(a != b and "一" <= b <= "鿿" for a, b in zip(seen, plain, strict=True))
    return "异体字形" if changed else None


def _torn(one: Decided) -> bool:
    """Whether noise stands between two Han characters of the hit."""
    places = range(one.hit.start, one.hit.end - 1)
    text = one.folded.text
    return any(
        one.folded.ends[at] != one.folded.starts[at + 1]
        and text[at] >= "一"
        and text[at + 1] >= "一"
        for at in places
    )


def _sentence(one: Decided, name: str, phrase: str, evasion: str | None) -> str:
    who, rule = WHO[one.run.role], one.hit.rule.name
    canonical = one.folded.text[one.hit.start : one.hit.end]
    shown = " ".join(phrase.split())
    disguise = f"（{evasion}，即「{canonical}」）" if evasion else ""
    if one.answer:
        reply = " ".join(one.answer.text.split())
        return f"{who}问「{shown}」{disguise}，员工以「{reply}」作肯定答复，属于{name}：{rule}。"
    if one.outcome is Outcome.LEAD:
        return f"{who}说「{shown}」{disguise}，涉及{name}：{rule}，记为线索供跟进。"
    return f"{who}说「{shown}」{disguise}，属于{name}：{rule}。"
