"""Scenes written as plain text under `dialogues/`, and the slots that make each telling different.

    # title
    客: one wording | another wording      who speaks, one of the wordings
    顾?: wording                           said two times out of three
    顾 file: 说明书.pdf                     another kind than text; parts of its body split by " / "
    顾 quote: wording                      text that quotes the line before, flattened as WeCom does
    顾 revoke:                             takes back this speaker's line before

客 client, 顾 adviser, 助 assistant, 甲 乙 丙 colleagues, 机 robot. `{slot}` is filled once per telling,
except acknowledgements and the like, which are drawn each time.
"""

import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from app.sample.roster import PRODUCTS, Product, words

_FOLDER: Final = Path(__file__).parent / "dialogues"
_LINE: Final = re.compile(r"(?P<who>\w)(?P<maybe>\?)?(?: (?P<kind>\w+))?:(?P<said>.*)")
SLOT: Final = re.compile(r"\{(\w+)\}")
_SAID_WHEN_OPTIONAL: Final = 0.66
_ENDS_PLAINLY: Final = re.compile(r"[\u4e00-\u9fff]\Z").search
_TAILS: Final = ("", "。", "~", "哈", "[微笑]", "😊", "～")
_TAIL_WEIGHTS: Final = (64, 20, 5, 3, 4, 2, 2)


class Turn(NamedTuple):
    """One line of a scene, before a wording is chosen."""

    who: str
    kind: str
    wordings: tuple[str, ...]
    optional: bool


class Scene(NamedTuple):
    """A short dialogue with alternatives."""

    title: str
    turns: tuple[Turn, ...]


class Said(NamedTuple):
    """One line as told: `words` has its slots filled."""

    who: str
    kind: str
    words: str


class Cast(NamedTuple):
    """What the slots are filled from; `known` keeps what this telling has settled already."""

    rng: Random
    product: Product
    known: dict[str, str]


def cast(rng: Random, **names: str) -> Cast:
    """Settle the names of a telling; the product is drawn."""
    return Cast(rng, rng.choice(PRODUCTS), dict(names))


@cache
def scenes(name: str) -> tuple[Scene, ...]:
    """Read `dialogues/<name>.txt`; a line that fits no form is a ValueError."""
    blocks = (_FOLDER / f"{name}.txt").read_text(encoding="utf-8").split("\n# ")
    return tuple(_scene(block.removeprefix("# ")) for block in blocks)


def tell(scene: Scene, cast: Cast) -> Iterator[Said]:
    """Choose one wording per turn, leave out some of the optional ones, fill the slots."""
    for turn in scene.turns:
        wording = cast.rng.choice(turn.wordings)
        if not turn.optional or cast.rng.random() < _SAID_WHEN_OPTIONAL:
            yield Said(turn.who, turn.kind, fill(wording, cast) + _tail(turn.kind, wording, cast))


def fill(wording: str, cast: Cast) -> str:
    """Put a value into every `{slot}`; an unknown slot is a KeyError."""
    return SLOT.sub(lambda slot: _value(slot[1], cast), wording)


def _tail(kind: str, wording: str, cast: Cast) -> str:
    if kind != "text" or not wording or not _ENDS_PLAINLY(wording):
        return ""
    return cast.rng.choices(_TAILS, _TAIL_WEIGHTS)[0]


def _scene(block: str) -> Scene:
    title, *lines = block.strip().splitlines()
    return Scene(title, tuple(_turn(line) for line in lines if line))


def _turn(line: str) -> Turn:
    found = _LINE.fullmatch(line)
    if not found:
        raise ValueError(f"not a line of a dialogue: {line}")
    kind = found["kind"] or "text"
    wordings = tuple(wording.strip() for wording in found["said"].split(" | "))
    return Turn(found["who"], kind, wordings, bool(found["maybe"]))


def _value(slot: str, cast: Cast) -> str:
    if slot in _FRESH:
        return cast.rng.choice(_FRESH[slot])
    if slot not in cast.known:
        cast.known[slot] = _FILLERS[slot](cast)
    return cast.known[slot]


def _net_value(cast: Cast) -> str:
    return f"{cast.rng.uniform(0.97, 1.18):.4f}"


def _change(cast: Cast) -> str:
    return f"{cast.rng.choice('+-')}{cast.rng.uniform(0.01, 1.2):.2f}%"


def _date(cast: Cast) -> str:
    day = cast.rng.randint(1, 28)
    return cast.rng.choice(
        (f"{day}号", f"本月{day}日", f"下个月{day}号", "月底", "下周五", "下周一")
    )


def _among(text: str) -> Callable[[Cast], str]:
    choices = words(text)
    return lambda cast: cast.rng.choice(choices)


_TIMES: Final = "上午十点 上午十点半 下午两点 下午三点 下午三点半 下午四点 十点 两点半"

_GREETINGS: Final[tuple[str, ...]] = (
    "{称呼}您好",
    "{称呼}早上好",
    "{称呼}下午好",
    "{称呼}",
    "{称呼}好",
    "您好{称呼}",
)

_FRESH: Final = {
    "好": words(
        "好的 好嘞 好 收到 嗯嗯 嗯好 行 可以 OK 明白 了解 知道了 好的呢 好的好的 没问题 嗯 👌 [OK] 好哒"
    ),
    "谢": words("谢谢 谢谢啊 多谢 谢谢了 辛苦了 麻烦你了 感谢 谢谢[抱拳] 辛苦辛苦"),
    "改时": words(_TIMES),
}

_FILLERS: Final[dict[str, Callable[[Cast], str]]] = {
    "产品": lambda cast: cast.product.name,
    "等级": lambda cast: cast.product.level,
    "基准": lambda cast: cast.product.benchmark,
    "净值": _net_value,
    "涨跌": _change,
    "日": _date,
    "候": lambda cast: fill(cast.rng.choice(_GREETINGS), cast),
    "周几": _among("周一 周二 周三 周四 周五 下周二 下周三 下周四 明天 后天"),
    "时刻": _among(_TIMES),
    "金额": _among("30万 50万 80万 100万 120万 150万 200万 300万 五十万 一百万 两百来万 500万"),
    "期限": _among("三个月 六个月 九个月 一年 十八个月 两年 三年"),
    "天": _among("T+1 T+2 T+3 两个工作日 三个工作日"),
    "指数": _among("上证指数 沪深300 中证500 创业板指 恒生指数 中债综合指数 科创50"),
    "主题": _among("家族财富传承 资产配置 养老规划 宏观经济展望 保险金信托 子女教育规划 慈善信托"),
    "地点": _among("样例大厦12楼会议室 样例大厦一楼贵宾室 样例财富中心双录室 样例大厦8楼路演厅"),
    "楼层": _among("8楼 12楼 一楼大厅 15楼"),
    "尾号": lambda cast: f"{cast.rng.randint(0, 9999):04d}",
}
