"""The commands `liuhen log …`: heads and proofs of the two logs."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from app import terminal
from app.commands import AsJson, operating

log_commands = typer.Typer(help="日志的签名检查点与证明", no_args_is_help=True)


@log_commands.command("list")
def list_logs(as_json: AsJson = False) -> None:
    """全部日志、最新检查点与验证公钥。"""
    with operating() as do:
        found = do("list_logs")
    table = Table("编号", "名称", "条目", "已封存", "根", "公钥")
    for each in found["items"]:
        cells = (each["log"], each["origin"], each["entries"], each["size"], each["root"] or "")
        table.add_row(*(escape(str(cell)) for cell in (*cells, each["vkey"])))
    terminal.put(found, as_json, table)


@log_commands.command("proof")
def proof(
    name: Annotated[str, typer.Argument(help="消息编号 msg_…")], as_json: AsJson = False
) -> None:
    """一条消息的包含证明（C2SP tlog-proof）。"""
    with operating() as do:
        found = do("prove_message", name=name)
    terminal.put(found, as_json, escape(found["proof"]))


@log_commands.command("consistency")
def consistency(
    old: Annotated[int, typer.Option(help="较早的大小", min=0)],
    size: Annotated[int | None, typer.Option(help="较晚的大小；缺省为最新检查点")] = None,
    log: Annotated[str, typer.Option(help="audit 或 records-<企业序号>")] = "records-1",
    as_json: AsJson = False,
) -> None:
    """日志从一个大小到另一个大小只增不改的证明。"""
    with operating() as do:
        found = do("prove_consistency", log=log, old=old, size=size)
    lines = [f"{found['old']} {found['old_root']}", f"{found['size']} {found['root']}"]
    terminal.put(found, as_json, "\n".join([*lines, *found["path"]]))
