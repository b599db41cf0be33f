"""Disguised spellings of a word, made from the word: they live in the lexicon, not in the text.

The number grows with the length of the word, not with a power of it: one character is replaced at a
time, or the same one everywhere, or all of them; two at once only in words of two characters.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import product
from pathlib import Path
from typing import NamedTuple

PINYIN, MIXED, SPLIT, HOMOPHONE, SHAPE, REPEAT, REORDER, ALIAS, INITIALS = (
    "拼音",
    "拼音混写",
    "拆字",
    "谐音",
    "形近",
    "叠字",
    "倒序",
    "代称",
    "缩写",
)
_PAIR = 2
_LONG = 4
_REPEATS = 3


class Variant(NamedTuple):
    """A way to write `word` that hides it."""

    written: str
    word: str
    kind: str


class Sounds(NamedTuple):
    """How characters are read, and which others are read the same."""

    syllable: Mapping[str, str]
    alike: Mapping[str, str]

    @classmethod
    def load(cls, path: Path) -> "Sounds":
        """Read `pinyin.tsv`."""
        lines = [line.split("\t") for line in path.read_text("utf-8").splitlines()]
        return cls({char: key for key, chars in lines for char in chars}, dict(lines))


@cache
def sounds() -> Sounds:
    """The table that ships with the engine."""
    return Sounds.load(Path(__file__).parent / "data" / "pinyin.tsv")


def homophones(word: str, most: int) -> Iterator[Variant]:
    """Replace characters by at most `most` others each that sound the same."""
    table = sounds()

    def others(char: str) -> list[str]:
        same = table.alike.get(table.syllable.get(char, ""), "")
        return [other for other in same if other != char][:most]

    if len(word) == _PAIR:
        yield from _pairs(word, others(word[0]), others(word[1]))
        return
    for char in dict.fromkeys(word):
        for other in others(char):
            yield Variant(word.replace(char, other), word, HOMOPHONE)


def _pairs(word: str, first: list[str], second: list[str]) -> Iterator[Variant]:
    for one, two in product((word[0], *first), (word[1], *second)):
        if one + two != word:
            yield Variant(one + two, word, HOMOPHONE)


def shapes(word: str, alike: Mapping[str, list[str]]) -> Iterator[Variant]:
    """Replace one character by another that looks like it."""
    for at, char in enumerate(word):
        for other in alike.get(char, ()):
            yield Variant(word[:at] + other + word[at + 1 :], word, SHAPE)


def pinyin(word: str) -> Iterator[Variant]:
    """Spell it all out, or any part of it (up to four characters), in letters."""
    read = [sounds().syllable.get(char, char) for char in word]
    yield Variant("".join(read), word, PINYIN)
    if len(word) > _LONG:
        return
    for choice in product((False, True), repeat=len(word)):
        if any(choice) and not all(choice):
            mixed = (
                spelled if flag else char
                for char, spelled, flag in zip(word, read, choice, strict=True)
            )
            yield Variant("".join(mixed), word, MIXED)


def splits(word: str, parts: Mapping[str, list[str]]) -> Iterator[Variant]:
    """Write one character, or every one that can be, as its parts."""
    for at, char in enumerate(word):
        for part in parts.get(char, ()):
            yield Variant(word[:at] + part + word[at + 1 :], word, SPLIT)
    if sum(char in parts for char in word) > 1:
        for choice in product(*(parts.get(char, [char]) for char in word)):
            yield Variant("".join(choice), word, SPLIT)


def repeats(word: str) -> Iterator[Variant]:
    """Double or treble characters: 保保本本."""
    if len(word) > _LONG:
        return
    for counts in product(range(1, _REPEATS + 1), repeat=len(word)):
        if max(counts) > 1:
            yield Variant("".join(c * n for c, n in zip(word, counts, strict=True)), word, REPEAT)


def reorders(word: str) -> Iterator[Variant]:
    """Swap the characters of each half, or all: 本保息保."""
    if len(word) == _LONG and len(set(word)) > _PAIR:
        yield Variant(word[1] + word[0] + word[3] + word[2], word, REORDER)
        yield Variant(word[::-1], word, REORDER)


def initials(word: str) -> Iterator[Variant]:
    """The first letters: wzbp."""
    yield Variant("".join(sounds().syllable.get(c, c)[0] for c in word), word, INITIALS)
