"""The language people search in, read into the tree of `tree`.

    保本 收益        both, anywhere in the message
    "保本 保息"      the words with the space between them; "" inside stands for one quotation mark
    -风险           not this
    保本 | 保息      either
    (保本 | 保息) 承诺
    near(收益 保证, 10)   both with at most so many characters between; 10 when no number is given
    from:何屿 to:wmA1    who said it to whom; also adviser: client: department: kind:

Full-width operators and Chinese quotation marks count like the half-width ones, and every name has a Chinese one
(`邻近(…)`, `发送人:`). Everything else is taken literally. No operator binds looser than `|`, none tighter than `-`.
Words are folded to the form of `tokens.norm`; with `literal` they stay as typed, and field terms may then only stand
beside everything else.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, Literal, NamedTuple, NoReturn

from app.foundation.errors import BadInput
from app.search import tokens
from app.search.tree import (
    And,
    Field,
    FieldName,
    Near,
    Not,
    Or,
    Query,
    Term,
    matches,
    phrases,
)

MAX_QUERY = 10_000  # characters
MAX_TERM = 64  # characters
MAX_TERMS = 64
MAX_VALUE = 256  # characters of a field term, as of any id
MAX_NESTING = 8  # parentheses within parentheses
MAX_DISTANCE = 100  # characters between two words
DISTANCE = 10  # unless given
LEAST_NEAR = 2  # characters of a word in near()

FIELDS: Final[dict[str, FieldName]] = {
    "from": "from",
    "发送人": "from",
    "to": "to",
    "接收人": "to",
    "adviser": "adviser",
    "员工": "adviser",
    "client": "client",
    "客户": "client",
    "department": "department",
    "部门": "department",
    "kind": "kind",
    "类型": "kind",
}
NEARS: Final = frozenset({"near", "邻近"})


class BadQuery(BadInput):
    """The query breaks a rule of the language; `position` counts characters from 0."""

    code = "bad_query"
    title = "检索语句有误"

    def __init__(self, at: int, advice: str) -> None:
        super().__init__(f"第 {at + 1} 个字符处：{advice}", position=at)


def parse(text: str, *, literal: bool = False) -> Query | None:
    """Read a query; None when there is nothing in it but blanks. Raises `BadQuery`."""
    if len(text) > MAX_QUERY:
        raise BadQuery(MAX_QUERY, f"检索语句最多 {MAX_QUERY} 个字符，请缩短")
    words = _split(text, literal=literal)
    tree = _Reader(words).read() if words else None
    if literal and tree is not None:
        _refuse_inner_fields(tree)
    return tree


def resolve(tree: Query, look: Callable[[Field], tuple[str, ...]]) -> Query:
    """The tree with what every field term stands for in place of the word typed; `look` may raise `BadQuery`."""
    match tree:
        case Field():
            return replace(tree, values=look(tree))
        case Not(child):
            return Not(resolve(child, look))
        case And(children):
            return And(tuple(resolve(child, look) for child in children))
        case Or(children):
            return Or(tuple(resolve(child, look) for child in children))
        case Term() | Near():
            return tree


def candidates(tree: Query) -> Query | None:
    """What every message that answers a literal query answers too, in the folded form; None for any message."""
    match tree:
        case Term(text):
            return Term(tokens.norm(text)) if tokens.norm(text) else None
        case Near(one, other, distance):
            return Near(tokens.norm(one), tokens.norm(other), distance)
        case Field() | Not(Field()):
            return tree
        case Not():
            return None
        case And(children):
            kept = [each for child in children if (each := candidates(child)) is not None]
            return And(tuple(kept)) if len(kept) > 1 else next(iter(kept), None)
        case Or(children):
            every = [candidates(child) for child in children]
            known = [each for each in every if each is not None]
            return Or(tuple(known)) if len(known) == len(every) else None


def spoken(tree: Query) -> Query | None:
    """What a literal query asks of the text itself; None for nothing."""
    beside = tree.children if isinstance(tree, And) else (tree,)
    kept = [each for each in beside if not (isinstance(each, Field | Not) and _is_field(each))]
    return And(tuple(kept)) if len(kept) > 1 else next(iter(kept), None)


def _refuse_inner_fields(tree: Query) -> None:
    beside = tree.children if isinstance(tree, And) else (tree,)
    for child in beside:
        inner = [] if isinstance(child, Field | Not) and _is_field(child) else _fields(child)
        for each in inner:
            raise BadQuery(
                each.at, "原样检索时，人员、部门和类型条件不能放在竖线或括号里，请与其他条件并列"
            )


def _is_field(tree: Field | Not) -> bool:
    return isinstance(tree, Field) or isinstance(tree.child, Field)


def _fields(tree: Query) -> list[Field]:
    match tree:
        case Field():
            return [tree]
        case Not(child):
            return _fields(child)
        case And(children) | Or(children):
            return [each for child in children for each in _fields(child)]
        case Term() | Near():
            return []


class _Word(NamedTuple):
    """A piece of the query; `at` is where it starts in what the user typed, `node` what an operand says."""

    kind: Literal["term", "(", ")", "|", "-"]
    at: int
    node: Query | None = None


class _Char(NamedTuple):
    folded: str
    raw: str
    at: int


_CLOSING = {'"': '"', "“": "”"}  # the full-width mark is folded to the first one
_OPERATORS: dict[str, Literal["(", ")", "|"]] = {"(": "(", ")": ")", "|": "|"}


def _split(text: str, *, literal: bool) -> list[_Word]:
    folded = [_Char(tokens.norm(raw), raw, at) for at, raw in enumerate(text)]
    # Invisible characters say nothing, unless they are looked for.
    chars = folded if literal else [char for char in folded if char.folded]
    return _Splitter(chars, literal=literal).words()


class _Splitter:
    """From characters to words."""

    def __init__(self, chars: list[_Char], *, literal: bool) -> None:
        self._chars = chars
        self._literal = literal
        self._here = 0

    def words(self) -> list[_Word]:
        words: list[_Word] = []
        while self._skip_blanks():
            words.append(self._next_word())
        return words

    def _skip_blanks(self) -> bool:
        while self._is_at(" "):
            self._here += 1
        return self._here < len(self._chars)

    def _is_at(self, *folded: str) -> bool:
        return self._here < len(self._chars) and self._chars[self._here].folded in folded

    def _next_word(self) -> _Word:
        first = self._chars[self._here]
        if first.folded in _CLOSING:
            return _Word("term", first.at, Term(self._text(self._quoted(), first.at)))
        if first.folded in _OPERATORS:
            self._here += 1
            return _Word(_OPERATORS[first.folded], first.at)
        if first.folded == "-":
            self._here += 1
            return _Word("-", first.at)
        bare = self._bare()
        if self._is_at("(") and _folded(bare) in NEARS:
            return _Word("term", first.at, self._near(first.at))
        name, colon, rest = _folded(bare).partition(":")
        if colon and name in FIELDS:
            # Folding may drop characters, so that the value is cut at the colon itself.
            cut = next(i for i, char in enumerate(bare) if char.folded == ":") + 1
            return _Word("term", first.at, self._field(FIELDS[name], bare[cut:], first.at, rest))
        return _Word("term", first.at, Term(self._text(bare, first.at)))

    def _bare(self, *, also: str = "") -> list[_Char]:
        """A word without quotation marks: up to a blank, a bracket, a bar or a mark; `-` inside is literal."""
        start = self._here
        while self._here < len(self._chars) and not self._ends_bare(also):
            self._here += 1
        return self._chars[start : self._here]

    def _ends_bare(self, also: str) -> bool:
        folded = self._chars[self._here].folded
        return folded == " " or folded in _OPERATORS or folded in _CLOSING or folded == also != ""

    def _quoted(self) -> list[_Char]:
        opening = self._chars[self._here]
        closing = _CLOSING[opening.folded]
        inside: list[_Char] = []
        self._here += 1
        while self._here < len(self._chars):
            char = self._chars[self._here]
            self._here += 1
            if char.folded != closing:
                inside.append(char)
            elif self._is_at(closing):
                inside.append(char)
                self._here += 1
            else:
                return inside
        raise BadQuery(opening.at, "这里的引号没有结束，请在词尾补上引号")

    def _text(self, chars: list[_Char], at: int) -> str:
        if not chars:
            raise BadQuery(at, "引号里没有内容，请填写要查的字词")
        if len(chars) > MAX_TERM:
            raise BadQuery(at, f"这个词超过 {MAX_TERM} 个字符，请截取其中一段")
        return "".join(char.raw for char in chars) if self._literal else _folded(chars)

    def _field(self, name: FieldName, bare: list[_Char], at: int, rest: str) -> Field:
        if not rest and self._is_at(*_CLOSING):
            bare = self._quoted()
        value = "".join(char.raw for char in bare).strip()
        if not value:
            raise BadQuery(at, "冒号后面要紧跟条件的值；要查冒号本身，请加引号")
        if len(value) > MAX_VALUE:
            raise BadQuery(at, f"冒号后面最多 {MAX_VALUE} 个字符，请只写账号或名称")
        return Field(name, (value,), at)

    def _near(self, at: int) -> Near:
        """From the bracket to its end: two words, and the distance behind a comma."""
        self._here += 1
        found: list[list[_Char]] = []
        while self._skip_blanks() and not self._is_at(")", ",", "(", "|"):
            found.append(self._quoted() if self._is_at(*_CLOSING) else self._bare(also=","))
        distance = self._distance(at) if self._is_at(",") else DISTANCE
        if not self._is_at(")"):
            raise BadQuery(at, "邻近检索写作 near(甲词 乙词, 10)，请补全括号")
        self._here += 1
        if len(found) != 2:  # noqa: PLR2004
            raise BadQuery(at, "邻近检索里要有两个词，写作 near(甲词 乙词, 10)")
        one, other = (self._text(chars, at) for chars in found)
        if min(map(len, map(tokens.norm, (one, other)))) < LEAST_NEAR:
            raise BadQuery(at, f"邻近检索里的词至少 {LEAST_NEAR} 个字符，请写长一些")
        return Near(one, other, distance)

    def _distance(self, at: int) -> int:
        self._here += 1
        self._skip_blanks()
        digits = _folded(self._bare())
        self._skip_blanks()
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 3):  # noqa: PLR2004
            raise BadQuery(at, "逗号后面要写相隔的字数，例如 near(甲词 乙词, 10)")
        if int(digits) > MAX_DISTANCE:
            raise BadQuery(at, f"相隔最多 {MAX_DISTANCE} 个字符")
        return int(digits)


def _folded(chars: list[_Char]) -> str:
    return "".join(char.folded for char in chars)


class _Reader:
    """Recursive descent over the words: either = both ("|" both)*, both = one+, one = "-"? (term | group)."""

    def __init__(self, words: list[_Word]) -> None:
        self._words = words
        self._here = 0
        self._terms = 0

    def read(self) -> Query:
        tree = self._either(depth=0)
        if (word := self._peek()) is not None:
            raise BadQuery(word.at, "多了一个右括号，请删去或补上左括号")
        return tree

    def _peek(self) -> _Word | None:
        return self._words[self._here] if self._here < len(self._words) else None

    def _next_is(self, kind: str) -> bool:
        word = self._peek()
        return word is not None and word.kind == kind

    def _either(self, depth: int) -> Query:
        found = [self._both(depth)]
        while self._next_is("|"):
            self._here += 1
            found.append(self._both(depth))
        return Or(tuple(found)) if len(found) > 1 else found[0]

    def _both(self, depth: int) -> Query:
        found: list[Query] = []
        while (word := self._peek()) is not None and word.kind not in {"|", ")"}:
            found.append(self._one(word, depth))
        if not found:
            self._miss("这里缺少要查的字词")
        return And(tuple(found)) if len(found) > 1 else found[0]

    def _one(self, word: _Word, depth: int) -> Query:
        self._here += 1
        if word.kind != "-":
            return self._operand(word, depth)
        operand = self._peek()
        if operand is None or operand.kind not in {"term", "("} or operand.at != word.at + 1:
            raise BadQuery(word.at, "减号后面要紧跟不想出现的字词；要查减号本身，请加引号")
        self._here += 1
        return Not(self._operand(operand, depth))

    def _operand(self, word: _Word, depth: int) -> Query:
        return self._group(word, depth + 1) if word.kind == "(" else self._counted(word)

    def _counted(self, word: _Word) -> Query:
        if word.node is None:
            raise TypeError("an operand says something")
        self._terms += 2 if isinstance(word.node, Near) else 1
        if self._terms > MAX_TERMS:
            raise BadQuery(word.at, f"一次最多查 {MAX_TERMS} 个词，请删去一些")
        return word.node

    def _group(self, opening: _Word, depth: int) -> Query:
        if depth > MAX_NESTING:
            raise BadQuery(opening.at, f"括号最多套 {MAX_NESTING} 层")
        inside = self._either(depth)
        if not self._next_is(")"):
            raise BadQuery(opening.at, "这里的括号没有结束，请补上右括号")
        self._here += 1
        return inside

    def _miss(self, advice: str) -> NoReturn:
        word = self._peek() or self._words[-1]
        raise BadQuery(word.at, f"{advice}；要查括号或竖线本身，请加引号")


__all__ = [
    "And",
    "BadQuery",
    "Field",
    "Near",
    "Not",
    "Or",
    "Query",
    "Term",
    "candidates",
    "matches",
    "parse",
    "phrases",
    "resolve",
    "spoken",
]
