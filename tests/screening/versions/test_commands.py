"""`liuhen lexicon …` in processes of its own, with the folder free and beside a running server."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.screening.versions.lists import FIRST, SAMPLE, changed, envelope, write
from tests.server import Home, Server, prepare, run

DONE, NO, UNUSABLE = 0, 1, 2


@pytest.fixture(params=["alone", "beside a server"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Home]:
    """A folder that begins with `FIRST` and holds 60 messages, one of them a breach of the new version."""
    home = prepare(tmp_path, wordlists=str(write(tmp_path / "shipped", FIRST)))
    lines = [envelope(n, "琉璃必赢" if n == 1 else "好的") for n in range(60)]
    (tmp_path / "messages.jsonl").write_bytes(b"\n".join(lines))
    assert run(home, "ingest", str(tmp_path / "messages.jsonl")).code == DONE
    if request.param == "alone":
        yield home
        return
    with Server(home):
        yield home


def lexicon(home: Home, *arguments: str) -> tuple[int, dict[str, object]]:
    ended = run(home, "lexicon", *arguments, "--json")
    return ended.code, ended.json()


def error(home: Home, *arguments: str) -> tuple[int, str]:
    code, answer = lexicon(home, *arguments)
    complaint = answer["error"]
    assert isinstance(complaint, dict)
    return code, str(complaint["code"])


def test_a_version_goes_its_whole_way(place: Home, tmp_path: Path) -> None:
    folder = write(tmp_path / "newer", changed("琉璃稳赢", "琉璃必赢"))
    code, made = lexicon(place, "draft", str(folder), "--note", "样例")
    name = str(made["id"])
    assert (code, made["state"], made["failures"]) == (DONE, "tested", [])
    code, found = lexicon(place, "backtest", name, "--last", "100")
    assert (code, found["state"], found["done"], found["total"]) == (DONE, "done", 60, 60)
    assert found["gained"]["count"] == 1  # type: ignore[index]
    assert error(place, "release", name) == (UNUSABLE, "lexicon_step_not_possible")
    assert error(place, "approve", name) == (UNUSABLE, "second_person_needed")
    assert error(place, "approve", name, "--as-operator") == (UNUSABLE, "reason_missing")
    lexicon(place, "approve", name, "--as-operator", "--reason", "合规岗休假")
    assert lexicon(place, "release", name)[1]["state"] == "released"
    states = [each["state"] for each in lexicon(place, "list")[1]["items"]]  # type: ignore[attr-defined]
    assert states == ["released", "retired"]
    shown = lexicon(place, "show", name)[1]
    assert [each["step"] for each in shown["history"]] == [  # type: ignore[attr-defined]
        "draft",
        "test",
        "backtest",
        "approve",
        "release",
    ]
    words = run(place, "lexicon", "show", name).out
    assert "本机代批；合规岗休假" in words
    assert "预警 0 → 1" in words


def test_a_table_goes_out_and_comes_in(place: Home, tmp_path: Path) -> None:
    for form in ("csv", "xlsx"):
        out = tmp_path / f"words.{form}"
        assert lexicon(place, "export", "-o", str(out)) == (DONE, {"file": str(out), "count": 1})
        assert error(place, "import", str(out)) == (UNUSABLE, "lexicon_nothing_to_import")
    table = tmp_path / "more.csv"
    table.write_bytes("词,类别\n琉璃必赢,样例类\n翡翠,没有\n".encode("gb18030"))
    ended = run(place, "lexicon", "import", str(table))
    assert ended.code == NO
    assert "第 3 行「翡翠」没有类别「没有」" in ended.out
    draft = lexicon(place, "list")[1]["items"][0]  # type: ignore[index]
    diff = run(place, "lexicon", "diff", "released", draft["id"])
    assert "新增 sample/imported 导入词表" in diff.out
    assert '+  "琉璃必赢",' in diff.out


def test_mistakes_are_told_with_file_and_line(place: Home, tmp_path: Path) -> None:
    folder = write(tmp_path / "wrong", {**FIRST, SAMPLE: 'category = "a"\nname = '})
    assert error(place, "draft", str(folder)) == (UNUSABLE, "lexicon_unusable")
    words = run(place, "lexicon", "draft", str(folder)).err
    assert "categories/sample.toml 第 2 行" in words
    assert error(place, "show", "lex_nothing") == (NO, "lexicon_not_found")
    assert run(place, "lexicon", "export", "-o", "words.txt").code == UNUSABLE
    assert error(place, "backtest", "released", "--since", "gestern") == (UNUSABLE, "bad_input")


def test_failing_examples_are_listed_and_the_answer_is_no(place: Home, tmp_path: Path) -> None:
    text = FIRST[SAMPLE].replace('match = ["琉', 'match = ["今天天气好", "琉', 1)
    ended = run(
        place, "lexicon", "draft", str(write(tmp_path / "failing", {**FIRST, SAMPLE: text}))
    )
    assert ended.code == NO
    assert "应当命中而没有：今天天气好" in ended.out


def test_screening_cases_needs_no_database(tmp_path: Path) -> None:
    shipped = write(tmp_path / "shipped", FIRST)
    home = Home(tmp_path / "data", tmp_path, {"LIUHEN_WORDLISTS": str(shipped)})
    cases, out = tmp_path / "cases.jsonl", tmp_path / "out.jsonl"
    cases.write_text(
        json.dumps({"id": "c1", "messages": [{"role": "adviser", "text": "琉璃稳赢"}]})
    )
    assert run(home, "screen", str(cases), "-o", str(out)).code == DONE
    assert json.loads(out.read_text())["hits"][0]["rule"] == "sample/one"
    assert not home.data.exists()
