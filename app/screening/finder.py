"""Many words in one text, by their first two symbols.

A text is looked through pair by pair, at a cost that hardly grows with the number of words or of their first
characters. Words are put in one at a time, so that making a `Finder` of any size never keeps other threads waiting.
"""

from collections.abc import Iterable, Iterator, Mapping
from operator import add
from typing import Generic, NamedTuple, TypeVar

Value = TypeVar("Value")


class Place(NamedTuple, Generic[Value]):
    """Where a word stands, and what it stands for."""

    start: int
    end: int
    value: Value


class Finder(Generic[Value]):
    """Finds every occurrence of every word, overlapping ones too."""

    def __init__(self, words: Mapping[str, Value] | Iterable[tuple[str, Value]]) -> None:
        pairs = words.items() if isinstance(words, Mapping) else words
        self._values: dict[str, Value] = {}
        self._sizes: dict[str, tuple[int, ...]] = {}  # of the words that begin with the pair
        self._pairs: set[str] = set()
        self._singles: set[str] = set()
        for word, value in pairs:
            if word:
                self._values[word] = value
                self._file(word)

    def _file(self, word: str) -> None:
        size, pair = len(word), word[:2]
        if size == 1:
            self._singles.add(word)
            return
        self._pairs.add(pair)
        known = self._sizes.get(pair, ())
        if size not in known:
            self._sizes[pair] = tuple(sorted((*known, size)))

    def __len__(self) -> int:
        return len(self._values)

    def may_touch(self, text: str) -> bool:
        """False only when no word occurs."""
        if not self._pairs.isdisjoint(map(add, text, text[1:])):
            return True
        return not self._singles.isdisjoint(text)

    def find(self, text: str) -> Iterator[Place[Value]]:
        """Every occurrence, ordered by its start, shorter ones first."""
        values = self._values
        for start, end in self._spots(text):
            yield Place(start, end, values[text[start:end]])

    def values(self, text: str) -> set[Value]:
        """What the words that occur stand for."""
        words = self._values
        return {words[word] for word in {text[start:end] for start, end in self._spots(text)}}

    def _spots(self, text: str) -> Iterator[tuple[int, int]]:
        values, sizes, singles, length = self._values, self._sizes, self._singles, len(text)
        for start, pair in enumerate(map(add, text, text[1:])):
            if pair[0] in singles:
                yield start, start + 1
            if pair in sizes:
                for size in sizes[pair]:
                    if text[start : start + size] in values and start + size <= length:
                        yield start, start + size
        if text[-1:] in singles:
            yield len(text) - 1, len(text)
