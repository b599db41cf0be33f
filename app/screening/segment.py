"""Word edges by the dictionary of jieba: whether a hit begins and ends where words do.

The most probable segmentation of a short window round an edge (the unigram model of jieba without
its hidden Markov model) must put a word edge there: 确保|本次 contains no 保本.
"""

import logging
from functools import cache, lru_cache
from math import log

REACH = 8  # characters either side of an edge; the longest everyday word is shorter
_LONGEST = 6
SLACK = 3.5  # nats; rare compounds of the dictionary (先签) win by less, real words (确保) by more


@cache
def _dictionary() -> tuple[dict[str, int], float]:
    import jieba  # noqa: PLC0415  half a second; only texts with a hit need it

    jieba.setLogLevel(logging.ERROR)
    jieba.initialize()
    return jieba.dt.FREQ, log(jieba.dt.total)


def frequency(word: str) -> int:
    """How often the dictionary has seen `word`; 0 when it does not know it."""
    return _dictionary()[0].get(word) or 0


def is_edge(text: str, at: int, slack: float = 0.0) -> bool:
    """Whether a word edge falls at `at`, or no dictionary word reaches over it at all."""
    if at <= 0 or at >= len(text) or not _straddled(text, at):
        return True
    low = max(0, at - REACH)
    return at - low in edges(text[low : at + REACH], slack)


def _straddled(text: str, at: int) -> bool:
    known = _dictionary()[0]
    for start in range(max(0, at - _LONGEST + 1), at):
        for end in range(at + 1, min(len(text), start + _LONGEST) + 1):
            if known.get(text[start:end]):
                return True
    return False


@lru_cache(maxsize=65536)
def edges(window: str, slack: float = 0.0) -> frozenset[int]:
    """Where a segmentation at most `slack` less probable (in nats) than the best puts a word edge.

    Without slack: the edges of the most probable segmentation.
    """
    words = _words(window)
    size = len(window)
    after = [0.0] * (size + 1)
    for start in range(size - 1, -1, -1):
        after[start] = max(score + after[end] for end, score in words[start])
    before = [0.0] + [-1e9] * size
    for start in range(size):
        for end, score in words[start]:
            before[end] = max(before[end], before[start] + score)
    worst = after[0] - slack - 1e-6
    return frozenset(at for at in range(size + 1) if before[at] + after[at] >= worst)


def _words(window: str) -> list[list[tuple[int, float]]]:
    """For each start, the ends of the words that begin there and their log-probabilities."""
    known, total = _dictionary()
    size = len(window)
    return [
        [
            (end, log(known.get(window[start:end]) or 1) - total)
            for end in range(start + 1, min(size, start + _LONGEST) + 1)
            if end == start + 1 or known.get(window[start:end])
        ]
        for start in range(size)
    ]
