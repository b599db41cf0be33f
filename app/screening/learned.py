"""The learned second opinion: a linear model over the characters of a message and of the one before it.

`wordlists/learned.toml` holds it as text that can be read: for each piece of one to three symbols, how far it
speaks for or against each category. The log-odds of a category are its bias plus the sum of the weights of the
known pieces, divided by the square root of their number. Nothing here is trained; `tests/screening/learn.py` does that.
"""

import math
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import NamedTuple

from app.screening.domain import Role

LONGEST = 3  # symbols of a piece
SHORT = 12  # symbols; a message no longer than this is read with what its speaker just said, if that is short too
LONG = 160  # symbols; a longer text is judged in parts, and of what came before no more is read
UNIT = 0.02  # log-odds that one step of a stored weight stands for
JOINT = "|"  # between messages read together, as between lines
OPENS, CLOSES = "^", "$"  # a message's own ends, as symbols
_OFFSET = 1 << 14  # makes every weight positive, so that lanes of a packed sum never borrow
_LANE = 32  # bits
_MASK = (1 << _LANE) - 1
_MOST_ODDS = 700.0  # e to more than that is no float
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_BREAK = re.compile(r"[。！？|]+")  # as `symbols` shows them
_SPACES = str.maketrans({" ": "_", "\n": "|"})


class Heard(NamedTuple):
    """One message as the model reads it: who, and `symbols` of its folded text."""

    role: Role
    symbols: str


class Message(NamedTuple):
    """A message, what came before it, and its `manner`: one of `MANNERS`."""

    before: Heard | None
    own: Heard
    manner: str


class Opinion(NamedTuple):
    """What the model makes of a message: chances by category, and the share of its pieces it knows."""

    chances: Mapping[str, float]
    familiarity: float


class Policy(NamedTuple):
    """Probabilities at which the model's opinion counts.

    A finding it thinks less likely than `keep` is a lead; a lead at least as likely as `add` is a
    violation, and so is what no rule found. It doubts and adds only where it knows at least the
    share `familiar` of the pieces of the message.
    """

    familiar: float
    keep: float
    add: float


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """Weights by block and piece. A packed number is a count in its lowest lane and one lane a category."""

    categories: tuple[str, ...]
    bias: tuple[float, ...]
    policy: Policy
    judges: frozenset[str]  # rules that stand as they stood when it was trained
    blocks: Mapping[str, Mapping[str, int]]

    def opinion(self, one: Message) -> Opinion:
        """Judge a message; of a long text, each category's chance in the part where it is greatest."""
        (block, text), *around = blocks(*one)
        context = sum(self._sum(name, pieces(each)) for name, each in around)
        parts = [pieces(part) for part in parts_of(text)]
        sums = [self._sum(block, part) for part in parts]
        most = map(max, zip(*(self._odds(context + each) for each in sums), strict=True))
        chances = dict(zip(self.categories, map(_probability, most), strict=True))
        known = sum(each & _MASK for each in sums)
        return Opinion(chances, known / sum(map(len, parts)))

    def _sum(self, block: str, found: set[str]) -> int:
        return sum(map(self.blocks[block].get, found, repeat(0)))

    def _odds(self, total: int) -> list[float]:
        count, *lanes = self._lanes(total)
        scale = UNIT / math.sqrt(count or 1)
        return [bias + lane * scale for bias, lane in zip(self.bias, lanes, strict=True)]

    def _lanes(self, total: int) -> list[int]:
        """How many weights were added up, and the sum of each category's."""
        size = len(self.categories) + 1
        count, *lanes = struct.unpack(f"<{size}I", total.to_bytes(size * _LANE // 8, "little"))
        return [count, *(lane - count * _OFFSET for lane in lanes)]

    def reasons(self, one: Message, category: str, most: int = 4) -> list[tuple[str, str]]:
        """The pieces that speak most for a category, weightiest first, with their block."""
        lane = self.categories.index(category)
        weighed = (
            (weight(packed, lane), block, piece)
            for block, text in blocks(*one)
            for piece in pieces(text)
            if (packed := self.blocks[block].get(piece))
        )
        best = sorted(weighed, key=lambda each: (-each[0], each[2]))[:most]
        return [(block, piece) for value, block, piece in best if value > 0]


def pieces(text: str) -> set[str]:
    """Every run of one to `LONGEST` symbols, the message's ends counted as symbols."""
    text = f"{OPENS}{text}{CLOSES}"
    found = set(text)
    found.update(map(str.__add__, text, text[1:]))
    found.update(text[at : at + LONGEST] for at in range(len(text) - LONGEST + 1))
    return found


def blocks(before: Heard | None, own: Heard, manner: str) -> Iterator[tuple[str, str]]:
    """Which weights apply to which text: those of the message first, then those of what came before it."""
    side = _side(own)
    yield side, own.symbols
    if before:
        yield (
            f"{side}_{manner}_after_{'same' if _side(before) == side else 'other'}",
            before.symbols,
        )


OWN = ("staff", "client")  # blocks for the message itself
MANNERS = ("yes", "no", "short", "long")  # an answer that opens with a yes or a no; else by length
BLOCKS = tuple(
    side + rest
    for side in OWN
    for rest in ("", *(f"_{how}_after_{who}" for how in MANNERS for who in ("same", "other")))
)


def symbols(folded: str) -> str:
    """A folded text as the model reads it: numbers alike, no white space."""
    return _NUMBER.sub("0", folded).translate(_SPACES)


def parts_of(text: str) -> list[str]:
    """The text itself, or a long one cut at sentence ends into parts of at most `LONG` symbols."""
    if len(text) <= LONG:
        return [text]
    sentences = filter(None, _BREAK.split(text))
    return [each[at : at + LONG] for each in sentences for at in range(0, len(each), LONG)] or [""]


def pack(weights: Sequence[int]) -> int:
    """Steps by category as one number whose lanes add up independently."""
    return 1 + sum((each + _OFFSET) << (_LANE * at) for at, each in enumerate(weights, 1))


def weight(packed: int, lane: int) -> int:
    """The steps of one category in a packed weight."""
    return ((packed >> (_LANE * (lane + 1))) & _MASK) - _OFFSET


def _side(one: Heard) -> str:
    return "client" if one.role == "client" else "staff"


def _probability(odds: float) -> float:
    return 1.0 / (1.0 + math.exp(min(-odds, _MOST_ODDS)))
