"""Patterns: words and concepts in order, near each other, as the word lists write them.

    保本                    one word (or a family, see `expand`)
    <本金> <不会> <亏损>       three items in this order, at most `NEAR` symbols between, inside one clause
    <我> … <补足>            up to `FAR` symbols between, commas may stand between
    <甲> …… <乙>             up to `WIDE` symbols between, anything may stand between
    加 + <微信>              nothing between
    <本金> <完全>? <安全>     the middle item may be missing

`<名>` is a concept of `concepts.toml` or one of the number classes of `NUMBERS`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple, overload

from app.screening.expand import Family, alternatives, family
from app.screening.fold import HIDDEN

NEAR, FAR, WIDE = 5, 14, 30
_REACH = {"": NEAR, "…": FAR, "……": WIDE, "+": 0}
_FEW = 60  # words of a set that are worth looking for beside the anchor
_NUMBER = 24  # symbols the longest number takes
_GAPS = {
    "": f"[^，。！？\\n]{{0,{NEAR}}}?",
    "…": f"[^。！？]{{0,{FAR}}}?",
    "……": f"[\\s\\S]{{0,{WIDE}}}?",
    "+": "",
}
_CN = "零一二两三四五六七八九十百千半壹贰叁肆伍陆柒捌玖拾几"
_NUM = rf"(?:[0-9]{{1,9}}(?:\.[0-9]+)?|[{_CN}]{{1,6}}(?:点[{_CN}]{{1,3}})?|[x]\.?[x]?)"
_UNIT = r"(?:%|个多?百分点|个多?点|个半点|个点半|分利|厘)"
_MONEY = rf"{_NUM}(?:多|来)?(?:个亿|亿|百万|千万|万|千|百|w|k)?(?:元|块钱?|万|w)"
NUMBERS = {
    "率": rf"(?:百分之{_NUM}|{_NUM}(?:-{_NUM})?{_UNIT}(?:多|左右|以上)?|{_NUM}%?-{_NUM}%)",
    "数": _NUM,
    "金额": rf"(?:{_MONEY}|{_NUM}(?:百万|千万|万|亿))",
    "百分数": rf"(?:百分之{_NUM}|{_NUM}(?:-{_NUM})?%)",
    "倍": rf"(?:{_NUM}(?:多)?倍|翻(?:一|两|几|好几)?(?:番|倍))",
    "长号码": r"[0-9]{11,19}",
    "账号串": r"[a-z][a-z0-9_-]{5,19}",
}

_NUMBER_WORDS: dict[str, tuple[str, ...]] = {  # one of them stands in every number of the class
    "率": ("%", "百分", "点", "分利", "厘"),
    "金额": ("元", "块", "万", "亿", "w"),
    "百分数": ("%", "百分"),
    "倍": ("倍", "番"),
}
_DIGITS = frozenset("0123456789" + _CN + "x")
_NUMBER_FIRSTS = {
    **dict.fromkeys(NUMBERS, _DIGITS),
    "倍": _DIGITS | {"翻"},
    "账号串": frozenset("abcdefghijklmnopqrstuvwxyz"),
}


_SHORT_HAND = re.compile(r"[()|?<>+…\s]")


class BadPattern(ValueError):
    """The pattern cannot be read; the message says why, in Chinese."""


class Weigh(NamedTuple):
    """How lexicon entries are folded, and how common their words are in everyday Chinese."""

    fold: Callable[[str], str]
    frequency: Callable[[str], int]

    def total(self, words: Iterable[str]) -> int:
        """The summed frequency of `words`; a single character counts as very common."""
        return sum(self.frequency(word) + (200_000 if len(word) == 1 else 0) + 1 for word in words)


class Concept(NamedTuple):
    """A named list of families, compiled.

    A member contains one word of each of `needs`, the first of which is `anchor` if there is one.
    """

    regex: str
    anchor: tuple[str, ...]
    words: tuple[str, ...]
    longest: int
    musts: tuple[frozenset[str], ...]
    needs: tuple[tuple[str, ...], ...]


def concept(families: Sequence[Family], weight: Weigh) -> Concept:
    """Compile a list of families; `words` is empty unless every family is small."""
    best = [min(one.anchors, key=weight.total) for one in families]
    anchor = tuple(dict.fromkeys(word for words in best for word in words))
    others = families[0].anchors if len(families) == 1 else ()
    needs = (anchor, *(words for words in others if words != anchor and _is_telling(words)))
    small = all(one.words for one in families)
    words = dict.fromkeys(word for one in families for word in one.words) if small else ()
    longest = max(one.longest for one in families)
    musts = families[0].musts if len(families) == 1 else (_any_must(families),)
    return Concept(alternatives(families), anchor, tuple(words), longest, musts, needs)


def _is_telling(words: tuple[str, ...]) -> bool:
    """Whether it is worth while to look for the words; `musts` knows lone characters."""
    return len(words) <= _FEW and min(map(len, words)) > 1


def _any_must(families: Sequence[Family]) -> frozenset[str]:
    return frozenset(char for one in families for char in min(one.musts, key=len))


class Item(NamedTuple):
    """One place of a pattern: a concept or, when `what` has no anchor, a number."""

    what: Concept
    gap: str
    optional: bool


class Pattern(NamedTuple):
    """A compiled pattern: `anchor` are the words one of which any match contains.

    A `literal` pattern is a short list of words, so that a hit of the automaton is the match.
    Any match contains one word of each of `needs`, and one of each of `order` one after another.
    A text that lacks all characters of one of `musts` cannot match.
    `reach` is the most symbols a match takes.
    A `bare` pattern matches in the bare form of a text wherever it matches in the full one.
    """

    source: str
    anchor: tuple[str, ...]
    needs: tuple[tuple[str, ...], ...]
    order: tuple[tuple[str, ...], ...]
    literal: bool
    musts: tuple[frozenset[str], ...]
    regex: str
    reach: int
    bare: bool


class Wordings(Sequence[Pattern]):
    """The patterns of a rule; a plain word stays a string until it is looked at."""

    def __init__(self, given: Sequence[Pattern | str], fold: Callable[[str], str]) -> None:
        self._given, self._fold = given, fold

    @overload
    def __getitem__(self, at: int) -> Pattern: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Pattern]: ...
    def __getitem__(self, at: int | slice) -> Pattern | Sequence[Pattern]:
        if isinstance(at, slice):
            return Wordings(self._given[at], self._fold)
        one = self._given[at]
        return one if isinstance(one, Pattern) else self._plain(one)

    def __len__(self) -> int:
        return len(self._given)

    def _plain(self, source: str) -> Pattern:
        word = self._fold(source)
        return Pattern(source, (word,), (), (), True, (), re.escape(word), len(word), False)


def is_plain(source: str) -> bool:
    """Whether a wording is one word without any short-hand."""
    return not _SHORT_HAND.search(source)


class Span(NamedTuple):
    """A match in a folded text, and where its items stand in it."""

    start: int
    end: int
    items: tuple[tuple[int, int], ...]


def parse(source: str, concepts: Mapping[str, Concept], weight: Weigh) -> Pattern:
    """Read one pattern; `weight` folds words and tells how common they are."""
    items: list[Item] = []
    gap = ""
    for token in source.split():
        if token in _GAPS:
            gap = token
            continue
        items.append(_item(token, gap, concepts, weight))
        gap = ""
    anchors = [item.what.anchor for item in items if item.what.anchor and not item.optional]
    if gap or not anchors:
        raise BadPattern(f"「{source}」至少要有一个必须出现的词，且不能以间隔符结尾")
    literal = len(items) == 1 and bool(items[0].what.words)
    anchor = items[0].what.words if literal else min(anchors, key=weight.total)
    reach = sum(item.what.longest + _REACH[item.gap] for item in items)
    musts = tuple(must for item in items if not item.optional for must in item.what.musts)
    required = [item.what.needs for item in items if item.what.needs and not item.optional]
    needs = tuple(words for sets in required for words in sets)
    order = tuple(sets[0] for sets in required)
    return Pattern(
        source,
        anchor,
        needs,
        order,
        literal,
        musts,
        _regex(items),
        reach,
        all(map(_is_bare, items)),
    )


def _item(token: str, gap: str, concepts: Mapping[str, Concept], weight: Weigh) -> Item:
    if not token.startswith("<"):
        return Item(concept([family(token, weight.fold)], weight), gap, optional=False)
    name, _, tail = token[1:].partition(">")
    if tail not in ("", "?"):
        raise BadPattern(f"「{token}」后面只能跟「?」")
    if name in NUMBERS:
        needs = (_NUMBER_WORDS[name],) if name in _NUMBER_WORDS else ()
        return Item(
            Concept(NUMBERS[name], (), (), _NUMBER, (_NUMBER_FIRSTS[name],), needs),
            gap,
            optional=bool(tail),
        )
    if name not in concepts:
        raise BadPattern(f"概念「{name}」没有在 concepts.toml 里定义")
    return Item(concepts[name], gap, optional=bool(tail))


def _is_bare(item: Item) -> bool:
    """Whether an item is no number, whose point and dash are left out of a bare text, and has no such symbol either."""
    return bool(item.what.anchor) and HIDDEN.isdisjoint(item.what.regex)


def _regex(items: list[Item]) -> str:
    parts = []
    for at, item in enumerate(items):
        body = (_GAPS[item.gap] if at else "") + f"({item.what.regex})"
        parts.append(f"(?:{body})?" if item.optional else body)
    return "".join(parts)


@lru_cache(maxsize=8192)
def _compiled(regex: str) -> re.Pattern[str]:
    return re.compile(regex)


def spans(pattern: Pattern, text: str) -> Iterator[Span]:
    """Every match from left to right; the next one is looked for one symbol further on."""
    regex = _compiled(pattern.regex)
    found = regex.search(text)
    while found:
        yield Span(*found.span(), _items(found))
        found = regex.search(text, found.start() + 1)


def _items(found: re.Match[str]) -> tuple[tuple[int, int], ...]:
    return tuple(span for span in found.regs[1:] if span[0] >= 0)
