# ruff: noqa: RUF001, S311 - full-width and look-alike forms are what this is about; a test needs repeatable numbers
"""Random fragments against brute force, on both engines: the same messages, none missing and none besides."""

import random
from functools import cache

import pytest

from app.search.domain import MAX_ROWS, Document
from app.search.filters import Filters
from app.search.tokens import norm
from app.search.tree import Term
from tests.search.conftest import AnyIndex

CORP = 1
TEXTS = 900
FRAGMENTS = 1_500
PIECES = (
    "保本保息 私下返点 这款产品 年化收益 5.8% t+1 T＋1 R3 100万 转到我个人账户 内部消息 稳赚不赔 保證 收益",
    "0123456789 ０１２３ abc ABC ａｂｃ ﬁ ß İ ſ",
    '，。！？、；：“”‘’（）【】《》…—～ ,.!?;:"()[]<>*^-+|&\\/ AND OR NOT NEAR near( from: t: "',
    "👍 👍🏽 👨‍👩‍👧‍👦 🇨🇳 😀 𠮷 𡃁",
    "\u2420 \u241e \u3000 \u200b \u200d \ufe0f \xad \u2028 \x00 \x1f \t \n \ufeff \ufffd",
)


@cache
def corpus() -> list[str]:
    """Sentences of everything that has ever split, folded or closed a token."""
    rng = random.Random(20)  # the same every time
    pieces = [piece for line in PIECES for piece in (*line.split(" "), " ")]
    pieces += [char for line in PIECES for char in line]
    return ["".join(rng.choices(pieces, k=rng.randrange(1, 14))) for _ in range(TEXTS)]


def fragments(rng: random.Random) -> list[str]:
    """Pieces of the texts, a third of them one character; every twentieth occurs nowhere, or with luck."""
    cut: list[str] = []
    while len(cut) < FRAGMENTS:
        text = rng.choice(corpus())
        start = rng.randrange(len(text))
        fragment = text[start : start + rng.choice((1, 1, 2, 2, 3, 7))]
        if len(cut) % 20 == 0:
            fragment += rng.choice("的保1a👍")
        if norm(fragment):
            cut.append(fragment)
    return cut


@pytest.fixture
def filled(index: AnyIndex) -> AnyIndex:
    documents = [
        Document(seq, 1_767_240_000_000 + seq, 1, "outbound", "text", (), (), (), text)
        for seq, text in enumerate(corpus(), 1)
    ]
    index.write(CORP, 0, documents, len(documents))
    return index


def test_every_fragment_is_found_where_it_stands_and_nowhere_else(filled: AnyIndex) -> None:
    assert TEXTS <= MAX_ROWS  # so that one page shows all
    rng = random.Random(random.random())  # others every time, by pytest-randomly's seed
    normed = [norm(text) for text in corpus()]
    assert wrong(filled, rng, normed) == []


def wrong(index: AnyIndex, rng: random.Random, normed: list[str]) -> list[str]:
    """The fragments that are answered otherwise than by reading everything."""

    def found(word: str) -> set[int]:
        page = index.search(Term(word), Filters(), MAX_ROWS)
        return {row.seq for row in page.rows}

    return [
        fragment
        for fragment in fragments(rng)
        if found(norm(fragment))
        != {seq for seq, text in enumerate(normed, 1) if norm(fragment) in text}
    ]
