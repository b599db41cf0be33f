"""Which wordings may stand in a text, told from the words that each of them must contain.

A set of words one of which every match of a pattern contains is a *group*, one bit of an integer. A pattern is looked
at only where all its groups are present, those of its items in their order and near enough. The group that its anchor
words make up, the *trigger*, says where.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from app.screening.finder import Finder, Place
from app.screening.fold import HIDDEN
from app.screening.patterns import Pattern

Spot = tuple[int, int]
_ANYONE, _CLIENT = 1, 2  # what a literal or a disguise finds: whoever speaks, or if a client does


class _Need(NamedTuple):
    """What must be present for a pattern, and where: `order` within `reach` symbols."""

    number: int
    for_staff: bool
    groups: int
    musts: tuple[frozenset[str], ...]
    order: tuple[int, ...]
    reach: int


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
        certain = dict.fromkeys(map(bare, disguises), _ANYONE)
        self._needs: dict[int, list[_Need]] = defaultdict(list)
        for number, (pattern, for_staff) in enumerate(wordings):
            if not pattern.literal:
                trigger, need = _need(number, pattern, bits, bare, for_staff=for_staff)
                self._needs[trigger].append(need)
                continue
            for word in pattern.anchor:
                literals[word] = (*literals.get(word, ()), number)
                plain = bare(word)
                certain[plain] = certain.get(plain, 0) | (_ANYONE if for_staff else _CLIENT)
        groups = _groups(bits)
        self._certain = Finder(certain)
        self._literals = Finder(literals)
        self._bare_groups = Finder(_merged((bare(word), own) for word, own in groups.items()))
        self._groups = Finder(groups)
        self._triggers = sum(self._needs)

    def possible(self, bare: str, *, client: bool) -> bool:
        """Whether anything can be found in what `bare` is the bare form of."""
        flags = _ANYONE | _CLIENT if client else _ANYONE
        if any(found & flags for found in self._certain.values(bare)):
            return True
        if not self._bare_groups.may_touch(bare):
            return False
        chars = {*bare, *HIDDEN}
        candidates = self._candidates(bare, chars, self._bare_groups)
        return any(client or need.for_staff for need, _ in candidates)

    def spots(self, text: str) -> list[tuple[int, list[Spot]]]:
        """Numbers of the wordings that may stand in a folded text, and where their words do."""
        found: dict[int, list[Spot]] = defaultdict(list)
        for start, end, numbers in self._literals.find(text):
            for number in numbers:
                found[number].append((start, end))
        for need, spots in self._candidates(text, set(text), self._groups):
            found[need.number] = spots
        return sorted(found.items(), key=_first_ended)

    def _candidates(
        self, text: str, chars: set[str], finder: Finder[int]
    ) -> Iterator[tuple[_Need, list[Spot]]]:
        """Patterns whose words are all there, and the places of their anchor words."""
        places = list(finder.find(text))
        present = 0
        for place in places:
            present |= place.value
        for trigger in _each(present & self._triggers):
            for need in self._needs[trigger]:
                if (
                    need.groups & present == need.groups
                    and not any(map(chars.isdisjoint, need.musts))
                    and _in_order(need, places)
                ):
                    yield need, _of(places, trigger)


def _need(
    number: int,
    pattern: Pattern,
    bits: dict[frozenset[str], int],
    bare: Callable[[str], str],
    *,
    for_staff: bool,
) -> tuple[int, _Need]:
    """The trigger and the need of a pattern; groups that `bare` would hide are not asked for."""

    def bit(words: tuple[str, ...]) -> int:
        return bits.setdefault(frozenset(words), 1 << len(bits))

    order = tuple(bit(words) for words in pattern.order if all(map(bare, words)))
    groups = sum({bit(words) for words in pattern.needs if all(map(bare, words))})
    trigger = bit(pattern.anchor) if all(map(bare, pattern.anchor)) or not order else order[0]
    return trigger, _Need(number, for_staff, groups, pattern.musts, order, pattern.reach)


def _groups(bits: dict[frozenset[str], int]) -> dict[str, int]:
    """The groups that each word belongs to."""
    return _merged((word, bit) for words, bit in bits.items() for word in words)


def _merged(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for word, groups in pairs:
        found[word] = found.get(word, 0) | groups
    return found


def _each(bits: int) -> Iterator[int]:
    while bits:
        lowest = bits & -bits
        yield lowest
        bits ^= lowest


def _of(places: Sequence[Place[int]], group: int) -> list[Spot]:
    return [(start, end) for start, end, groups in places if groups & group]


def _in_order(need: _Need, places: Sequence[Place[int]]) -> bool:
    """Whether words of the items stand one after another within what a match takes at most."""
    if len(need.order) < 2:  # noqa: PLR2004
        return True
    first, *later = (_of(places, group) for group in need.order)
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
