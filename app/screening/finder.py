"""Many words in one text, by `pyahocorasick`.

Words and texts go in as UTF-8 bytes read as Latin-1: no node has more than about sixty children
then, so a list with thousands of different first characters is scanned as fast as a small one.
"""

from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Generic, NamedTuple, TypeVar

import ahocorasick

Value = TypeVar("Value")


def _bytes(text: str) -> str:
    return text.encode("utf-8", "surrogatepass").decode("latin-1")


class Place(NamedTuple, Generic[Value]):
    """Where a word stands, and what it stands for."""

    start: int
    end: int
    value: Value


class Finder(Generic[Value]):
    """Finds every occurrence of every word, overlapping ones too."""

    def __init__(self, words: Mapping[str, Value]) -> None:
        self._machine = ahocorasick.Automaton()
        for word, value in words.items():
            if word:
                self._machine.add_word(_bytes(word), (len(word), value))
        self._empty = not len(self._machine)
        if not self._empty:
            self._machine.make_automaton()

    def touches(self, text: str) -> bool:
        """Whether any word occurs at all; stops at the first."""
        return not self._empty and next(self._machine.iter(_bytes(text)), None) is not None

    def find(self, text: str) -> Iterator[Place[Value]]:
        """Every occurrence, ordered by its end."""
        if self._empty:
            return
        hits = self._machine.iter(_bytes(text))
        first = next(hits, None)
        if first is None:
            return
        ends = _ends(text)
        yield _place(first, ends)
        for hit in hits:
            yield _place(hit, ends)


def _place(hit: tuple[int, tuple[int, Value]], ends: Mapping[int, int]) -> Place[Value]:
    last, (size, value) = hit
    end = ends[last]
    return Place(end - size, end, value)


def _ends(text: str) -> dict[int, int]:
    """Last byte of each character to the position after the character."""
    sizes = accumulate(
        1 if c < "\x80" else 2 if c < "\u0800" else 3 if c < "\U00010000" else 4 for c in text
    )
    return {size - 1: at for at, size in enumerate(sizes, 1)}
