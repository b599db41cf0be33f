r"""Folding: one table from character to symbol, the same for text and lexicon, offsets kept.

A folded text holds simplified Han characters, lower-case letters, digits, `%`, and separators:
`，` (soft), `。！？` and newline (hard), space (between two longer runs). Everything else is noise and
leaves no trace: zero-width characters, symbols, brackets, emoji. A separator that only tears words
apart (「保 本」, 「稳\\n赚」) is noise too. All of it takes one pass over the text.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

SOFT, HARD, BREAKS = "，", "。！？\n", "，。！？\n "
_SEPARATORS = {
    **dict.fromkeys("，,、；;：:…", "，"),
    **dict.fromkeys("。｡", "。"),
    **dict.fromkeys("！!‼", "！"),
    **dict.fromkeys("？?⁇", "？"),
    **dict.fromkeys("\n\r\x0b\x0c\x85\u2028\u2029", "\n"),
    **dict.fromkeys(" \t\u00a0\u3000\u2002\u2003\u2009\u202f", " "),
    **dict.fromkeys(".．", "."),
    **dict.fromkeys("-－–—~～−", "-"),
    **dict.fromkeys("%％﹪", "%"),
    **dict.fromkeys("+＋➕﹢", "+"),
}
HIDDEN = frozenset(_SEPARATORS.values()) - {"%"}  # symbols that `Fold.bare` leaves out
_PERCENT = {char: symbol for char, symbol in _SEPARATORS.items() if symbol == "%"}
_JOINTS = frozenset("，。！？\n .-+")
_FACE = re.compile(r"\[[一-鿿A-Za-z]{1,6}\]")  # WeCom writes emoji as [微笑]
_FINAL = frozenset("的了吗呢吧啊呀哦嘛哈么")
_LINE_PIECE = 4  # characters; a shorter line may be a piece of a torn word
_CONTACT = frozenset("微薇威徽卫")


class Folded(NamedTuple):
    """Folded text; symbol `i` was written as `original[starts[i]:ends[i]]`.

    `kinds[i]` names the disguise a symbol was rewritten from, '' for a plain one.
    """

    text: str
    starts: list[int]
    ends: list[int]
    kinds: list[str]


class _Table(dict[int, str]):
    """Grows by the characters met; a character outside the tables is itself or noise."""

    def __init__(self, pairs: Mapping[str, str], symbols: Mapping[str, str]) -> None:
        super().__init__({ord(char): target for char, target in pairs.items()})
        self.update({ord(char): symbol for char, symbol in symbols.items()})
        self.update({code: chr(code) for code in range(0x4E00, 0xA000) if code not in self})

    def __missing__(self, code: int) -> str:
        char = chr(code)
        symbol = char.lower() if char.isalnum() and len(char.lower()) == 1 else ""
        self[code] = symbol
        return symbol


def read_pairs(path: Path) -> dict[str, str]:
    """Read `fold.tsv`: written character to symbol."""
    lines = (line.split("\t") for line in path.read_text("utf-8").splitlines())
    return {char: target for target, chars in lines for char in chars}


class Fold:
    """The fold of one lexicon: the generated table plus the lexicon's own look-alikes."""

    def __init__(self, pairs: Mapping[str, str]) -> None:
        self._bare = _Table(pairs, {**dict.fromkeys(_SEPARATORS, ""), **_PERCENT})
        self._full = _Table(pairs, _SEPARATORS)

    def bare(self, text: str) -> str:
        """Only letters, digits, Han and `%`: what the gate scans. No offsets, about 2 µs for a message."""
        return _faceless(text).translate(self._bare)

    def plain(self, text: str) -> str:
        """Symbols and separators without offsets, torn words left torn; about 2 µs for a message."""
        return _faceless(text).translate(self._full)

    def word(self, text: str) -> str:
        """Fold a lexicon entry: as `bare`, but `%`, `+` and the decimal point stay."""
        table = self._full
        return "".join(table[ord(char)] for char in text).replace(" ", "")

    def full(self, text: str) -> Folded:
        """Fold a message with offsets."""
        written = list(map(self._full.__getitem__, map(ord, text)))
        if "[" in text:
            for face in _FACE.finditer(text):
                written[slice(*face.span())] = [""] * len(face[0])
        symbols = list(filter(None, written))
        starts = [at for at, symbol in enumerate(written) if symbol]
        torn = _torn(symbols)
        if torn:
            kept = [at for at in range(len(symbols)) if at not in torn]
            symbols, starts = [symbols[at] for at in kept], [starts[at] for at in kept]
        return Folded("".join(symbols), starts, [at + 1 for at in starts], [""] * len(starts))


def _faceless(text: str) -> str:
    return _FACE.sub("", text) if "[" in text else text


def _torn(symbols: list[str]) -> set[int]:
    """The joints that only tear a word apart; a decimal point that is none becomes a full stop."""
    joints = [at for at, symbol in enumerate(symbols) if symbol in _JOINTS]
    torn: set[int] = set()
    for last, at, following in zip(
        [-1, *joints], joints, [*joints[1:], len(symbols)], strict=False
    ):
        symbol = symbols[at]
        before = symbols[at - 1] if at else ""
        after = symbols[at + 1] if at + 1 < len(symbols) else ""
        if symbol == ".":
            symbols[at] = "." if before.isdigit() and after.isdigit() else "。"
            keep = symbols[at] == "." or not (_letter(before) and _letter(after))
        elif symbol == "-":
            keep = (before.isdigit() or before == "%") and after.isdigit()
        elif symbol == "+":
            keep = not (_han(before) and _han(after)) or after in _CONTACT
        else:
            keep = not _tears(symbol, before, after, at - last - 1, following - at - 1)
        if not keep:
            torn.add(at)
    return torn


def _tears(symbol: str, before: str, after: str, left: int, right: int) -> bool:
    if not left or not right:
        return False
    if symbol == " ":
        return min(left, right) == 1 or not _han(before) or not _han(after)
    if symbol == "\n":
        return min(left, right) <= _LINE_PIECE and before not in _FINAL
    return max(left, right) == 1 and _han(before) and _han(after)


def _han(symbol: str) -> bool:
    return "一" <= symbol <= "鿿"


def _letter(symbol: str) -> bool:
    return bool(symbol) and symbol not in BREAKS and not symbol.isdigit()
