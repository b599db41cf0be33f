"""Tables of phrases as officers keep them: CSV and XLSX with the columns 词, 类别, 级别, 备注.

Reading takes CSV as UTF-8 or GB18030, with commas or tabs, and XLSX. Writing gives UTF-8 with a byte order mark. A
cell that a spreadsheet would run as a formula is written behind an apostrophe, which reading takes off again.
"""

import csv
import io
import itertools
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from app.foundation.errors import BadInput, TooLarge

COLUMNS = ("词", "类别", "级别", "备注")
MOST_ROWS = 200_000
MOST_BYTES = 64 * 1024 * 1024  # unpacked
_RISKY = ("=", "+", "-", "@", "\t", "\r")
_ZIP = b"PK\x03\x04"


class BadTable(BadInput):
    """A table of phrases cannot be read; `detail` says what to do."""

    code = "lexicon_bad_table"
    title = "词表文件有误"


class Line(NamedTuple):
    """One line of a table; `number` is its line in the file."""

    number: int
    word: str
    category: str
    severity: str
    note: str


def read_table(data: bytes) -> list[Line]:
    """The lines of a CSV or XLSX file that hold anything; raises `BadTable`."""
    rows = _xlsx_rows(data) if data.startswith(_ZIP) else _csv_rows(data)
    _, header = next(rows, (0, []))
    places = {name: header.index(name) for name in COLUMNS if name in header}
    if not {"词", "类别"} <= places.keys():
        raise BadTable("第一行应是列名，至少有「词」和「类别」，可有「级别」「备注」")
    lines = [_line(number, row, places) for number, row in rows if any(row)]
    if not lines:
        raise BadTable("表里没有任何词")
    return lines


def write_csv(lines: Iterable[Line]) -> bytes:
    """A CSV file as spreadsheets in China open it."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerows([COLUMNS, *map(_cells, lines)])
    return b"\xef\xbb\xbf" + text.getvalue().encode()


def write_xlsx(lines: Iterable[Line]) -> bytes:
    """An XLSX workbook with one sheet."""
    from openpyxl import Workbook  # noqa: PLC0415  (seldom needed, slow to import)

    book = Workbook(write_only=True)
    sheet = book.create_sheet("词表")
    for row in [COLUMNS, *map(_cells, lines)]:
        sheet.append(row)
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


def _csv_rows(data: bytes) -> Iterator[tuple[int, list[str]]]:
    text = _decoded(data)
    first = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t" if "\t" in first else ",")
    try:
        for row in reader:
            if reader.line_num > MOST_ROWS:
                raise TooLarge(f"一个词表最多 {MOST_ROWS} 行")
            yield reader.line_num, [_plain(cell) for cell in row]
    except csv.Error as error:
        raise BadTable(f"第 {reader.line_num} 行读不出来（{error}）") from None


def _decoded(data: bytes) -> str:
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise BadTable("编码既不是 UTF-8 也不是 GB18030，请另存为「CSV UTF-8」")


def _xlsx_rows(data: bytes) -> Iterator[tuple[int, list[str]]]:
    from openpyxl import load_workbook  # noqa: PLC0415

    _check_size(data)
    try:
        book = load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        sheet = book.worksheets[0].iter_rows(values_only=True)
        rows = list(itertools.islice(sheet, MOST_ROWS + 1))
    except Exception as error:  # openpyxl raises whatever a damaged file leads it to
        raise BadTable("不是能读的 XLSX 工作簿，请在表格软件里另存一次") from error
    if len(rows) > MOST_ROWS:
        raise TooLarge(f"一个词表最多 {MOST_ROWS} 行")
    for number, row in enumerate(rows, 1):
        yield number, ["" if cell is None else _plain(str(cell)) for cell in row]


def _check_size(data: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            size = sum(entry.file_size for entry in file.infolist())
    except zipfile.BadZipFile:
        raise BadTable("文件已损坏，请重新导出") from None
    if size > MOST_BYTES:
        raise TooLarge("工作簿解压后过大")


def _line(number: int, row: Sequence[str], places: dict[str, int]) -> Line:
    cells = {name: row[at] if at < len(row) else "" for name, at in places.items()}
    return Line(number, *(cells.get(name, "") for name in COLUMNS))


def _plain(cell: str) -> str:
    cell = cell.strip(" \u3000\n\r\t")
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith(_RISKY) else cell


def _cells(line: Line) -> list[Any]:
    cells = (line.word, line.category, line.severity, line.note)
    return [f"'{cell}" if cell.startswith(_RISKY) else cell for cell in cells]
