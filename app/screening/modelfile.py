"""The learned model as a file: read into a `Model`, written from weights. The format is in `wordlists/README.md`."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from app.screening.learned import BLOCKS, LONGEST, Model, Policy, pack

_LINE = re.compile(r"(\S+)((?: [a-z]{2}-?[0-9]{1,4})+)")
_WEIGHT = re.compile(r"([a-z]{2})(-?[0-9]+)")
_MOST = 2_000  # steps of a weight
_HEAD = """\
# 学习模型：逐字片段对各类别的权重，由用例训练得出（python -m tests.screening.learn），请勿手改；不想用它，删掉本文件即可。
# 一行一个片段（一至三个字，^ 表示句首，$ 表示句尾，0 表示任何数字），后面是类别代码与权重，正数支持、负数反对，每一步 0.02 对数几率。
"""


class BadModel(ValueError):
    """A mistake in the file; `needles` lead to its line."""

    def __init__(self, what: str, *needles: str) -> None:
        super().__init__(what)
        self.needles = needles


def read_model(data: Mapping[str, Any], rules: Mapping[str, str]) -> Model:
    """Build the model; it judges those `rules` (id to fingerprint) that have not changed since its training."""
    codes = _table(data, "categories", str)
    bias = _table(data, "bias", float)
    policy = _table(data, "policy", float)
    if bias.keys() != codes.keys():
        raise BadModel("bias 要为每个类别代码各写一个数", "bias")
    if policy.keys() != set(Policy._fields) or not all(0 <= one <= 1 for one in policy.values()):
        raise BadModel(f"policy 要写 {'、'.join(Policy._fields)} 三项，在 0 与 1 之间", "policy")
    known = _table(data, "rules", str)
    weights = _table(data, "weights", str)
    if weights.keys() != set(BLOCKS):
        raise BadModel(f"weights 要写 {'、'.join(BLOCKS)}", "weights")
    lanes = {code: at for at, code in enumerate(codes)}
    return Model(
        categories=tuple(codes.values()),
        bias=tuple(bias[code] for code in codes),
        policy=Policy(**policy),
        judges=frozenset(one for one, print_ in known.items() if rules.get(one) == print_),
        blocks={name: dict(_weights(name, text, lanes)) for name, text in weights.items()},
    )


def _weights(block: str, text: str, lanes: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    for line in text.split("\n"):
        if not line:
            continue
        found = _LINE.fullmatch(line)
        if not found or len(found[1]) > LONGEST:
            raise BadModel("应是「片段 代码权重 …」，例如「保本 pg31 rr4」", block, line)
        steps = [0] * len(lanes)
        for code, value in _WEIGHT.findall(found[2]):
            if code not in lanes or abs(int(value)) > _MOST:
                raise BadModel(
                    f"「{code}{value}」：没有这个类别代码，或权重超过 {_MOST}", block, line
                )
            steps[lanes[code]] = int(value)
        yield found[1], pack(steps)


def _table(data: Mapping[str, Any], name: str, kind: type) -> dict[str, Any]:
    found = data.get(name)
    if not isinstance(found, dict) or not all(isinstance(one, kind) for one in found.values()):
        raise BadModel(f"缺少 [{name}]，或其中有写错的值", name)
    if kind is float and not all(map(math.isfinite, found.values())):
        raise BadModel(f"[{name}] 里的数要是有限的", name)
    return found


def write_model(
    codes: Mapping[str, str],
    bias: Mapping[str, float],
    policy: Policy,
    rules: Mapping[str, str],
    weights: Mapping[str, Mapping[str, Sequence[int]]],
) -> str:
    """The file's text; equal arguments give equal text."""
    lines = [
        *_section("categories", codes),
        *_section("bias", {code: round(float(one), 4) for code, one in bias.items()}),
        *_section("policy", policy._asdict()),
        *_section("rules", rules),
        "[weights]",
    ]
    for block, pieces in weights.items():
        rows = (_row(piece, steps, tuple(codes)) for piece, steps in sorted(pieces.items()))
        lines += [f"{block} = '''", *filter(None, rows), "'''"]
    return _HEAD + "\n".join(lines) + "\n"


def _section(name: str, values: Mapping[str, Any]) -> Iterator[str]:
    yield f"[{name}]"
    for key, value in values.items():
        yield f"{key if key.isidentifier() else json.dumps(key)} = {json.dumps(value)}"
    yield ""


def _row(piece: str, steps: Sequence[int], codes: Sequence[str]) -> str:
    told = [f"{code}{step}" for code, step in zip(codes, steps, strict=True) if step]
    return f"{piece} {' '.join(told)}" if told else ""
