"""The words of the index: what goes in, what comes out, how a message is numbered in time. Pure data."""

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

from app.foundation.errors import BadInput, Unavailable

MAX_ROWS = 1000  # on one page
CAP = 10_000  # a capped total stops counting here
FACET_CAP = 200_000  # facets look at so many of the newest messages
FACET_ROWS = 50  # advisers in a facet

EPOCH_MS = 1_577_836_800_000  # 2020-01-01 UTC
SLOT_BITS = 22  # four million messages in one millisecond
SLOTS = 1 << SLOT_BITS
_LATEST = (1 << 41) - 1  # milliseconds after the epoch: the year 2089; before it, 1950
_STRIDE = (
    0x9E3779 & (SLOTS - 1) | 1
)  # odd, so that probing visits every slot; far, so that it leaves a run

Count: TypeAlias = Literal["capped", "exact"]
Relation: TypeAlias = Literal["eq", "gte"]


class BadCursor(BadInput):
    """The page mark is unreadable, or was given out for another search."""

    code = "bad_cursor"
    title = "翻页标记与本次检索不符，请从第一页重新检索"


class NeedsRebuild(Unavailable):
    """The index is damaged or was written by other rules; `reset` it and follow the log from the start."""

    code = "index_needs_rebuild"
    title = "检索索引需要重建"


class Document(NamedTuple):
    """One message as the index knows it.

    `sent_at` is in Unix milliseconds; times outside 1950 to 2089 count as the nearest of the two.
    `employees`, `clients` and `departments` are everybody who took part and where they belonged then; `sender`
    and `recipients` are party keys.
    """

    seq: int
    sent_at: int
    conversation: int
    direction: str
    kind: str
    employees: tuple[str, ...]
    clients: tuple[str, ...]
    departments: tuple[int, ...]
    text: str
    sender: str = ""
    recipients: tuple[str, ...] = ()
    has_media: bool = False


def party_key(kind: str, identifier: str) -> str:
    """How a party is named where employees and clients stand side by side."""
    return f"{kind}:{identifier}"


class Hit(NamedTuple):
    """One finding of a message as far as it can be searched; `state` is its alert's, empty without one."""

    category: str
    severity: str
    state: str = ""


class Note(NamedTuple):
    """All that changes about one message; replaces what was noted before. It may precede its message.

    Its present findings, and whether it was taken back.
    """

    seq: int
    hits: tuple[Hit, ...]
    recalled: bool = False


class Row(NamedTuple):
    """Where a found message is: its place in the log, and its place in time among all messages."""

    corp_id: int
    seq: int
    rid: int


class Page(NamedTuple):
    """One page of a search. `total` is a lower bound when `relation` is "gte"; `next` is None at the end."""

    rows: tuple[Row, ...]
    total: int
    relation: Relation
    next: str | None


class Facets(NamedTuple):
    """How many of the messages found belong to whom, where and when; those with several count for each.

    Counted over the newest `FACET_CAP` at most: `counted` of them, "gte" when there are more. `advisers` holds the
    `FACET_ROWS` most frequent; `months` are `YYYY-MM` in the zone asked for, in order.
    """

    advisers: Mapping[str, int]
    departments: Mapping[int, int]
    categories: Mapping[str, int]
    months: Mapping[str, int]
    counted: int
    relation: Relation


NO_FACETS = Facets({}, {}, {}, {}, 0, "eq")


def first_rid(sent_at: int) -> int:
    """The smallest number that a message of this millisecond can have; may be negative before 2020."""
    since_epoch = max(-_LATEST - 1, min(sent_at - EPOCH_MS, _LATEST))
    return since_epoch << SLOT_BITS


def sent_ms(rid: int) -> int:
    """The millisecond, since 1970, that a number belongs to."""
    return (rid >> SLOT_BITS) + EPOCH_MS


def rid_at(sent_at: int, seq: int, attempt: int) -> int:
    """The number to try for a message: by time, within a millisecond by `seq`, then elsewhere in it."""
    return first_rid(sent_at) | ((seq + attempt * _STRIDE) & (SLOTS - 1))
