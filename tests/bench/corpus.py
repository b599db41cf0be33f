# ruff: noqa: S311 - a bench needs repeatable numbers, not secret ones
"""Invented conversations of any size from a seed, and the queries asked of them."""

import random
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from app.search.domain import Document
from app.search.filters import Filters, Visible

CORP = 1
START = 1_750_000_000_000
DAYS = 181
DAY_MS = 86_400_000
PER_KIND = 20  # queries

TEMPLATES = """\
{client}您好，{product}本周开放申购，年化{rate}%，{amount}万起投，需要我发资料给您吗？
好的{client}，我先把{product}的风险揭示书发您，请您仔细阅读后再决定。
理财非存款，产品有风险，投资须谨慎。{product}过往业绩不代表未来表现。
{client}，您持有的{product}昨天净值{nav}，较上周{updown}{rate}%。
今天大盘{updown}了{rate}%，{filler}，先观望一下吧。
收到，{filler}，我{day}去网点找你签字。
这个{product}保本吗？{filler}
{filler}，{filler}。
{client}，{day}下午{hour}点的电话会议您方便参加吗？会议号{code}。
转账已经到账了，金额{amount}0000元，请查收，谢谢！
您的风险测评结果为C{hour}，{product}为R{hour}，{filler}。
{product}的管理人变更公告已经发布，代码{code}，T+{hour}确认份额。
麻烦把{client}的身份证复印件和银行流水发我一下，{filler}
[图片]
哈哈哈哈，{filler}
不好意思刚才在开会，{filler}，{day}给您回复。
{filler}？{product}到期了没有？
家族信托的方案我改了一版，{amount}万那一档的费率是{rate}%，{filler}。
👍👍 {filler}，就按您说的办
OK，the fee is {rate}%，{filler}，see you {day}
""".splitlines()
VIOLATIONS = (
    "这款绝对保本保息，{filler}",
    "私下给您返点{rate}%，别跟别人说",
    "直接把钱转到我个人账户，{filler}",
    "内部消息，{product}马上要涨，跟着我操作稳赚不赔",
)
SURNAMES = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许"
FAMILIES = ("稳盈", "安享", "远航", "长青", "聚财", "鑫利", "睿选", "恒信", "天益", "月月红")
SHAPES = ("一号", "二号", "三号", "六个月定开", "固收增强", "混合", "债券A", "指数C")


class Message(NamedTuple):
    """A document and whether it was written to be found."""

    document: Document
    violates: bool


def corpus(seed: int, size: int) -> Iterator[Message]:
    """Messages in the order of time, 300 advisers in 40 departments, 0.2 % with a finding."""
    rng = random.Random(seed)
    han = [chr(code) for code in rng.sample(range(0x4E00, 0x9000), 3000)]
    weights = [1 / (rank + 3) for rank in range(len(han))]
    letters = rng.choices(han, weights, k=400_000)
    for seq in range(1, size + 1):
        violates = rng.random() < 0.002
        template = rng.choice(VIOLATIONS if violates else TEMPLATES)
        adviser = int(300 * rng.random() ** 2)
        document = Document(
            seq=seq,
            sent_at=START + seq * DAYS * DAY_MS // size,
            conversation=adviser * 100 + rng.randrange(100),
            direction=rng.choice(("outbound", "inbound")),
            kind="text",
            employees=(f"adviser{adviser:04}",),
            clients=(f"wm{rng.randrange(20_000):06}",),
            departments=(1, 2 + adviser % 40),
            text=_fill(rng, template, letters),
        )
        yield Message(document, violates)


def _fill(rng: random.Random, template: str, letters: list[str]) -> str:
    start = rng.randrange(len(letters) - 12)
    filler = "".join(letters[start : start + rng.randrange(4, 13)])
    return template.format(
        client=rng.choice(SURNAMES) + rng.choice(("总", "女士", "先生", "阿姨")),
        product=rng.choice(FAMILIES) + rng.choice(SHAPES),
        rate=f"{rng.uniform(0.5, 9):.2f}",
        nav=f"{rng.uniform(0.8, 2):.4f}",
        amount=rng.choice((10, 30, 50, 100, 300, 1000)),
        updown=rng.choice(("涨", "跌")),
        day=rng.choice(("明天", "后天", "周一", "周三", "下周")),
        hour=rng.randrange(1, 6),
        code=f"{rng.randrange(10**6):06}",
        filler=filler,
    )


class Kind(NamedTuple):
    """Queries of one kind, with their filters."""

    name: str
    queries: list[str]
    filters: Filters


def kinds(seed: int, texts: list[str]) -> list[Kind]:
    """Fragments of what was written, from one character up, and the filters people use."""
    rng = random.Random(seed)
    month = START + 60 * DAY_MS

    def cut(length: int) -> list[str]:
        long = (text for text in iter(lambda: rng.choice(texts), None) if len(text) > length + 1)
        starts = ((text, rng.randrange(len(text) - length)) for text in long)
        return [f'"{text[at : at + length]}"' for text, at in islice(starts, PER_KIND)]

    def pairs() -> list[str]:
        return [f"{a} {b}" for a, b in zip(cut(2), cut(2), strict=True)]

    supervised = frozenset(range(2, 12))
    return [
        Kind("1 character", cut(1), Filters()),
        Kind("2 characters", cut(2), Filters()),
        Kind("3-4 characters", cut(3)[::2] + cut(4)[::2], Filters()),
        Kind("6-12 characters", cut(6)[::2] + cut(12)[::2], Filters()),
        Kind(
            "phrases to find",
            ["私下返点", "保本保息", "个人账户", "稳赚不赔"],
            Filters(),
        ),
        Kind("nothing to find", ["绝无此句", "保息保本", "xyzzy", "返点私下"], Filters()),
        Kind("two terms", pairs(), Filters()),
        Kind("one without other", [f"产品 -{term}" for term in cut(2)], Filters()),
        Kind(
            "near",
            ["near(产品 风险, 10)", "near(返点 别跟, 8)", "near(净值 较上周, 20)"],
            Filters(),
        ),
        Kind(
            "adviser, 30 days",
            cut(2),
            Filters(advisers=("adviser0007",), since=month, until=month + 30 * DAY_MS),
        ),
        Kind("10 departments", cut(2), Filters(visible=Visible(supervised))),
        Kind(
            "300 advisers",
            cut(2),
            Filters(advisers=tuple(f"adviser{n:04}" for n in range(300))),
        ),
        Kind("finding", cut(1), Filters(categories=("promise",))),
        Kind(
            "finding, no words",
            [""],
            Filters(categories=("promise",), visible=Visible(supervised)),
        ),
        Kind("filter, no words", [""], Filters(advisers=("adviser0007",))),
    ]
