"""Bytes from outside: cut into messages, read into objects, cleaned into values that can be stored.

Guarantees: every slice is a part of the received bytes, unchanged; everything that cannot be read raises
`Rejected` and nothing else; a message that is broken inside spoils none of its neighbours.
"""

import json
import re
import unicodedata
from collections.abc import Iterator
from typing import Any, NoReturn, Self

from app.archive.domain import MAX_ID_LENGTH, MAX_TEXT_BYTES, PartyType

MAX_MESSAGES = 10_000  # in one request body (contract, section 4)
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

_MAX_UNFOLDED = 4 * MAX_ID_LENGTH  # characters; normalising takes time quadratic in the marks
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # PostgreSQL refuses NUL, UTF-8 lone surrogates
_BOM = b"\xef\xbb\xbf"
_BLANK = b" \t\r\n"  # JSON's own white space

# A string without its first quote; strings may hold brackets, so they are always stepped over.
_REST_OF_STRING = rb'[^"\\]*+(?:\\.[^"\\]*+)*+"'
_SPACE = re.compile(rb"[ \t\r\n]*+")
_STRING = re.compile(rb'"' + _REST_OF_STRING, re.DOTALL)
_SCALAR = re.compile(rb'[^ \t\r\n,:{}\[\]"]++')
_TO_BRACKET = re.compile(
    rb'[^"{}\[\]]*+(?:"' + _REST_OF_STRING + rb'[^"{}\[\]]*+)*+([{}\[\]])', re.DOTALL
)


class Rejected(Exception):
    """One piece of input that cannot become a message.

    `code` is stable snake_case, `detail` tells in Chinese what to do and never carries content.
    `quarantine` is true where the bytes are to be kept; it is false only for input without any
    message in it and for a request body as a whole, whose sender still has it.
    `corp` and `source_msg_id` are what was legible, for the answer and the quarantine list.
    """

    def __init__(self, code: str, detail: str, *, quarantine: bool = True) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail
        self.quarantine = quarantine
        self.corp: str | None = None
        self.source_msg_id: str | None = None

    def about(self, corp: object, source_msg_id: object) -> Self:
        """Note whom and which message the rejection concerns, as far as these are usable ids."""
        self.corp = _hint(corp)
        self.source_msg_id = _hint(source_msg_id)
        return self


class _NotFiniteError(ValueError):
    """NaN, Infinity or -Infinity stood where JSON allows a number."""


def _not_finite(_literal: str) -> NoReturn:
    raise _NotFiniteError


_DECODER = json.JSONDecoder(parse_constant=_not_finite)


def load_object(line: bytes) -> dict[str, Any]:
    """Read one JSON object in UTF-8; of repeated keys the last wins. Raises Rejected, with quarantine."""
    try:
        value = _DECODER.decode(line.decode())
    except (ValueError, RecursionError) as error:
        raise _unreadable(line, error) from None
    if not isinstance(value, dict):
        raise Rejected("not_an_object", "每条消息应为一个 JSON 对象，请检查发送端的格式")
    return value


def _unreadable(line: bytes, error: Exception) -> Rejected:
    if not line.strip():
        return Rejected("empty", "没有内容，请检查发送端", quarantine=False)
    match error:
        case UnicodeDecodeError():
            return Rejected(
                "not_utf8", f"第 {error.start + 1} 个字节不是 UTF-8，请以 UTF-8 编码重新发送"
            )
        case RecursionError():
            return Rejected("too_deep", "JSON 嵌套过深，请减少层数后重新发送")
        case _NotFiniteError():
            return Rejected("not_finite", "JSON 中不允许 NaN 或 Infinity，请改为 null 或具体数值")
        case json.JSONDecodeError():
            return Rejected(
                "not_json", f"第 {error.pos + 1} 个字符处不是合法的 JSON，请修正后重新发送"
            )
    return Rejected("number_too_large", "JSON 中有位数过多的数字，请改为字符串后重新发送")


def clean_text(text: str) -> str:
    """Replace NULs and lone surrogates by U+FFFD; everything else stays as it is."""
    if "\0" in text:
        text = text.replace("\0", REPLACEMENT)
    try:
        text.encode()
    except UnicodeEncodeError:
        return _UNSTORABLE.sub(REPLACEMENT, text)
    return text


def bounded_text(text: str) -> str:
    """Clean a text for the archive; more than `MAX_TEXT_BYTES` of UTF-8 raises Rejected, with quarantine."""
    text = clean_text(text)
    if 4 * len(text) > MAX_TEXT_BYTES and len(text.encode()) > MAX_TEXT_BYTES:
        raise Rejected("text_too_long", "文本超过 1 MB，请拆分后重新发送")
    return text


def fold(value: str) -> str:
    """Bring an id into its one spelling: NFC, no white space around, no NUL, no lone surrogate."""
    if value.isascii() and value.isprintable():
        return value.strip()
    value = value.strip()
    if len(value) > _MAX_UNFOLDED:
        return value[:_MAX_UNFOLDED]  # too long for an id in any case
    return unicodedata.normalize("NFC", clean_text(value)).strip()


def fold_id(type: PartyType, id: str) -> str:  # noqa: A002 - the words of the contract
    """Bring a party's id into its one spelling.

    WeCom treats member ids without regard to case, so employees' ids are lower-cased: `ZhangSan` and
    `zhangsan` are one person. Ids of clients and robots differ by case and keep it.
    """
    folded = fold(id)
    if type is not PartyType.EMPLOYEE:
        return folded
    return folded.lower() if folded.isascii() else fold(folded.lower())


def _hint(value: object) -> str | None:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID_LENGTH:
        return None
    return fold(value) or None


def split_ndjson(body: bytes) -> Iterator[bytes]:
    """Yield each line of JSON Lines without the white space around it; blank lines and a BOM are skipped."""
    for line in body.removeprefix(_BOM).split(b"\n"):
        if slice_ := line.strip(_BLANK):
            yield slice_


def split_body(body: bytes) -> Iterator[bytes]:
    """Cut `{"messages": […]}` into the exact bytes of each element, in order.

    Only the frame is judged, and all of it before the first element comes out: other members are
    stepped over, of repeated `messages` the last wins. What an element holds is left to its parser.
    Raises Rejected without quarantine for the whole body.
    """
    start = 3 if body.startswith(_BOM) else 0
    at = _skip(body, start)
    if at == len(body):
        raise _body_error("body_empty", '请求没有内容，请发送 {"messages":[…]}')
    if body[at : at + 1] != b"{":
        raise _body_error("body_not_an_object", '请求应为 {"messages":[…]}')
    slices, end = _members(body, at)
    if _skip(body, end) != len(body):
        raise _broken(end)
    if slices is None:
        raise _body_error(
            "body_without_messages", '请求中没有 messages 字段，请发送 {"messages":[…]}'
        )
    return iter(slices)


def _members(body: bytes, at: int) -> tuple[list[bytes] | None, int]:
    """Walk the outer object that opens at `at`; return the messages, if any, and where it ends."""
    slices: list[bytes] | None = None
    at = _skip(body, at + 1)
    if body[at : at + 1] == b"}":
        return None, at + 1
    while True:
        key = _STRING.match(body, at)
        if key is None:
            raise _broken(at)
        at = _expect(body, key.end(), b":")
        if _is_messages(key[0]):
            slices, at = _elements(body, at)
        else:
            at = _end_of_value(body, at)
        at = _skip(body, at)
        if body[at : at + 1] == b"}":
            return slices, at + 1
        at = _expect(body, at, b",")


def _is_messages(key: bytes) -> bool:
    if key == b'"messages"':
        return True
    try:
        return b"\\" in key and bool(json.loads(key) == "messages")
    except ValueError:
        return False


def _elements(body: bytes, at: int) -> tuple[list[bytes], int]:
    """Slice the elements of the array that opens at `at`; return them and where the array ends."""
    if body[at : at + 1] != b"[":
        raise _body_error("messages_not_a_list", "messages 字段应为数组")
    slices: list[bytes] = []
    at = _skip(body, at + 1)
    if body[at : at + 1] == b"]":
        return slices, at + 1
    while True:
        end = _end_of_value(body, at)
        slices.append(body[at:end])
        if len(slices) > MAX_MESSAGES:
            raise _body_error("too_many_messages", f"一次最多 {MAX_MESSAGES} 条消息，请分批发送")
        at = _skip(body, end)
        if body[at : at + 1] == b"]":
            return slices, at + 1
        at = _expect(body, at, b",")


def _end_of_value(body: bytes, at: int) -> int:
    opening = body[at : at + 1]
    if opening in (b"{", b"["):
        return _end_of_container(body, at)
    scalar = (_STRING if opening == b'"' else _SCALAR).match(body, at)
    if scalar is None:
        raise _broken(at)
    return scalar.end()


def _end_of_container(body: bytes, at: int) -> int:
    """Find where the object or array that opens at `at` closes: brackets outside strings, counted."""
    match = _TO_BRACKET.match
    depth, end = 1, at + 1
    while depth:
        found = match(body, end)
        if found is None:
            raise _broken(at)
        end = found.end()
        depth += 1 if body[end - 1] in b"{[" else -1
    return end


def _skip(body: bytes, at: int) -> int:
    space = _SPACE.match(body, at)
    return space.end() if space else at


def _expect(body: bytes, at: int, mark: bytes) -> int:
    at = _skip(body, at)
    if body[at : at + 1] != mark:
        raise _broken(at)
    return _skip(body, at + 1)


def _broken(at: int) -> Rejected:
    return _body_error(
        "body_not_json", f"请求在第 {at + 1} 个字节处不是合法的 JSON，请修正后重新发送"
    )


def _body_error(code: str, detail: str) -> Rejected:
    return Rejected(code, detail, quarantine=False)
