"""Which wordings may stand in a text, told from the words that each of them must contain.

The words that an item of a pattern begins from are a *group*, one bit of an integer. A pattern is looked at only
where all its groups are present; its rarest group, the *trigger*, says where.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from app.screening.finder import Finder
from app.screening.patterns import Pattern

_ANYONE, _CLIENT = 1, 2  # bits of the gate: something is found whoever speaks, or if a client does
_FIRST = 4  # the lowest bit of a group
Spot = tuple[int, int]


class _Need(NamedTuple):
    """What must be present for a pattern: groups, and characters."""

    for_staff: bool
    groups: int
    musts: tuple[frozenset[str], ...]


class _Groups(NamedTuple):
    """What a word belongs to: all its groups, and those that are triggers one by one."""

    all: int
    triggers: tuple[int, ...]


class Index:
    """All wordings of a lexicon by number, in the order given; a disguise may turn into any."""

    def __init__(
        self,
        wordings: Iterable[tuple[Pattern, bool]],
        disguises: Iterable[str],
        bare: Callable[[str], str],
    ) -> None:
        self._bits: dict[tuple[str, ...], int] = {}
        self._triggered: dict[int, list[int]] = defaultdict(list)
        self._needs: dict[int, int] = {}
        literals: dict[str, tuple[int, ...]] = {}
        gate = dict.fromkeys(map(bare, disguises), _ANYONE)
        wants: dict[int, dict[_Need, None]] = defaultdict(dict)
        for number, (pattern, for_staff) in enumerate(wordings):
            if pattern.literal:
                for word in pattern.anchor:
                    literals[word] = (*literals.get(word, ()), number)
                    plain = bare(word)
                    gate[plain] = gate.get(plain, 0) | (_ANYONE if for_staff else _CLIENT)
                continue
            trigger = self._bit(pattern.anchor)
            self._triggered[trigger].append(number)
            self._needs[number] = sum({self._bit(words) for words in pattern.needs})
            shown = sum({self._bit(words) for words in pattern.needs if all(map(bare, words))})
            wants[trigger][_Need(for_staff, shown, pattern.musts)] = None
        self._wants = {trigger: tuple(needs) for trigger, needs in wants.items()}
        self._triggers = sum(self._wants)
        words = self._words()
        for word, bits in words.items():
            gate[bare(word)] = gate.get(bare(word), 0) | bits
        self._gate = Finder(gate)
        self._literals = Finder(literals)
        self._anchors = Finder((word, self._groups(bits)) for word, bits in words.items())

    def possible(self, bare: str, *, client: bool) -> bool:
        """Whether anything can be found in what `bare` is the bare form of."""
        if not self._gate.may_touch(bare):
            return False
        present = 0
        for bits in self._gate.values(bare):
            present |= bits
        if present & (_ANYONE | _CLIENT if client else _ANYONE):
            return True
        chars = set(bare)
        return any(
            need.groups & present == need.groups
            and (client or need.for_staff)
            and not any(map(chars.isdisjoint, need.musts))
            for trigger in _each(present & self._triggers)
            for need in self._wants[trigger]
        )

    def spots(self, text: str) -> list[tuple[int, list[Spot]]]:
        """Numbers of the wordings that may stand in a folded text, and where their words do."""
        found: dict[int, list[Spot]] = defaultdict(list)
        for start, end, numbers in self._literals.find(text):
            for number in numbers:
                found[number].append((start, end))
        present, places = 0, defaultdict[int, list[Spot]](list)
        for start, end, groups in self._anchors.find(text):
            present |= groups.all
            for trigger in groups.triggers:
                places[trigger].append((start, end))
        for trigger, spots in places.items():
            for number in self._triggered[trigger]:
                if self._needs[number] & present == self._needs[number]:
                    found[number] = spots
        return sorted(found.items(), key=_first_ended)

    def _bit(self, words: tuple[str, ...]) -> int:
        return self._bits.setdefault(words, _FIRST << len(self._bits))

    def _words(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for words, bit in self._bits.items():
            for word in words:
                found[word] = found.get(word, 0) | bit
        return found

    def _groups(self, bits: int) -> _Groups:
        return _Groups(bits, tuple(_each(bits & self._triggers)))


def _each(bits: int) -> Iterator[int]:
    while bits:
        lowest = bits & -bits
        yield lowest
        bits ^= lowest


def _first_ended(found: tuple[int, list[Spot]]) -> tuple[int, int, int]:
    number, spots = found
    end, start = min((end, start) for start, end in spots)
    return end, start, number
