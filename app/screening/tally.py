"""What two lexicons make of the same messages, added up slice by slice. Plain JSON values, so that a slice can be kept.

A finding is the same in both when the same message carries it for the same category, outcome and place; which rule
found it does not matter. One message with any violation is one alert.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from app.screening.domain import Outcome

SAMPLES = 50
Result: TypeAlias = dict[str, Any]


class Seen(NamedTuple):
    """A finding without its words: the record that carries it, and its place in the record `spoken`."""

    record: int
    spoken: int
    start: int
    end: int
    category: str
    outcome: str
    severity: str
    rule: str

    @property
    def key(self) -> tuple[object, ...]:
        """What makes it the same finding in both lexicons."""
        return self[:6]


def nothing() -> Result:
    """The result before the first slice."""
    return {
        "messages": 0,
        "released": _side([]),
        "candidate": _side([]),
        "gained": _few([]),
        "lost": _few([]),
    }


def counted(messages: int, released: Sequence[Seen], candidate: Sequence[Seen]) -> Result:
    """The result of one slice."""
    old, new = ({each.key for each in side} for side in (released, candidate))
    return {
        "messages": messages,
        "released": _side(released),
        "candidate": _side(candidate),
        "gained": _few(_first_of_each([each for each in candidate if each.key not in old])),
        "lost": _few(_first_of_each([each for each in released if each.key not in new])),
    }


def together(one: Result, other: Result) -> Result:
    """Two slices as one; the samples are the first ones."""
    return {
        "messages": one["messages"] + other["messages"],
        "released": _sum(one["released"], other["released"]),
        "candidate": _sum(one["candidate"], other["candidate"]),
        "gained": _join(one["gained"], other["gained"]),
        "lost": _join(one["lost"], other["lost"]),
    }


def _side(seen: Sequence[Seen]) -> Result:
    return {
        "findings": len(seen),
        "alerts": len({each.record for each in seen if each.outcome == Outcome.VIOLATION}),
        "leads": sum(each.outcome == Outcome.LEAD for each in seen),
        "categories": dict(Counter(each.category for each in seen)),
        "rules": dict(Counter(each.rule for each in seen)),
    }


def _sum(one: Result, other: Result) -> Result:
    numbers = {name: one[name] + other[name] for name in ("findings", "alerts", "leads")}
    counts: Result = {
        name: dict(sorted((Counter(one[name]) + Counter(other[name])).items()))
        for name in ("categories", "rules")
    }
    return {**numbers, **counts}


def _few(seen: Sequence[Seen]) -> Result:
    return {"count": len(seen), "samples": [each._asdict() for each in seen[:SAMPLES]]}


def _first_of_each(seen: Sequence[Seen]) -> list[Seen]:
    return list({each.key: each for each in reversed(seen)}.values())[::-1]


def _join(one: Result, other: Result) -> Result:
    samples = [*one["samples"], *other["samples"]][:SAMPLES]
    return {"count": one["count"] + other["count"], "samples": samples}
