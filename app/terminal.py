"""What commands read from files and show to people: words, tables and bars on a terminal, JSON for scripts."""

import json
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from app.foundation.errors import AppError

BATCH_LINES = 1_000  # handed over at once
BATCH_BYTES = 8 * 1024 * 1024
DIFFERENCES_SHOWN = 100
Answer: TypeAlias = dict[str, Any]
Show: TypeAlias = Callable[[int, int | None], None]

say = Console(stderr=True, highlight=False)


def put(answer: Answer, as_json: bool, words: Any) -> None:  # noqa: FBT001  (an option as it came)
    """Print the answer as one JSON object, or the words."""
    if as_json:
        _write(answer)
    else:
        Console(highlight=False, soft_wrap=isinstance(words, str)).print(words)


def complain(error: AppError, *, as_json: bool) -> None:
    """Tell a refusal to the person, and to a script as the JSON object it waits for."""
    detail = f"：{escape(error.detail)}" if error.detail else ""
    say.print(f"[red]{escape(error.title)}[/red]{detail}", soft_wrap=True)
    if as_json:
        document = {"code": error.code, "title": error.title, "detail": error.detail}
        _write({"error": document})


@contextmanager
def progress(what: str, whole: int | None) -> Generator[Show]:
    """Gives `show(done, whole)`; draws a bar on a terminal only."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=say, disable=not say.is_terminal, transient=True) as bar:
        task = bar.add_task(what, total=whole)
        yield lambda done, whole: bar.update(task, completed=done, total=whole)


def size_of(files: list[str]) -> int | None:
    """Bytes of all files; None with standard input among them. A file that is none is a usage error."""
    for name in files:
        if name != "-" and not Path(name).is_file():
            raise typer.BadParameter(f"没有文件 {name}")
    return None if "-" in files else sum(Path(name).stat().st_size for name in files)


def batches(files: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Bytes read so far and the lines of each batch; `latin-1` carries any byte through."""
    done, size = 0, 0
    batch: list[str] = []
    for line in _lines(files):
        done, size = done + len(line), size + len(line)
        if kept := line.strip():
            batch.append(kept.decode("latin-1"))
        if len(batch) == BATCH_LINES or size >= BATCH_BYTES:
            yield done, batch
            batch, size = [], 0
    if batch:
        yield done, batch


def import_report(report: Answer) -> str:
    """What an import took, and every entry it did not, with its place and advice."""
    taken = "，".join(f"{kind} {count}" for kind, count in report["applied"].items())
    lines = [f"已导入：{taken or '无'}"]
    if report["problem_count"]:
        lines.append(f"有问题的 {report['problem_count']} 处：")
    lines += [
        f"  {each['place']} {each['field']}：{each['problem']}；{each['advice']}"
        for each in report["problems"]
    ]
    if report["ignored"]:
        lines.append(f"未使用的字段：{'、'.join(report['ignored'])}")
    return escape("\n".join(lines))


def ingest_report(answer: Answer) -> str:
    """How many messages ended how, and why some are in quarantine."""
    words = (
        f"新入档 {answer['accepted']}，重复 {answer['duplicate']}，隔离 {answer['quarantined']}，"
        f"拒收 {answer['rejected']}；{answer['seconds']:.1f} 秒"
    )
    reasons = "，".join(f"{code} {count}" for code, count in answer["errors"].items())
    return f"{words}\n原因：{reasons}" if reasons else words


def lag_report(lag: dict[str, int]) -> str:
    """How far behind each follower is."""
    if not any(lag.values()):
        return "已到达日志末尾"
    return "，".join(f"{name} 落后 {count} 条" for name, count in lag.items())


def fsck_report(report: Answer) -> str:
    """What was checked and what differs."""
    found = [f"{each['place']} {each['what']} {each['detail']}" for each in report["differences"]]
    found += report["index"]
    found += report["logs"]
    words = f"{report['records']} 条记录，{report['quarantined']} 项隔离，{len(found)} 处不符"
    return escape("\n".join([words, *found[:DIFFERENCES_SHOWN]]))


def doctor_report(report: Answer) -> str:
    """The state of every part, one a line."""
    lines = [
        f"{'✓' if part['ok'] else '✗'} {name}：{part['detail']}"
        for name, part in report["parts"].items()
    ]
    lines.append(f"隔离区待处理 {report['quarantine']} 项")
    lines += [f"✗ 失败任务 {each['kind']}：{each['count']}" for each in report["dead_jobs"]]
    return escape("\n".join(lines))


def message_table(page: Answer) -> Table:
    """The messages of one page."""
    total = page["total"]
    sign = "" if total["relation"] == "eq" else "至少 "
    table = Table(title=f"{sign}{total['value']} 条，{page['took_ms']} 毫秒")
    for heading in ("编号", "时间", "发送人", "内容"):
        table.add_column(heading, overflow="fold")
    for item in page["items"]:
        sender = item["sender"]["name"] or item["sender"]["id"]
        table.add_row(*map(escape, (item["id"], item["sent_at"], sender, item["text"])))
    return table


def _write(answer: Answer) -> None:
    sys.stdout.write(json.dumps(answer, ensure_ascii=False, default=str) + "\n")


def _lines(files: list[str]) -> Iterator[bytes]:
    for name in files:
        if name == "-":
            yield from sys.stdin.buffer
        else:
            yield from _lines_of(Path(name).open("rb"))  # noqa: SIM115  (closed by the generator)


def _lines_of(file: BinaryIO) -> Iterator[bytes]:
    with file:
        yield from file
