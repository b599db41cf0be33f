"""The hash chain without a database: any tampering is found where it happened."""

import hashlib
import json
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from app.access.trail import (
    START,
    Difference,
    Entry,
    Event,
    Head,
    Link,
    canonical,
    differences,
    digest,
)

WORDS = st.text(max_size=8)
FACTS = st.dictionaries(WORDS, st.none() | st.integers() | WORDS, max_size=2)
ENTRIES = st.builds(
    Entry,
    seq=st.just(0),
    at=st.integers(0, 2**45),
    event=st.sampled_from([event.value for event in Event]),
    actor_kind=st.sampled_from(["user", "token", "operator"]),
    actor_id=WORDS,
    actor_name=WORDS,
    subject=WORDS,
    request_id=WORDS,
    details=FACTS.map(canonical),
)
CHAINS = st.lists(ENTRIES, min_size=1, max_size=8)


def chained(entries: list[Entry]) -> list[Link]:
    links: list[Link] = []
    previous = START
    for seq, entry in enumerate(entries, start=1):
        numbered = entry._replace(seq=seq)
        previous = digest(previous, numbered)
        links.append(Link(numbered, previous))
    return links


def head(links: list[Link]) -> Head:
    return Head(links[-1].entry.seq, links[-1].hash)


@given(CHAINS)
def test_a_chain_as_written_has_no_difference(entries: list[Entry]) -> None:
    links = chained(entries)
    assert list(differences(links)) == []
    for link in links:
        assert list(differences(links, Head(link.entry.seq, link.hash))) == []
    assert list(differences(links, Head(0, START))) == []


@given(CHAINS, st.data())
def test_a_changed_field_is_found_at_its_entry(entries: list[Entry], data: st.DataObject) -> None:
    links = chained(entries)
    place = data.draw(st.integers(0, len(links) - 1))
    field = data.draw(st.sampled_from(Entry._fields[1:]))
    other = getattr(data.draw(ENTRIES), field)
    assume(other != getattr(links[place].entry, field))
    links[place] = links[place]._replace(entry=links[place].entry._replace(**{field: other}))
    assert list(differences(links)) == [Difference(place + 1, "hash")]


@given(CHAINS, st.data())
def test_a_changed_entry_with_its_hash_made_anew_is_found_behind_it(
    entries: list[Entry], data: st.DataObject
) -> None:
    links = chained(entries)
    noted = head(links)
    place = data.draw(st.integers(0, len(links) - 1))
    forged = links[place].entry._replace(subject=links[place].entry.subject + "!")
    before = links[place - 1].hash if place else START
    links[place] = Link(forged, digest(before, forged))
    expected = Difference(place + 2, "hash") if place + 1 < len(links) else None
    assert list(differences(links)) == ([expected] if expected else [])
    if expected is None:  # nothing follows it: only what was noted elsewhere tells
        assert list(differences(links, noted)) == [Difference(noted.seq, "head")]


@given(CHAINS, st.data())
def test_a_removed_entry_is_found(entries: list[Entry], data: st.DataObject) -> None:
    links = chained(entries)
    noted = head(links)
    del links[data.draw(st.integers(0, len(links) - 1))]
    assert list(differences(links, noted))


@given(CHAINS, st.data())
def test_a_removed_entry_with_the_rest_numbered_anew_is_found(
    entries: list[Entry], data: st.DataObject
) -> None:
    assume(len(entries) > 1)
    links = chained(entries)
    place = data.draw(st.integers(0, len(links) - 2))
    rest = [
        link._replace(entry=link.entry._replace(seq=link.entry.seq - 1))
        for link in links[place + 1 :]
    ]
    assert list(differences(links[:place] + rest))


@given(CHAINS, st.data())
def test_entries_in_another_order_are_found(entries: list[Entry], data: st.DataObject) -> None:
    links = chained(entries)
    other = data.draw(st.permutations(links))
    assume(other != links)
    assert list(differences(other))


@given(CHAINS, ENTRIES, st.data())
def test_an_entry_put_in_between_is_found(
    entries: list[Entry], added: Entry, data: st.DataObject
) -> None:
    links = chained(entries)
    place = data.draw(st.integers(0, len(links) - 1))
    before = links[place - 1].hash if place else START
    numbered = added._replace(seq=place + 1)
    forged = Link(numbered, digest(before, numbered))
    moved = [
        link._replace(entry=link.entry._replace(seq=link.entry.seq + 1)) for link in links[place:]
    ]
    assert list(differences([*links[:place], forged, *moved]))


@given(CHAINS)
def test_a_chain_made_anew_from_some_entry_on_is_found_against_a_noted_head(
    entries: list[Entry],
) -> None:
    noted = head(chained(entries))
    forged = chained([entries[0]._replace(subject=entries[0].subject + "!"), *entries[1:]])
    assert list(differences(forged)) == []
    assert list(differences(forged, noted)) == [Difference(noted.seq, "head")]


def test_the_hash_is_what_the_words_say_it_is() -> None:
    entry = Entry(1, 2, "access:login:ok", "user", "usr_1", "样例", "s", "r", "{}")
    words = (
        '{"actor_id":"usr_1","actor_kind":"user","actor_name":"\\u6837\\u4f8b","at":2,'
        '"details":"{}","event":"access:login:ok","request_id":"r","seq":1,"subject":"s"}'
    )
    assert digest(START, entry) == hashlib.sha256(bytes(32) + words.encode()).digest()


@given(st.recursive(FACTS | WORDS, lambda inner: st.lists(inner, max_size=3)))
def test_canonical_words_are_ascii_and_mean_the_same(value: Any) -> None:
    words = canonical(value)
    assert words.isascii()
    assert json.loads(words) == value


def test_every_event_has_three_parts_and_is_alone() -> None:
    assert all(len(event.value.split(":")) == 3 for event in Event)
    assert len({event.value for event in Event}) == len(Event.__members__)
