"""What the FTS5 table holds of a message, and a search as one FTS5 expression. Pure functions.

The column `t` holds the pairs of the text, `tags` one word for each thing that can be filtered by. The pairs
have no ASCII character and the tags nothing else, so neither can be found in place of the other and the
expression needs no column filters. A tag is a letter and the value's bytes in hexadecimal, so that two
values never share a tag.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from app.search import tokens
from app.search.domain import Document
from app.search.filters import Filters
from app.search.tree import And, Field, FieldName, Near, Not, Or, Query, Term

CORP, EMPLOYEE, CLIENT, DEPARTMENT, CONVERSATION, DIRECTION, KIND = "pecdvrk"
SENDER, RECIPIENT, MEDIA = "stm"
FIELDS: dict[FieldName, str] = {
    "from": SENDER,
    "to": RECIPIENT,
    "adviser": EMPLOYEE,
    "client": CLIENT,
    "department": DEPARTMENT,
    "kind": KIND,
}
FEW = 32  # values; FTS5 walks the list of each for every message: at 1M messages 10 cost 14 ms, 300 cost 100, a lookup 40


def tag(kind: str, value: object) -> str:
    """The one word that stands for this value; any text will do, lone surrogates included."""
    return kind + str(value).encode("utf-8", "surrogatepass").hex()


def untag(word: str) -> str:
    """The value that a tag stands for."""
    return bytes.fromhex(word[1:]).decode("utf-8", "surrogatepass")


def tags_of(corp_id: int, document: Document) -> str:
    """Everything that the message can be filtered by, as words."""
    words = [
        tag(CORP, corp_id),
        tag(CONVERSATION, document.conversation),
        tag(DIRECTION, document.direction),
        tag(KIND, document.kind),
        *(tag(EMPLOYEE, employee) for employee in document.employees),
        *(tag(CLIENT, client) for client in document.clients),
        *(tag(DEPARTMENT, department) for department in document.departments),
        *([tag(SENDER, document.sender)] if document.sender else ()),
        *(tag(RECIPIENT, recipient) for recipient in document.recipients),
        *([tag(MEDIA, 1)] if document.has_media else ()),
    ]
    return " ".join(dict.fromkeys(words))


class _Part(NamedTuple):
    """An expression, or with `negated` everything that it does not find."""

    negated: bool
    text: str


def expression(tree: Query | None, filters: Filters, corp_ids: Collection[int]) -> str | None:
    """The whole search but time, notes and long lists (`is_long`); None if that leaves every message in.

    `corp_ids` are the corps that the index holds: a filter that names all of them costs nothing.
    """
    parts = [] if tree is None else [_part(tree)]  # the rarest first, FTS5 keeps the order
    tagged = [*_narrowed(filters), *_scoped(filters), *_corps(filters, corp_ids)]
    parts += [_Part(negated=False, text=text) for text in tagged]
    if filters.has_media is not None:
        parts.append(_Part(negated=not filters.has_media, text=any_of(MEDIA, [1])))
    if not parts:
        return None
    whole = _both(parts)
    everything = any_of(CORP, sorted(corp_ids))
    return f"({everything} NOT {whole.text})" if whole.negated else whole.text


def any_of(kind: str, values: Iterable[object]) -> str:
    """Messages that carry one of these values; of no values, none."""
    words = [f'"{tag(kind, value)}"' for value in values]
    return f"({' OR '.join(words)})" if words else '"nothing"'


def _narrowed(filters: Filters) -> list[str]:
    lists: tuple[tuple[str, tuple[object, ...]], ...] = (
        (EMPLOYEE, filters.advisers),
        (CLIENT, filters.clients),
        (DEPARTMENT, filters.departments),
        (CONVERSATION, _given(filters.conversation)),
        (DIRECTION, _given(filters.direction)),
        (KIND, _given(filters.kind)),
    )
    return [
        any_of(kind, values)
        for kind, values in lists
        if values and not (kind in (EMPLOYEE, DEPARTMENT) and is_long(values))
    ]


def is_long(values: Collection[object]) -> bool:
    """Whether a list of advisers or departments is left to `statements`."""
    return len(values) > FEW


def _given(value: object) -> tuple[object, ...]:
    return () if value is None else (value,)


def _scoped(filters: Filters) -> list[str]:
    visible = filters.visible
    if visible is None or is_long(visible.departments):
        return []
    sides = [any_of(DEPARTMENT, sorted(visible.departments))]
    if visible.employee is not None:  # ids are unique within a corp only
        corp_id, name = visible.employee
        sides.append(f"({any_of(EMPLOYEE, [name])} AND {any_of(CORP, [corp_id])})")
    return [_join("OR", sides)]


def _corps(filters: Filters, present: Collection[int]) -> list[str]:
    if not filters.corp_ids or set(present) <= set(filters.corp_ids):
        return []
    return [any_of(CORP, filters.corp_ids)]


def _part(tree: Query) -> _Part:
    match tree:
        case Term(text):
            return _Part(negated=False, text=_phrase(text))
        case Near(one, other, distance):
            # A phrase of pairs is one shorter than its characters.
            text = f"NEAR({_phrase(one)} {_phrase(other)}, {distance + 1})"
            return _Part(negated=False, text=text)
        case Field(name, values):
            return _Part(negated=False, text=any_of(FIELDS[name], values))
        case Not(child):
            part = _part(child)
            return _Part(not part.negated, part.text)
        case And(children):
            return _both([_part(child) for child in children])
        case Or(children):
            return _either([_part(child) for child in children])


def _phrase(text: str) -> str:
    pairs = tokens.query_tokens(text)
    return f'"{" ".join(pairs)}"' if pairs else f'"{tokens.shifted(text)}" *'


def _both(parts: list[_Part]) -> _Part:
    """FTS5 knows only "a NOT b", so that what is negated moves behind what is wanted, or to the outside."""
    wanted = [part.text for part in parts if not part.negated]
    unwanted = [part.text for part in parts if part.negated]
    if not wanted:
        return _Part(negated=True, text=_join("OR", unwanted))
    return _Part(negated=False, text=_without(_join("AND", wanted), unwanted))


def _either(parts: list[_Part]) -> _Part:
    """By De Morgan's law: a or not b is not (b and not a)."""
    flipped = _both([_Part(not part.negated, part.text) for part in parts])
    return _Part(not flipped.negated, flipped.text)


def _without(wanted: str, unwanted: list[str]) -> str:
    return f"({wanted} NOT {_join('OR', unwanted)})" if unwanted else wanted


def _join(operator: str, texts: list[str]) -> str:
    return texts[0] if len(texts) == 1 else f"({f' {operator} '.join(texts)})"
