"""A search as the cluster's query language says it. Pure functions.

Everything stands in filter context: nothing is scored, order is by time. A phrase of pairs is found at consecutive
positions; one character is the start of a pair.
"""

from collections.abc import Iterable
from typing import Any, TypeAlias

from app.search import fts, tokens
from app.search.domain import first_rid
from app.search.filters import Filters
from app.search.opensearch import layout
from app.search.tree import And, Field, Near, Not, Or, Query, Term

Clause: TypeAlias = dict[str, Any]

_MOST = (1 << 63) - 1  # what a long can hold


def query(tree: Query | None, filters: Filters) -> Clause:
    """The whole search, the scope inside."""
    clauses = [] if tree is None else [_compiled(tree)]
    clauses += [*_narrowed(filters), *_timed(filters), *_scoped(filters)]
    return {"bool": {"filter": clauses}} if clauses else {"match_all": {}}


def order(filters: Filters) -> list[dict[str, str]]:
    """By time, and within one place in time by record, so that every message has one place."""
    word = "desc" if filters.order == "newest" else "asc"
    return [{"rid": word}, {"record": word}]


def _compiled(tree: Query) -> Clause:
    match tree:
        case Term(text):
            return _phrase(text)
        case Near(one, other, distance):
            return _near(one, other, distance)
        case Field(name, values):
            return _tagged(fts.FIELDS[name], values)
        case Not(child):
            return {"bool": {"must_not": [_compiled(child)]}}
        case And(children):
            return {"bool": {"filter": [_compiled(child) for child in children]}}
        case Or(children):
            return _either(_compiled(child) for child in children)


def _phrase(text: str) -> Clause:
    pairs = tokens.query_tokens(text)
    if not pairs:
        return {"prefix": {"g": {"value": tokens.shifted(text)}}}
    return {"match_phrase": {"g": " ".join(pairs)}}


def _near(one: str, other: str, distance: int) -> Clause:
    """A phrase of pairs is one shorter than its characters; a word is always near itself."""
    if one == other:
        return _phrase(one)
    words = [
        {"match": {"query": " ".join(tokens.query_tokens(word)), "mode": "ordered", "max_gaps": 0}}
        for word in (one, other)
    ]
    both = {"mode": "unordered", "max_gaps": distance + 1, "intervals": words}
    return {"intervals": {"g": {"all_of": both}}}


def _narrowed(filters: Filters) -> Iterable[Clause]:
    lists: tuple[tuple[str, tuple[object, ...]], ...] = (
        (fts.CORP, filters.corp_ids),
        (fts.EMPLOYEE, filters.advisers),
        (fts.CLIENT, filters.clients),
        (fts.DEPARTMENT, filters.departments),
        (fts.CONVERSATION, _given(filters.conversation)),
        (fts.DIRECTION, _given(filters.direction)),
        (fts.KIND, _given(filters.kind)),
    )
    yield from (_tagged(kind, values) for kind, values in lists if values)
    if filters.by_finding():
        marks = layout.wanted_marks(filters.categories, filters.severities, filters.states)
        yield {"terms": {"hits": marks}}
    if filters.has_media is not None:
        media = _tagged(fts.MEDIA, [1])
        yield media if filters.has_media else {"bool": {"must_not": [media]}}
    if filters.recalled is not None:
        yield {"term": {"recalled": filters.recalled}}


def _given(value: object) -> tuple[object, ...]:
    return () if value is None else (value,)


def _timed(filters: Filters) -> Iterable[Clause]:
    bounds = {}
    if filters.since is not None:
        bounds["gte"] = first_rid(filters.since)
    if filters.until is not None:
        bounds["lt"] = min(first_rid(filters.until), _MOST)
    if bounds:
        yield {"range": {"rid": bounds}}


def _scoped(filters: Filters) -> Iterable[Clause]:
    visible = filters.visible
    if visible is None:
        return
    sides = [_tagged(fts.DEPARTMENT, sorted(visible.departments))]
    if visible.employee is not None:  # ids are unique within a corp only
        corp_id, name = visible.employee
        both = [_tagged(fts.EMPLOYEE, [name]), _tagged(fts.CORP, [corp_id])]
        sides.append({"bool": {"filter": both}})
    yield _either(sides)


def _tagged(kind: str, values: Iterable[object]) -> Clause:
    return {"terms": {"tags": [fts.tag(kind, value) for value in values]}}


def _either(clauses: Iterable[Clause]) -> Clause:
    return {"bool": {"should": list(clauses), "minimum_should_match": 1}}
