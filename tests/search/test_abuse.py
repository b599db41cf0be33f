"""What people type by mistake or with intent, over HTTP: bounded, and refused in words that help."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient

from app.access import OPERATOR, TokenScope
from app.bootstrap import Services
from app.main import create_app
from app.search.domain import Document
from app.search.query import MAX_QUERY, MAX_TERMS
from tests.search.firm import file_of

NOON = 1_767_240_000_000
SAID = "的是了我不在人们有来他这上着个地到大里说去子得也和那要下看天时过出小么起你都把好还多没为又可家学只以主会样年想生同老中十从自面前头道它后然走很像见两用她国动进成回什边作对开而己些现山民候经发工向事命给长水几义三声于高手知理眼志点心战二问但身方实吃做叫当住听革打呢真全才四已所敌之最光产情路分总条白话东席次亲如被花口放儿常气五第使写军吧文运再果怎定许快明行因别飞外树物活部门无往船望新带队先力完却站代员机更九您每风级跟笑啊孩万少直意夜比阶连车重便斗马哪化太指变社似士者干石满日决百原拿群究各六本思解立河村八难早论吗根共让相研今其书坐接应关信觉步反处记将千找争领或师结块跑谁草越字加脚紧爱等习阵怕月青半火法题建赶位唱海七女任件感准张团屋离色脸片科倒睛利世刚且由送切星导晚表够整认响雪流未场该并底深刻平伟忙提确近亮轻讲农古黑告界拉名呀土清阳照办史改历转画造嘴此治北必服雨穿内识验传业菜爬睡兴形量咱观苦体众通冲合破友度术饭公旁房极南枪读沙岁线野坚空收算至政城劳落钱特围弟胜教热展包歌类渐强数乡呼性音答哥际旧神座章帮啦受系令跳非何牛取入岸敢掉忽种装顶急林停息句区衣般报叶压慢叔背细"


@pytest.fixture
def client(services: Services) -> Iterator[TestClient]:
    """Two thousand messages, in the index alone, behind the real application."""
    documents = [
        Document(seq, NOON + seq, 1, "inbound", "text", ("a",), ("b",), (1,), SAID[seq % 50 :])
        for seq in range(1, 2001)
    ]
    file_of(services).write(1, 0, documents, 2000)
    token = services.access.create_token("t", [TokenScope.SEARCH], OPERATOR)
    with TestClient(create_app(services)) as opened:
        opened.headers["Authorization"] = f"Bearer {token}"
        yield opened


def refusal(client: TestClient, **asked: str) -> tuple[int, str, str]:
    answer = client.get("/api/v1/messages", params=asked).json()
    return answer["status"], answer["code"], answer["detail"]


def total(client: TestClient, q: str) -> int:
    answer = client.get("/api/v1/messages", params={"q": q, "count": "exact"})
    assert answer.status_code == 200, answer.text
    return int(answer.json()["total"]["value"])


def test_sixty_four_terms_are_answered_and_one_more_is_refused(client: TestClient) -> None:
    words = [SAID[at] for at in range(50, 50 + MAX_TERMS)]
    assert total(client, q=" ".join(words)) == 2000
    assert total(client, q=" | ".join(words)) == 2000
    assert total(client, q=" ".join(f"-{word}" for word in words)) == 0
    status, code, detail = refusal(client, q=" ".join([*words, "的"]))
    assert (status, code) == (400, "bad_query")
    assert "最多查 64 个词" in detail


def test_a_common_word_of_one_character_is_counted_exactly(client: TestClient) -> None:
    assert total(client, q="天") == sum("天" in SAID[seq % 50 :] for seq in range(1, 2001))


def test_ten_thousand_characters_are_read_and_one_more_is_refused(client: TestClient) -> None:
    long = " ".join(["天" * 60] * 64)
    padded = long.ljust(MAX_QUERY)
    assert total(client, q=padded) == 0
    status, code, detail = refusal(client, q=padded + "天")
    assert (status, code) == (400, "bad_query")
    assert f"最多 {MAX_QUERY} 个字符" in detail


@pytest.mark.parametrize(
    ("typed", "advice"),
    [
        ("| 天", "缺少要查的字词"),
        (") 天", "缺少要查的字词"),
        ("- 天", "减号后面要紧跟"),
        ("-" * 5000, "减号后面要紧跟"),
        ("(" * 5000, "最多套"),
        ('"' * 4999, "没有"),
        ("|" * 5000, "缺少要查的字词"),
        ("near(" * 2000, "补全括号"),
        ("from:" * 2000, "最多 256 个字符"),
        ("from:甲乙", "没有叫「甲乙」的人"),
    ],
)
def test_operators_gone_wrong_are_told_where_and_how_to_mend(
    client: TestClient, typed: str, advice: str
) -> None:
    status, code, detail = refusal(client, q=typed)
    assert (status, code) == (400, "bad_query")
    assert detail.startswith("第 ")
    assert advice in detail
    assert len(detail) < 500


def test_the_deepest_page_is_reached_and_ends(client: TestClient) -> None:
    cursor, seen = None, 0
    for _ in range(30):
        answer = client.get(
            "/api/v1/messages",
            params={"q": SAID[60], "limit": 200, **({"cursor": cursor} if cursor else {})},
        ).json()
        seen, cursor = seen + 1, answer["next"]
        if cursor is None:
            break
    assert (seen, cursor) == (10, None)


def test_fifty_searchers_at_once_are_all_answered_or_told_to_come_back(client: TestClient) -> None:
    hard = " | ".join(
        f"({a} {b} -{c})" for a, b, c in zip(SAID[50:71], SAID[80:101], SAID[300:321], strict=True)
    )

    def ask(number: int) -> int:
        typed = hard if number % 2 else "天"
        answer = client.get("/api/v1/messages", params={"q": typed, "count": "exact"})
        if answer.status_code == 503:
            assert answer.headers["retry-after"]
        return answer.status_code

    with ThreadPoolExecutor(50) as searchers:
        codes = set(searchers.map(ask, range(50)))
    assert codes <= {200, 503}
    assert total(client, q="天") > 0
