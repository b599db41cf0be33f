"""Word edges by the dictionary of jieba: does a hit begin and end where words do?

The most probable segmentation of a short window round an edge (the unigram model of jieba without
its hidden Markov model) must put a word edge there: 确保|本次 contains no 保本.
"""

import logging
from functools import cache, lru_cache
from math import log

REACH = 8  # characters either side of an edge; the longest everyday word is shorter
_LONGEST = 6


@cache
def _dictionary() -> tuple[dict[str, int], float]:
    import jieba  # noqa: PLC0415  half a second; only texts with a hit need it

    jieba.setLogLevel(logging.ERROR)
    jieba.initialize()
    return jieba.dt.FREQ, log(jieba.dt.total)


def frequency(word: str) -> int:
    """How often the dictionary has seen `word`; 0 when it does not know it."""
    return _dictionary()[0].get(word) or 0


def is_edge(text: str, at: int) -> bool:
    """Whether a word edge falls at `at`, or no dictionary word reaches over it at all."""
    if at <= 0 or at >= len(text) or not _straddled(text, at):
        return True
    low = max(0, at - REACH)
    return at - low in edges(text[low : at + REACH])


def _straddled(text: str, at: int) -> bool:
    known = _dictionary()[0]
    for start in range(max(0, at - _LONGEST + 1), at):
        for end in range(at + 1, min(len(text), start + _LONGEST) + 1):
            if known.get(text[start:end]):
                return True
    return False


@lru_cache(maxsize=65536)
def edges(window: str) -> frozenset[int]:
    """The word edges of the most probable segmentation of `window`."""
    known, total = _dictionary()
    size = len(window)
    best = [0.0] * (size + 1)
    step = [1] * (size + 1)
    for start in range(size - 1, -1, -1):
        best[start], step[start] = max(
            (log(known.get(window[start:end]) or 1) - total + best[end], end - start)
            for end in range(start + 1, min(size, start + _LONGEST) + 1)
            if end == start + 1 or known.get(window[start:end])
        )
    found, at = {0}, 0
    while at < size:
        at += step[at]
        found.add(at)
    return frozenset(found)
