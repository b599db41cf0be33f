"""A phrase that makes a rule be still, written into its word list, with an example that proves it.

Everything else in the file stays as it is, byte for byte.
"""

import json
import re
import tomllib
from typing import NamedTuple

from app.foundation.errors import BadInput, NotFound
from app.screening.wordfiles import Files

SHORTEST, LONGEST = 2, 30  # characters of a phrase
LONGEST_EXAMPLE = 200
_SYNTAX = re.compile(r"[()|?<>+…\"\\\x00-\x1f\x7f]")
_RULE = re.compile(r"^\[\[rule\]\][ \t]*$", re.MULTILINE)


class UnknownRule(NotFound):
    """The released word lists have no such rule."""

    code = "rule_not_found"
    title = "现行词库没有这条规则"


class BadPhrase(BadInput):
    """The phrase cannot be an allow phrase."""

    code = "bad_allow_phrase"
    title = "不能作为放行语"


class _Block(NamedTuple):
    start: int
    end: int


def with_allowed(files: Files, rule: str, phrase: str, example: str) -> dict[str, str]:
    """The file that changes: `rule` is still where `phrase` stands; raises `UnknownRule`, `BadPhrase`."""
    phrase, example = phrase.strip(), " ".join(example.split())
    _check(phrase, example)
    slug, _, key = rule.partition("/")
    path = _file_of(files, slug)
    text = files[path]
    text = _with(text, _block(text, key), key, "no_match", example)
    text = _with(text, _block(text, key), key, "unless", phrase)
    return {path: text}


def _check(phrase: str, example: str) -> None:
    if not SHORTEST <= len(phrase) <= LONGEST:
        raise BadPhrase(f"放行语须为 {SHORTEST} 到 {LONGEST} 个字")
    if _SYNTAX.search(phrase):
        raise BadPhrase('放行语不能含 ()|?<>+…" 等符号')
    if phrase not in example or len(example) > LONGEST_EXAMPLE:
        raise BadPhrase(f"例句须含放行语，且不超过 {LONGEST_EXAMPLE} 个字")


def _file_of(files: Files, slug: str) -> str:
    for path, text in files.items():
        if path.startswith("categories/") and (
            tomllib.loads(text.removeprefix("\ufeff")).get("category") == slug
        ):
            return path
    raise UnknownRule


def _block(text: str, key: str) -> _Block:
    """Where a rule stands in its file."""
    begins = [match.start() for match in _RULE.finditer(text)]
    own = re.compile(rf"""^[ \t]*id[ \t]*=[ \t]*["']{re.escape(key)}["']""", re.MULTILINE)
    for start, end in zip(begins, [*begins[1:], len(text)], strict=True):
        if own.search(text, start, end):
            return _Block(start, end)
    raise UnknownRule


def _with(text: str, block: _Block, key: str, name: str, word: str) -> str:
    """The text with a word at the head of a rule's list, which is made where there is none."""
    quoted = json.dumps(word, ensure_ascii=False)
    there = re.compile(rf"^[ \t]*{name}[ \t]*=[ \t]*\[", re.MULTILINE)
    if found := there.search(text, block.start, block.end):
        rest = text[found.end() :]
        comma = "" if rest.lstrip().startswith("]") else ", "
        return text[: found.end()] + quoted + comma + rest
    line = re.compile(rf"^[ \t]*id[ \t]*=.*{re.escape(key)}.*$", re.MULTILINE)
    at = line.search(text, block.start, block.end)
    place = at.end() if at else block.end
    return f"{text[:place]}\n{name} = [{quoted}]{text[place:]}"
