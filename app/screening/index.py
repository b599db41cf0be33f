"""Which wordings may stand in a text, told from the words that each of them must contain.

A set of words one of which every match of a pattern contains is a *group*, one bit of an integer. A pattern is looked
at only where all its groups are present, those of its items in their order and near enough. The group that its anchor
words make up, the *trigger*, says where.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from app.screening.finder import Finder, Place
from app.screening.fold import HIDDEN
from app.screening.patterns import Pattern

Spot = tuple[int, int]
_ANYONE, _CLIENT = (
    1,
    2,
)  # bits: a literal or a disguise is there, for whoever speaks or for a client
_FIRST = 4  # the lowest bit of a group
_MANY = 20  # places of a group that are held against those of others


class _Need(NamedTuple):
    """What must be present for a pattern, and where: `order` within `reach` symbols."""

    number: int
    trigger: int
    for_staff: bool
    groups: int
    musts: tuple[frozenset[str], ...]
    order: tuple[int, ...]
    reach: int


class Possible(NamedTuple):
    """`certain` if a literal or a disguise is there; else the patterns that may be, and where their words stand."""

    certain: bool
    spots: Iterable[tuple[int, list[Spot]]]


class Index:
    """All wordings of a lexicon by number, in the order given; a disguise may turn into any."""

    def __init__(
        self,
        wordings: Iterable[tuple[Pattern, bool]],
        disguises: Iterable[str],
        bare: Callable[[str], str],
    ) -> None:
        bits: dict[frozenset[str], int] = {}
        literals: dict[str, tuple[int, ...]] = {}
        gate = dict.fromkeys(map(bare, disguises), _ANYONE)
        self._needs: dict[int, list[_Need]] = defaultdict(list)
        for number, (pattern, for_staff) in enumerate(wordings):
            if not pattern.literal:
                need = _need(number, pattern, bits, bare, for_staff=for_staff)
                self._needs[need.trigger].append(need)
                continue
            for word in pattern.anchor:
                literals[word] = (*literals.get(word, ()), number)
                _add(gate, bare(word), _ANYONE if for_staff else _CLIENT)
        groups: dict[str, int] = {}
        for words, bit in bits.items():
            for word in words:
                _add(groups, word, bit)
                _add(gate, bare(word), bit)
        for word in [word for word, bits in gate.items() if _is_told(word, bits, gate)]:
            del gate[word]
        self._gate, self._groups, self._literals = Finder(gate), Finder(groups), Finder(literals)
        self._triggers = sum(self._needs)

    def possible(self, bare: str, *, client: bool) -> Possible:
        """What may be found in the text that `bare` is the bare form of."""
        places = self._gate.find(bare)
        if not places:
            return Possible(certain=False, spots=())
        there = _There(places, {*bare, *HIDDEN})
        if there.present & (_ANYONE | _CLIENT if client else _ANYONE):
            return Possible(certain=True, spots=())
        return Possible(
            certain=False,
            spots=(
                (need.number, there.spots(need.trigger))
                for need in self._candidates(there)
                if client or need.for_staff
            ),
        )

    def spots(self, text: str) -> list[tuple[int, list[Spot]]]:
        """Numbers of the wordings that may stand in a folded text, and where their words do."""
        found: dict[int, list[Spot]] = defaultdict(list)
        for start, end, numbers in self._literals.find(text):
            for number in numbers:
                found[number].append((start, end))
        there = _There(self._groups.find(text), set(text))
        for need in self._candidates(there):
            found[need.number] = there.spots(need.trigger)
        return sorted(found.items(), key=_first_ended)

    def _candidates(self, there: "_There") -> Iterator[_Need]:
        """Patterns whose words are all there."""
        return (
            need
            for trigger in _each(there.present & self._triggers)
            for need in self._needs[trigger]
            if need.groups & there.present == need.groups
            and not any(map(there.chars.isdisjoint, need.musts))
            and _in_order(need, there)
        )


class _There:
    """What is there in a text; where the words of a group stand is gathered when it is asked."""

    def __init__(self, places: list[Place[int]], chars: set[str]) -> None:
        self._places, self.chars = places, chars
        self._spots: dict[int, list[Spot]] = {}
        self.present = 0
        for place in places:
            self.present |= place[2]

    def spots(self, group: int) -> list[Spot]:
        known = self._spots.get(group)
        if known is None:
            known = [(start, end) for start, end, groups in self._places if groups & group]
            self._spots[group] = known
        return known


def _need(
    number: int,
    pattern: Pattern,
    bits: dict[frozenset[str], int],
    bare: Callable[[str], str],
    *,
    for_staff: bool,
) -> _Need:
    """The need of a pattern; groups that `bare` would hide are not asked for."""

    def bit(words: tuple[str, ...]) -> int:
        return bits.setdefault(_shortest(words), _FIRST << len(bits))

    order = tuple(bit(words) for words in pattern.order if all(map(bare, words)))
    groups = sum({bit(words) for words in pattern.needs if all(map(bare, words))})
    trigger = bit(pattern.anchor) if all(map(bare, pattern.anchor)) or not order else order[0]
    return _Need(number, trigger, for_staff, groups, pattern.musts, order, pattern.reach)


def _shortest(words: Iterable[str]) -> frozenset[str]:
    """Without the words that contain another one of them."""
    known = frozenset(words)
    return frozenset(word for word in known if known.isdisjoint(_parts(word)))


def _is_told(word: str, bits: int, gate: Mapping[str, int]) -> bool:
    """Whether a part of the word tells as much or decides by itself."""
    return any(
        known & _ANYONE or known & bits == bits
        for known in (gate[part] for part in _parts(word) if part in gate)
    )


def _parts(word: str) -> Iterator[str]:
    """All that is contained in a word, but for the word itself."""
    size = len(word)
    return (
        word[start:end]
        for start in range(size)
        for end in range(start + 1, size + 1)
        if end - start < size
    )


def _add(found: dict[str, int], word: str, bits: int) -> None:
    found[word] = found.get(word, 0) | bits


def _each(bits: int) -> Iterator[int]:
    while bits:
        lowest = bits & -bits
        yield lowest
        bits ^= lowest


def _in_order(need: _Need, there: _There) -> bool:
    """Whether words of the items stand one after another within what a match takes at most."""
    if len(need.order) < 2:  # noqa: PLR2004
        return True
    first, *later = map(there.spots, need.order)
    if len(first) > _MANY:
        return True
    return any(_follow(later, end, start + need.reach) for start, end in first)


def _follow(later: Sequence[list[Spot]], at: int, limit: int) -> bool:
    for spots in later:
        at = min((end for start, end in spots if start >= at and end <= limit), default=0)
        if not at:
            return False
    return True


def _first_ended(found: tuple[int, list[Spot]]) -> tuple[int, int, int]:
    number, spots = found
    end, start = min((end, start) for start, end in spots)
    return end, start, number
