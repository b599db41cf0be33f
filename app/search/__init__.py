"""Finds every message that contains what was asked for, and no other.

One meaning of "contains" for every engine (`tokens`), one query language (`query`), one set of filters with
the searcher's scope inside (`filters`). The index is derived from the log and can be dropped at any time.
"""

from app.search.domain import BadCursor, Document, Facets, Hit, NeedsRebuild, Note, Page, Row
from app.search.embedded import EmbeddedIndex
from app.search.filters import Filters
from app.search.query import BadQuery, Query, matches, parse, phrases
from app.search.tokens import norm, spans

__all__ = [
    "BadCursor",
    "BadQuery",
    "Document",
    "EmbeddedIndex",
    "Facets",
    "Filters",
    "Hit",
    "NeedsRebuild",
    "Note",
    "Page",
    "Query",
    "Row",
    "matches",
    "norm",
    "parse",
    "phrases",
    "spans",
]
