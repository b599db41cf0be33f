"""Many words in one text.

The double array of `daachorse` costs about the same for a text however many words there are and however many
characters they begin with, and it is built while other threads go on. Where no build of it exists (Linux on ARM),
`pyahocorasick` gives the same answers, slower.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, islice
from typing import Any, Generic, NamedTuple, TypeVar

import ahocorasick

try:
    from daachorse import CharwiseDoubleArrayAhoCorasick
except ImportError:
    _DOUBLE_ARRAY: Callable[[list[str]], Any] | None = None
else:
    _DOUBLE_ARRAY = CharwiseDoubleArrayAhoCorasick

Value = TypeVar("Value")
AT_ONCE = (
    10_000  # words of one machine; handing over more would hold other threads up for milliseconds
)


class Place(NamedTuple, Generic[Value]):
    """Where a word stands, and what it stands for."""

    start: int
    end: int
    value: Value


class Trie:
    """The portable machine: finds `words` by their index, with the interface of `daachorse`.

    Words and texts go in as UTF-8 bytes read as Latin-1: no node has more than about sixty children then.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self._machine = ahocorasick.Automaton()
        for index, word in enumerate(words):
            self._machine.add_word(_bytes(word), (len(word), index))
        self._machine.make_automaton()

    def find_overlapping(self, text: str) -> list[tuple[int, int, int]]:
        """Start, end and index of every occurrence."""
        hits = list(self._machine.iter(_bytes(text)))
        if not hits:
            return []
        ends = _ends(text)
        return [(ends[last] - size, ends[last], index) for last, (size, index) in hits]


class Finder(Generic[Value]):
    """Finds every occurrence of every word, overlapping ones too; neither words nor texts hold lone surrogates."""

    def __init__(
        self,
        words: Mapping[str, Value],
        machine: Callable[[list[str]], Any] = _DOUBLE_ARRAY or Trie,
    ) -> None:
        pairs = ((word, value) for word, value in words.items() if word)
        self._parts: list[tuple[Any, list[Value]]] = []
        while some := list(islice(pairs, AT_ONCE)):
            self._parts.append((machine([word for word, _ in some]), [value for _, value in some]))

    def find(self, text: str) -> list[Place[Value]]:
        """Every occurrence, in no particular order."""
        return [
            Place(start, end, values[index])
            for machine, values in self._parts
            for start, end, index in machine.find_overlapping(text)
        ]


def _bytes(text: str) -> str:
    return text.encode().decode("latin-1")


def _ends(text: str) -> dict[int, int]:
    """Last byte of each character to the position after the character."""
    sizes = accumulate(
        1 if c < "\x80" else 2 if c < "\u0800" else 3 if c < "\U00010000" else 4 for c in text
    )
    return {size - 1: at for at, size in enumerate(sizes, 1)}
