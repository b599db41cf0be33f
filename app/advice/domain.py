"""The words of the check before sending: what it says, what becomes of it, which policy decides. Pure data."""

import hashlib
import hmac
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from app.foundation.errors import BadInput, Conflict, Forbidden, NotFound

SALT_BYTES = 16
MAX_TEXT = 20_000  # characters; WeCom itself sends no longer ones


class Outcome(StrEnum):
    """可以发送, 提示后发送, 不应发送; from mild to strict."""

    CLEAR = "clear"
    WARN = "warn"
    BLOCK = "block"


class Decision(StrEnum):
    """改写后发送, 仍按原文发送, 放弃发送."""

    REVISED = "revised"
    SENT_ANYWAY = "sent_anyway"
    ABANDONED = "abandoned"


class CheckNotFound(NotFound):
    """There is no such check, or the caller may not know of it."""

    code = "check_not_found"
    title = "没有这次发送前检查"


class NotTheSender(Forbidden):
    """The caller may not check in the name of this sender."""

    code = "not_the_sender"
    title = "不能以该员工的名义检查"


class UnknownSender(BadInput):
    """Corp and employee must be known: by an import, or by a message of theirs in the archive."""

    code = "unknown_sender"
    title = "没有这个企业或员工"


class NothingToDecide(Conflict):
    """The check was clear: nobody was warned."""

    code = "nothing_to_decide"
    title = "这次检查没有提示，无须登记决定"


class DecidedAlready(Conflict):
    """The check has another decision, which stays."""

    code = "decided_already"
    title = "这次检查已登记过其他决定"


class ReasonMissing(BadInput):
    """Who sends in spite of a warning says why."""

    code = "reason_missing"
    title = "仍要发送须说明理由"


class Policy(NamedTuple):
    """What a finding of each severity leads to, and whether the text of a warned check is kept."""

    red: Outcome
    orange: Outcome
    yellow: Outcome
    keep_text: bool


DEFAULT = Policy(Outcome.BLOCK, Outcome.WARN, Outcome.WARN, keep_text=False)


def strictest(policies: Sequence[Policy]) -> Policy:
    """What holds for somebody of several departments; the text is kept only where all of them say so."""
    if not policies:
        return DEFAULT
    return Policy(
        _gravest(each.red for each in policies),
        _gravest(each.orange for each in policies),
        _gravest(each.yellow for each in policies),
        all(each.keep_text for each in policies),
    )


def nearest(policies: Mapping[int | None, Policy], lines: Iterable[Sequence[int | None]]) -> Policy:
    """The policy for somebody whose departments have these lines, each from the department upward."""
    found = []
    for line in lines:
        named = next((place for place in line if place in policies), None)
        found.append(policies.get(named, DEFAULT))
    return strictest(found) if found else policies.get(None, DEFAULT)


def outcome(policy: Policy, severities: Iterable[str]) -> Outcome:
    """What a check with findings of these severities says."""
    return _gravest(Outcome(getattr(policy, severity)) for severity in severities)


def _gravest(outcomes: Iterable[Outcome]) -> Outcome:
    return max(outcomes, key=list(Outcome).index, default=Outcome.CLEAR)


def digest(salt: bytes, text: str) -> bytes:
    """What is kept of a text: it can be compared with a text at hand, and tells nothing by itself."""
    plain = unicodedata.normalize("NFC", text).strip()
    return hmac.digest(salt, plain.encode("utf-8", "replace"), hashlib.sha256)
