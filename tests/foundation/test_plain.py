"""Clock, ids and cursors: small promises everything else is built on."""

import base64
import re
from datetime import UTC
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.foundation import clock, ids, paging
from app.foundation.paging import BadCursor

positions = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
lists = st.dictionaries(st.text(), st.none() | st.integers() | st.text(), max_size=4)


def test_now_is_utc_and_whole_milliseconds() -> None:
    moment = clock.now()
    assert moment.tzinfo is UTC
    assert moment.microsecond % 1000 == 0
    assert clock.from_ms(clock.to_ms(moment)) == moment


def test_the_two_clocks_agree() -> None:
    before, moment, after = clock.now_ms(), clock.to_ms(clock.now()), clock.now_ms()
    assert before <= moment <= after


# --- ids


def test_an_id_says_what_it_names() -> None:
    assert re.fullmatch(r"alt_[0-9abcdefghjkmnpqrstvwxyz]{24}", ids.new_id("alt"))


def test_ids_are_unique() -> None:
    assert len({ids.new_id("x") for _ in range(20_000)}) == 20_000


def test_ids_sort_by_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for ms in (0, 1, 31, 32, 1_767_240_000_000, 1_767_240_000_001, 2**47, 2**48 - 1):
        monkeypatch.setattr(clock, "now_ms", lambda ms=ms: ms)
        made += sorted(ids.new_id("x") for _ in range(3))
    assert made == sorted(made)


# --- cursors


@given(positions, lists)
def test_a_cursor_gives_its_position_back(position: Any, of: dict[str, Any]) -> None:
    cursor = paging.encode(position, of=of)
    assert paging.decode(cursor, of=of) == position
    assert re.fullmatch(r"[A-Za-z0-9_-]+", cursor)


@given(positions, lists, lists)
def test_a_cursor_of_another_list_is_refused(
    position: Any, of: dict[str, Any], other: dict[str, Any]
) -> None:
    assume(of != other)
    with pytest.raises(BadCursor):
        paging.decode(paging.encode(position, of=of), of=other)


@given(st.integers() | st.text(), st.integers(min_value=0), st.integers(1, 255))
def test_a_damaged_cursor_is_refused(position: Any, place: int, change: int) -> None:
    cursor = paging.encode(position, of="alerts")
    body = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    body[place % len(body)] ^= change
    with pytest.raises(BadCursor):
        paging.decode(base64.urlsafe_b64encode(bytes(body)).decode().rstrip("="), of="alerts")


@given(st.text() | st.binary().map(lambda data: base64.urlsafe_b64encode(data).decode()))
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(BadCursor):
        paging.decode(cursor, of="alerts")


@pytest.mark.parametrize("body", [b"[" * 100_000, b"9" * 10_000, b'["a"]', b"{}", b"null", b""])
def test_hostile_cursors_are_refused(body: bytes) -> None:
    with pytest.raises(BadCursor):
        paging.decode(base64.urlsafe_b64encode(body).decode(), of=None)
