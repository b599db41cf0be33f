"""Bytes to entries: dates, headers, encodings, and every fault at its place."""

import contextlib
import csv
import io
import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.foundation import clock
from app.people.entries import EVER, read_moment
from app.people.reading import COLUMNS, Kind, UnreadableImport, read_csv, read_json

SHANGHAI = ZoneInfo("Asia/Shanghai")
MIDNIGHT = clock.to_ms(datetime(2026, 3, 4, 16, tzinfo=UTC))  # 2026-03-05 00:00 in Shanghai
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def document(**sections: Any) -> bytes:
    return json.dumps({"corp": {"code": "ww1"}, **sections}).encode()


@pytest.mark.parametrize(
    "words", ["2026-03-05", "2026/3/5", "2026.03.05", "2026年3月5日", "2026-03-05T00:00"]
)
def test_a_date_is_the_first_moment_of_its_day_in_the_settings_zone(words: str) -> None:
    assert read_moment(words, SHANGHAI) == MIDNIGHT


def test_a_time_with_an_offset_keeps_it() -> None:
    assert read_moment("2026-03-04T16:00:00Z", SHANGHAI) == MIDNIGHT
    assert read_moment("2026-03-04T17:00:00.250+01:00", SHANGHAI) == MIDNIGHT + 250


@pytest.mark.parametrize(
    "words",
    ["", "昨天", "2026-02-30", "2026-13-01", "1899-12-31", "0001-01-01", "20260305", "9:30"],
)
def test_what_is_no_date_is_none(words: str) -> None:
    assert read_moment(words, SHANGHAI) is None


@given(st.datetimes(datetime(1900, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_every_iso_moment_is_read_exactly(moment: datetime) -> None:
    assert read_moment(moment.isoformat(), SHANGHAI) == clock.to_ms(moment)


@given(JSON)
def test_any_json_that_is_no_import_is_refused(value: Any) -> None:
    with pytest.raises(UnreadableImport):
        read_json(json.dumps(value).encode(), SHANGHAI)


@given(st.fixed_dictionaries({}, optional={kind.value: JSON for kind in Kind}))
def test_every_entry_of_any_document_is_read_or_named_in_a_problem(
    sections: dict[str, Any],
) -> None:
    read = read_json(document(**sections), SHANGHAI)
    blamed = {problem.place.split(".")[0] for problem in read.problems if "[" in problem.place}
    entries = sum(len(section) for section in sections.values() if isinstance(section, list))
    assert read.size + len(blamed) == entries


@given(st.binary(max_size=200), st.sampled_from(Kind))
def test_any_bytes_are_refused_or_have_an_advice_for_every_problem(data: bytes, kind: Kind) -> None:
    with contextlib.suppress(UnreadableImport):
        read = read_csv(data, kind, "ww1", SHANGHAI)
        assert all(problem.place and problem.advice for problem in read.problems)


@given(st.lists(st.lists(st.text(max_size=8), max_size=4)))
def test_every_line_of_any_file_is_read_or_named_in_a_problem(rows: list[list[str]]) -> None:
    file = io.StringIO()
    csv.writer(file).writerows([["external_id", "name"], *rows])
    read = read_csv(file.getvalue().encode(), Kind.CLIENTS, "ww1", SHANGHAI)
    lines = sum(any(cell.strip() for cell in row) for row in rows)
    assert read.size + len({problem.place for problem in read.problems}) == lines


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(UnreadableImport):
        read_json(b"[" * 100_000, SHANGHAI)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_file_is_read_in_the_encodings_spreadsheets_write(encoding: str) -> None:
    data = "员工账号,姓名,部门编码,开始,结束\nSu.He,苏禾,d1,2026/3/5,\n".encode(encoding)
    (entry,) = read_csv(data, Kind.EMPLOYEES, "ww1", SHANGHAI).employees
    assert (entry.userid, entry.name) == ("su.he", "苏禾")
    assert entry.spans == (("d1", MIDNIGHT, None),)


def test_a_file_in_another_encoding_is_refused() -> None:
    with pytest.raises(UnreadableImport, match="编码"):
        read_csv("员工账号".encode("utf-16-be") + b"\xff", Kind.EMPLOYEES, "ww1", SHANGHAI)


@pytest.mark.parametrize("kind", Kind)
def test_english_and_chinese_headers_mean_the_same(kind: Kind) -> None:
    names = COLUMNS[kind].names
    cells = ["2026-03-05" if f == "start" else "" if f == "end" else f for f in names]
    files = [
        "\n".join([",".join(known[place] for known in names.values()), ",".join(cells)])
        for place in (0, 1)
    ]
    english, chinese = (read_csv(f.encode(), kind, "ww1", SHANGHAI) for f in files)
    assert english == chinese
    assert english.size == 1
    assert english.problems == ()


def test_lines_of_one_employee_are_brought_together() -> None:
    data = b"userid,name,department,start,end\na,A,d1,,2026-03-05\nA,,d2,2026-03-05,\n"
    (entry,) = read_csv(data, Kind.EMPLOYEES, "ww1", SHANGHAI).employees
    assert entry.name == "A"
    assert entry.spans == (("d1", EVER, MIDNIGHT), ("d2", MIDNIGHT, None))


def test_a_bad_line_is_named_and_keeps_its_employee_out_with_a_word_on_every_line() -> None:
    data = b"userid,name,department,start\na,A,d1,\n\na,A,d2,soon\nb,B,,\n"
    read = read_csv(data, Kind.EMPLOYEES, "ww1", SHANGHAI)
    assert [entry.userid for entry in read.employees] == ["b"]
    assert sorted((p.place, p.field) for p in read.problems) == [
        ("第 2 行", ""),
        ("第 4 行", "start"),
    ]
    assert all(problem.advice for problem in read.problems)


def test_a_line_is_numbered_by_where_it_begins() -> None:
    data = 'external_id,name\nwmA,"甲\n乙"\nwmB,\n'.encode()
    read = read_csv(data, Kind.CLIENTS, "ww1", SHANGHAI)
    assert [problem.place for problem in read.problems] == ["第 4 行"]


def test_a_line_with_too_many_cells_is_a_problem() -> None:
    read = read_csv(b"external_id,name\nwmA,a,b\nwmB,b,\n", Kind.CLIENTS, "ww1", SHANGHAI)
    assert [problem.place for problem in read.problems] == ["第 2 行"]
    assert [entry.external_id for entry in read.clients] == ["wmB"]


def test_a_file_without_a_needed_column_is_refused_with_its_name() -> None:
    with pytest.raises(UnreadableImport, match="客户账号"):
        read_csv("姓名\n甲\n".encode(), Kind.CLIENTS, "ww1", SHANGHAI)


def test_two_columns_of_one_meaning_are_refused() -> None:
    with pytest.raises(UnreadableImport, match="含义相同"):
        read_csv("name,姓名,客户账号\na,b,c\n".encode(), Kind.CLIENTS, "ww1", SHANGHAI)


def test_columns_without_meaning_are_told() -> None:
    read = read_csv("客户账号,姓名,备注\nwmA,甲,x\n".encode(), Kind.CLIENTS, "ww1", SHANGHAI)
    assert read.ignored == ("备注",)


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        ({"name": "甲"}, "external_id"),
        ({"external_id": "  ", "name": "甲"}, "external_id"),
        ({"external_id": 7, "name": "甲"}, "external_id"),
        ({"external_id": "wmA", "name": "x" * 257}, "name"),
        ({"external_id": "wm\0", "name": "甲"}, "external_id"),
        ({"external_id": "wmA", "name": "\ud800"}, "name"),
    ],
)
def test_a_field_that_cannot_be_kept_is_a_problem_at_its_place(
    entry: dict[str, Any], field: str
) -> None:
    read = read_json(document(clients=[{"external_id": "wmZ", "name": "乙"}, entry]), SHANGHAI)
    assert [entry.external_id for entry in read.clients] == ["wmZ"]
    assert [(problem.place, problem.field) for problem in read.problems] == [("clients[1]", field)]


def test_an_end_that_is_not_after_its_start_is_a_problem() -> None:
    span = {"code": "d1", "start": "2026-03-05", "end": "2026-03-05"}
    employee = {"userid": "a", "name": "A", "departments": [span]}
    read = read_json(document(employees=[employee]), SHANGHAI)
    assert [(p.place, p.field) for p in read.problems] == [("employees[0].departments[0]", "end")]


def test_the_same_department_and_start_twice_is_a_problem() -> None:
    employee = {"userid": "a", "name": "A", "departments": [{"code": "d"}, {"code": "d"}]}
    read = read_json(document(employees=[employee]), SHANGHAI)
    assert [problem.place for problem in read.problems] == ["employees[0].departments[1]"]


def test_nobody_is_her_own_supervisor() -> None:
    employee = {"userid": "a", "name": "A", "supervisor": "A"}
    read = read_json(document(employees=[employee]), SHANGHAI)
    assert [problem.field for problem in read.problems] == ["supervisor"]


@pytest.mark.parametrize("corp", [None, {}, {"code": ""}, {"code": 1}, {"code": "\0"}, "ww1"])
def test_a_document_without_a_corp_is_refused(corp: Any) -> None:
    with pytest.raises(UnreadableImport, match="企业编号"):
        read_json(json.dumps({"corp": corp}).encode(), SHANGHAI)
