"""Short scripted conversations with the answer a careful compliance officer would give.

They are woven into `messages`, so a test can ask whether each one is found. Some must raise nothing.
"""

from random import Random
from typing import Final, Literal, NamedTuple, TypeAlias

from app.sample.company import Assignment, Company

MINUTE: Final = 60
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

Role: TypeAlias = Literal["adviser", "client", "colleague"]
Place: TypeAlias = Literal["client", "colleague", "team"]


class Line(NamedTuple):
    """One message: who speaks, the words, and seconds since the line before."""

    role: Role
    words: str
    after: int = 40
    kind: str = "text"


class Expectation(NamedTuple):
    """A category (slug) and the lines that carry it together; one of them reported is enough."""

    category: str
    at: tuple[int, ...]


class Script(NamedTuple):
    """A story before it is given people; `hour` is that of its first line, in Shanghai."""

    slug: str
    title: str
    place: Place
    days_ago: int
    hour: int
    lines: tuple[Line, ...]
    violations: tuple[Expectation, ...] = ()
    leads: tuple[Expectation, ...] = ()


class Story(NamedTuple):
    """A script with its people (userids, external id) and its messages' ids, in the order of lines.

    `client` is None where colleagues talk among themselves; there `colleague` is the other one.
    """

    script: Script
    adviser: str
    client: str | None
    colleague: str | None
    ids: tuple[str, ...]


TEAM: Final = "wrSampleTeam01"
_OFFICER: Final = "wei.zhun"


def stories(company: Company) -> list[Story]:
    """Give every script its people: an adviser who serves the client throughout, each client once."""
    rng = Random(f"{company.seed}/stories")  # noqa: S311
    oldest = max(script.days_ago for script in SCRIPTS) + 7
    settled = [a for a in company.assignments if a.end is None and a.start < -oldest]
    pairs = rng.sample(settled, len(SCRIPTS))
    return [_story(company, *each) for each in zip(SCRIPTS, pairs, strict=True)]


def _story(company: Company, script: Script, pair: Assignment) -> Story:
    ids = tuple(f"s{company.seed}-story-{script.slug}-{n:02d}" for n in range(len(script.lines)))
    if script.place == "client":
        return Story(script, pair.employee, pair.client, None, ids)
    peer = "fang.yu" if script.place == "colleague" else _OFFICER
    return Story(script, pair.employee, None, peer, ids)


def _adviser(words: str, after: int = 40, kind: str = "text") -> Line:
    return Line("adviser", words, after, kind)


def _client(words: str, after: int = 60, kind: str = "text") -> Line:
    return Line("client", words, after, kind)


def _colleague(words: str, after: int = 60, kind: str = "text") -> Line:
    return Line("colleague", words, after, kind)


SCRIPTS: Final = (
    Script(
        "principal-answer",
        "客户追问本金，顾问拍胸脯",
        "client",
        days_ago=2,
        hour=10,
        lines=(
            _client("{顾问}，上次说的{产品}我看了说明书，有点拿不准"),
            _adviser("{称呼}您说，哪一块不清楚"),
            _client("这笔是给孩子留学用的，这个保本吗？"),
            _adviser("放心，肯定保本的，本金一分钱都不会少", after=75),
            _client("那就好，{周几}我过去签", after=5 * MINUTE),
        ),
        violations=(Expectation("principal_guarantee", (3,)),),
        leads=(Expectation("principal_guarantee", (2,)),),
    ),
    Script(
        "principal-evasion",
        "换着写法说保本",
        "client",
        days_ago=6,
        hour=14,
        lines=(
            _client("{产品}风险大不大，我爸妈的钱不敢冒险"),
            _adviser("您懂的，这只是bao本的，不方便打全字", after=90),
            _client("什么意思"),
            _adviser("就是保*本，到时候连本带息给您", after=25),
        ),
        violations=(Expectation("principal_guarantee", (1, 3)),),
        leads=(Expectation("risk_denial", (0,)),),
    ),
    Script(
        "yield-split",
        "收益承诺拆成两条发",
        "client",
        days_ago=9,
        hour=15,
        lines=(
            _client("最近有没有合适的，期限一年左右"),
            _adviser("有的，{产品}下周开放"),
            _adviser("收益这块我敢承诺", after=20),
            _adviser("每季度分红不会低于1.5%", after=12),
            _client("好，你把说明书发我", after=4 * MINUTE),
            _adviser("{产品}产品说明书.pdf", kind="file"),
        ),
        violations=(Expectation("exaggerated_yield", (2, 3)),),
    ),
    Script(
        "rigid-redemption",
        "口头承诺亏损由本人补足",
        "client",
        days_ago=14,
        hour=11,
        lines=(
            _client("前两年亏怕了，真不敢再买净值型的"),
            _adviser("{称呼}，这样，亏了算我的，差多少我给您补齐", after=2 * MINUTE),
            _client("这话可别随便说"),
            _adviser("我跟您这么多年，说到做到", after=30),
        ),
        violations=(Expectation("rigid_redemption", (1,)),),
    ),
    Script(
        "private-deal",
        "推介公司系统外的项目",
        "client",
        days_ago=20,
        hour=16,
        lines=(
            _client("手里到期的{金额}还没想好放哪"),
            _adviser("有个机会单独跟您说"),
            _adviser(
                "公司系统里没有这只，是我朋友自己发的项目，不走公司，我单独给您留份额", after=35
            ),
            _client("靠得住吗", after=3 * MINUTE),
            _adviser("主合同照常签，另外咱俩私下再签一份协议，把差额写在里面", after=50),
        ),
        violations=(Expectation("private_deal", (2, 4)),),
    ),
    Script(
        "personal-account",
        "要求先打到个人卡",
        "client",
        days_ago=27,
        hour=15,
        lines=(
            _client("网银提示对公限额了，钱转不出去"),
            _adviser(
                "募集账户今天也关了，您先把50万打到我个人银行卡上，我明天替您转过去", after=90
            ),
            _client("这样行吗", after=5 * MINUTE),
            _adviser("没事的，以前客户都这么弄"),
        ),
        violations=(Expectation("personal_account", (1,)),),
    ),
    Script(
        "delete-records",
        "说过承诺后要求删除聊天记录",
        "client",
        days_ago=33,
        hour=17,
        lines=(
            _adviser("{称呼}，昨天电话里跟您说的那几句您还记得吧"),
            _client("我截图存着呢"),
            _adviser("别留了，刚才那几句看完就删，聊天记录也清一下，对你我都好", after=50),
            _client("为什么要删", after=DAY),
            _adviser("公司要查存档，您就当没说过，记录删了吧", after=6 * MINUTE),
        ),
        violations=(Expectation("concealment", (2, 4)),),
    ),
    Script(
        "proxy-operation",
        "索要登录密码和短信验证码",
        "client",
        days_ago=40,
        hour=13,
        lines=(
            _client("我在开会，认购页面一直点不进去"),
            _adviser("您把登录密码和刚收到的六位验证码一起发过来，我这边给您弄好"),
            _client("密码是260913，验证码881204，你看着点", after=3 * MINUTE),
            _adviser("好的，我来下单", after=30),
        ),
        violations=(Expectation("proxy_operation", (1, 2, 3)),),
    ),
    Script(
        "urgency",
        "饥饿营销催打款",
        "client",
        days_ago=47,
        hour=18,
        lines=(
            _adviser("{称呼}，{产品}只剩最后三席了，今晚十二点前不打款就没了"),
            _client("我再考虑两天", after=12 * MINUTE),
            _adviser("考虑就没了，上期三分钟秒光，先打款占额度再说", after=40),
        ),
        violations=(Expectation("urgency", (0, 2)),),
    ),
    Script(
        "complaint",
        "客户要投诉销售误导",
        "client",
        days_ago=4,
        hour=9,
        lines=(
            _client("去年那笔到现在还亏着，当时你没说会亏成这样"),
            _adviser("{称呼}，我理解您着急，净值的原因我再给您梳理一遍", after=8 * MINUTE),
            _client("不用梳理了，这是误导销售，我要打12378投诉你们", after=3 * MINUTE),
            _adviser("投诉受理电话印在合同末页，您的诉求我会如实登记上报", after=5 * MINUTE),
        ),
        leads=(Expectation("complaint_intent", (2,)),),
    ),
    Script(
        "correct-denial",
        "客户问保本，顾问如实否认（不应预警）",
        "client",
        days_ago=11,
        hour=10,
        lines=(
            _client("{产品}到底保不保本，你给句实话"),
            _adviser("不保本的，净值型产品，本金有可能亏损，我们不承诺保本保收益", after=70),
            _adviser("风险揭示书第三页写得很清楚，您务必本人看完再签", after=25),
            _client("好，那我少买一点", after=6 * MINUTE),
        ),
        leads=(Expectation("principal_guarantee", (0,)),),
    ),
    Script(
        "regulation-quoted",
        "合规同事引述监管规定（不应预警）",
        "team",
        days_ago=8,
        hour=9,
        lines=(
            _colleague(
                "各位同事，重申一遍：按监管要求，不得承诺保本保息，不得以任何形式承诺最低收益"
            ),
            _colleague("公司严禁员工私下承诺兜底，严禁索要客户密码和验证码，发现一起处理一起"),
            _adviser("收到，组内已经传达", after=4 * MINUTE),
        ),
    ),
    Script(
        "recalled-promise",
        "承诺发出后撤回，原文仍在",
        "client",
        days_ago=17,
        hour=11,
        lines=(
            _client("这期和上期比怎么样"),
            _adviser("这期保本保息，比上期还踏实", after=60),
            _adviser("", after=45, kind="revoke"),
            _adviser("刚才说得不准确，这期是净值型的，不保本，以合同为准", after=30),
        ),
        violations=(Expectation("principal_guarantee", (1,)),),
    ),
    Script(
        "off-channel",
        "约客户离开企业微信再谈",
        "client",
        days_ago=55,
        hour=16,
        lines=(
            _client("费用还能再谈谈吗"),
            _adviser("企业微信有存档，这里不方便说，我们换到QQ上聊", after=80),
            _client("我不怎么用QQ"),
            _adviser("那您加我私人微信，细节我发您", after=20),
        ),
        violations=(
            Expectation("off_channel", (1, 3)),
            Expectation("concealment", (1,)),
        ),
    ),
    Script(
        "unsuitable",
        "给出测评标准答案",
        "client",
        days_ago=62,
        hour=14,
        lines=(
            _client("我测评是C2，买不了{产品}吧"),
            _adviser("这只要C4，我发您一份标准答案，照着勾就行", after=60),
            _client("这样可以？", after=2 * MINUTE),
            _adviser("双录的时候不管问什么都答清楚、明白、同意，别的别说", after=30),
        ),
        violations=(Expectation("unsuitable", (1, 3)),),
    ),
    Script(
        "kickback",
        "私下返还手续费并发红包",
        "client",
        days_ago=70,
        hour=19,
        lines=(
            _client("别家都有优惠，你这边没有？"),
            _adviser("您认购300万，手续费我返您一半，走红包，单独给您", after=2 * MINUTE),
            _adviser("感谢支持", after=DAY, kind="external_redpacket"),
            _client("收到了", after=15 * MINUTE),
        ),
        violations=(Expectation("kickback", (1,)),),
    ),
    Script(
        "structuring",
        "教客户拆分现金",
        "client",
        days_ago=78,
        hour=10,
        lines=(
            _client("家里有点现金想一起存进去再认购"),
            _adviser("一次存五十万会报大额，您分开打，每笔别超过五万", after=100),
            _client("那得跑好几趟", after=4 * MINUTE),
        ),
        violations=(Expectation("money_laundering", (1,)),),
    ),
    Script(
        "told-to-promise",
        "同事之间商量对客户说保本",
        "colleague",
        days_ago=23,
        hour=12,
        lines=(
            _adviser("那个客户一直问本金安全不安全，不好回"),
            _colleague("客户问起来就说是保本的，先把单子签下来", after=90),
            _adviser("行，我先这么说", after=60),
        ),
        violations=(Expectation("principal_guarantee", (1, 2)),),
    ),
    Script(
        "client-data",
        "在群里索要客户身份证号和流水",
        "team",
        days_ago=36,
        hour=15,
        lines=(
            _adviser("谁手里有上周签约那位女士的资料"),
            _adviser("把陈女士的身份证号和银行流水发群里，大家对一下", after=30),
            _colleague("客户资料不要在群里发，走系统调阅", after=3 * MINUTE),
        ),
        violations=(Expectation("pii", (1,)),),
    ),
    Script(
        "innocent-words",
        "字面相近的日常话（不应预警）",
        "client",
        days_ago=12,
        hour=13,
        lines=(
            _adviser("请确保本次签约的手机号是您本人在用"),
            _client("是我本人的，社保本月的缴费证明要不要带"),
            _adviser("带上更好，您那笔上周刚兑付完，钱到账了吗", after=90),
            _client("到了，我刚兑换了两万美元，剩下的先放着"),
        ),
    ),
)
