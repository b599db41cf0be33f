"""A version's files: one name wherever they are read, mistakes told, examples run, differences shown. No database."""

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.foundation.errors import BadInput, TooLarge
from app.screening import Lexicon, LexiconError
from app.screening.changes import file_changes, rule_changes
from app.screening.examples import run, window
from app.screening.wordfiles import (
    MOST_BYTES,
    MOST_FILES,
    changed,
    checked,
    compiled,
    pack,
    read_folder,
    unpack,
    version_of,
)
from tests.screening.versions.lists import FIRST, SAMPLE, category, lists, rule, write

WORDLISTS = Path(__file__).parents[3] / "wordlists"


def lexicon_of(files: dict[str, str]) -> Lexicon:
    return compiled(version_of(files), pack(files))


def test_the_version_is_the_one_that_loading_the_folder_gives(tmp_path: Path) -> None:
    files = lists(
        b=category(rule("r", "琉璃")), a=category(rule("r", "琥珀"), slug="other", name="乙")
    )
    folder = write(tmp_path / "lists", files)
    assert version_of(read_folder(folder)) == Lexicon.load(folder).version
    assert version_of(dict(reversed(files.items()))) == version_of(files)
    assert version_of(read_folder(WORDLISTS)) == Lexicon.load(WORDLISTS).version


def test_findings_carry_the_name_of_the_version() -> None:
    assert lexicon_of(FIRST).version == version_of(FIRST)


@given(
    st.dictionaries(
        st.from_regex(r"(categories/)?[a-z0-9_]{1,8}\.toml", fullmatch=True),
        st.text(st.characters(exclude_categories=["Cs"])),
        max_size=5,
    )
)
def test_files_come_out_as_they_went_in(files: dict[str, str]) -> None:
    assert unpack(pack(files)) == files
    assert pack(unpack(pack(files))) == pack(files)


@pytest.mark.parametrize(
    "path",
    ["../a.toml", "/etc/a.toml", "a/b.toml", "a.py", "A.toml", "categories/../a.toml", "a.toml\n"],
)
def test_a_path_that_no_word_list_has_is_refused(path: str) -> None:
    with pytest.raises(BadInput):
        checked({**FIRST, path: ""})


def test_more_than_a_version_may_hold_is_refused() -> None:
    with pytest.raises(TooLarge):
        checked({f"a{number}.toml": "" for number in range(MOST_FILES + 1)})
    with pytest.raises(TooLarge):
        checked({"a.toml": "a" * (MOST_BYTES + 1)})


def test_lone_surrogates_are_refused() -> None:
    with pytest.raises(LexiconError):
        checked({"a.toml": "\ud800"})


def test_changes_replace_add_and_remove() -> None:
    files = changed(FIRST, {SAMPLE: None, "categories/other.toml": "x", "concepts.toml": "y"})
    assert (SAMPLE in files, files["categories/other.toml"], files["concepts.toml"]) == (
        False,
        "x",
        "y",
    )


def test_a_file_that_is_no_utf8_is_told_with_its_line(tmp_path: Path) -> None:
    folder = write(tmp_path / "lists", FIRST)
    (folder / SAMPLE).write_bytes("category = 1\nname = '样例'".encode("gb18030"))
    with pytest.raises(LexiconError) as refused:
        read_folder(folder)
    assert (refused.value.facts["file"], refused.value.facts["line"]) == (SAMPLE, 2)


def test_a_folder_without_lists_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LexiconError):
        read_folder(tmp_path)


def test_a_mistake_in_toml_is_told_with_file_and_line() -> None:
    files = {**FIRST, SAMPLE: FIRST[SAMPLE].replace('kind = "claim"', 'kind = "claim')}
    with pytest.raises(LexiconError) as refused:
        lexicon_of(files)
    assert (refused.value.facts["file"], refused.value.facts["line"]) == (SAMPLE, 3)


def test_the_shipped_examples_hold() -> None:
    files = dict(read_folder(WORDLISTS))
    verdict = run(lexicon_of(files), files)
    assert verdict.failures == ()
    assert verdict.examples > 300


def test_a_failing_example_is_told_with_file_line_rule_and_sentence() -> None:
    text = category(
        rule("one", "琉璃稳赢"),
        rule("two", "琥珀稳赢", match=["今天天气好"], no_match=["琥珀稳赢"]),
    )
    files = lists(sample=text)
    wrong, alarm = run(lexicon_of(files), files).failures
    lines = text.splitlines()
    assert (wrong.file, wrong.rule, wrong.sentence, wrong.expected) == (
        SAMPLE,
        "sample/two",
        "今天天气好",
        "match",
    )
    assert lines[wrong.line - 1] == 'match = ["今天天气好"]'
    assert (alarm.expected, alarm.sentence) == ("no_match", "琥珀稳赢")
    assert lines[alarm.line - 1] == 'no_match = ["琥珀稳赢"]'


def test_an_example_may_be_a_conversation() -> None:
    turns = window("客户：能保本吗 → 员工：嗯 → 知道：了")
    assert [(turn.role, turn.text) for turn in turns] == [
        ("client", "能保本吗"),
        ("adviser", "嗯"),
        ("adviser", "知道：了"),
    ]


def test_differences_are_told_by_file_and_by_rule() -> None:
    old = lists(sample=category(rule("one", "琉璃稳赢"), rule("gone", "琥珀稳赢")))
    new = lists(
        sample=category(rule("one", "琉璃稳赢", "琉璃必赢"), rule("new", "翡翠稳赢")),
        other=category(rule("first", "玛瑙"), slug="other", name="乙"),
    )
    files = {each.path: each for each in file_changes(old, new)}
    assert files.keys() == {SAMPLE, "categories/other.toml"}
    assert files["categories/other.toml"].kind == "added"
    assert '-say = ["琉璃稳赢"]' in files[SAMPLE].diff
    assert '+say = ["琉璃稳赢", "琉璃必赢"]' in files[SAMPLE].diff
    rules = {each.rule: (each.kind, each.fields) for each in rule_changes(old, new)}
    assert rules["sample/one"] == ("changed", ("match", "say"))
    assert rules["sample/gone"][0] == "removed"
    assert rules["sample/new"][0] == "added"
    assert rules["other"][0] == "added"
    assert "sample" not in rules


def test_equal_versions_do_not_differ() -> None:
    assert file_changes(FIRST, FIRST) == []
    assert rule_changes(FIRST, FIRST) == []
    moved = rule_changes(FIRST, {**FIRST, "concepts.toml": '"本金" = ["本金"]'})
    assert [each.rule for each in moved] == ["concepts.toml: 本金"]


def test_compiling_gives_way_to_other_threads_and_then_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usual, meanwhile = sys.getswitchinterval(), []
    whole = Lexicon.load

    def noted(folder: Path) -> Lexicon:
        meanwhile.append(sys.getswitchinterval())
        return whole(folder)

    monkeypatch.setattr(Lexicon, "load", noted)
    files = {**read_folder(WORDLISTS), "categories/own.toml": "broken"}
    with pytest.raises(LexiconError):
        compiled(version_of(files), pack(files))
    assert meanwhile
    assert max(meanwhile) < usual == sys.getswitchinterval()
