"""Between tables of phrases and word-list files.

A phrase of a table becomes an entry of a rule in the file of its category, one phrase a line with its remark as a
comment: `imported` for the category's own severity, `imported-red` and so on for another. Everything else in the file
stays as it is, byte for byte.
"""

import json
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from app.foundation.errors import BadInput
from app.screening.domain import Severity
from app.screening.expand import BadFamily, family
from app.screening.lexicon import Lexicon
from app.screening.tables import Line
from app.screening.wordfiles import Files

EXAMPLES = 100  # phrases of an imported rule that also serve as its examples
LONGEST = 60  # characters of a phrase
SEVERITIES = {
    "红": Severity.RED,
    "橙": Severity.ORANGE,
    "黄": Severity.YELLOW,
    "红色": Severity.RED,
    "橙色": Severity.ORANGE,
    "黄色": Severity.YELLOW,
    **{str(each): each for each in Severity},
}
_WORDS = {Severity.RED: "红", Severity.ORANGE: "橙", Severity.YELLOW: "黄"}
_SYNTAX = re.compile(r"[()|?<>+…\"\\]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class NothingToImport(BadInput):
    """No line of the table brings anything new; `problems` tells why, line by line."""

    code = "lexicon_nothing_to_import"
    title = "词表中没有可以加入的词"


class Problem(NamedTuple):
    """A line that was not taken."""

    line: int
    word: str
    problem: str


class Imported(NamedTuple):
    """The files that change, how many phrases were added, and the lines left out."""

    files: Mapping[str, str]
    added: int
    problems: tuple[Problem, ...]


class _Category(NamedTuple):
    path: str
    slug: str
    name: str
    severity: Severity
    rules: tuple[dict[str, Any], ...]


def lines_of(files: Files) -> list[Line]:
    """Every wording of every rule as the lines of a table, as the word lists write it."""
    lines: list[Line] = []
    for category in _categories(files):
        for rule in category.rules:
            severity = _WORDS[Severity(rule.get("severity", category.severity))]
            remarks = _remarks(files[category.path], rule["id"])
            for say in rule["say"]:
                note = remarks.get(say) or str(rule.get("name", rule["id"]))
                lines.append(Line(len(lines) + 2, say, category.name, severity, note))
    return lines


def merged(files: Files, lines: Sequence[Line], lexicon: Lexicon) -> Imported:
    """The files with the new phrases of a table; raises `NothingToImport`."""
    fresh: dict[tuple[str, Severity], list[Line]] = defaultdict(list)
    problems: list[Problem] = []
    categories = {key: each for each in _categories(files) for key in (each.slug, each.name)}
    known = {each.slug: _known(each, lexicon) for each in categories.values()}
    for given in lines:
        category = categories.get(given.category)
        line = _squeezed(given, known[category.slug]) if category else given
        wrong = _wrong(line, category, known, lexicon)
        if wrong or category is None:
            problems.append(Problem(line.number, line.word, wrong))
            continue
        known[category.slug].add(lexicon.fold.word(line.word))
        severity = SEVERITIES.get(line.severity, category.severity)
        fresh[category.path, severity].append(line)
    if not fresh:
        shown = [each._asdict() for each in problems[:100]]
        raise NothingToImport(_first(problems), problems=shown)
    changed = dict(files)
    for (path, severity), own in fresh.items():
        category = next(each for each in categories.values() if each.path == path)
        changed[path] = _with(changed[path], category, severity, own)
    touched = {path: changed[path] for path, _ in fresh}
    return Imported(touched, sum(map(len, fresh.values())), tuple(problems))


def _squeezed(line: Line, known: set[str]) -> Line:
    """Without blanks inside, which matching passes over anyway; a known wording may hold some."""
    return line if line.word in known else line._replace(word="".join(line.word.split()))


def _wrong(
    line: Line, category: _Category | None, known: Mapping[str, set[str]], lexicon: Lexicon
) -> str:
    """Why a line cannot be taken; nothing when it can."""
    if category is None:
        names = "、".join(each.name for each in lexicon.categories.values())
        return f"没有类别「{line.category}」；可用的有：{names}"
    if line.severity and line.severity not in SEVERITIES:
        return f"级别「{line.severity}」不认识；请写红、橙或黄，或留空用该类别的级别"
    folded, own = lexicon.fold.word(line.word), known[category.slug]
    if line.word in own or folded in own:
        return "重复：词库或本表前面已有"
    return _misspelled(line.word, folded)


def _misspelled(word: str, folded: str) -> str:
    if not any(each.isalnum() for each in folded):
        return "没有可以匹配的字"
    if len(word) > LONGEST or _CONTROL.search(word):
        return f"太长（超过 {LONGEST} 字）或含有控制字符"
    if _SYNTAX.search(word):
        return '含有词库写法的符号 ( ) | ? < > + … " \\；请直接在词库文件里写'
    return ""


def _known(category: _Category, lexicon: Lexicon) -> set[str]:
    """Every plain wording of a category, folded, and every written one as it stands."""
    found: set[str] = set()
    for rule in category.rules:
        for say in rule["say"]:
            found.add(say)
            if not re.search(r"[<>+… ]", say):
                found.update(_members(say, lexicon))
    return found


def _members(say: str, lexicon: Lexicon) -> tuple[str, ...]:
    try:
        return family(say, lexicon.fold.word).words
    except BadFamily:
        return ()


def _categories(files: Files) -> Iterator[_Category]:
    for path, text in files.items():
        if path.startswith("categories/"):
            data = tomllib.loads(text.removeprefix("\ufeff"))
            severity = Severity(data["severity"])
            rules = tuple(data.get("rule", []))
            yield _Category(path, data["category"], data["name"], severity, rules)


def _with(text: str, category: _Category, severity: Severity, lines: Sequence[Line]) -> str:
    """The file with the phrases in its imported rule of that severity, which is made if need be."""
    is_own = severity is category.severity
    key = "imported" if is_own else f"imported-{severity}"
    say = [f"  {_quoted(line.word)},{_comment(line.note)}\n" for line in lines]
    examples = [f"  {_quoted(line.word)},\n" for line in lines]
    block = _block(text, key)
    if block is None:
        level = "" if is_own else f'severity = "{severity}"\n'
        taken = {rule["id"] for rule in category.rules}
        while key in taken:  # there is one, written in another way
            key += "-more"
        head = f'\n[[rule]]\nid = "{key}"\nname = "导入词表"\n{level}'
        body = (
            f"say = [\n{''.join(say)}]\nmatch = [\n{''.join(examples[:EXAMPLES])}]\nno_match = []\n"
        )
        return text.rstrip("\n") + "\n" + head + body
    room = max(0, EXAMPLES - block["match"].count("\n"))
    return (
        text[: block.end("say")]
        + "".join(say)
        + text[block.end("say") : block.end("match")]
        + "".join(examples[:room])
        + text[block.end("match") :]
    )


def _block(text: str, key: str) -> re.Match[str] | None:
    """An imported rule as this module writes it."""
    return re.search(
        rf'^id = "{key}"\nname = [^\n]*\n(?:severity = [^\n]*\n)?'
        r"say = \[\n(?P<say>(?:  [^\n]*\n)*)\]\nmatch = \[\n(?P<match>(?:  [^\n]*\n)*)\]\n",
        text,
        re.MULTILINE,
    )


def _remarks(text: str, key: str) -> dict[str, str]:
    """The remarks beside the phrases of an imported rule."""
    block = _block(text, re.escape(key))
    rows = block["say"].splitlines() if block else []
    found = (re.fullmatch(r'  (".*"),  # (.*)', row) for row in rows)
    return {json.loads(each[1]): each[2] for each in found if each}


def _quoted(word: str) -> str:
    return json.dumps(word, ensure_ascii=False)


def _comment(note: str) -> str:
    words = _CONTROL.sub(" ", note).strip()
    return f"  # {words}" if words else ""


def _first(problems: Sequence[Problem]) -> str:
    shown = "；".join(f"第 {each.line} 行「{each.word}」{each.problem}" for each in problems[:3])
    return f"{shown}（共 {len(problems)} 行）" if len(problems) > 3 else shown  # noqa: PLR2004
