"""Writes disguised words back as the plain ones they stand for, so that rules need to know only those."""

from app.screening.finder import Finder, Place
from app.screening.fold import Folded
from app.screening.segment import REACH, edges, is_edge
from app.screening.variants import ALIAS, HOMOPHONE, REORDER, SHAPE, Variant


def undisguise(folded: Folded, disguises: Finder[Variant]) -> Folded:
    """Replace every credible disguise; of overlapping ones the leftmost, then the longest, counts."""
    places = sorted(disguises.find(folded.text), key=lambda p: (p.start, -p.end))
    chosen: list[Place[Variant]] = []
    for place in places:
        if chosen and place.start < chosen[-1].end:
            continue
        if _credible(folded, place):
            chosen.append(place)
    return _rewritten(folded, chosen) if chosen else folded


def _credible(folded: Folded, place: Place[Variant]) -> bool:
    """A homophone must fall apart into single characters; letters must end where the word ends."""
    text, start, end, variant = folded.text, *place
    if not (_letters_end(folded, start) and _letters_end(folded, end)):
        return False
    if variant.kind in (HOMOPHONE, SHAPE, REORDER):
        return _falls_apart(text, start, end, variant)
    if variant.kind == ALIAS and not variant.written.isascii():
        return is_edge(text, start) and is_edge(text, end)
    return True


def _letters_end(folded: Folded, at: int) -> bool:
    text = folded.text
    if not 0 < at < len(text) or folded.ends[at - 1] != folded.starts[at]:
        return True
    before, after = text[at - 1], text[at]
    return not (before.isascii() and after.isascii() and before.isalpha() and after.isalpha())


def _falls_apart(text: str, start: int, end: int, variant: Variant) -> bool:
    low = max(0, start - REACH)
    cuts = edges(text[low : end + REACH])
    if not {start - low, end - low} <= cuts:
        return False
    same_length = len(variant.word) == end - start
    changed = (
        at for at in range(start, end) if not same_length or text[at] != variant.word[at - start]
    )
    return all({at - low, at - low + 1} <= cuts for at in changed)


def _rewritten(folded: Folded, chosen: list[Place[Variant]]) -> Folded:
    text: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    kinds: list[str] = []
    bounds = [0, *(end for _, end, _ in chosen)]
    for after, place in zip(bounds, [*chosen, None], strict=True):
        upto = place.start if place else len(folded.text)
        text.append(folded.text[after:upto])
        starts += folded.starts[after:upto]
        ends += folded.ends[after:upto]
        kinds += folded.kinds[after:upto]
        if place:
            word = place.value.word
            text.append(word)
            starts += [folded.starts[place.start]] * len(word)
            ends += [folded.ends[place.end - 1]] * len(word)
            kinds += [place.value.kind] * len(word)
    return Folded("".join(text), starts, ends, kinds)
