"""Turns a decided hit into a finding that a reviewer can check without asking back."""

import re
from typing import NamedTuple

from app.screening.dialogue import Run
from app.screening.domain import Finding, Outcome
from app.screening.fold import Folded
from app.screening.lexicon import Lexicon
from app.screening.match import Hit

_WHO = {"adviser": "员工", "colleague": "内部人员", "client": "客户"}
_ZERO_WIDTH = re.compile(r"[\u200b-\u200f\u2060\ufeff\ufe0f\u00ad]")


class Decided(NamedTuple):
    """A hit with its outcome; `also` are further messages that carry it (a question, an agreement)."""

    run: Run
    folded: Folded
    hit: Hit
    outcome: Outcome
    also: tuple[int, ...] = ()
    answer: str = ""


def finding(lexicon: Lexicon, one: Decided) -> Finding:
    """Explain a decided hit."""
    category = lexicon.categories[one.hit.rule.category]
    start, end = one.folded.starts[one.hit.start], one.folded.ends[one.hit.end - 1]
    touched = one.run.messages(start, end)
    last = touched[-1]
    base = one.run.bounds[one.run.message(end - 1)] - last.start
    first = one.run.bounds[one.run.message(end - 1)]
    written = one.run.text[start:end]
    canonical = one.folded.text[one.hit.start : one.hit.end]
    evasion = _evasion(one, written, len(touched))
    return Finding(
        at=tuple(sorted({*(said.at for said in touched), *one.also})),
        message=last.at,
        category=category.slug,
        outcome=one.outcome,
        severity=one.hit.rule.severity,
        start=max(start, first) - base,
        end=end - base,
        phrase=" / ".join(written.split("\n")),
        canonical=canonical,
        evasion=evasion,
        rule=one.hit.rule.id,
        lexicon_version=lexicon.version,
        explanation=_sentence(one, category.name, written, canonical, evasion),
        basis=category.basis,
        suggestion=category.suggestion,
        confidence=round(one.hit.rule.confidence * (0.85 if evasion else 1.0), 2),
    )


def _evasion(one: Decided, written: str, messages: int) -> str | None:
    kinds = one.folded.kinds[one.hit.start : one.hit.end]
    disguise = next((kind for kind in kinds if kind), "")
    if disguise:
        return disguise
    if messages > 1:
        return "拆条发送"
    plain = one.folded.text[one.hit.start : one.hit.end]
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


def _sentence(one: Decided, name: str, written: str, canonical: str, evasion: str | None) -> str:
    who = _WHO[one.run.role]
    shown = " ".join(written.split())
    disguise = f"（{evasion}，即「{canonical}」）" if evasion else ""
    rule = one.hit.rule.name
    if one.answer:
        return f"{_WHO['client'] if one.run.role == 'client' else who}问「{shown}」{disguise}，员工以「{one.answer}」作肯定答复，属于{name}：{rule}。"
    if one.outcome is Outcome.LEAD:
        return f"{who}说「{shown}」{disguise}，涉及{name}：{rule}，记为线索供跟进。"
    return f"{who}说「{shown}」{disguise}，属于{name}：{rule}。"
