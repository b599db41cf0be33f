"""Short-hand for word families: `(转|打|汇)(到|进)?我卡` stands for nine plain words.

`(a|b)` is a choice, `?` makes the character or group before it optional. A family is compiled to a
regular expression; its *anchor* is a small set of plain words one of which every member contains.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby, product
from typing import NamedTuple

LIMIT = 400  # words an anchor or a literal may have


class BadFamily(ValueError):
    """The short-hand cannot be read; the message says why, in Chinese."""


class Choice(NamedTuple):
    """One place of a family: any of `branches`, each a sequence of places; a plain word has none."""

    word: str
    branches: tuple[tuple["Choice", ...], ...]
    optional: bool


class Family(NamedTuple):
    """A compiled family. `words` lists all members when they are few, else it is empty.

    Every member has a character of each of `musts`.
    """

    regex: str
    anchors: tuple[tuple[str, ...], ...]
    words: tuple[str, ...]
    longest: int
    musts: tuple[frozenset[str], ...]


def family(source: str, fold: Callable[[str], str] = str) -> Family:
    """Compile one family; every character goes through `fold`."""
    branches, rest = _choices(source, 0, fold)
    if rest != len(source):
        raise BadFamily(f"「{source}」第 {rest + 1} 个字符处有多余的「{source[rest]}」")
    top = (Choice("", branches, optional=False),) if len(branches) > 1 else branches[0]
    words = _members(top, LIMIT)
    anchors = (words,) if words else tuple(_anchors(top))
    if not anchors:
        raise BadFamily(f"「{source}」没有任何必须出现的字，或者可能的写法太多，请拆成几条")
    return Family(_regex(top), anchors, words, _longest(top), _musts(top))


def expand(source: str, fold: Callable[[str], str] = str) -> list[str]:
    """List the members of a family that has at most `LIMIT`."""
    words = family(source, fold).words
    if not words:
        raise BadFamily(f"「{source}」展开后超过 {LIMIT} 个词，请拆成几条")
    return list(words)


def alternatives(families: Iterable[Family]) -> str:
    """A regular expression for a member of any family, longer members first."""
    words = {word for one in families for word in one.words}
    large = [one.regex for one in families if not one.words]
    return "|".join([*large, *map(re.escape, sorted(words, key=lambda w: (-len(w), w)))])


def _choices(
    source: str, at: int, fold: Callable[[str], str]
) -> tuple[tuple[tuple[Choice, ...], ...], int]:
    branches = []
    while True:
        branch, at = _sequence(source, at, fold)
        branches.append(branch)
        if at >= len(source) or source[at] != "|":
            return tuple(branches), at
        at += 1


def _sequence(source: str, at: int, fold: Callable[[str], str]) -> tuple[tuple[Choice, ...], int]:
    parts: list[Choice] = []
    while at < len(source) and source[at] not in "|)":
        part, at = _atom(source, at, fold)
        if at < len(source) and source[at] == "?":
            part, at = part._replace(optional=True), at + 1
        parts.append(part)
    return tuple(parts), at


def _atom(source: str, at: int, fold: Callable[[str], str]) -> tuple[Choice, int]:
    if source[at] == "?":
        raise BadFamily(f"「{source}」里的「?」前面没有字")
    if source[at] != "(":
        return Choice(fold(source[at]), (), optional=False), at + 1
    branches, end = _choices(source, at + 1, fold)
    if end >= len(source):
        raise BadFamily(f"「{source}」的括号没有配对")
    return Choice("", branches, optional=False), end + 1


def _regex(parts: tuple[Choice, ...]) -> str:
    return "".join(map(_part_regex, parts))


def _part_regex(part: Choice) -> str:
    if part.branches:
        longest_first = sorted(part.branches, key=_longest, reverse=True)
        return f"(?:{'|'.join(map(_regex, longest_first))}){'?' if part.optional else ''}"
    return re.escape(part.word) + ("?" if part.optional else "")


def _musts(parts: tuple[Choice, ...]) -> tuple[frozenset[str], ...]:
    needed = (part for part in parts if not (part.optional or _may_be_empty(part)))
    return tuple(frozenset(_firsts((part,))) for part in needed)


def _firsts(parts: tuple[Choice, ...]) -> Iterator[str]:
    for part in parts:
        if part.branches:
            yield from (char for branch in part.branches for char in _firsts(branch))
        else:
            yield from part.word[:1]
        if not (part.optional or _may_be_empty(part)):
            return


def _may_be_empty(part: Choice) -> bool:
    if part.branches:
        return any(
            all(one.optional or _may_be_empty(one) for one in branch) for branch in part.branches
        )
    return not part.word


def _longest(parts: tuple[Choice, ...]) -> int:
    return sum(
        max(map(_longest, part.branches)) if part.branches else len(part.word) for part in parts
    )


def _members(parts: tuple[Choice, ...], limit: int) -> tuple[str, ...]:
    """All members, or () when there are more than `limit`."""
    words = [""]
    for part in parts:
        own = _part_members(part, limit)
        if not own or len(own) * len(words) > limit:
            return ()
        words = ["".join(pair) for pair in product(words, own)]
    return tuple(dict.fromkeys(word for word in words if word))


def _part_members(part: Choice, limit: int) -> list[str]:
    own = [part.word]
    if part.branches:
        lists = [_members(branch, limit) or ([] if branch else [""]) for branch in part.branches]
        if not all(lists):
            return []
        own = [word for one in lists for word in one]
    return ["", *own] if part.optional else own


def _anchors(parts: tuple[Choice, ...]) -> Iterator[tuple[str, ...]]:
    """Word sets one of which every member contains, from the places that are not optional."""
    for optional, run in groupby(parts, key=lambda part: part.optional):
        if optional:
            continue
        places = tuple(run)
        for size in range(len(places), 0, -1):
            sets = [_members(places[at : at + size], LIMIT) for at in range(len(places) - size + 1)]
            if any(sets):
                yield from filter(None, sets)
                break
        yield from (words for part in places if (words := _of_branches(part.branches)))


def _of_branches(branches: tuple[tuple[Choice, ...], ...]) -> tuple[str, ...]:
    """One anchor for every branch, all together; () when a branch has none."""
    chosen: dict[str, None] = {}
    for branch in branches:
        sets: list[tuple[str, ...]] = [
            words for words in (_members(branch, LIMIT), *_anchors(branch)) if words
        ]
        if not sets:
            return ()
        smallest = min(sets, key=len)
        chosen.update(dict.fromkeys(smallest))
    return tuple(chosen)
