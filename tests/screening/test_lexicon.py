"""Word-list files: versions, and mistakes told with file, line and remedy."""

import shutil
from pathlib import Path

import pytest

from app.screening import Lexicon, LexiconError

WORDLISTS = Path(__file__).parents[2] / "wordlists"


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    target = tmp_path / "wordlists"
    shutil.copytree(WORDLISTS, target)
    for path in (target / "categories").glob("*.toml"):
        if path.stem != "deposit_comparison":
            path.unlink()
    return target


def edit(lists: Path, name: str, old: str, new: str) -> int:
    """Replace the first `old`, return the line it stood on."""
    path = lists / name
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    return text[: text.index(old)].count("\n") + 1


def test_all_categories_are_there() -> None:
    assert len(Lexicon.load(WORDLISTS).categories) == 21


def test_the_version_is_a_digest_of_the_files(lists: Path) -> None:
    before = Lexicon.load(lists).version
    assert Lexicon.load(lists).version == before
    edit(lists, "concepts.toml", "# 概念", "# 各概念")
    assert Lexicon.load(lists).version != before


CATEGORY = "categories/deposit_comparison.toml"


@pytest.mark.parametrize(
    ("name", "old", "new", "told"),
    [
        (CATEGORY, 'severity = "orange"', 'severity = "pink"', "severity"),
        (CATEGORY, 'kind = "claim"', 'kind = "other"', "kind"),
        (CATEGORY, '"<存款> (一样|差不多|区别)"', '"<存款> (一样|差不多"', "括号"),
        (CATEGORY, '"<存款> (一样|差不多|区别)"', '"<没有的概念> 一样"', "没有的概念"),
        (CATEGORY, '"有存款保险"', '"…"', "必须出现"),
        (CATEGORY, 'by = ["client"]', 'by = ["boss"]', "by"),
        (CATEGORY, "ask = true", "aks = true", "aks"),
        (
            CATEGORY,
            'match = ["客户：跟存款差不多？"',
            'match = [1, "客户：跟存款差不多？"',
            "match",
        ),
        ("concepts.toml", '"存折"', '"存折", "?"', "?"),
    ],
)
def test_a_mistake_is_told_with_file_and_line(
    lists: Path, name: str, old: str, new: str, told: str
) -> None:
    line = edit(lists, name, old, new)
    with pytest.raises(LexiconError) as caught:
        Lexicon.load(lists)
    assert caught.value.facts["file"] == name
    assert abs(caught.value.facts["line"] - line) <= 3
    assert told in str(caught.value)


def test_broken_toml_is_told_with_its_line(lists: Path) -> None:
    line = edit(lists, CATEGORY, 'name = "与存款混同"', 'name = "与存款混同')
    with pytest.raises(LexiconError) as caught:
        Lexicon.load(lists)
    assert caught.value.facts["line"] == line


def test_another_encoding_is_told(lists: Path) -> None:
    (lists / CATEGORY).write_bytes("名称 = 保本".encode("gb18030"))
    with pytest.raises(LexiconError, match="UTF-8"):
        Lexicon.load(lists)


def test_a_missing_file_is_told(lists: Path) -> None:
    (lists / "speech.toml").unlink()
    with pytest.raises(LexiconError, match="读不到"):
        Lexicon.load(lists)


def test_no_category_at_all_is_refused(lists: Path) -> None:
    (lists / CATEGORY).unlink()
    with pytest.raises(LexiconError, match="类别"):
        Lexicon.load(lists)
