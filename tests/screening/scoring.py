"""Counts what screening found against what a case expects, by the rules the case format states."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from app.screening import Case, Finding, Lexicon, Outcome, screen

Label = dict[str, Any]


def answered(label: Label, found: Iterable[Finding], outcome: Outcome) -> bool:
    return any(
        one.outcome is outcome
        and one.category == label["category"]
        and not set(one.at).isdisjoint(label["at"])
        for one in found
    )


def tally(case: Case, lexicon: Lexicon) -> Counter[str]:
    """Count what screening finds in one case."""
    return count(case, screen(case.window, lexicon))


def count(case: Case, found: Sequence[Finding]) -> Counter[str]:
    """Count tp, fn, fp (once a category), leads and leads_found of one case."""
    labels = case.labels
    counts: Counter[str] = Counter(cases=1)
    for label in labels["violations"]:
        counts["tp" if answered(label, found, Outcome.VIOLATION) else "fn"] += 1
    for label in labels["leads"]:
        counts["leads"] += 1
        counts["leads_found"] += answered(label, found, Outcome.LEAD)
    counts["fp"] = len(strays(case, found))
    return counts


def strays(case: Case, found: Iterable[Finding]) -> set[str]:
    """The categories of violations that nobody expects."""
    expected = case.labels["violations"]
    return {
        one.category
        for one in found
        if one.outcome is Outcome.VIOLATION
        and one.category not in case.labels.get("also", ())
        and not any(
            label["category"] == one.category and set(label["at"]) & set(one.at)
            for label in expected
        )
    }


def rate(part: int, whole: int) -> float:
    return part / whole if whole else 1.0
