"""The words that fill the load generator's sentences: invented products and people, and a real long tail.

Every table holds `SIZE` strings drawn by weight, so that a uniform pick follows the word's frequency. None of
them needs escaping in JSON. The tail of common words comes from jieba's dictionary with its counts; words that
could by themselves carry a promise, an insult or a name are left out.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Final, TypeAlias

import jieba

from app.sample.roster import ADDRESSES, GIVEN, SURNAMES, words

BITS: Final = 15
SIZE: Final = 1 << BITS

Table: TypeAlias = list[str]

_BRANDS: Final = words(
    "青川 安禾 远山 云帆 海棠 北辰 知行 松林 恒川 南枝 长亭 静水 晨溪 白桦 云杉 半山 听澜 竹里 星野 秋水 "
    "望舒 疏桐 枕溪 观澜 采薇 南乔 乔木 梅坞 云岫 归帆"
)
_STYLES: Final = words(
    "稳健 优选 成长 价值 精选 创新 领航 增利 双利 丰泽 添益 智选 蓝筹 消费 医药 科技 新能源 高端制造 红利 低波 "
    "量化 中证 港股通 全球 债券 信用债 短债 纯债 可转债 货币 现金 养老目标 平衡 灵活配置 产业趋势 优势企业 "
    "品质生活 核心资产 绿色 数字经济 半导体 周期"
)
_FORMS: Final = words(
    "混合A 混合C 债券A 债券C 指数增强 联接A 联接C 货币B 一年持有期混合 三个月定开债 六个月持有 两年封闭 FOF "
    "1号 2号 3号 5号 6号 8号 12号 18号 集合资金信托计划 单一资金信托 固收增强7号"
)
_PRODUCTS: Final = 2_600

_TAIL_TAGS: Final = frozenset({"n", "v", "vn", "a", "an", "ad", "d", "b"})
_TAIL_LENGTHS: Final = (2, 3, 4)
_TAIL_COUNT: Final = 20  # rarer words in jieba's dictionary are mostly names and old terms
_RISKY: Final = frozenset(
    "保兜赔赚返佣删密私骗奸妓毒赌杀尸嫖淫操滚傻屁贱蛋狗死稳刚兑零险定必绝最唯顶首投诉举报起微信号飞代码返点"
    "贪贿洗钱内幕黑幕抽屉现金诈恐暴鬼裸性亏损害奶母爹娘祖宗蠢猪畜承诺确担无包翻倍"
)
_CHARACTERS: Final = "".join(sorted(set("".join(GIVEN))))
_SHORT: Final = words(
    "哈哈 好的 收到 嗯嗯 谢谢 辛苦了 不客气 没问题 可以的 稍等 在的 明白 了解 麻烦您了 周末愉快 注意身体 "
    "天气转凉了 祝您生活愉快 早上好 晚安 [微笑] [抱拳] OK 👌 😊 嗯 行"
)


def tables(rng: Random) -> dict[str, Table]:
    """Draw a table for every slot of the load generator's sentences."""
    return {
        "产品": _zipf(list(_products(rng)), rng),
        "词": _tail(rng),
        "人": _made(lambda: _addressed(rng)),
        "额": _made(lambda: _amount(rng)),
        "率": _made(lambda: _rate(rng)),
        "日": _made(lambda: _day(rng)),
        "码": _made(
            lambda: f"{rng.choice(('00', '11', '16', '51', '60'))}{rng.randrange(10_000):04d}"
        ),
        "号": _made(lambda: str(rng.randint(1, 40))),
        "级": _evenly("R1 R2 R3 R4 R5 C1 C2 C3 C4 C5 低风险 中低风险 中风险 中高风险", rng),
        "期": _evenly("7天 14天 30天 90天 三个月 半年 一年 两年 三年期 五年 180天 365天", rng),
        "指数": _evenly(
            "上证指数 深成指 创业板 沪深300 中证500 科创50 恒生科技 十年期国债 黄金 原油 A股 港股",
            rng,
        ),
        "城": _evenly(
            "北京 上海 深圳 广州 杭州 成都 南京 武汉 苏州 西安 重庆 天津 长沙 青岛 宁波 厦门", rng
        ),
        "短": rng.choices(_SHORT, k=SIZE),
    }


def person(rng: Random) -> str:
    """Invent a full name."""
    return rng.choice(SURNAMES) + rng.choice(_CHARACTERS) + rng.choice(_CHARACTERS)


def _addressed(rng: Random) -> str:
    if rng.randrange(10) < 6:  # noqa: PLR2004
        return rng.choice(SURNAMES) + rng.choice(ADDRESSES)
    return person(rng)


def _made(make: Callable[[], str], distinct: int = SIZE // 8) -> Table:
    return [make() for _ in range(distinct)] * (SIZE // distinct)


def _evenly(choices: str, rng: Random) -> Table:
    return rng.choices(words(choices), k=SIZE)


def _zipf(items: Sequence[str], rng: Random, power: float = 0.9) -> Table:
    weights = accumulate((rank + 2) ** -power for rank in range(len(items)))
    return rng.choices(items, cum_weights=list(weights), k=SIZE)


def _products(rng: Random) -> Iterator[str]:
    for _ in range(_PRODUCTS):
        style = rng.choice(_STYLES) + (rng.choice(_STYLES) if rng.randrange(4) == 0 else "")
        yield f"样例{rng.choice(_BRANDS)}{style}{rng.choice(_FORMS)}"


def _amount(rng: Random) -> str:
    shape = rng.randrange(20)
    if shape < 12:  # noqa: PLR2004
        return f"{rng.choice((1, 2, 3, 5, 8, 10, 15, 20, 30, 50, 80, 100, 200, 300, 500, 1000))}万"
    if shape < 16:  # noqa: PLR2004
        return f"{rng.randint(1000, 999_999):,}元"
    return f"{rng.randint(1, 99)}.{rng.randrange(100):02d}万元"


def _rate(rng: Random) -> str:
    if rng.randrange(10) < 7:  # noqa: PLR2004
        return f"{rng.randint(1, 9)}.{rng.randrange(100):02d}%"
    return f"{rng.randint(1, 30)}%"


_DAYS: Final = words(
    "今天 明天 后天 下周一 下周三 这周五 月底 下个月 年底 节前 节后 昨天 上午 下午三点 晚上八点"
)


def _day(rng: Random) -> str:
    month, day = rng.randint(1, 12), rng.randint(1, 28)
    return rng.choice((f"{month}月{day}号", f"{month}月{day}日", rng.choice(_DAYS)))


def _tail(rng: Random) -> Table:
    entries = list(_common_words())
    weights = list(accumulate(count**0.85 for _, count in entries))
    return rng.choices([word for word, _ in entries], cum_weights=weights, k=SIZE)


def _common_words() -> Iterator[tuple[str, int]]:
    dictionary = Path(jieba.__file__).with_name("dict.txt")
    for line in dictionary.read_text(encoding="utf-8").splitlines():
        word, count, tag = line.split(" ")
        if tag in _TAIL_TAGS and _is_harmless(word) and int(count) >= _TAIL_COUNT:
            yield word, int(count)


def _is_harmless(word: str) -> bool:
    return len(word) in _TAIL_LENGTHS and _RISKY.isdisjoint(word)
