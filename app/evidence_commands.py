"""The commands `liuhen log …` (heads and proofs), `liuhen export …` (packages) and `liuhen retention …`."""

from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from app import terminal
from app.commands import NO, AsJson, Moment, operating

log_commands = typer.Typer(help="日志的签名检查点与证明", no_args_is_help=True)
export_commands = typer.Typer(help="证据包", no_args_is_help=True)
retention_commands = typer.Typer(help="保存与调取", no_args_is_help=True)
ALONE = "本机操作者自行批准（命令行）"

Name = Annotated[str, typer.Argument(help="导出编号 exp_…")]


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


@export_commands.command("create")
def create(
    corp: Annotated[str, typer.Option(help="企业")],
    case: Annotated[str, typer.Option(help="案号或文书号")],
    legal_basis: Annotated[str, typer.Option(help="法律依据")],
    purpose: Annotated[str, typer.Option(help="用途")],
    recipient: Annotated[str, typer.Option(help="收方")],
    jurisdiction: Annotated[str, typer.Option(help="收方法域")] = "CN",
    foreign_approval: Annotated[str, typer.Option(help="境外提供的批准文号")] = "",
    query: Annotated[str, typer.Option(help="检索词；给出后不声明会话完整")] = "",
    adviser: Annotated[list[str] | None, typer.Option(help="员工账号")] = None,
    client: Annotated[list[str] | None, typer.Option(help="客户 ID")] = None,
    conversation: Annotated[str | None, typer.Option(help="会话")] = None,
    since: Moment = None,
    until: Moment = None,
    as_json: AsJson = False,
) -> None:
    """申请证据包，并预览其中有多少消息。"""
    body: dict[str, Any] = {
        "corp": corp,
        "case": case,
        "legal_basis": legal_basis,
        "purpose": purpose,
        "recipient": recipient,
        "jurisdiction": jurisdiction,
        "foreign_approval": foreign_approval,
        "q": query,
        "adviser": adviser or [],
        "client": client or [],
        "conversation": conversation,
        "since": since,
        "until": until,
    }
    with operating() as do:
        made = do("create_export", body=body)
    told = made["preview"]
    words = (
        f"{made['id']}：{told['messages']} 条消息，{told['conversations']} 个会话；等待另一人批准"
    )
    terminal.put(made, as_json, words)


@export_commands.command("show")
def show(name: Name, as_json: AsJson = False) -> None:
    """一次导出的状态与进度。"""
    with operating() as do:
        found = do("show_export", name=name)
    words = f"{found['id']}：{found['state']}，{found['done']}/{found['total']}"
    terminal.put(found, as_json, escape(f"{words}　{found['failure'] or ''}"))


@export_commands.command("build")
def build(
    name: Name,
    reason: Annotated[
        str, typer.Option(help="尚未批准时由本机操作者自行批准的理由；包中如实写明未经第二人")
    ] = ALONE,
    as_json: AsJson = False,
) -> None:
    """制作证据包；已批准的直接制作，自己申请的由操作者自行批准。"""
    with operating() as do, terminal.progress("制作", None) as progress:
        if do("show_export", name=name)["state"] == "requested":
            do("approve_export", name=name, note=reason)
        made = do("build_export", name=name, on_progress=progress)
    terminal.put(made, as_json, made["package"])


@retention_commands.command("check")
def check(
    count: Annotated[int, typer.Option(help="抽取条数", min=1, max=10_000)] = 100,
    as_json: AsJson = False,
) -> None:
    """随机抽取记录，解密、核对、证明并按内容找回。"""
    with operating() as do:
        found = do("self_check", count=count)
    lines = [found["words"], *(f"✗ {name}：{what}" for name, what in found["failures"])]
    terminal.put(found, as_json, escape("\n".join(lines)))
    raise typer.Exit(NO if found["failures"] else 0)


@retention_commands.command("candidates")
def candidates(corp: Annotated[str, typer.Option(help="企业")], as_json: AsJson = False) -> None:
    """各组记录何时到期、因何保留。"""
    with operating() as do:
        found = do("list_candidates", corp=corp)
    table = Table("会话", "月份", "记录", "类别", "到期", "未知的起算事件")
    for each in found["items"]:
        cells = (each["conversation"], each["month"], each["records"], each["record_class"])
        ending = (each["due"] or "保留", "、".join(each["awaiting"]))
        table.add_row(*(escape(str(cell)) for cell in (*cells, *ending)))
    terminal.put(found, as_json, table)
