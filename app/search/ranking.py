"""In which order the newest messages found are worth reading. Pure functions, the same for every engine."""

from collections.abc import Sequence

SHORT = 8  # characters that every text counts as having more, so that two-word messages do not always win
WEIGHT = {
    "red": 1.0,
    "orange": 0.5,
    "yellow": 0.25,
}  # of the gravest finding, against one word in a short text


def score(text: str, phrases: Sequence[str], severities: Sequence[str]) -> float:
    """Higher is better: how much of the text is what was asked for, how many of the words, how grave it is."""
    occurrences = [text.count(phrase) for phrase in phrases]
    density = sum(occurrences) / (len(text) + SHORT)
    distinct = sum(map(bool, occurrences)) / len(phrases) if phrases else 0.0
    gravest = max((WEIGHT.get(severity, 0.0) for severity in severities), default=0.0)
    return density * SHORT + distinct + gravest
