"""Who says what to whom: quoted replies cut off, consecutive messages of one speaker joined."""

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

from app.screening.domain import Role, Turn

PAUSE = 10 * 60 * 1000  # ms; what lies further apart is no longer one utterance
_QUOTE_LONG = re.compile(
    r'\A\s*这是一条引用/回复消息[：:]?\s*\n?["“](?P<name>[^\n]{0,64}?)[：:]\s*\n?(?P<quote>[\s\S]*?)["”]\s*\n-{3,}[ -]*\n'
)
_QUOTE_SHORT = re.compile(
    r"\A\s*「(?P<name>[^\n「」]{0,64}?)[：:](?P<quote>[\s\S]*?)」\s*\n(?:-\s?){6,}\s*\n"
)
_QUOTE_INLINE = re.compile(r"\A\s*\[引用[：:](?P<quote>[^\[\]\n]*)\]")
_TOKEN_ONLY = re.compile(r"\s*(?:\[[^\[\]]{1,8}\]\s*)+\Z")


class Said(NamedTuple):
    """One message without its quotation: `start` is where the reply begins in the original text."""

    at: int
    role: Role
    speaker: str
    sent_at: int
    text: str
    start: int
    quote: str
    filler: bool


class Run(NamedTuple):
    """Consecutive messages of one speaker, read as one text joined by line ends."""

    role: Role
    speaker: str
    said: tuple[Said, ...]
    text: str
    bounds: tuple[int, ...]

    def message(self, offset: int) -> int:
        """Which of `said` an offset of the joined text falls into."""
        return bisect_right(self.bounds, offset) - 1

    def messages(self, start: int, end: int) -> tuple[Said, ...]:
        """The messages that `text[start:end]` touches."""
        return self.said[self.message(start) : self.message(end - 1) + 1]


def hear(speech: Mapping[str, re.Pattern[str]], window: Sequence[Turn]) -> list[Said]:
    """Cut the quotation off every message and tell the fillers (「嗯」, 「[图片]」)."""
    return [_said(speech, at, turn) for at, turn in enumerate(window)]


def may_quote(text: str) -> bool:
    """False for a message that surely begins with no quotation."""
    return "引用" in text[:12] or text.lstrip()[:1] == "「"


def _said(speech: Mapping[str, re.Pattern[str]], at: int, turn: Turn) -> Said:
    start, quote = 0, ""
    if may_quote(turn.text):
        for form in (_QUOTE_LONG, _QUOTE_SHORT, _QUOTE_INLINE):
            if found := form.match(turn.text):
                start, quote = found.end(), found["quote"]
                break
    text = turn.text[start:]
    filler = len(text) <= 12 and (  # noqa: PLR2004
        bool(_TOKEN_ONLY.match(text))
        or bool(speech["fillers"].fullmatch(text.strip(" 。，,.~～!！")))
    )
    return Said(at, turn.role, turn.speaker, turn.sent_at, text, start, quote, filler)


def runs(said: Sequence[Said]) -> list[Run]:
    """Group what one speaker says without another coming between; fillers separate nobody."""
    groups: list[list[Said]] = []
    for one in said:
        if one.filler:
            continue
        last = groups[-1][-1] if groups else None
        if last and _continues(last, one):
            groups[-1].append(one)
        else:
            groups.append([one])
    return [_run(group) for group in groups]


def _continues(last: Said, one: Said) -> bool:
    same = (last.role, last.speaker) == (one.role, one.speaker)
    return same and not one.quote and one.sent_at - last.sent_at <= PAUSE


def _run(group: Sequence[Said]) -> Run:
    sizes = (len(one.text) + 1 for one in group[:-1])
    bounds = tuple(accumulate(sizes, initial=0))
    text = "\n".join(one.text for one in group)
    return Run(group[0].role, group[0].speaker, tuple(group), text, bounds)
