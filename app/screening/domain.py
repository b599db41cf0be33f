"""The words of screening: what goes in, what comes out. Pure data."""

from enum import StrEnum
from typing import Literal, NamedTuple

from app.foundation.errors import BadInput

Role = Literal["adviser", "client", "colleague"]


class Outcome(StrEnum):
    """违规 raises an alert; 线索 is recorded for follow-up only."""

    VIOLATION = "violation"
    LEAD = "lead"


class Severity(StrEnum):
    """红: a statute forbids it or money is at stake; 橙: a departmental rule; 黄: needs judgement."""

    RED = "red"
    ORANGE = "orange"
    YELLOW = "yellow"


class Turn(NamedTuple):
    """One message of a conversation window; `speaker` may be '' when only the role is known.

    `sent_at` is in Unix milliseconds. A turn of a window lies no earlier than the one before it.
    """

    role: Role
    text: str
    speaker: str = ""
    sent_at: int = 0


class Finding(NamedTuple):
    """One hit of one rule, decided.

    `at` holds the indices of the messages that carry it together, ascending. `message` is the one
    of them that `start` and `end` (code points of its original text) point into; for a promise
    split over several messages that is the last one, and `phrase` is everything that was written,
    joined by ' / '. `evasion` names the way the wording was disguised, None when it was plain.
    """

    at: tuple[int, ...]
    message: int
    category: str
    outcome: Outcome
    severity: Severity
    start: int
    end: int
    phrase: str
    canonical: str
    evasion: str | None
    rule: str
    lexicon_version: str
    explanation: str
    basis: str
    suggestion: str
    confidence: float


class LexiconError(BadInput):
    """A word list cannot be used; `detail` names the file, the line and what to do."""

    code = "lexicon_unusable"
    title = "词库文件有误"

    def __init__(self, file: str, line: int, what: str) -> None:
        super().__init__(f"{file} 第 {line} 行：{what}", file=file, line=line)
