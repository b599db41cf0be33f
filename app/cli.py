"""The command `liuhen`. Prints for people, or one JSON object with `--json`.

Exit codes: 0 done · 1 the answer is "no" · 2 usage or input unusable · 3 a part is not available.
"""

import json
import sys
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from app import __version__, demo, operate, serve
from app.access import Role, TokenScope
from app.bootstrap import Services, open_services, wordlists
from app.foundation import clock, followers, logs
from app.foundation.database import FolderInUse
from app.foundation.errors import AppError
from app.foundation.settings import Settings
from app.screening import Lexicon, screen_cases

NO, UNUSABLE, UNAVAILABLE = 1, 2, 3
BATCH = 1_000  # lines handed over at once

cli = typer.Typer(
    name="liuhen",
    help="留痕：企业微信会话存档与敏感词监测",
    no_args_is_help=True,
    add_completion=False,
)
token_commands = typer.Typer(help="接口令牌", no_args_is_help=True)
user_commands = typer.Typer(help="控制台用户", no_args_is_help=True)
people_commands = typer.Typer(help="组织与客户", no_args_is_help=True)
cli.add_typer(token_commands, name="token")
cli.add_typer(user_commands, name="user")
cli.add_typer(people_commands, name="people")

AsJson = Annotated[bool, typer.Option("--json", help="输出一个 JSON 对象")]
say = Console(stderr=True, highlight=False)


def main() -> None:
    """Run a command; every refusal is one line and an exit code."""
    try:
        cli(standalone_mode=False)
    except typer.Abort:
        sys.exit(UNAVAILABLE)
    except AppError as error:
        say.print(f"[red]{error.title}[/red]{f'：{error.detail}' if error.detail else ''}")
        sys.exit(_exit_code(error))
    except Exception as error:
        shown = getattr(error, "show", None)  # a usage error of the parser
        if shown is None:
            raise
        shown()
        sys.exit(UNUSABLE)


def _exit_code(error: AppError) -> int:
    if error.status == 404:  # noqa: PLR2004
        return NO
    return UNAVAILABLE if error.status >= 500 else UNUSABLE  # noqa: PLR2004


@cli.command()
def version(as_json: AsJson = False) -> None:
    """版本。"""
    _put({"version": __version__}, as_json, f"留痕 {__version__}")


@cli.command()
def init(as_json: AsJson = False) -> None:
    """建库并创建首位管理员；再次运行不改变任何内容。"""
    settings = _settings()
    try:
        with open_services(settings, migrate=True) as services:
            made = operate.first_administrator(services)
    except FolderInUse:
        made = {}
    words = "已初始化过，没有改变任何内容"
    if made:
        words = f"管理员 [bold]{made['login']}[/bold]，口令 [bold]{made['password']}[/bold]（只显示这一次）"
    _put(made, as_json, words)


@cli.command(name="serve")
def serve_command(
    host: Annotated[str | None, typer.Option(help="监听地址")] = None,
    port: Annotated[int | None, typer.Option(help="监听端口")] = None,
) -> None:
    """启动接口、控制台、跟随者与任务。"""
    serve.serve(_settings(host=host, port=port))


@cli.command()
def worker() -> None:
    """只运行跟随者与任务（集群形态）。"""
    settings = _settings()
    serve.work(settings)


@cli.command(name="demo")
def demo_command(
    port: Annotated[int | None, typer.Option(help="监听端口")] = None,
    count: Annotated[int, typer.Option(help="样例消息条数", min=1)] = 20_000,
) -> None:
    """初始化，经接口推入样例数据，并启动服务。"""
    demo.run(_settings(port=port), count)


@token_commands.command("create")
def create_token(
    name: Annotated[str, typer.Option(help="用途")],
    scope: Annotated[list[TokenScope], typer.Option(help="权限，可多次给出")],
    as_json: AsJson = False,
) -> None:
    """创建令牌；明文只显示这一次。"""
    made = _operate("create_token", name=name, scopes=[each.value for each in scope])
    _put(made, as_json, made["token"])


@user_commands.command("create")
def create_user(
    login: Annotated[str, typer.Option(help="登录名")],
    role: Annotated[Role, typer.Option(help="角色")],
    password: Annotated[str, typer.Option(prompt=True, hide_input=True, help="口令")],
    name: Annotated[str, typer.Option(help="姓名")] = "",
    as_json: AsJson = False,
) -> None:
    """创建控制台用户。"""
    made = _operate(
        "create_user", login=login, name=name or login, password=password, role=role.value
    )
    _put(made, as_json, f"已创建 {login}")


@people_commands.command("import")
def import_people(
    file: Annotated[Path, typer.Argument(help="JSON 文件", exists=True, dir_okay=False)],
    as_json: AsJson = False,
) -> None:
    """导入部门、员工、客户、群与服务关系。"""
    try:
        document = file.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise typer.BadParameter(f"{file.name} 不是 UTF-8 编码") from None
    report = _operate("import_people", document=document)
    _put(report, as_json, json.dumps(report, ensure_ascii=False, indent=1))
    raise typer.Exit(NO if report["problem_count"] else 0)


@cli.command()
def ingest(
    files: Annotated[list[str], typer.Argument(help="JSON Lines 文件，- 为标准输入")],
    form: Annotated[str, typer.Option("--format", help="envelope 或 wecom")] = "envelope",
    corp: Annotated[str | None, typer.Option(help="企业 ID，wecom 格式必填")] = None,
    as_json: AsJson = False,
) -> None:
    """存档文件中的消息；可重复运行，已有的只记为重复。"""
    if form not in ("envelope", "wecom"):
        raise typer.BadParameter("--format 只能是 envelope 或 wecom")
    if form == "wecom" and not corp:
        raise typer.BadParameter("wecom 格式需要 --corp")
    began = clock.now_ms()
    totals = {"accepted": 0, "duplicate": 0, "quarantined": 0, "rejected": 0}
    with _operating() as do, _progress("存档", _size_of(files)) as advance:
        for size, lines in _batches(files):
            answer = do("ingest", lines=lines, corp=corp if form == "wecom" else None)
            for name in totals:
                totals[name] += answer[name]
            advance(size)
    seconds = (clock.now_ms() - began) / 1000
    words = "，".join(f"{name} {count}" for name, count in totals.items())
    _put({**totals, "seconds": seconds}, as_json, f"{words}，{seconds:.1f} 秒")


@cli.command(name="catch-up")
def catch_up(
    timeout: Annotated[float, typer.Option(help="最多等待的秒数")] = 600, as_json: AsJson = False
) -> None:
    """等待全部跟随者到达日志末尾。"""
    deadline = clock.now_ms() + timeout * 1000
    try:
        with open_services(_settings()) as services:
            _catch_up_here(services, deadline)
            found = operate.lag(services)["lag"]
    except FolderInUse:
        found = _wait_for_server(deadline)
    _put({"lag": found}, as_json, "，".join(f"{name} {lag}" for name, lag in found.items()))
    raise typer.Exit(NO if any(found.values()) else 0)


@cli.command()
def screen(
    cases: Annotated[Path, typer.Argument(help="用例文件", exists=True, dir_okay=False)],
    out: Annotated[Path, typer.Option("-o", "--out", help="结果文件")] = Path("/dev/stdout"),
) -> None:
    """用当前词库筛查用例，每例输出一行结果；不需要数据库。"""
    settings = Settings()
    count = screen_cases(cases, out, Lexicon.load(wordlists(settings)))
    say.print(f"{count} 例 → {out}")


@cli.command()
def search(
    query: Annotated[str, typer.Argument(help="检索语句")] = "",
    adviser: Annotated[list[str] | None, typer.Option(help="员工账号")] = None,
    client: Annotated[list[str] | None, typer.Option(help="客户 ID")] = None,
    category: Annotated[list[str] | None, typer.Option(help="风险类别")] = None,
    since: Annotated[str | None, typer.Option(help="起始时间，ISO 8601，含时区")] = None,
    until: Annotated[str | None, typer.Option(help="结束时间，ISO 8601，含时区")] = None,
    order: Annotated[str, typer.Option(help="newest 或 oldest")] = "newest",
    count: Annotated[str, typer.Option(help="capped 或 exact")] = "capped",
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
    cursor: Annotated[str | None, typer.Option(help="翻页标记")] = None,
    as_json: AsJson = False,
) -> None:
    """检索消息。"""
    asked = {
        "q": query,
        "adviser": adviser or [],
        "client": client or [],
        "category": category or [],
        "since": since,
        "until": until,
        "order": order,
        "count": count,
        "limit": limit,
        "cursor": cursor,
    }
    page = _operate("search", asked={name: value for name, value in asked.items() if value})
    _put(page, as_json, _message_table(page))
    raise typer.Exit(0 if page["items"] else NO)


@cli.command()
def rebuild(
    name: Annotated[str, typer.Argument(help="search 或 screening")], as_json: AsJson = False
) -> None:
    """从日志起点重建一个跟随者。"""
    answer = _operate("rebuild", name=name)
    _put(answer, as_json, f"{name} 已回到起点；liuhen catch-up 可等待其完成")


@cli.command()
def fsck(as_json: AsJson = False) -> None:
    """由存储的字节重新推导每个摘要、叶子和计数，报告每处不符。"""
    with _progress("核对", None) as advance:
        done = 0

        def on_progress(now: int, total: int) -> None:
            nonlocal done
            advance(now - done, total)
            done = now

        report = _operate("check_archive", on_progress=on_progress)
    differences = [*report["differences"], *report["index"]]
    words = f"{report['records']} 条记录，{report['quarantined']} 项隔离，{len(differences)} 处不符"
    for each in report["differences"][:100]:
        words += f"\n{each['place']} {each['what']} {each['detail']}"
    _put(report, as_json, "\n".join([words, *report["index"]]))
    raise typer.Exit(NO if differences else 0)


@cli.command()
def doctor(as_json: AsJson = False) -> None:
    """检查各部分状态，并说明该做什么。"""
    report = _operate("doctor")
    lines = [
        f"{'✓' if part['ok'] else '✗'} {name}：{part['detail']}"
        for name, part in report["parts"].items()
    ]
    lines.append(f"隔离区待处理 {report['quarantine']} 项")
    lines += [f"✗ 失败任务 {each['kind']}：{each['count']}" for each in report["dead_jobs"]]
    _put(report, as_json, "\n".join(lines))
    raise typer.Exit(0 if report["ok"] else UNAVAILABLE)


@cli.command(name="settings")
def list_settings() -> None:
    """列出全部设置及说明。"""
    for name, field in Settings.model_fields.items():
        print(f"LIUHEN_{name.upper()}  {field.description}")


def _settings(**given: Any) -> Settings:
    chosen = {name: value for name, value in given.items() if value is not None}
    settings = Settings(**chosen)
    logs.configure(settings.log_level, settings.log_format)
    return settings


def _operate(
    operation: str, /, on_progress: operate.Progress = lambda _done, _total: None, **arguments: Any
) -> dict[str, Any]:
    with _operating() as do:
        answer: dict[str, Any] = do(operation, on_progress=on_progress, **arguments)
        return answer


@contextmanager
def _operating() -> Generator[Any]:
    """Gives a function that does operations: here when the folder is free, in its server otherwise."""
    settings = _settings()
    quiet: operate.Progress = lambda _done, _total: None  # noqa: E731
    try:
        with open_services(settings) as services:
            yield lambda operation, /, on_progress=quiet, **arguments: operate.perform(
                services, operation, arguments, on_progress
            )
            return
    except FolderInUse:
        pass
    yield lambda operation, /, on_progress=quiet, **arguments: operate.call_server(
        settings, operation, arguments, on_progress
    )


def _catch_up_here(services: Services, deadline: float) -> None:
    for follower in services.followers:
        with _progress(follower.name, None) as advance:
            ends = services.tails_of(follower)
            total = followers.lag(follower, ends)
            done = 0

            def on_step(left: int, advance: Any = advance, total: int = total) -> None:
                nonlocal done
                advance(total - left - done, total)
                done = total - left
                if clock.now_ms() > deadline:
                    raise TimeoutError

            try:
                followers.catch_up(follower, ends, on_step)
            except TimeoutError:
                return


def _wait_for_server(deadline: float) -> dict[str, int]:
    settings = _settings()
    while True:
        found: dict[str, int] = operate.call_server(
            settings, "lag", {}, lambda _done, _total: None
        )["lag"]
        if not any(found.values()) or clock.now_ms() > deadline:
            return found
        time.sleep(0.1)


def _size_of(files: list[str]) -> int | None:
    if "-" in files:
        return None
    missing = [name for name in files if not Path(name).is_file()]
    if missing:
        raise typer.BadParameter(f"没有文件 {missing[0]}")
    return sum(Path(name).stat().st_size for name in files)


def _batches(files: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Bytes and lines of each batch; `latin-1` carries any byte through."""
    for name in files:
        lines = iter(sys.stdin.buffer) if name == "-" else _lines(Path(name))
        while batch := list(islice(lines, BATCH)):
            kept = [line.strip() for line in batch]
            yield sum(map(len, batch)), [line.decode("latin-1") for line in kept if line]


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from file


@contextmanager
def _progress(what: str, total: int | None) -> Generator[Any]:
    """Gives `advance(by, total=None)`; draws a bar on a terminal only."""
    columns: Iterable[Any] = (
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=say, disable=not sys.stderr.isatty(), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda by, total=total: bar.update(task, advance=by, total=total)


def _put(answer: dict[str, Any], as_json: bool, words: Any) -> None:
    if as_json:
        print(json.dumps(answer, ensure_ascii=False, default=str))
    else:
        Console(highlight=False).print(words)


def _message_table(page: dict[str, Any]) -> Table:
    total = page["total"]
    sign = "" if total["relation"] == "eq" else "至少 "
    table = Table(title=f"{sign}{total['value']} 条，{page['took_ms']} 毫秒")
    for heading in ("编号", "时间", "发送人", "内容"):
        table.add_column(heading, overflow="fold")
    for item in page["items"]:
        sender = item["sender"]["name"] or item["sender"]["id"]
        table.add_row(item["id"], item["sent_at"], sender, item["text"])
    return table
