"""Tables of phrases as officers keep them: what goes in comes out, and every line that does not go in is told."""

import csv
import io
import zipfile
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook

from app.foundation.errors import TooLarge
from app.screening import Lexicon, Turn, screen, tables
from app.screening.examples import run
from app.screening.exchange import Imported, NothingToImport, lines_of, merged
from app.screening.tables import BadTable, Line, read_table, write_csv, write_xlsx
from app.screening.wordfiles import compiled, pack, read_folder, version_of
from tests.screening.versions.lists import FIRST, SAMPLE, category, lists, rule

BASE = lists(
    sample=category(rule("one", "琉璃稳赢")),
    other=category(
        rule("two", "琥珀(稳|必)赢", "<数> 个点", match=["琥珀必赢"]),
        slug="other",
        name="乙类",
        severity="yellow",
    ),
)
CSV = "词,类别,级别,备注\n琉璃必赢,样例类,,客户常说\n翡翠稳赢,other,橙,\n"


def lexicon_of(files: dict[str, str]) -> Lexicon:
    return compiled(version_of(files), pack(files))


def imported(lines: list[Line], base: dict[str, str] = BASE) -> Imported:
    return merged(base, lines, lexicon_of(base))


def table(*rows: tuple[str, ...]) -> list[Line]:
    return [Line(number, *(*row, "", "", "")[:4]) for number, row in enumerate(rows, 2)]


def added(base: dict[str, str], lines: list[Line]) -> dict[str, str]:
    return {**base, **imported(lines, base).files}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_csv_is_read_in_the_encodings_of_spreadsheets(encoding: str, delimiter: str) -> None:
    lines = read_table(CSV.replace(",", delimiter).encode(encoding))
    assert lines == [
        Line(2, "琉璃必赢", "样例类", "", "客户常说"),
        Line(3, "翡翠稳赢", "other", "橙", ""),
    ]


def test_columns_may_come_in_any_order_with_others_between() -> None:
    lines = read_table("备注,序号,类别,词\r\n某,1,样例类,琉璃必赢\r\n\r\n".encode())
    assert lines == [Line(2, "琉璃必赢", "样例类", "", "某")]


def test_xlsx_is_read_with_its_line_numbers() -> None:
    book = Workbook()
    for row in (
        ("词", "类别", "级别"),
        ("琉璃必赢", "样例类", None),
        (None, None, None),
        (8, "乙类", "红"),
    ):
        book.active.append(row)
    data = io.BytesIO()
    book.save(data)
    assert read_table(data.getvalue()) == [
        Line(2, "琉璃必赢", "样例类", "", ""),
        Line(4, "8", "乙类", "红", ""),
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        "词,类别".encode(),
        "字,类\na,b".encode(),
        b"\xff\xfe\x00",
        b"PK\x03\x04nothing",
        '词,类别\n"没有结束'.encode() + b"\x00" * 3 + b"\xff",
    ],
)
def test_what_is_no_table_is_refused(data: bytes) -> None:
    with pytest.raises(BadTable):
        read_table(data)


def test_a_zip_that_is_no_workbook_is_refused() -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        file.writestr("a", "b")
    with pytest.raises(BadTable):
        read_table(data.getvalue())


def test_a_workbook_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_xlsx(table(("琉璃", "样例类")))
    monkeypatch.setattr(tables, "MOST_BYTES", 100)
    with pytest.raises(TooLarge):
        read_table(data)


@pytest.mark.parametrize("write", [write_csv, write_xlsx])
def test_more_lines_than_a_table_may_have_are_refused(
    monkeypatch: pytest.MonkeyPatch, write: object
) -> None:
    data = write(table(("琉璃", "样例类"), ("琥珀", "样例类")))  # type: ignore[operator]
    monkeypatch.setattr(tables, "MOST_ROWS", 2)
    with pytest.raises(TooLarge):
        read_table(data)


CELL = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12).map(str.strip)
LINES = st.lists(
    st.builds(Line, st.just(0), CELL.filter(bool), CELL, CELL, CELL), min_size=1, max_size=6
).map(lambda lines: [each._replace(number=at) for at, each in enumerate(lines, 2)])


@given(LINES)
def test_a_written_table_reads_back_the_same(lines: list[Line]) -> None:
    expected = [tuple(map(_read, line[1:])) for line in lines]
    for data in (write_csv(lines), write_xlsx(lines)):
        assert [tuple(line[1:]) for line in read_table(data)] == expected


def _read(cell: str) -> str:
    """An apostrophe that hid a formula before is taken off like our own."""
    cell = cell.strip(" \u3000")
    hides = cell[:1] == "'" and cell[1:2] in tuple("=+-@")
    return cell[1:] if hides else cell


@pytest.mark.parametrize("cell", ["=1+1", "+86", "-1", "@SUM(A1)", "=HYPERLINK(1)"])
def test_no_cell_is_run_as_a_formula(cell: str) -> None:
    lines = table((cell, "样例类", "", cell))
    text = write_csv(lines).decode("utf-8-sig")
    word, *_, note = list(csv.reader(io.StringIO(text)))[1]
    assert (word, note) == (f"'{cell}", f"'{cell}")
    sheet = load_workbook(io.BytesIO(write_xlsx(lines))).worksheets[0]
    assert {each.data_type for each in sheet[2] if each.value} == {"s"}
    assert read_table(write_csv(lines))[0].word == cell


def test_csv_begins_with_a_byte_order_mark() -> None:
    assert write_csv(table(("琉璃", "样例类"))).startswith(b"\xef\xbb\xbf\xe8\xaf\x8d,")


def test_phrases_become_entries_of_their_category() -> None:
    lines = table(
        ("琉璃必赢", "样例类", "", "客户常说"),
        ("琉璃 包赢", "sample", "黄"),
        ("翡翠稳赢", "乙类", "yellow"),
    )
    files = added(BASE, lines)
    assert files[SAMPLE].startswith(BASE[SAMPLE])
    assert '  "琉璃必赢",  # 客户常说\n' in files[SAMPLE]
    lexicon = lexicon_of(files)
    assert run(lexicon, files).failures == ()
    found = {
        text: [(e.category, e.severity, e.rule) for e in screen([Turn("adviser", text)], lexicon)]
        for text in ("琉璃必赢", "琉璃包赢", "翡翠稳赢", "琉璃稳赢")
    }
    assert found == {
        "琉璃必赢": [("sample", "red", "sample/imported")],
        "琉璃包赢": [("sample", "yellow", "sample/imported-yellow")],
        "翡翠稳赢": [("other", "yellow", "other/imported")],
        "琉璃稳赢": [("sample", "red", "sample/one")],
    }


def test_a_second_import_extends_the_rule_of_the_first() -> None:
    first = added(BASE, table(("琉璃必赢", "样例类", "", "甲")))
    second = added(first, table(("琉璃包赢", "样例类", "", "乙")))
    assert second[SAMPLE].count('id = "imported"') == 1
    assert '  "琉璃必赢",  # 甲\n  "琉璃包赢",  # 乙\n' in second[SAMPLE]
    assert lexicon_of(second).rules[-1].match == ("琉璃必赢", "琉璃包赢")


def test_an_imported_rule_written_in_another_way_is_left_alone() -> None:
    own = lists(sample=category(rule("imported", "琉璃稳赢")))
    files = added(own, table(("琉璃必赢", "样例类")))
    assert files[SAMPLE].startswith(own[SAMPLE])
    assert 'id = "imported-more"' in files[SAMPLE]
    assert run(lexicon_of(files), files).failures == ()


def test_only_so_many_phrases_serve_as_examples() -> None:
    places = product("甲乙丙丁戊己庚辛壬癸", "春夏秋冬东南西北上下左右前后里")
    rows = [(f"琉璃{one}{other}赢", "样例类") for one, other in places]
    once = added(BASE, table(*rows[:120]))
    twice = added(once, table(*rows[120:]))
    last = lexicon_of(twice).rules[-1]
    assert (len(last.patterns), len(last.match)) == (150, 100)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (("琉璃稳赢", "样例类"), "重复"),
        (("琉 璃 稳 赢", "样例类"), "重复"),
        (("琥珀必赢", "乙类"), "重复"),
        (("<数> 个点", "乙类"), "重复"),
        (("翡翠", "没有的类"), "没有类别「没有的类」；可用的有："),
        (("翡翠", "样例类", "紫"), "级别「紫」不认识"),
        (("", "样例类"), "没有可以匹配的字"),
        (("！！", "样例类"), "没有可以匹配的字"),
        (("翡翠(稳)赢", "样例类"), "符号"),
        (('琉璃"赢', "样例类"), "符号"),
        (("琉" * 61, "样例类"), "太长"),
        (("琉\x00璃", "样例类"), "控制字符"),
    ],
)
def test_a_line_that_cannot_be_taken_is_told_with_its_number(
    row: tuple[str, ...], told: str
) -> None:
    lines = table(("琉璃必赢", "样例类"), row)
    assert [(e.line, told in e.problem) for e in imported(lines).problems] == [(3, True)]
    with pytest.raises(NothingToImport, match="第 3 行"):
        imported(lines[1:])


def test_a_phrase_twice_in_the_table_is_told() -> None:
    lines = table(("琉璃必赢", "样例类"), ("琉璃必赢", "sample"), ("琉璃必赢", "乙类"))
    done = imported(lines)
    assert (done.added, [each.line for each in done.problems]) == (2, [3])


def test_remarks_stay_on_their_line() -> None:
    note = 'a\nsay = ["坏"]\r# "b\x7f'
    files = added(BASE, table(("琉璃必赢", "样例类", "", note)))
    assert lexicon_of(files).rules[-1].match == ("琉璃必赢",)


@pytest.mark.parametrize("write", [write_csv, write_xlsx])
def test_an_export_holds_what_was_imported_and_importing_it_again_brings_nothing(
    write: object,
) -> None:
    rows = (
        ("琉璃必赢", "样例类", "红", "客户常说"),
        ("琉璃包赢", "样例类", "橙", "二"),
        ("翡翠稳赢", "乙类", "黄", "三"),
    )
    files = added(BASE, table(*rows))
    exported = read_table(write(lines_of(files)))  # type: ignore[operator]
    assert set(rows) <= {tuple(line[1:]) for line in exported}
    assert {line.word for line in exported} >= {"琉璃稳赢", "琥珀(稳|必)赢", "<数> 个点"}
    with pytest.raises(NothingToImport) as refused:
        imported(exported, files)
    assert {each["problem"] for each in refused.value.facts["problems"]} == {
        "重复：词库或本表前面已有"
    }


def test_the_shipped_lists_export_and_import_to_nothing_new() -> None:
    files = dict(read_folder(Path(__file__).parents[3] / "wordlists"))
    lexicon = compiled(version_of(files), pack(files))
    exported = read_table(write_csv(lines_of(files)))
    assert len(exported) > 300
    with pytest.raises(NothingToImport):
        merged(files, exported, lexicon)


WORD = st.text("琉璃琥珀翡翠玛瑙稳必包赢", min_size=2, max_size=6)


@given(st.lists(WORD, min_size=1, max_size=20, unique=True))
def test_every_imported_phrase_is_in_the_lists_afterwards(words: list[str]) -> None:
    base = {**FIRST, SAMPLE: category(rule("one", "钻石"))}
    files = added(base, table(*((word, "样例类") for word in words)))
    assert {line.word for line in lines_of(files)} == {*words, "钻石"}
