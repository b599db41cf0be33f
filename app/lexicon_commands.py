"""The commands `liuhen lexicon …`: versions of the word lists from draft to release."""
# ruff: noqa: PLC0415  (a command imports what is heavy when it runs)

import base64
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from app import terminal
from app.commands import NO, AsJson, Moment, operating

lexicon_commands = typer.Typer(help="词库版本", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="编号 lex_…、版本号，或 released（现行版本）")]
Note = Annotated[str, typer.Option(help="说明")]
STATES = {
    "draft": "草稿",
    "tested": "示例通过",
    "backtested": "已回测",
    "approved": "已批准",
    "released": "已发布",
    "retired": "已退役",
    "rejected": "已驳回",
}
SHOWN = 20  # failures, problems and rules listed; --json has all


@lexicon_commands.command("list")
def list_lexicons(as_json: AsJson = False) -> None:
    """全部版本，新的在前。"""
    with operating() as do:
        found = do("list_lexicons")
    table = Table("编号", "版本", "状态", "起草", "批准", "说明")
    for each in found["items"]:
        cells = (each["id"], each["version"], STATES[each["state"]], each["created_by_name"])
        table.add_row(*map(escape, (*cells, each["approved_by_name"] or "", each["note"])))
    terminal.put(found, as_json, table)


@lexicon_commands.command("show")
def show(name: Name = "released", as_json: AsJson = False) -> None:
    """一个版本的状态、历史、未通过的示例和回测。"""
    with operating() as do:
        found = do("show_lexicon", name=name)
    lines = [*_head(found), *(_step(each) for each in found["history"])]
    lines += [line for each in found["backtests"] for line in _backtest(each)]
    terminal.put(found, as_json, escape("\n".join(lines)))


@lexicon_commands.command("diff")
def diff(
    old: Name,
    new: Name = "released",
    rules: Annotated[bool, typer.Option("--rules", help="只列规则")] = False,
    as_json: AsJson = False,
) -> None:
    """两个版本的差异：改了哪些规则，逐文件改了哪些行。"""
    with operating() as do:
        found = do("diff_lexicons", old=old, new=new)
    words = {"added": "新增", "removed": "删除", "changed": "修改"}
    lines = [
        f"{words[each['kind']]} {each['rule']} {each['name']}（{'、'.join(filter(None, each['fields']))}）"
        for each in found["rules"]
    ]
    lines += [] if rules else [each["diff"] for each in found["files"]]
    terminal.put(found, as_json, escape("\n".join(lines) or "没有差异"))


@lexicon_commands.command("draft")
def draft(
    folder: Annotated[Path, typer.Argument(help="词库目录", exists=True, file_okay=False)],
    note: Note = "",
    as_json: AsJson = False,
) -> None:
    """由一个词库目录起草新版本，并运行全部示例。"""
    from app.screening.wordfiles import read_folder

    files = dict(read_folder(folder))
    with operating() as do:
        made = do("draft_lexicon", files=files, note=note)
    terminal.put(made, as_json, escape("\n".join(_head(made))))
    raise typer.Exit(NO if made["failures"] else 0)


@lexicon_commands.command("import")
def import_table(
    file: Annotated[Path, typer.Argument(help="CSV 或 XLSX", exists=True, dir_okay=False)],
    based_on: Annotated[str, typer.Option(help="在哪个版本上加词")] = "released",
    note: Note = "",
    as_json: AsJson = False,
) -> None:
    """由词表（词、类别、级别、备注）起草新版本；没有加入的行逐行说明。"""
    document = file.read_bytes().decode("latin-1")
    words = note or f"导入 {file.name}"
    with operating() as do:
        made = do("import_lexicon", document=document, based_on=based_on, note=words)
    lines = [*_head(made["lexicon"]), f"加入 {made['added']} 个词"]
    lines += [
        f"第 {each['line']} 行「{each['word']}」{each['problem']}" for each in made["problems"]
    ]
    terminal.put(made, as_json, escape("\n".join(lines)))
    raise typer.Exit(NO if made["problem_count"] or made["lexicon"]["failures"] else 0)


@lexicon_commands.command("export")
def export_table(
    out: Annotated[Path, typer.Option("-o", "--out", help="文件名，.csv 或 .xlsx")],
    name: Name = "released",
    as_json: AsJson = False,
) -> None:
    """导出词表（词、类别、级别、备注）。"""
    form = out.suffix.lower().removeprefix(".")
    if form not in ("csv", "xlsx"):
        raise typer.BadParameter("文件名须以 .csv 或 .xlsx 结尾")
    with operating() as do:
        made = do("export_lexicon", name=name, form=form)
    out.write_bytes(base64.b64decode(made["document"]))
    answer = {"file": str(out), "count": made["count"]}
    terminal.put(answer, as_json, escape(f"{made['count']} 行 → {out}"))


@lexicon_commands.command("backtest")
def backtest(
    name: Name,
    since: Moment = None,
    until: Moment = None,
    last: Annotated[int | None, typer.Option(help="每个企业最近多少条", min=1)] = None,
    stop: Annotated[bool, typer.Option("--stop", help="停止进行中的回测")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="继续已停止的回测")] = False,
    as_json: AsJson = False,
) -> None:
    """用存档消息回测一个版本并与现行版本比较；中断这条命令不会中断服务器上的回测。"""
    if stop and resume:
        raise typer.BadParameter("--stop 与 --resume 只能用一个")
    with operating() as do, terminal.progress("回测", None) as show_progress:
        if stop:
            found = do("stop_backtest", name=name)
        elif resume:
            found = do("resume_backtest", name=name, on_progress=show_progress)
        else:
            period = {"since": since, "until": until, "last": last}
            found = do("backtest_lexicon", name=name, period=period, on_progress=show_progress)
    terminal.put(found, as_json, escape("\n".join(_backtest(found))))
    raise typer.Exit(NO if found["warnings"] else 0)


@lexicon_commands.command("approve")
def approve(
    name: Name,
    as_operator: Annotated[bool, typer.Option("--as-operator", help="以本机身份代批")] = False,
    reason: Annotated[str, typer.Option(help="代批的理由，会写入审计")] = "",
    override: Annotated[str, typer.Option(help="回测预警量异常时放行的理由")] = "",
    as_json: AsJson = False,
) -> None:
    """批准；应由另一位人员在控制台进行，确需在本机代批须说明理由。"""
    asked = {"reason": reason, "override": override, "as_operator": as_operator}
    _step_command("approve_lexicon", as_json, name=name, **asked)


@lexicon_commands.command("reject")
def reject(
    name: Name, reason: Annotated[str, typer.Option(help="理由")], as_json: AsJson = False
) -> None:
    """驳回。"""
    _step_command("reject_lexicon", as_json, name=name, reason=reason)


@lexicon_commands.command("release")
def release(name: Name, note: Note = "", as_json: AsJson = False) -> None:
    """发布已批准的版本，或重新发布一个已退役的版本；无需重启。"""
    _step_command("release_lexicon", as_json, name=name, note=note)


def _step_command(operation: str, as_json: bool, **asked: Any) -> None:
    with operating() as do:
        made = do(operation, **asked)
    terminal.put(made, as_json, escape("\n".join(_head(made))))


def _head(found: dict[str, Any]) -> list[str]:
    lines = [f"{found['id']}  版本 {found['version']}  {STATES[found['state']]}"]
    failures = found["failures"]
    lines.append(f"示例 {found['examples']} 条，未通过 {len(failures)} 条")
    must = {"match": "应当命中而没有", "no_match": "不该命中却命中了"}
    lines += [
        f"  {each['file']} 第 {each['line']} 行 {each['rule']} {must[each['expected']]}：{each['sentence']}"
        for each in failures[:SHOWN]
    ]
    return lines


def _step(each: dict[str, Any]) -> str:
    return f"{each['at']}  {STATES[each['state']]}  {each['actor_name']}  {each['note']}"


def _backtest(found: dict[str, Any]) -> list[str]:
    old, new = found["released"], found["candidate"]
    lines = [
        f"回测 {found['id']}  {found['state']}  {found['done']}/{found['total']} 条",
        f"  预警 {old['alerts']} → {new['alerts']}（每千条 {old['alerts_per_1000']} → {new['alerts_per_1000']}）",
        f"  命中 {old['findings']} → {new['findings']}，线索 {old['leads']} → {new['leads']}",
        f"  新增 {found['gained']['count']}，减少 {found['lost']['count']}",
    ]
    rules = sorted(old["rules"].keys() | new["rules"].keys())
    moved = [
        f"  {rule}：{old['rules'].get(rule, 0)} → {new['rules'].get(rule, 0)}"
        for rule in rules
        if old["rules"].get(rule, 0) != new["rules"].get(rule, 0)
    ]
    return [*lines, *moved[:SHOWN], *(f"  ⚠ {each}" for each in found["warnings"])]
