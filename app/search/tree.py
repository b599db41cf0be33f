"""What a query means, as a small immutable tree; engines compile it, `matches` is what they must agree with.

A word in the tree is in the form of `tokens.norm`, unless the query was read literally (原样).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

FieldName: TypeAlias = Literal["from", "to", "adviser", "client", "department", "kind"]


@dataclass(frozen=True, slots=True)
class Term:
    """These characters in a row; `text` is never empty."""

    text: str


@dataclass(frozen=True, slots=True)
class Near:
    """Both words, in either order, with at most `distance` characters between the two; overlapping counts.

    Each has at least two characters in its normal form: engines find pairs.
    """

    one: str
    other: str
    distance: int


@dataclass(frozen=True, slots=True)
class Field:
    """A message that carries one of the values.

    As written, `values` is the one word typed. `query.resolve` puts there what a `Document` holds: party keys for
    `from` and `to`, employee and client ids, department numbers as text, kinds.
    """

    name: FieldName
    values: tuple[str, ...]
    at: int = field(default=0, compare=False)  # where it stands in what was typed


@dataclass(frozen=True, slots=True)
class Not:
    """Whatever the child does not match."""

    child: "Query"


@dataclass(frozen=True, slots=True)
class And:
    """All of at least two."""

    children: tuple["Query", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of at least two."""

    children: tuple["Query", ...]


Query: TypeAlias = Term | Near | Field | Not | And | Or


def matches(tree: Query, text: str, carries: Callable[[Field], bool] = lambda _field: True) -> bool:
    """Whether a text answers the query; `text` in the form in which the tree's words are.

    `carries` tells of the message itself whether it answers a field term.
    """
    match tree:
        case Term(word):
            return word in text
        case Near(one, other, distance):
            return _is_near(text, one, other, distance)
        case Field():
            return carries(tree)
        case Not(child):
            return not matches(child, text, carries)
        case And(children):
            return all(matches(child, text, carries) for child in children)
        case Or(children):
            return any(matches(child, text, carries) for child in children)


def phrases(tree: Query) -> tuple[str, ...]:
    """The words to mark in a message that was found, in the order written; negated ones are left out."""
    return tuple(dict.fromkeys(_wanted(tree, wanted=True)))


def _wanted(tree: Query, *, wanted: bool) -> list[str]:
    match tree:
        case Term(text):
            return [text] if wanted else []
        case Near(one, other):
            return [one, other] if wanted else []
        case Field():
            return []
        case Not(child):
            return _wanted(child, wanted=not wanted)
        case And(children) | Or(children):
            return [text for child in children for text in _wanted(child, wanted=wanted)]


def _is_near(text: str, one: str, other: str, distance: int) -> bool:
    places = _places(text, one)
    return any(
        later - (earlier + length) <= distance
        for here in places
        for there in _places(text, other)
        for earlier, length, later in (
            [(here, len(one), there)] if here <= there else [(there, len(other), here)]
        )
    )


def _places(text: str, word: str) -> list[int]:
    found = []
    at = text.find(word)
    while at >= 0:
        found.append(at)
        at = text.find(word, at + 1)
    return found
