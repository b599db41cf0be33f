"""What the cluster holds, and under which names. Pure functions.

    <prefix>-state            the generation in use, and the followers' positions
    <prefix>-g3-2026.06       messages sent in June 2026 (UTC), third generation
    <prefix>                  the alias that is searched: every index of the generation in use

A rebuild fills the next generation beside the one in use and then moves the alias. A message's index follows from
the time that it was sent, so that a repeated write always meets the first one.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import product
from typing import Any

from app.search import fts, tokens
from app.search.domain import EPOCH_MS, SLOT_BITS, Document, Hit, Note, rid_at

VERSION = f"layout 1, {tokens.VERSION}"
FIRST_YEAR, LAST_YEAR = 2000, 2049  # months beyond share one index on either side
_ANY = ""
_BETWEEN = "\x1f"
ONLY_CATEGORY = f"=[^{_BETWEEN}]+{_BETWEEN}{_BETWEEN}"  # a regular expression

INDEX_SETTINGS = {
    "number_of_shards": 1,
    "auto_expand_replicas": "0-1",
    "refresh_interval": "1s",
    "codec": "best_compression",
    "sort.field": ["rid", "record"],
    "sort.order": ["desc", "desc"],
    "max_result_window": 10_000,
}
MAPPINGS = {
    "dynamic": "strict",
    "_source": {"enabled": False},
    "_meta": {"version": VERSION},
    "properties": {
        "g": {
            "type": "text",
            "analyzer": "whitespace",
            "index_options": "positions",
            "norms": False,
        },
        "tags": {"type": "keyword"},
        "hits": {"type": "keyword"},
        "recalled": {"type": "boolean"},
        "rid": {"type": "long"},
        "record": {"type": "long"},
        "at": {"type": "date", "format": "epoch_millis"},
    },
}
STATE_MAPPINGS = {
    "dynamic": "strict",
    "properties": {
        "generation": {"type": "long"},
        "version": {"type": "keyword"},
        "seq": {"type": "long"},
        "documents": {"type": "long"},
    },
}


def state_index(prefix: str) -> str:
    """Where generation and positions are kept."""
    return f"{prefix}-state"


def template_name(prefix: str, generation: int) -> str:
    """The template of one generation, and the start of its indexes' names."""
    return f"{prefix}-g{generation}"


def template(prefix: str, generation: int, *, is_used: bool) -> dict[str, Any]:
    """What every month's index of a generation is made of; in use, it is searched from its first message on."""
    return {
        "index_patterns": [f"{template_name(prefix, generation)}-*"],
        "priority": 200,
        "template": {
            "settings": {"index": INDEX_SETTINGS},
            "aliases": {prefix: {}} if is_used else {},
            "mappings": MAPPINGS,
        },
        "_meta": {"version": VERSION},
    }


def index_name(prefix: str, generation: int, sent_at: int) -> str:
    """The index of a message sent at this Unix millisecond."""
    return f"{template_name(prefix, generation)}-{_month(sent_at)}"


def document_id(corp_id: int, seq: int) -> str:
    """The same for every write of one message."""
    return f"{corp_id}.{seq}"


def position_id(generation: int, corp_id: int, stream: str) -> str:
    """The document that holds a follower's position in one generation."""
    return f"{generation}.{corp_id}.{stream}"


def body(corp_id: int, document: Document, note: Note | None, record: int) -> dict[str, Any]:
    """One message as the cluster keeps it: pairs, tags, notes and its two places, no text."""
    rid = rid_at(document.sent_at, document.seq, 0)
    return {
        "g": tokens.index_tokens(document.text),
        "tags": fts.tags_of(corp_id, document).split(),
        "hits": sorted({mark for hit in note.hits for mark in marks(hit)}) if note else [],
        "recalled": note is not None and note.recalled,
        "rid": rid,
        "record": record,
        "at": EPOCH_MS + (rid >> SLOT_BITS),
    }


def marks(hit: Hit) -> list[str]:
    """A finding in every form that a filter may ask for it: each of its three words given or not."""
    choices = product(*((word, _ANY) for word in _plain(hit)))
    return [_BETWEEN.join(choice) for choice in choices]


def wanted_marks(
    categories: Iterable[str], severities: Iterable[str], states: Iterable[str]
) -> list[str]:
    """The marks of which a message must carry one; an empty list of words does not narrow."""
    lists = [
        [_escape(word) for word in words] or [_ANY] for words in (categories, severities, states)
    ]
    return [_BETWEEN.join(choice) for choice in product(*lists)]


def category_of(mark: str) -> str:
    """The category in a mark that `ONLY_CATEGORY` matches."""
    return mark[1:].rstrip(_BETWEEN)


def _plain(hit: Hit) -> list[str]:
    return [_escape(word) for word in hit]


def _escape(word: str) -> str:
    """A given word, even an empty one, is told from one that is not given."""
    return f"={word}"


def _month(sent_at: int) -> str:
    if sent_at < _start(FIRST_YEAR):
        return "early"
    if sent_at >= _start(LAST_YEAR + 1):
        return "late"
    return f"{datetime.fromtimestamp(sent_at / 1000, UTC):%Y.%m}"


def _start(year: int) -> int:
    return int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * 1000
