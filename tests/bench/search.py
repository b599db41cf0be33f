# ruff: noqa: S311 - a bench needs repeatable numbers, not secret ones
"""Speed of the embedded search on invented conversations: `python tests/bench/search.py [messages] [seed]`.

Prints the index rate, the file's size, and per kind of query p50/p95/p99 of a whole search (newest 50 and the
total, exact and capped) next to a scan of every text with `in`, measured in the same run. Every query without
a filter is also counted by that scan; a difference ends the run with status 1.
"""

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from app.search.domain import Document, Hit, Note
from app.search.embedded import EmbeddedIndex
from app.search.filters import Filters, Visible
from app.search.query import parse
from app.search.tokens import norm

CORP = 1
START = 1_750_000_000_000
DAYS = 181
DAY_MS = 86_400_000
BATCH = 500
PER_KIND = 20  # queries
ROUNDS = 5

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
    """Queries of one kind; `scan` tells whether a scan of the texts alone gives the same total."""

    name: str
    queries: list[str]
    filters: Filters
    scan: bool


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
        Kind("1 character", cut(1), Filters(), scan=True),
        Kind("2 characters", cut(2), Filters(), scan=True),
        Kind("3-4 characters", cut(3)[::2] + cut(4)[::2], Filters(), scan=True),
        Kind("6-12 characters", cut(6)[::2] + cut(12)[::2], Filters(), scan=True),
        Kind(
            "phrases to find",
            ["私下返点", "保本保息", "个人账户", "稳赚不赔"],
            Filters(),
            scan=True,
        ),
        Kind(
            "nothing to find", ["绝无此句", "保息保本", "xyzzy", "返点私下"], Filters(), scan=True
        ),
        Kind("two terms", pairs(), Filters(), scan=False),
        Kind("one without other", [f"产品 -{term}" for term in cut(2)], Filters(), scan=False),
        Kind(
            "adviser, 30 days",
            cut(2),
            Filters(advisers=("adviser0007",), since=month, until=month + 30 * DAY_MS),
            scan=False,
        ),
        Kind("10 departments", cut(2), Filters(visible=Visible(supervised)), scan=False),
        Kind(
            "300 advisers",
            cut(2),
            Filters(advisers=tuple(f"adviser{n:04}" for n in range(300))),
            scan=False,
        ),
        Kind("finding", cut(1), Filters(categories=("promise",)), scan=False),
        Kind(
            "finding, no words",
            [""],
            Filters(categories=("promise",), visible=Visible(supervised)),
            scan=False,
        ),
        Kind("filter, no words", [""], Filters(advisers=("adviser0007",)), scan=False),
    ]


def fill(index: EmbeddedIndex, messages: Iterator[Message]) -> float:
    """Write everything in batches; the seconds that it took, without the making of the messages."""
    spent, after = 0.0, 0
    while batch := list(islice(messages, BATCH)):
        upto = batch[-1].document.seq
        begun = time.perf_counter()
        index.write(CORP, after, [message.document for message in batch], upto)
        spent += time.perf_counter() - begun
        hit = (Hit("promise", "red", "open"),)
        notes = [Note(message.document.seq, hit) for message in batch if message.violates]
        index.annotate(CORP, notes, stream="findings", after=after, upto=upto)
        after = upto
    return spent


def timed(run: Callable[[], int]) -> tuple[float, int]:
    """Milliseconds, and what was counted."""
    begun = time.perf_counter()
    total = run()
    return (time.perf_counter() - begun) * 1000, total


def report(index: EmbeddedIndex, kind: Kind, texts: list[str]) -> int:
    """Print one line; give the number of wrong totals."""
    exact, capped, scans, hits, wrong, total = [], [], [], [], 0, 0
    for query in kind.queries:
        tree = parse(query)
        for _ in range(ROUNDS):
            ms, total = timed(lambda: index.search(tree, kind.filters, count="exact").total)  # noqa: B023
            exact.append(ms)
            capped.append(timed(lambda: index.search(tree, kind.filters).total)[0])  # noqa: B023
        hits.append(total)
        if kind.scan:
            wanted = norm(query.strip('"'))
            ms, true = timed(lambda: sum(wanted in text for text in texts))  # noqa: B023
            scans.append(ms)
            wrong += true != total
    ratio = f"{statistics.median(scans) / statistics.median(exact):8.0f} x" if scans else " " * 10
    print(
        f"{kind.name:20} {statistics.median(hits):9.0f}   {_three(exact)}   {_three(capped)} {ratio}"
    )
    return wrong


def _three(times: list[float]) -> str:
    ordered = sorted(times)
    picks = [
        ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.95, 0.99)
    ]
    return " ".join(f"{ms:7.2f}" for ms in picks)


def main(size: int, seed: int) -> int:
    """Run it all; the exit status."""
    texts = [norm(message.document.text) for message in corpus(seed, size)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index.db"
        index = EmbeddedIndex(path, timeout=30)
        spent = fill(index, corpus(seed, size))
        bytes_each = sum(file.stat().st_size for file in Path(folder).iterdir()) / size
        mean = statistics.mean(map(len, texts))
        print(f"{size:,} messages of {mean:.0f} characters, seed {seed}")
        print(f"indexed {size / spent:,.0f} messages/s, {bytes_each:.0f} bytes a message")
        print(
            f"{'':20} {'hits':>9}   {'exact ms p50/p95/p99':>23}   {'capped ms p50/p95/p99':>23}   scan/exact"
        )
        wrong = sum(report(index, kind, texts) for kind in kinds(seed, texts))
        index.close()
    print(f"wrong totals: {wrong}")
    return 1 if wrong else 0


if __name__ == "__main__":
    arguments = [int(argument) for argument in sys.argv[1:]]
    sys.exit(main(*(arguments + [200_000, 1][len(arguments) :])))
