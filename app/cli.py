"""The command `liuhen`. Prints for people, or one JSON object with `--json`.

Exit codes: 0 done · 1 the answer is "no" · 2 usage or input unusable · 3 a part is not available.
What is heavy is imported by the command that needs it, so that `--help` answers at once.
"""
# ruff: noqa: PLC0415  (see above)

import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app import __version__, terminal
from app.commands import (
    INTERRUPTED,
    NO,
    UNAVAILABLE,
    UNUSABLE,
    AsJson,
    Moment,
    operating,
    settings_in_force,
)
from app.evidence_commands import export_commands, log_commands, retention_commands
from app.foundation.errors import AppError
from app.lexicon_commands import lexicon_commands
from app.terminal import say

if TYPE_CHECKING:
    from app.local import Do

SLICE = 1.0  # seconds of following between two looks at the clock

cli = typer.Typer(
    name="liuhen",
    help="留痕：企业微信会话存档与敏感词监测",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
token_commands = typer.Typer(help="接口令牌", no_args_is_help=True)
user_commands = typer.Typer(help="控制台用户", no_args_is_help=True)
people_commands = typer.Typer(help="组织与客户", no_args_is_help=True)
cli.add_typer(token_commands, name="token")
cli.add_typer(user_commands, name="user")
cli.add_typer(people_commands, name="people")
cli.add_typer(lexicon_commands, name="lexicon")
cli.add_typer(log_commands, name="log")
cli.add_typer(export_commands, name="export")
cli.add_typer(retention_commands, name="retention")


def main() -> None:
    """Run a command; every refusal is one line and an exit code."""
    try:
        sys.exit(cli(standalone_mode=False) or 0)
    except typer.Abort as error:
        is_interrupted = isinstance(error.__context__, KeyboardInterrupt)
        say.print("已中断" if is_interrupted else "没有输入")
        sys.exit(INTERRUPTED if is_interrupted else UNUSABLE)
    except AppError as error:
        terminal.complain(error, as_json="--json" in sys.argv)
        sys.exit(_exit_code(error))
    except OSError as error:
        place = f"：{error.filename}" if error.filename else ""
        say.print(f"[red]{error.strerror or error}[/red]{place}")
        sys.exit(UNAVAILABLE)
    except Exception as error:  # noqa: BLE001  (whatever it is, it must not end as "no")
        shown = getattr(error, "show", None)  # a usage error of the parser
        if shown is None:
            traceback.print_exception(error)
            sys.exit(UNAVAILABLE)
        shown()
        sys.exit(UNUSABLE)


@cli.command()
def version(as_json: AsJson = False) -> None:
    """版本。"""
    terminal.put({"version": __version__}, as_json, f"留痕 {__version__}")


@cli.command()
def init(as_json: AsJson = False) -> None:
    """建库并创建首位管理员；再次运行不改变任何内容。"""
    with operating(migrate=True) as do:
        made = do("first_administrator")
    words = "已初始化过，没有改变任何内容"
    if made["created"]:
        words = f"管理员 [bold]{made['login']}[/bold]，口令 [bold]{made['password']}[/bold]（只显示这一次）"
    terminal.put(made, as_json, words)


@cli.command(name="serve")
def serve_command(
    host: Annotated[str | None, typer.Option(help="监听地址")] = None,
    port: Annotated[int | None, typer.Option(help="监听端口")] = None,
) -> None:
    """启动接口、控制台、跟随者与任务。"""
    settings = settings_in_force(host=host, port=port)
    from app import serve

    serve.serve(settings)


@cli.command()
def worker() -> None:
    """只运行跟随者与任务（集群形态）。"""
    settings = settings_in_force()
    from app import serve

    serve.work(settings)


@cli.command(name="demo")
def demo_command(
    port: Annotated[int | None, typer.Option(help="监听端口")] = None,
    count: Annotated[int, typer.Option(help="样例消息条数", min=1)] = 20_000,
) -> None:
    """初始化，经接口推入样例数据，并启动服务。"""
    settings = settings_in_force(port=port)
    from app import demo

    demo.run(settings, count)


@token_commands.command("create")
def create_token(
    name: Annotated[str, typer.Option(help="用途")],
    scope: Annotated[
        list[str],
        typer.Option(help="权限：ingest、check、search、alerts、export、admin；可给出多个"),
    ],
    more: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    as_json: AsJson = False,
) -> None:
    """创建令牌；明文只显示这一次。"""
    scopes = [word for given in (*scope, *(more or ())) for word in given.split(",")]
    with operating() as do:
        made = do("create_token", name=name, scopes=scopes)
    terminal.put(made, as_json, made["token"])


@user_commands.command("create")
def create_user(
    login: Annotated[str, typer.Option(help="登录名")],
    role: Annotated[
        str,
        typer.Option(help="officer、supervisor、inspector、adviser、administrator 或 auditor"),
    ],
    password: Annotated[str, typer.Option(prompt="口令", hide_input=True, help="口令")],
    name: Annotated[str, typer.Option(help="姓名")] = "",
    as_json: AsJson = False,
) -> None:
    """创建控制台用户。"""
    with operating() as do:
        made = do("create_user", login=login, name=name or login, password=password, role=role)
    terminal.put(made, as_json, f"已创建 {login}")


@people_commands.command("import")
def import_people(
    file: Annotated[Path, typer.Argument(help="JSON 或 CSV 文件", exists=True, dir_okay=False)],
    kind: Annotated[str | None, typer.Option(help="CSV 中是什么，例如 employees")] = None,
    corp: Annotated[str | None, typer.Option(help="CSV 所属企业")] = None,
    as_json: AsJson = False,
) -> None:
    """导入部门、员工、客户、群与服务关系。"""
    document = file.read_bytes().decode("latin-1")
    with operating() as do:
        report = do("import_people", document=document, kind=kind, corp=corp)
    terminal.put(report, as_json, terminal.import_report(report))
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
    size = terminal.size_of(files)
    began = time.monotonic()
    totals = {"accepted": 0, "duplicate": 0, "quarantined": 0, "rejected": 0}
    errors: dict[str, int] = {}
    with operating() as do, terminal.progress("存档", size) as show:
        for done, lines in terminal.batches(files):
            answer = do("ingest", lines=lines, corp=corp if form == "wecom" else None)
            for name in totals:
                totals[name] += answer[name]
            for code, count in answer["errors"].items():
                errors[code] = errors.get(code, 0) + count
            show(done, size)
    seconds = round(time.monotonic() - began, 3)
    answer = {**totals, "seconds": seconds, "errors": errors}
    terminal.put(answer, as_json, terminal.ingest_report(answer))


@cli.command(name="catch-up")
def catch_up(
    timeout: Annotated[float, typer.Option(help="最多等待的秒数")] = 600, as_json: AsJson = False
) -> None:
    """等待全部跟随者到达日志末尾。"""
    with operating() as do:
        lag = _catch_up(do, timeout)
    terminal.put({"lag": lag}, as_json, terminal.lag_report(lag))
    raise typer.Exit(NO if any(lag.values()) else 0)


@cli.command()
def screen(
    cases: Annotated[Path, typer.Argument(help="用例文件", exists=True, dir_okay=False)],
    out: Annotated[Path, typer.Option("-o", "--out", help="结果文件")] = Path("/dev/stdout"),
) -> None:
    """用词库目录筛查用例，每例输出一行结果；不需要数据库。"""
    settings = settings_in_force()
    from app.bootstrap import wordlists
    from app.screening import Lexicon, screen_cases

    if not out.parent.is_dir():
        raise typer.BadParameter(f"没有目录 {out.parent}")
    count = screen_cases(cases, out, Lexicon.load(wordlists(settings)))
    say.print(f"{count} 例 → {out}")


@cli.command()
def search(
    query: Annotated[str, typer.Argument(help="检索语句")] = "",
    adviser: Annotated[list[str] | None, typer.Option(help="员工账号")] = None,
    client: Annotated[list[str] | None, typer.Option(help="客户 ID")] = None,
    department: Annotated[list[str] | None, typer.Option(help="部门编号，含下级")] = None,
    conversation: Annotated[str | None, typer.Option(help="会话")] = None,
    direction: Annotated[str | None, typer.Option(help="inbound、outbound 或 internal")] = None,
    kind: Annotated[str | None, typer.Option(help="消息类型")] = None,
    category: Annotated[list[str] | None, typer.Option(help="风险类别")] = None,
    severity: Annotated[list[str] | None, typer.Option(help="red、orange 或 yellow")] = None,
    state: Annotated[list[str] | None, typer.Option(help="处置状态")] = None,
    since: Moment = None,
    until: Moment = None,
    order: Annotated[str, typer.Option(help="newest 或 oldest")] = "newest",
    count: Annotated[str, typer.Option(help="capped 或 exact")] = "capped",
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
    cursor: Annotated[str | None, typer.Option(help="翻页标记")] = None,
    as_json: AsJson = False,
) -> None:
    """检索消息。"""
    asked = {
        "q": query,
        "adviser": adviser,
        "client": client,
        "department": department,
        "conversation": conversation,
        "direction": direction,
        "kind": kind,
        "category": category,
        "severity": severity,
        "state": state,
        "since": since,
        "until": until,
        "order": order,
        "count": count,
        "limit": limit,
        "cursor": cursor,
    }
    chosen = {name: value for name, value in asked.items() if value not in (None, [], "")}
    with operating() as do:
        page = do("search", asked=chosen)
    terminal.put(page, as_json, terminal.message_table(page))
    raise typer.Exit(0 if page["items"] else NO)


@cli.command()
def rebuild(
    name: Annotated[str, typer.Argument(help="search 或 screening")],
    timeout: Annotated[float, typer.Option(help="最多等待的秒数")] = 86_400,
    as_json: AsJson = False,
) -> None:
    """从日志起点重建一个部分，并等它到达日志末尾。"""
    with operating() as do:
        with terminal.progress("重建", None) as show:
            do("rebuild", name=name, on_progress=show)
        lag = _catch_up(do, timeout)
    terminal.put({"rebuilt": name, "lag": lag}, as_json, f"{name}：{terminal.lag_report(lag)}")
    raise typer.Exit(NO if any(lag.values()) else 0)


@cli.command()
def fsck(as_json: AsJson = False) -> None:
    """由存储的字节重新推导每个摘要、叶子和计数，报告每处不符。"""
    with operating() as do, terminal.progress("核对", None) as show:
        report = do("check_archive", on_progress=show)
    terminal.put(report, as_json, terminal.fsck_report(report))
    raise typer.Exit(0 if report["ok"] else NO)


@cli.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def verify(context: typer.Context) -> None:
    """核验证据包；与包内的 verify.py 是同一个程序。"""
    from app.evidence import verify as verifier

    raise typer.Exit(verifier.main(context.args))  # type: ignore[no-untyped-call]


@cli.command()
def doctor(as_json: AsJson = False) -> None:
    """检查各部分状态，并说明该做什么。"""
    with operating() as do:
        report = do("doctor")
    terminal.put(report, as_json, terminal.doctor_report(report))
    raise typer.Exit(0 if report["ok"] else UNAVAILABLE)


@cli.command(name="settings")
def list_settings(as_json: AsJson = False) -> None:
    """列出全部设置及说明。"""
    from app.foundation.settings import Settings

    known = {
        f"LIUHEN_{name.upper()}": field.description for name, field in Settings.model_fields.items()
    }
    terminal.put(known, as_json, "\n".join(f"{name}  {words}" for name, words in known.items()))


def _catch_up(do: "Do", timeout: float) -> dict[str, int]:
    """Follow, or wait for those who do, until nothing is left or the time is over; gives what is left."""
    deadline = time.monotonic() + timeout
    with terminal.progress("跟随", None) as show:
        whole = 0
        while True:
            left = max(0.0, deadline - time.monotonic())
            lag: dict[str, int] = do("catch_up", seconds=min(SLICE, left))["lag"]
            behind = sum(lag.values())
            whole = max(whole, behind)
            show(whole - behind, whole)
            if not behind or left == 0:
                return lag
            time.sleep(0.1)


def _exit_code(error: AppError) -> int:
    if error.status == 404:  # noqa: PLR2004
        return NO
    return UNAVAILABLE if error.status >= 500 else UNUSABLE  # noqa: PLR2004
