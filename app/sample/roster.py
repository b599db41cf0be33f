"""The invented company as plain data: departments, staff, products, names. Nobody and nothing here is real.

Given names are herbs, solar terms and landscapes, so that a full name is plainly made up.
"""

import datetime as dt
from typing import Final, NamedTuple


def words(text: str) -> tuple[str, ...]:
    """Split a list written with spaces."""
    return tuple(text.split())


SHANGHAI: Final = dt.timezone(dt.timedelta(hours=8))
CORP: Final = "wwsample01"
CORP_NAME: Final = "样例信托"


class Department(NamedTuple):
    """A node of the department tree; the root has no parent."""

    code: str
    name: str
    parent: str | None


class Post(NamedTuple):
    """A member of staff as the roster has it: `advises` tells who may hold clients."""

    userid: str
    name: str
    department: str
    supervisor: str | None
    advises: bool = False


class Product(NamedTuple):
    """A product on sale: name, risk level, performance benchmark (业绩比较基准)."""

    name: str
    level: str
    benchmark: str


DEPARTMENTS: Final = (
    Department("hq", "样例信托总部", None),
    Department("wealth", "样例财富管理中心", "hq"),
    Department("compliance", "样例合规部", "hq"),
    Department("operations", "样例运营部", "hq"),
    Department("wealth1", "样例财富一部", "wealth"),
    Department("wealth2", "样例财富二部", "wealth"),
    Department("wealth3", "样例财富三部", "wealth"),
    Department("family", "样例家族办公室", "wealth"),
    Department("service", "样例客户服务组", "operations"),
)

POSTS: Final = (
    Post("gu.yuan", "顾远", "hq", None),
    Post("shen.mo", "沈墨", "hq", "gu.yuan"),
    Post("cheng.yan", "程砚", "wealth", "shen.mo"),
    Post("fang.yu", "方予", "wealth", "cheng.yan"),
    Post("lin.an", "林安", "wealth1", "cheng.yan", advises=True),
    Post("su.he", "苏禾", "wealth1", "lin.an", advises=True),
    Post("jiang.cheng", "江澄", "wealth1", "lin.an", advises=True),
    Post("ye.zhi", "叶栀", "wealth1", "lin.an", advises=True),
    Post("xu.tang", "许棠", "wealth1", "lin.an", advises=True),
    Post("he.yu", "何屿", "wealth1", "lin.an", advises=True),
    Post("tang.ying", "唐映", "wealth1", "lin.an", advises=True),
    Post("bai.qiao", "白桥", "wealth1", "lin.an", advises=True),
    Post("zhou.heng", "周蘅", "wealth2", "cheng.yan", advises=True),
    Post("lu.yao", "陆遥", "wealth2", "zhou.heng", advises=True),
    Post("qin.lang", "秦朗", "wealth2", "zhou.heng", advises=True),
    Post("meng.xi", "孟溪", "wealth2", "zhou.heng", advises=True),
    Post("song.lan", "宋岚", "wealth2", "zhou.heng", advises=True),
    Post("gao.cen", "高岑", "wealth2", "zhou.heng", advises=True),
    Post("pan.zhou", "潘舟", "wealth2", "zhou.heng", advises=True),
    Post("ding.nan", "丁楠", "wealth2", "zhou.heng", advises=True),
    Post("han.mu", "韩牧", "wealth3", "cheng.yan", advises=True),
    Post("wen.yan", "温砚", "wealth3", "han.mu", advises=True),
    Post("yan.kai", "严恺", "wealth3", "han.mu", advises=True),
    Post("luo.qing", "骆青", "wealth3", "han.mu", advises=True),
    Post("li.wan", "黎晚", "wealth3", "han.mu", advises=True),
    Post("shi.li", "石砾", "wealth3", "han.mu", advises=True),
    Post("zhang.xu", "章叙", "family", "cheng.yan", advises=True),
    Post("yin.shi", "尹拾", "family", "zhang.xu", advises=True),
    Post("qi.fang", "齐舫", "family", "zhang.xu", advises=True),
    Post("yu.bai", "虞白", "family", "zhang.xu", advises=True),
    Post("wei.zhun", "魏准", "compliance", "gu.yuan"),
    Post("liang.zheng", "梁峥", "compliance", "wei.zhun"),
    Post("he.lv", "贺律", "compliance", "wei.zhun"),
    Post("wei.ming", "卫茗", "compliance", "wei.zhun"),
    Post("fu.jian", "傅简", "operations", "shen.mo"),
    Post("wang.ce", "汪策", "operations", "fu.jian"),
    Post("dai.lu", "戴鹭", "operations", "fu.jian"),
    Post("liu.ying", "柳映", "service", "fu.jian"),
    Post("qiu.da", "邱答", "service", "liu.ying"),
    Post("feng.ling", "冯苓", "service", "liu.ying"),
)

PRODUCTS: Final = (
    Product("样例静水短债", "R2", "2.3%-2.9%"),
    Product("样例晨溪现金管理", "R1", "1.6%-2.1%"),
    Product("样例青川固收A", "R2", "3.0%-3.6%"),
    Product("样例青川固收B", "R2", "3.1%-3.8%"),
    Product("样例安禾1号", "R3", "3.4%-4.2%"),
    Product("样例安禾2号", "R3", "3.5%-4.3%"),
    Product("样例安禾6号", "R3", "3.3%-4.1%"),
    Product("样例远山债券精选", "R2", "3.0%-3.7%"),
    Product("样例云帆多策略", "R4", "4.0%-6.0%"),
    Product("样例海棠股债平衡", "R3", "3.6%-5.0%"),
    Product("样例北辰量化", "R4", "4.5%-6.5%"),
    Product("样例知行权益FOF", "R4", "4.0%-6.5%"),
    Product("样例松林保险金信托", "R2", "2.8%-3.4%"),
    Product("样例恒川家族信托", "R3", "3.2%-4.0%"),
    Product("样例南枝慈善信托", "R2", "2.5%-3.0%"),
    Product("样例长亭基础设施", "R3", "3.8%-4.6%"),
)

SURNAMES: Final = "沈顾陆江叶许何唐白秦孟宋高潘丁韩温严骆黎石章尹齐虞魏梁贺傅汪戴柳邱冯"
GIVEN: Final = words(
    "白露 谷雨 霜降 惊蛰 清明 小满 芒种 半夏 当归 杜若 辛夷 白芷 连翘 茯苓 忍冬 紫苏 青黛 沉香 "
    "佩兰 石斛 栀子 木槿 海棠 芙蕖 山岚 远岫 听泉 望舒 疏桐 映雪 枕溪 观澜 漱石 临风 晚舟 扶摇 "
    "长亭 归帆 采薇 南乔 乔木 松间 竹里 梅坞 云岫 星野 秋水 春山 夏荷 冬青"
)
ADDRESSES: Final = ("总", "总", "总", "女士", "先生", "女士", "先生", "姐", "老师", "阿姨", "叔")
