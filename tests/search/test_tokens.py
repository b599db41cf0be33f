# ruff: noqa: RUF001 - full-width forms are what these tests are about
import sys

import apsw
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.search import tokens

# Alphabets that collide with something: the two marks, FTS5's quotes and operators, case with two letters,
# invisible characters, lone surrogates, emoji with selectors, traditional characters, line breaks.
NASTY = "保本息證证乾aA1１ａ ＂\"'*^:+-()␠␞\u3000\n\r\t\0\u200b\ufe0f😀👍🏽İßſK\ud800\udfff￥¥，,％%\uffff"
texts = st.text(alphabet=NASTY, max_size=12) | st.text(max_size=12)


@pytest.fixture(scope="module")
def engine() -> apsw.Connection:
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE VIRTUAL TABLE ft USING fts5(t, content='', tokenize='ascii')")
    return connection


def found_by_fts5(engine: apsw.Connection, text: str, phrase: str) -> bool:
    engine.execute("INSERT INTO ft(ft) VALUES ('delete-all')")
    engine.execute("INSERT INTO ft(rowid, t) VALUES (1, ?)", (tokens.index_tokens(text),))
    pairs = tokens.query_tokens(phrase)
    match = f'"{" ".join(pairs)}"' if pairs else f'"{tokens.shifted(phrase)}"*'
    return bool(engine.execute("SELECT rowid FROM ft WHERE ft MATCH ?", (match,)).fetchall())


def test_every_character_becomes_at_most_one_and_folding_twice_changes_nothing() -> None:
    for char in map(chr, range(sys.maxunicode + 1)):
        once = tokens.norm(char)
        assert len(once) <= 1
        assert tokens.norm(once) == once


def test_no_ascii_and_no_blank_is_left_in_a_shifted_character() -> None:
    for char in map(chr, range(sys.maxunicode + 1)):
        assert not any(folded.isascii() or folded.isspace() for folded in tokens.shifted(char))


@example(text="保本", phrase="本␞")
@example(text="保␠", phrase="保 ")
@given(text=texts, phrase=texts)
def test_fts5_finds_exactly_what_is_contained(
    engine: apsw.Connection, text: str, phrase: str
) -> None:
    if tokens.norm(phrase):
        contained = tokens.norm(phrase) in tokens.norm(text)
        assert found_by_fts5(engine, text, phrase) == contained


@given(text=texts, start=st.integers(0, 11), length=st.integers(1, 6))
def test_fts5_finds_every_fragment_of_a_text(
    engine: apsw.Connection, text: str, start: int, length: int
) -> None:
    fragment = text[start : start + length]
    if tokens.norm(fragment):
        assert found_by_fts5(engine, text, fragment)


@given(text=texts, start=st.integers(0, 11), length=st.integers(1, 6))
def test_spans_mark_the_fragment_in_the_original(text: str, start: int, length: int) -> None:
    fragment = text[start : start + length]
    marked = tokens.spans(text, [fragment])
    if not tokens.norm(fragment):
        assert marked == []
        return
    assert marked
    for begin, end in marked:
        assert tokens.norm(fragment) in tokens.norm(text[begin:end])


@given(text=texts, phrases=st.lists(texts, max_size=3))
def test_spans_are_ordered_and_never_touch(text: str, phrases: list[str]) -> None:
    marked = tokens.spans(text, phrases)
    edges = [edge for span in marked for edge in span]
    assert edges == sorted(set(edges))
    assert all(0 <= edge <= len(text) for edge in edges)


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("保證收益", "保证收益"),
        ("錢給我", "钱给我"),
        ("ＡＢＣ１２％", "abc12%"),
        ("￥5000", "¥5000"),
        ("保\u200b本\ufe0f保\u00ad息", "保本保息"),
        ("T＋1", "t+1"),
        ("第一行\n第二行\u3000尾", "第一行 第二行 尾"),
    ],
)
def test_two_ways_of_writing_are_one(written: str, same: str) -> None:
    assert tokens.norm(written) == tokens.norm(same)


def test_a_highlight_covers_the_invisible_character_within_it() -> None:
    assert tokens.spans("这款保\u200b本产品", ["保本"]) == [(2, 5)]


def test_overlapping_and_touching_highlights_are_joined() -> None:
    assert tokens.spans("哈哈哈，保本保息", ["哈哈", "保本", "保息"]) == [(0, 3), (4, 8)]


def test_the_traditional_table_maps_single_characters_and_never_in_chains() -> None:
    table = {old: new for old, new in tokens.FOLDING.items() if isinstance(new, str)}
    assert len(tokens._traditional()) > 3000
    for old, new in tokens._traditional().items():
        assert len(new) == 1
        assert table.get(ord(new), new) == new, chr(old)
