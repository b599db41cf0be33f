"""Labelled cases in, result lines out: what `liuhen screen CASES.jsonl -o OUT` does."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args

from app.foundation.errors import BadInput
from app.screening.domain import Finding, Role, Turn
from app.screening.lexicon import Lexicon
from app.screening.screen import screen

STEP = 5_000  # ms between messages; cases say "a few seconds apart" and give no times


class CasesError(BadInput):
    """A file of cases cannot be read; `detail` names the line and what is wrong with it."""

    code = "cases_unusable"
    title = "用例文件有误"


class Case(NamedTuple):
    """One conversation of a file of cases; `labels` is the line as it was written."""

    id: str
    window: tuple[Turn, ...]
    labels: dict[str, Any]


def read_cases(path: Path) -> Iterator[Case]:
    """Read JSON Lines; the first line that is no case is refused with its number."""
    try:
        lines = path.read_bytes().decode("utf-8-sig").split("\n")
    except OSError as error:
        raise CasesError(f"读不到 {path.name}，请检查路径和权限") from error
    except UnicodeDecodeError as error:
        raise CasesError(f"{path.name} 不是 UTF-8 编码，请另存为 UTF-8") from error
    seen: set[str] = set()
    for number, line in enumerate(lines, 1):
        if line.strip():
            case = _case(f"{path.name} 第 {number} 行", line)
            if case.id in seen:
                raise CasesError(f"{path.name} 第 {number} 行：编号 {case.id} 出现了两次")
            seen.add(case.id)
            yield case


def _case(place: str, line: str) -> Case:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise CasesError(f"{place}：不是一个完整的 JSON 对象（{error}）") from error
    if not isinstance(row, dict) or not isinstance(row.get("id"), str):
        raise CasesError(f"{place}：应是带有文字编号 id 的 JSON 对象")
    messages = row.get("messages")
    if not isinstance(messages, list) or not messages:
        raise CasesError(f"{place}：messages 应是至少有一条消息的列表")
    return Case(row["id"], tuple(_turn(place, at, one) for at, one in enumerate(messages)), row)


def _turn(place: str, at: int, message: Any) -> Turn:
    if not isinstance(message, dict) or message.get("role") not in get_args(Role):
        raise CasesError(f"{place}：第 {at + 1} 条消息的 role 只能是 {'、'.join(get_args(Role))}")
    if not isinstance(message.get("text"), str):
        raise CasesError(f"{place}：第 {at + 1} 条消息缺少文字 text")
    speaker = message.get("speaker", "")
    return Turn(
        message["role"], message["text"], speaker if isinstance(speaker, str) else "", at * STEP
    )


def result_line(case: str, findings: list[Finding]) -> str:
    """One line as the scorer reads it; every field of a finding is kept beside the scored ones."""
    hits = [{**one._asdict(), "at": list(one.at)} for one in findings]
    return json.dumps({"id": case, "hits": hits}, ensure_ascii=False)


def screen_cases(path: Path, out: Path, lexicon: Lexicon) -> int:
    """Screen every case of `path`, write one result line each to `out`, return how many."""
    lines = [result_line(case.id, screen(case.window, lexicon)) for case in read_cases(path)]
    text = "".join(line + "\n" for line in lines)
    out.write_bytes(text.encode("utf-8", "surrogatepass"))
    return len(lines)
