"""The papers of a package: PDF/A-2b by typst, the list of its files, the verifier and its keys.

Texts reach typst as JSON, so that no message is markup. A character the font cannot draw is printed as its number.
"""

import json
import platform
import shutil
import sqlite3
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import typst
import xlsxwriter
from fontTools.ttLib import TTCollection

from app import __version__
from app.evidence import bag
from app.evidence.exports import One
from app.evidence.views import Parts, named, party
from app.foundation import clock
from app.foundation.files import make_folder

AGENT = f"liuhen {__version__}"
_TEMPLATES = files("app.evidence") / "templates"
_FONT_PACKAGE = "noto_cjk_sans_otc"
_MOST_LETTERS = 20_000  # of one message in a volume; the whole text is in the records
_ALWAYS = frozenset("\n\r\t ")


def write(data: Path, found: One, told: Mapping[str, Any], zone: ZoneInfo) -> None:
    """Write everything that is neither record nor view; `told` is the statement."""
    folder = data / "00-说明"
    for name in ("00-说明", "65-system", "90-verify"):
        make_folder(data / name)
    facts = {**told, "shown": _shown(found, told, zone)}
    for name in ("说明", "电子证明文件", "提取笔录"):
        _compile(name, {"facts": facts}, found, folder / f"{name}.pdf")
    system = {
        "tool": AGENT,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "platform": platform.system(),
        "method": "消息由归档接口写入只追加的日志；封存程序按 RFC 6962 计算散列并签名；本包由程序按已批准的条件自动提取",
        "checks": "期间的核对（fsck）与重建记录见 60-custody/access.jsonl",
    }
    _write(data / "65-system/system.json", json.dumps(system, ensure_ascii=False, indent=1) + "\n")
    shutil.copyfile(str(files("app.evidence") / "verify.py"), data / "90-verify/verify.py")
    keys = "".join(f"{name} {key}\n" for name, key in sorted(told["keys"].items()))
    words = "# 公钥须从包外另行取得并核对；包内的这一份只供对照\n"
    _write(data / "90-verify/KEYS.txt", words + keys)
    _list(data, folder / "电子数据清单.xlsx")


def write_volume(
    folder: Path, number: int, parts: Parts, hidden: set[int], found: One, zone: ZoneInfo
) -> None:
    """Write a group's messages as a volume for reading."""
    make_folder(folder)
    conversations = [
        {
            "title": place.name or place.room or place.tag.hex(),
            "tag": place.tag.hex(),
            "first": place.first,
            "last": place.last,
            "messages": [
                {
                    "index": row.seq - 1,
                    "counter": row.counter,
                    "at": _iso(row.sent_at, zone),
                    "sender": _drawable(named(party(row.sender))),
                    "text": "〔内容未披露〕" if row.seq in hidden else _drawable(row.text),
                    "kind": row.kind if row.action == "send" else f"{row.kind} {row.action}",
                }
                for row in rows
            ],
        }
        for place, rows in parts
    ]
    for each in conversations:
        each["title"] = _drawable(str(each["title"]))
    told = {"number": number, "export": found.id, "conversations": conversations}
    _compile("卷", told, found, folder / f"卷-{number:03d}.pdf")


def _compile(name: str, told: Mapping[str, Any], found: One, target: Path) -> None:
    at = found.decided_at or found.requested_at
    date = {"year": at.year, "month": at.month, "day": at.day}
    font = str(files(_FONT_PACKAGE))
    make_folder(target.parent)
    source = (_TEMPLATES / f"{name}.typ").read_bytes()
    typst.compile(  # type: ignore[misc]
        source,
        output=str(target),
        font_paths=[font],
        ignore_system_fonts=True,
        sys_inputs={"data": json.dumps({**told, "date": date}, ensure_ascii=False)},
        pdf_standards=["a-2b"],
    )


def _shown(found: One, told: Mapping[str, Any], zone: ZoneInfo) -> dict[str, str]:
    """What the papers print as it stands."""
    request = told["request"]
    period = f"{_day(request['since'], zone, '不限')} 至 {_day(request['until'], zone, '不限')}"
    at = found.decided_at or found.requested_at
    words = {
        **{name: request[name] for name in ("case", "legal_basis", "purpose", "recipient")},
        "jurisdiction": request["jurisdiction"],
        "foreign_approval": request["foreign_approval"] or "无",
        "query": request["q"] or "不限",
        "advisers": "、".join(request["adviser"]) or "不限",
        "clients": "、".join(request["client"]) or "不限",
        "conversation": request["conversation"] or "不限",
        "period": period,
        "approved_at": at.astimezone(zone).isoformat(timespec="seconds"),
        "requested_at": found.requested_at.astimezone(zone).isoformat(timespec="seconds"),
        "requester": f"{found.requested_by_name}（{found.requested_by}）",
        "approver": f"{found.decided_by_name}（{found.decided_by}）",
    }
    return {name: _drawable(str(word)) for name, word in words.items()}


def _day(ms: int | None, zone: ZoneInfo, otherwise: str) -> str:
    return otherwise if ms is None else _iso(ms, zone)


def _iso(ms: int, zone: ZoneInfo) -> str:
    return clock.from_ms(ms).astimezone(zone).isoformat(timespec="milliseconds")


def _drawable(text: str) -> str:
    """The text with every character that the font lacks as 〔U+XXXXX〕."""
    if len(text) > _MOST_LETTERS:
        text = f"{text[:_MOST_LETTERS]}…（全文见 10-records）"
    if text.isascii() and text.isprintable():
        return text
    known = _characters()
    return "".join(
        each if each in _ALWAYS or ord(each) in known else f"〔U+{ord(each):04X}〕" for each in text
    )


@cache
def _characters() -> frozenset[int]:
    """The code points that the volumes' font can draw."""
    found: set[int] = set()
    for path in files(_FONT_PACKAGE).iterdir():
        if path.name.endswith(".ttc"):
            with TTCollection(str(path), lazy=True) as collection:
                found.update(collection[0].getBestCmap())
    return frozenset(found)


def _list(data: Path, target: Path) -> None:
    """The list of everything in the package but itself, with its class, format and check value."""
    classes = {
        "00-说明": "说明文件",
        "10-records": "电子数据（记录）",
        "15-raw": "电子数据（原始字节）",
        "30-proofs": "校验证明",
        "40-views": "阅读件",
        "50-review": "审阅件",
        "60-custody": "保管记录",
        "65-system": "系统说明",
        "70-gaps": "缺口报告",
        "90-verify": "核验程序",
    }
    book = xlsxwriter.Workbook(str(target), {"constant_memory": True, "strings_to_formulas": False})
    book.set_properties({"created": clock.EPOCH.replace(tzinfo=None, year=2020)})
    sheet = book.add_worksheet("清单")
    sheet.write_row(0, 0, ("序号", "文件", "类别", "格式", "字节数", "SHA-256 校验值"))
    names = [name for name in bag.files_of(data) if data / name != target]
    for number, name in enumerate(names, 1):
        kind = classes[name.split("/")[0]]
        path = data / name
        cells = (number, name, kind, path.suffix[1:], path.stat().st_size, bag.digest_of(path))
        sheet.write_row(number, 0, cells)
    book.close()


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
