"""The gap report of a package: what it does not hold, and how far each conversation is in it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.evidence.records import Withheld
from app.evidence.selection import Plan
from app.foundation.files import make_folder


def write(
    folder: Path, plan: Plan, withheld: Sequence[Withheld], consents: Mapping[str, int]
) -> None:
    """Write the conversations with their counters, and everything that is withheld with its reason."""
    make_folder(folder)
    lines = [
        {
            "tag": place.tag.hex(),
            "kind": place.kind,
            "room": place.room,
            "name": place.name,
            "first": place.first,
            "last": place.last,
            "included": place.included,
            "disclosed": place.disclosed,
            "head": place.head,
        }
        for place in plan.places
    ]
    text = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)
    (folder / "conversations.jsonl").write_bytes(text.encode())
    told = {
        "withheld": [
            {
                "index": each.place,
                "reason": each.reason,
                "fields": list(each.fields),
                "note": each.note,
            }
            for each in withheld
        ],
        "consents": consents,
        "media": "本版本不下载附件；附件的标识与散列在各条消息的原始字节中",
        "notes": [
            "first 之前与 last 之后的消息不在所选范围内；head 是检查点时该会话最后一条的计数",
            "not_selected 的记录只给出叶子，用以证明没有遗漏",
        ],
    }
    text = json.dumps(told, ensure_ascii=False, indent=1) + "\n"
    (folder / "coverage.json").write_bytes(text.encode())
