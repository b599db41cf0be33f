"""Match and confirm: every place of a text where a rule's wording stands, at word edges."""

from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from app.screening.domain import Role
from app.screening.fold import HARD, Folded
from app.screening.lexicon import Lexicon, Rule
from app.screening.patterns import Pattern, Span, spans
from app.screening.segment import SLACK, is_edge
from app.screening.undisguise import undisguise

MOST = 500  # hits of one wording in one text; more say nothing new
_REMEMBERED = 1_000  # characters of a text whose reading is kept
_LONG = 3  # symbols; a longer wording need not beat a rare compound of the dictionary


class Hit(NamedTuple):
    """A rule's wording at `text[start:end]` of a folded text, and where its items stand."""

    rule: Rule
    pattern: Pattern
    start: int
    end: int
    items: tuple[tuple[int, int], ...]


def read(lexicon: Lexicon, text: str, role: Role) -> Folded | None:
    """The folded, undisguised text; None when no rule for `role` can possibly match it."""
    bare = lexicon.fold.bare(text)
    possible = lexicon.index.possible(bare, client=role == "client")
    if not possible.certain and not any(
        _may_stand(lexicon, number, bare, spots) for number, spots in possible.spots
    ):
        return None
    return undisguise(lexicon.fold.full(text), lexicon.disguises)


def read_again(lexicon: Lexicon, text: str, role: Role) -> Folded | None:
    """`read`, remembered: a message is read anew in the window of each that follows."""
    return (
        _read_before(lexicon, text, role) if len(text) <= _REMEMBERED else read(lexicon, text, role)
    )


_read_before = lru_cache(maxsize=4_096)(read)


def _may_stand(lexicon: Lexicon, number: int, bare: str, spots: list[tuple[int, int]]) -> bool:
    _, pattern = lexicon.wording(number)
    return not pattern.bare or any(True for _ in _spans(pattern, bare, spots))


def hits(lexicon: Lexicon, folded: Folded, role: Role) -> list[Hit]:
    """The confirmed hits of what `role` wrote, ordered by start; a rule counts once at a place.

    No more than `MOST` of one rule are returned for one text.
    """
    text = folded.text
    chars = set(text)
    found: dict[tuple[str, int], Hit] = {}
    for number, spots in lexicon.index.spots(text):
        rule, pattern = lexicon.wording(number)
        if role != "client" and not rule.for_staff:
            continue
        if any(chars.isdisjoint(must) for must in pattern.musts):
            continue
        for hit in islice(_confirmed(rule, pattern, folded, spots), MOST):
            known = found.get((rule.id, hit.start))
            if known is None or hit.end > known.end:
                found[rule.id, hit.start] = hit
    return sorted(found.values(), key=lambda hit: (hit.start, -hit.end, hit.rule.id))


def _confirmed(
    rule: Rule, pattern: Pattern, folded: Folded, spots: list[tuple[int, int]]
) -> Iterator[Hit]:
    for span in _spans(pattern, folded.text, spots):
        if _at_edges(folded, span) and _company(rule, folded.text, span.start, span.end):
            yield Hit(rule, pattern, *span)


def _spans(pattern: Pattern, text: str, spots: list[tuple[int, int]]) -> Iterator[Span]:
    if pattern.literal:
        yield from (Span(start, end, ((start, end),)) for start, end in spots)
        return
    low, high = 0, 0
    for start, end in sorted(spots):
        if start - pattern.reach > high:
            yield from _in_window(pattern, text, low, high)
            low = start - pattern.reach
        low = low if high else max(0, start - pattern.reach)
        high = min(len(text), end + pattern.reach)
    yield from _in_window(pattern, text, low, high)


def _in_window(pattern: Pattern, text: str, low: int, high: int) -> Iterator[Span]:
    if high > low:
        for start, end, items in spans(pattern, text[low:high]):
            yield Span(low + start, low + end, tuple((low + a, low + b) for a, b in items))


def _at_edges(folded: Folded, span: Span) -> bool:
    """Whether the hit begins and ends at word edges, and so does every lone character in it.

    Where two items touch nothing is asked; an end that was disguised was judged with the disguise.
    """
    touching = {start for start, _ in span.items} & {end for _, end in span.items}
    for start, end in span.items:
        size = end - start
        asked = [start] if (size == 1 or start == span.start) and start not in touching else []
        asked += [end] if (size == 1 or end == span.end) and end not in touching else []
        if not all(folded.kinds[at - (at == end)] or _edge(folded, at, size) for at in asked):
            return False
    return True


def _edge(folded: Folded, at: int, size: int) -> bool:
    text = folded.text
    if not 0 < at < len(text):
        return True
    before, after = text[at - 1], text[at]
    if before.isascii() and after.isascii() and before.isalnum() and after.isalnum():
        return before.isdigit() != after.isdigit() or folded.ends[at - 1] != folded.starts[at]
    return is_edge(text, at, SLACK if size >= _LONG else 0.0)


def _company(rule: Rule, text: str, start: int, end: int) -> bool:
    if rule.unless is None and rule.needs is None:
        return True
    sentence = text[sentence_start(text, start) : sentence_end(text, end)]
    if rule.unless and rule.unless.search(sentence):
        return False
    return not rule.needs or bool(rule.needs.search(sentence))


_SENTENCE = 120  # symbols either side of a hit that count as its sentence at most


def sentence_start(text: str, at: int) -> int:
    """Where the sentence round `at` begins."""
    low = max(0, at - _SENTENCE)
    return max(low, *(text.rfind(mark, low, at) + 1 for mark in HARD))


def sentence_end(text: str, at: int) -> int:
    """Where the sentence round `at` ends, its closing mark not included."""
    high = min(len(text), at + _SENTENCE)
    found = (text.find(mark, at, high) for mark in HARD)
    return min((end for end in found if end >= 0), default=high)
