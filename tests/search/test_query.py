# ruff: noqa: RUF001 - full-width forms are what these tests are about
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.search.query import (
    MAX_NESTING,
    MAX_QUERY,
    MAX_TERM,
    MAX_TERMS,
    And,
    BadQuery,
    Field,
    Near,
    Not,
    Or,
    Query,
    Term,
    candidates,
    matches,
    parse,
    phrases,
    resolve,
)
from app.search.tokens import norm

A, B, C = Term("a"), Term("b"), Term("c")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("保证", Term("保证")),
        ("保證", Term("保证")),
        ("a b", And((A, B))),
        ("a\u3000b\n", And((A, B))),
        ('"a b"', Term("a b")),
        ("“a b”", Term("a b")),
        ('"a ""b"""', Term('a "b"')),
        ('"“a”"', Term("“a”")),
        ("a|b", Or((A, B))),
        ("a ｜ b c", Or((A, And((B, C))))),
        ("（a|b）c", And((Or((A, B)), C))),
        ("a -b", And((A, Not(B)))),
        ("-b", Not(B)),
        ("-(a b)", Not(And((A, B)))),
        ("-(-a)", Not(Not(A))),
        ("－a", Not(A)),
        ("t-1", Term("t-1")),
        ("5.8%", Term("5.8%")),
        ('"-a"', Term("-a")),
        ('a"b"c', And((A, B, C))),
        ("\ufeffa", A),
        ("a\u200bb", Term("ab")),
        ("AND OR NOT", And((Term("and"), Term("or"), Term("not")))),
        ("near(收益 保证, 5)", Near("收益", "保证", 5)),
        ("NEAR（收益 保證，５）", Near("收益", "保证", 5)),
        ('邻近("a b" cd)', Near("a b", "cd", 10)),
        ("near", Term("near")),
        ("near (ab cd)", And((Term("near"), And((Term("ab"), Term("cd")))))),
        ("-near(ab cd)|a", Or((Not(Near("ab", "cd", 10)), A))),
        ("from:He.Yu", Field("from", ("He.Yu",))),
        (
            '发送人：“何 屿” -to:"wm(A)"',
            And((Field("from", ("何 屿",)), Not(Field("to", ("wm(A)",))))),
        ),
        ("员工:a|客户:b", Or((Field("adviser", ("a",)), Field("client", ("b",))))),
        ("部门:hq 类型:image", And((Field("department", ("hq",)), Field("kind", ("image",))))),
        ("http://a", Term("http://a")),
        ('"from:a"', Term("from:a")),
    ],
)
def test_a_query_reads_as_its_tree(text: str, tree: Query) -> None:
    assert parse(text) == tree


@pytest.mark.parametrize("text", ["", "  ", "\u3000\n", "\u200b"])
def test_a_blank_query_is_none(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(
    ("text", "position", "advice"),
    [
        ('保本 "保息', 3, "引号"),
        ("保本 “保息", 3, "引号"),
        ('a ""', 2, "没有内容"),
        ("a -", 2, "减号"),
        ("a - b", 2, "减号"),
        ("--a", 0, "减号"),
        ("-|a", 0, "减号"),
        ("|a", 0, "缺少"),
        ("a|", 1, "缺少"),
        ("a||b", 2, "缺少"),
        ("()", 1, "缺少"),
        ("a (b", 2, "补上右括号"),
        ("a) b", 1, "多了一个右括号"),
        ("a b " + "c" * (MAX_TERM + 1), 4, "超过 64"),
        ("a " * (MAX_TERMS + 1), 2 * MAX_TERMS, "最多查 64"),
        ("a near(甲乙 丙", 2, "补全括号"),
        ("near(甲乙)", 0, "两个词"),
        ("near(甲乙 丙丁 戊己)", 0, "两个词"),
        ("near(甲 丙丁)", 0, "至少 2"),
        ("near(甲乙 丙丁, x)", 0, "相隔的字数"),
        ("near(甲乙 丙丁, -1)", 0, "相隔的字数"),
        ("near(甲乙 丙丁, 101)", 0, "相隔最多 100"),
        ('near("" 丙丁)', 0, "没有内容"),
        ("near(甲乙 (丙丁))", 0, "补全括号"),
        ("a from: b", 2, "紧跟"),
        ('a from:""', 2, "紧跟"),
        ("(" * (MAX_NESTING + 1) + "a", MAX_NESTING, "最多套"),
        ("a" * (MAX_QUERY + 1), MAX_QUERY, "最多 10000"),
    ],
)
def test_a_broken_query_says_where_and_how_to_mend_it(
    text: str, position: int, advice: str
) -> None:
    with pytest.raises(BadQuery) as refused:
        parse(text)
    assert refused.value.code == "bad_query"
    assert refused.value.facts == {"position": position}
    assert refused.value.detail is not None
    assert refused.value.detail.startswith(f"第 {position + 1} 个字符处：")
    assert advice in refused.value.detail


def test_the_limits_themselves_are_allowed() -> None:
    assert parse("c" * MAX_TERM) == Term("c" * MAX_TERM)
    assert isinstance(parse(" ".join("a" * MAX_TERMS)), And)
    assert parse("(" * MAX_NESTING + "a" + ")" * MAX_NESTING) == A


TYPED = st.lists(st.sampled_from([*'ab保 "“”()（）|｜-－,:\u200b␠', "near(", "from:"]), max_size=30)


@given(TYPED.map("".join) | st.text(max_size=30))
def test_any_input_gives_a_tree_of_normal_terms_or_a_clear_refusal(text: str) -> None:
    try:
        tree = parse(text)
    except BadQuery as refused:
        assert 0 <= refused.facts["position"] < len(text)  # noqa: PT017 - both outcomes are right
        return
    for term in _terms(tree):
        assert term
        assert term == norm(term)


def _terms(tree: Query | None) -> list[str]:
    match tree:
        case None:
            return []
        case Term(text):
            return [text]
        case Near(one, other):
            return [one, other]
        case Field():
            return []
        case Not(child):
            return _terms(child)
        case And(children) | Or(children):
            return [text for child in children for text in _terms(child)]


@pytest.mark.parametrize(
    ("query", "text", "found"),
    [
        ("保本 收益", "收益和保本", True),
        ("保本 收益", "保本", False),
        ("保本|保息", "只保息", True),
        ("保本 -风险", "保本无风险", False),
        ("-(保本 风险)", "保本", True),
        ("-保本|风险", "保本", False),
        ('"保本 保息"', "保本\n保息", True),
        ("保本保息", "保本\n保息", False),
    ],
)
def test_matching_follows_the_operators(query: str, text: str, found: bool) -> None:  # noqa: FBT001
    tree = parse(query)
    assert tree is not None
    assert matches(tree, norm(text)) is found


def test_only_wanted_words_are_highlighted_each_once() -> None:
    tree = parse("保本 (保息|保本) -风险 -(-收益 亏损)")
    assert tree is not None
    assert phrases(tree) == ("保本", "保息", "收益")


@given(TYPED.map("".join), st.text("ab保A (:\u200b", max_size=20))
def test_what_answers_a_literal_query_is_among_its_candidates(typed: str, text: str) -> None:
    try:
        tree = parse(typed, literal=True)
    except BadQuery:
        return
    if tree is None or not matches(tree, text):
        return
    folded = candidates(tree)
    assert folded is None or matches(folded, norm(text))


def test_a_literal_query_keeps_what_was_typed() -> None:
    assert parse("保證Ａ", literal=True) == Term("保證Ａ")
    assert parse("a\u200bb", literal=True) == Term("a\u200bb")
    assert parse("NEAR（AB cd）", literal=True) == Near("AB", "cd", 10)


@pytest.mark.parametrize("text", ["a|from:b", "-(from:b a)", "(a|b) (c|(from:d e))"])
def test_a_literal_query_takes_field_terms_only_beside_everything_else(text: str) -> None:
    with pytest.raises(BadQuery, match="原样"):
        parse(text, literal=True)
    assert parse("from:a -to:b (c|d)", literal=True) is not None


@pytest.mark.parametrize(
    ("text", "distance", "found"),
    [
        ("保本xx收益", 2, True),
        ("收益xx保本", 2, True),
        ("保本xxx收益", 2, False),
        ("保本收益", 0, True),
        ("保本", 5, False),
        ("保本xxxxxx收益x保本", 1, True),
    ],
)
def test_near_counts_the_characters_between(text: str, distance: int, found: bool) -> None:  # noqa: FBT001
    assert matches(Near("保本", "收益", distance), text) is found


def test_field_terms_are_resolved_wherever_they_stand() -> None:
    tree = parse("a (from:b|-to:c)")
    assert tree is not None
    resolved = resolve(tree, lambda field: (field.name, field.values[0] * 2, str(field.at)))
    from_, to = Field("from", ("from", "bb", "3")), Field("to", ("to", "cc", "11"))
    assert resolved == And((A, Or((from_, Not(to)))))
