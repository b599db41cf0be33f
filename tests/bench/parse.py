"""Print what reading one message costs, in microseconds and as a multiple of a bare json.loads.

Run from the top of the tree: python -m tests.bench.parse
"""

import json
import timeit
from collections import deque
from collections.abc import Callable
from pathlib import Path

from app.capture.bodies import split_body, split_ndjson
from app.capture.envelope import parse_envelope
from app.capture.wecom import parse_wecom

ENVELOPE = {
    "corp": "ww0001",
    "source": "wecom",
    "source_msg_id": "7712_1705_external",
    "source_seq": 48213,
    "sent_at": "2026-03-05T10:11:12.345+08:00",
    "conversation": {"kind": "single", "id": None, "name": None},
    "sender": {"type": "employee", "id": "zhangsan", "name": "张三"},
    "recipients": [{"type": "client", "id": "wmAAA", "name": "李女士"}],
    "kind": "text",
    "action": "send",
    "text": "陈总您好，家族信托二期本周五截止认购。",
    "content": {},
    "recalls": None,
    "raw": None,
}
EXAMPLES = Path(__file__).parents[1] / "data" / "wecom_examples.ndjson"
BATCH = 1_000


def microseconds(action: Callable[[], object], messages: int, runs: int) -> float:
    """Time one message: the best of seven rounds."""
    return min(timeit.repeat(action, number=runs, repeat=7)) / runs / messages * 1e6


def drain(parts: object) -> None:
    """Run an iterator to its end."""
    deque(parts, maxlen=0)  # type: ignore[call-overload]


def main() -> None:
    """Print one line a case."""
    line = json.dumps(ENVELOPE, ensure_ascii=False, separators=(",", ":")).encode()
    body = b'{"messages":[' + b",".join([line] * BATCH) + b"]}"
    lines = b"\n".join([line] * BATCH)
    examples = EXAMPLES.read_bytes().splitlines()
    bare = microseconds(lambda: json.loads(line), 1, 10_000)
    bare_examples = microseconds(lambda: [json.loads(one) for one in examples], len(examples), 200)
    cases: list[tuple[str, float, float]] = [
        (f"json.loads, {len(line)} bytes", bare, bare),
        ("parse_envelope", microseconds(lambda: parse_envelope(line), 1, 10_000), bare),
        ("split_body", microseconds(lambda: drain(split_body(body)), BATCH, 10), bare),
        ("split_ndjson", microseconds(lambda: drain(split_ndjson(lines)), BATCH, 10), bare),
        (f"json.loads, {len(examples)} WeCom examples", bare_examples, bare_examples),
        (
            "parse_wecom, the same",
            microseconds(lambda: [parse_wecom(one, "ww1") for one in examples], len(examples), 200),
            bare_examples,
        ),
    ]
    for name, spent, base in cases:
        print(f"{name:38} {spent:7.2f} µs a message  {spent / base:5.2f} x json.loads")


if __name__ == "__main__":
    main()
