"""The language people search in, read into a small immutable tree.

    保本 收益        both, anywhere in the message
    "保本 保息"      the words with the space between them; "" inside stands for one quotation mark
    -风险           not this
    保本 | 保息      either
    (保本 | 保息) 承诺

Full-width operators and Chinese quotation marks count like the half-width ones. Everything else is taken
literally. A word in the tree is already in the form of `tokens.norm`; a word matches a message exactly when
it is a substring of the message's normal form. No operator binds looser than `|`, none tighter than `-`.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, NoReturn, TypeAlias

from app.foundation.errors import BadInput
from app.search import tokens

MAX_QUERY = 1000  # characters
MAX_TERM = 64  # characters
MAX_TERMS = 8
MAX_NESTING = 8  # parentheses within parentheses


class BadQuery(BadInput):
    """The query breaks a rule of the language; `position` counts characters from 0."""

    code = "bad_query"
    title = "检索语句有误"

    def __init__(self, at: int, advice: str) -> None:
        super().__init__(f"第 {at + 1} 个字符处：{advice}", position=at)


@dataclass(frozen=True, slots=True)
class Term:
    """These characters in a row; `text` is normalised and never empty."""

    text: str


@dataclass(frozen=True, slots=True)
class Not:
    """Whatever the child does not match."""

    child: "Query"


@dataclass(frozen=True, slots=True)
class And:
    """All of at least two."""

    children: tuple["Query", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of at least two."""

    children: tuple["Query", ...]


Query: TypeAlias = Term | Not | And | Or


def parse(text: str) -> Query | None:
    """Read a query; None when there is nothing in it but blanks. Raises `BadQuery`."""
    if len(text) > MAX_QUERY:
        raise BadQuery(MAX_QUERY, f"检索语句最多 {MAX_QUERY} 个字符，请缩短")
    words = _split(text)
    return _Reader(words).read() if words else None


def matches(tree: Query, normed_text: str) -> bool:
    """Whether a text in the form of `tokens.norm` answers the query; engines must agree with this."""
    match tree:
        case Term(text):
            return text in normed_text
        case Not(child):
            return not matches(child, normed_text)
        case And(children):
            return all(matches(child, normed_text) for child in children)
        case Or(children):
            return any(matches(child, normed_text) for child in children)


def phrases(tree: Query) -> tuple[str, ...]:
    """The words to mark in a message that was found, in the order written; negated ones are left out."""
    return tuple(dict.fromkeys(_wanted(tree, wanted=True)))


def _wanted(tree: Query, *, wanted: bool) -> list[str]:
    match tree:
        case Term(text):
            return [text] if wanted else []
        case Not(child):
            return _wanted(child, wanted=not wanted)
        case And(children) | Or(children):
            return [text for child in children for text in _wanted(child, wanted=wanted)]


class _Word(NamedTuple):
    """A piece of the query; `at` is where it starts in what the user typed."""

    kind: Literal["term", "(", ")", "|", "-"]
    text: str
    at: int


class _Char(NamedTuple):
    folded: str
    raw: str
    at: int


_CLOSING = {'"': '"', "“": "”"}  # the full-width mark is folded to the first one
_OPERATORS: dict[str, Literal["(", ")", "|"]] = {"(": "(", ")": ")", "|": "|"}


def _split(text: str) -> list[_Word]:
    folded = [_Char(tokens.norm(raw), raw, at) for at, raw in enumerate(text)]
    chars = [char for char in folded if char.folded]  # invisible characters say nothing
    words: list[_Word] = []
    here = 0
    while here < len(chars):
        if chars[here].folded == " ":
            here += 1
            continue
        word, here = _next_word(chars, here)
        words.append(word)
    return words


def _next_word(chars: list[_Char], here: int) -> tuple[_Word, int]:
    first = chars[here]
    if first.folded in _CLOSING:
        return _quoted(chars, here)
    if first.folded in _OPERATORS:
        return _Word(_OPERATORS[first.folded], first.folded, first.at), here + 1
    if first.folded == "-":
        return _Word("-", "-", first.at), here + 1
    return _bare(chars, here)


def _bare(chars: list[_Char], start: int) -> tuple[_Word, int]:
    """A word without quotation marks: up to a blank, a bracket, a bar or a mark; `-` inside is literal."""
    end = start
    while end < len(chars) and not _ends_bare(chars[end].folded):
        end += 1
    return _term(chars[start:end], chars[start].at), end


def _ends_bare(folded: str) -> bool:
    return folded == " " or folded in _OPERATORS or folded in _CLOSING


def _quoted(chars: list[_Char], start: int) -> tuple[_Word, int]:
    closing = _CLOSING[chars[start].folded]
    inside: list[_Char] = []
    here = start + 1
    while here < len(chars):
        if chars[here].folded != closing:
            inside.append(chars[here])
            here += 1
        elif [char.folded for char in chars[here + 1 : here + 2]] == [closing]:
            inside.append(chars[here])
            here += 2
        else:
            return _term(inside, chars[start].at), here + 1
    raise BadQuery(chars[start].at, "这里的引号没有结束，请在词尾补上引号")


def _term(chars: list[_Char], at: int) -> _Word:
    if not chars:
        raise BadQuery(at, "引号里没有内容，请填写要查的字词")
    if len(chars) > MAX_TERM:
        raise BadQuery(at, f"这个词超过 {MAX_TERM} 个字符，请截取其中一段")
    return _Word("term", "".join(char.folded for char in chars), at)


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

    def _counted(self, word: _Word) -> Term:
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise BadQuery(word.at, f"一次最多查 {MAX_TERMS} 个词，请删去一些")
        return Term(word.text)

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
