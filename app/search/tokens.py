"""`gramtok`: one meaning of "contains" for every engine, `norm(query) in norm(text)`.

A text becomes overlapping pairs of characters, closed by an END mark; a phrase becomes the same pairs, to be
found at consecutive positions. Every character takes part, punctuation and spaces included, so an engine that
only splits at whitespace gives exact substring search. ASCII is moved to the full-width block first: no
engine then meets a quote, an operator, a space or a letter whose case it would change.

`norm` folds case, width and traditional characters and drops invisible ones. Apart from the dropped ones it
keeps the number of characters, so a hit leads back to its place in the original.
"""

import unicodedata
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

TABLE = 1  # raise with every change of the folding or of `simplified.tsv`
VERSION = f"gramtok {TABLE}, unicode {unicodedata.unidata_version}"  # stored with every index

END = "\u241e"  # closes every text: makes its last character findable as the start of a pair
SPACE = 0x2420  # stands for the space; not U+3000, which Java's whitespace tokenizer would cut at
FULL_WIDTH = 0xFEE0  # from ASCII to its full-width form

FULL_WIDTH_FORMS = range(0xFF01, 0xFF5F)
VARIATION_SELECTORS = range(0xFE00, 0xFE10)
# A text's own U+2420 or U+241E would collide with the two marks.
OWN_MARKS = {SPACE: " ", ord(END): " "}
WIDE_CURRENCY = {0xFFE0: "¢", 0xFFE1: "£", 0xFFE5: "¥"}


def _traditional() -> dict[int, str]:
    lines = Path(__file__).with_name("simplified.tsv").read_text("utf-8").splitlines()
    rows = (line.split("\t") for line in lines if not line.startswith("#"))
    return {ord(old): new for new, olds in rows for old in olds}


def _fold(code: int) -> str | None:
    """One character for one character, None for an invisible one.

    Format characters (soft hyphen, zero-width space, joiners, direction marks) are used to hide words.
    The case is kept where the lower form has two characters.
    """
    char = chr(code)
    category = unicodedata.category(char)
    if category == "Cf":
        return None
    if category == "Cc" or char.isspace():
        return " "
    if category == "Cs":
        return "\ufffd"
    low = chr(code - FULL_WIDTH if code in FULL_WIDTH_FORMS else code).lower()
    return low if len(low) == 1 else char


class _Folding(dict[int, str | None]):
    """Filled as characters turn up; threads that meet the same one write the same value."""

    def __missing__(self, code: int) -> str | None:
        folded = self[code] = _fold(code)
        return folded


FOLDING = _Folding(dict.fromkeys(VARIATION_SELECTORS) | OWN_MARKS | WIDE_CURRENCY | _traditional())
SHIFT = {code: code + FULL_WIDTH for code in range(0x21, 0x7F)} | {0x20: SPACE}


def norm(text: str) -> str:
    """The form in which texts and queries are compared; applying it twice changes nothing."""
    return text.translate(FOLDING)


def shifted(text: str) -> str:
    """The normal form without any ASCII character; alone it is the prefix that finds one character."""
    return norm(text).translate(SHIFT)


def index_tokens(text: str) -> str:
    """What an engine indexes: the pairs of `text`, separated by spaces; empty for an empty text."""
    return " ".join([a + b for a, b in pairwise(shifted(text) + END)])


def query_tokens(phrase: str) -> list[str]:
    """The pairs to be found in a row; none for one character, which is found by the prefix `shifted`."""
    return [a + b for a, b in pairwise(shifted(phrase))]


def spans(text: str, phrases: Iterable[str]) -> list[tuple[int, int]]:
    """Where the phrases stand in the original: half-open code point ranges, touching ones joined."""
    places = [at for at, char in enumerate(text) if FOLDING[ord(char)] is not None]
    normed = norm(text)
    found = sorted(span for phrase in phrases for span in _finds(normed, norm(phrase)))
    return [(places[start], places[end - 1] + 1) for start, end in _joined(found)]


def literal_spans(text: str, phrases: Iterable[str]) -> list[tuple[int, int]]:
    """The same for phrases that count as typed."""
    return _joined(sorted(span for phrase in phrases for span in _finds(text, phrase)))


def _finds(text: str, phrase: str) -> Iterable[tuple[int, int]]:
    at = text.find(phrase) if phrase else -1
    while at >= 0:
        yield at, at + len(phrase)
        at = text.find(phrase, at + 1)


def _joined(ordered: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in ordered:
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined
