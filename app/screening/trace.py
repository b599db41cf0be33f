"""The test bench: what each step of screening makes of some messages, as far as it shows."""

from collections.abc import Sequence
from typing import NamedTuple

from app.screening.decide import stance
from app.screening.dialogue import Run, hear, runs
from app.screening.domain import Finding, Turn
from app.screening.lexicon import Lexicon
from app.screening.match import hits, read
from app.screening.screen import screen


class Looked(NamedTuple):
    """A confirmed hit in one run of messages and what its speaker does with it; places are in `folded`."""

    rule: str
    start: int
    end: int
    words: str
    stance: str


class Heard(NamedTuple):
    """What one speaker says in a row: the messages, the text as it is matched, the hits in it."""

    messages: tuple[int, ...]
    role: str
    folded: str
    hits: tuple[Looked, ...]


class Trace(NamedTuple):
    """The steps and the outcome."""

    runs: tuple[Heard, ...]
    findings: tuple[Finding, ...]


def trace(window: Sequence[Turn], lexicon: Lexicon) -> Trace:
    """Screen a window and show the way."""
    said = hear(lexicon.speech, window)
    found = tuple(_heard(lexicon, run) for run in runs(said))
    return Trace(found, tuple(screen(window, lexicon)))


def _heard(lexicon: Lexicon, run: Run) -> Heard:
    messages = tuple(one.at for one in run.said)
    folded = read(lexicon, run.text, run.role)
    if folded is None:
        return Heard(messages, run.role, "", ())
    looked = tuple(
        Looked(
            hit.rule.id,
            hit.start,
            hit.end,
            folded.text[hit.start : hit.end],
            stance(lexicon.speech, folded, hit, run.text, run.role),
        )
        for hit in hits(lexicon, folded, run.role)
    )
    return Heard(messages, run.role, folded.text, looked)
